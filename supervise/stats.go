package supervise

import (
	"cmp"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"
)

// Stats is what a program has done so far.
type Stats struct {
	Calls []CallStats // by name, the most frequent first

	// Native counts calls that came here and were none of ours: on a pipe, say,
	// or on an AF_UNIX socket of the program's own.
	Native uint64

	Opened uint64 // Internet sockets so far, accepted ones included
	Open   int    // now
	Peak   int    // at most at a time

	Sent, Received uint64 // bytes that crossed from the program to the stack, and back
}

// CallStats is what there is to say of one system call.
type CallStats struct {
	Name   string
	Count  uint64
	Failed uint64 // of which with an errno

	// P50 and P99 are the times that half, and 99 of 100, of the calls took at
	// most, from our hearing of them to the answer: waiting is included. They are
	// exact to an eighth.
	P50, P99 time.Duration
}

// Stats returns the counters as they are now, also after Wait. They are read one
// by one while the program runs.
func (c *Cmd) Stats() Stats {
	if c.run == nil {
		return Stats{}
	}
	return c.run.stats()
}

// counters are what Stats tells.
type counters struct {
	calls          [len(handlerNumbers{})]atomic.Pointer[callCounter] // by number of the system call
	native         atomic.Uint64
	opened         atomic.Uint64
	open, peak     atomic.Int64
	sent, received atomic.Uint64
}

// handlerNumbers has an index for each system call that may be trapped.
type handlerNumbers [512]struct{}

// opens counts a socket, and closes one less.
func (k *counters) opens() {
	k.opened.Add(1)
	open := k.open.Add(1)
	for {
		peak := k.peak.Load()
		if open <= peak || k.peak.CompareAndSwap(peak, open) {
			return
		}
	}
}

func (k *counters) closes() { k.open.Add(-1) }

// answered counts a call that took some time to answer.
func (k *counters) answered(nr int, took time.Duration, failed bool) {
	c := k.calls[nr].Load()
	if c == nil {
		k.calls[nr].CompareAndSwap(nil, &callCounter{})
		c = k.calls[nr].Load()
	}
	if failed {
		c.failed.Add(1)
	}
	c.times.add(took)
}

// stats returns what was counted. name tells the calls' names.
func (k *counters) stats(name func(nr int) string) Stats {
	s := Stats{
		Native: k.native.Load(),
		Opened: k.opened.Load(), Open: int(k.open.Load()), Peak: int(k.peak.Load()),
		Sent: k.sent.Load(), Received: k.received.Load(),
	}
	for nr := range k.calls {
		c := k.calls[nr].Load()
		if c == nil {
			continue
		}
		total, p := c.times.percentiles(50, 99)
		s.Calls = append(s.Calls, CallStats{Name: name(nr), Count: total, Failed: c.failed.Load(), P50: p[0], P99: p[1]})
	}
	slices.SortFunc(s.Calls, func(a, b CallStats) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	return s
}

// A callCounter counts the calls of one name.
type callCounter struct {
	failed atomic.Uint64
	times  histogram
}

// A histogram counts times in buckets that are an eighth of their value wide.
type histogram [40 * eighths]atomic.Uint64 // up to 2^42 ns, more than an hour

const eighths = 8

// bucket returns where a time belongs. Below eight nanoseconds each has a bucket
// of its own, and above each power of two has eight.
func bucket(d time.Duration) int {
	n := uint64(max(d, 0))
	if n < eighths {
		return int(n)
	}
	shift := bits.Len64(n) - 4 // n>>shift has four bits, 8 to 15
	return min((shift+1)*eighths+int(n>>shift)-eighths, len(histogram{})-1)
}

// middle returns the time in the middle of a bucket.
func middle(b int) time.Duration {
	if b < eighths {
		return time.Duration(b)
	}
	shift := b/eighths - 1
	low := uint64(b%eighths+eighths) << shift
	return time.Duration(low + (1<<shift)/2)
}

func (h *histogram) add(d time.Duration) { h[bucket(d)].Add(1) }

// percentiles returns how many times there are, and for each share the time that
// so many of a hundred do not exceed.
func (h *histogram) percentiles(shares ...uint64) (total uint64, times []time.Duration) {
	counts := make([]uint64, len(h))
	for i := range h {
		counts[i] = h[i].Load()
		total += counts[i]
	}
	const whole = 100
	for _, share := range shares {
		want := (total*share + whole - 1) / whole
		seen, b := uint64(0), 0
		for b = range counts {
			if seen += counts[b]; seen >= want {
				break
			}
		}
		times = append(times, middle(b))
	}
	return total, times
}
