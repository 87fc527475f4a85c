package sockets

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// work is how much the processors have done so far.
type work struct {
	process  time.Duration // what this process has used, 0 if the system does not tell
	ready    time.Duration // what its threads were ready to use besides, the same
	runnable *metrics.Float64Histogram
}

// runnableMetric is how long goroutines that could run had to wait until they
// did, in seconds (package runtime/metrics).
const runnableMetric = "/sched/latencies:seconds"

func readWork() work {
	w := work{process: processTime(), ready: readyTime()}
	sample := []metrics.Sample{{Name: runnableMetric}}
	metrics.Read(sample)
	if sample[0].Value.Kind() == metrics.KindFloat64Histogram {
		w.runnable = sample[0].Value.Float64Histogram()
	}
	return w
}

// readyTime is how long the threads of this process have waited for a processor:
// the second number of /proc/self/task/*/schedstat, in nanoseconds
// (Documentation/scheduler/sched-stats.rst). Elsewhere it is 0. Go's runtime
// keeps its threads, so that the sum does not shrink.
func readyTime() (sum time.Duration) {
	files, _ := filepath.Glob("/proc/self/task/*/schedstat") // the pattern is right
	for _, name := range files {
		b, err := os.ReadFile(name)
		fields := strings.Fields(string(b))
		if err != nil || len(fields) < 2 {
			continue // the thread has gone
		}
		if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
			sum += time.Duration(n)
		}
	}
	return sum
}

// since is what was done between two readings, in an interval.
func (w work) since(before work, interval time.Duration) Processors {
	p := Processors{Cores: min(runtime.GOMAXPROCS(0), runtime.NumCPU())}
	if interval > 0 {
		p.Used = float64(w.process-before.process) / float64(interval)
		p.Missed = max(float64(w.ready-before.ready)/float64(interval), 0)
	}
	p.RunnableWait = quantile(w.runnable, before.runnable, runnableShare)
	return p
}

// runnableShare is the quantile that Processors.RunnableWait tells.
const runnableShare = 0.99

// quantile returns what a share of the waits between two readings was no longer
// than, 0 without any.
func quantile(now, before *metrics.Float64Histogram, share float64) time.Duration {
	if now == nil || before == nil || len(now.Counts) != len(before.Counts) {
		return 0
	}
	var total, sum uint64
	for i := range now.Counts {
		total += now.Counts[i] - before.Counts[i]
	}
	for i := range now.Counts {
		sum += now.Counts[i] - before.Counts[i]
		if edge := now.Buckets[i+1]; total > 0 && float64(sum) >= share*float64(total) {
			if math.IsInf(edge, 1) {
				edge = now.Buckets[i]
			}
			return time.Duration(edge * float64(time.Second))
		}
	}
	return 0
}
