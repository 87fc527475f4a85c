package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/internal/bench/load"
)

// tick is the unit of processor times in /proc: USER_HZ is 100 on every architecture of Go's (proc_pid_stat(5)).
const tick = 10 * time.Millisecond

// accountOf reads the processor time of a process, with all its threads, and of the children that it has waited for.
func accountOf(pid int) (a load.Account) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return a
	}
	// The name, in parentheses, may hold anything; the state comes after it.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const utime, stime = 14 - 3, 15 - 3 // fields 14 and 15, where the state is 3
	if len(fields) > stime {
		a.User, a.System = ticksOf(fields[utime]), ticksOf(fields[stime])
	}
	return a
}

func ticksOf(text string) time.Duration {
	n, _ := strconv.ParseInt(text, 10, 64)
	return time.Duration(n) * tick
}

// softirqThreads finds the threads of the kernel that serve soft interrupts. In a container there are none to be seen.
var softirqThreads = sync.OnceValue(func() (pids []int) {
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		if text, err := os.ReadFile(name); err == nil && strings.HasPrefix(string(text), "ksoftirqd/") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			pids = append(pids, pid)
		}
	}
	return pids
})

func softirqAccount() (sum load.Account) {
	for _, pid := range softirqThreads() {
		a := accountOf(pid)
		sum.User += a.User
		sum.System += a.System
	}
	return sum
}

// machineTicks reads the first line of /proc/stat (proc_stat(5)).
func machineTicks() (t ticks) {
	file, err := os.Open("/proc/stat")
	if err != nil {
		return t
	}
	defer file.Close()
	line, _ := bufio.NewReader(file).ReadString('\n')
	fields := strings.Fields(line)
	const user, nice, idle, iowait, steal = 1, 2, 4, 5, 8 // and guest times, which user and nice have already
	if len(fields) <= steal {
		return t
	}
	for i := user; i <= steal; i++ {
		d := ticksOf(fields[i])
		switch i {
		case idle, iowait:
			t.idle += d
		case steal:
			t.stolen += d
		default:
			t.busy += d
		}
	}
	return t
}

// slab is the memory of the kernel's own objects, sockets among them, in bytes (proc_meminfo(5)).
func slab() uint64 {
	text, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Slab:"); ok {
			kB, _ := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
			return kB << 10
		}
	}
	return 0
}

// resident is the memory that a process has to itself, in bytes (proc_pid_smaps_rollup would cost more).
func resident(pid int) uint64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	fields := strings.Fields(string(text))
	const rss, shared = 1, 2
	if len(fields) <= shared {
		return 0
	}
	all, _ := strconv.ParseUint(fields[rss], 10, 64)
	common, _ := strconv.ParseUint(fields[shared], 10, 64)
	return (all - common) * uint64(os.Getpagesize())
}

// maxFiles is how many descriptors a process may have: Go raises its own limit to the hard one.
func maxFiles() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxInt32
	}
	return int(min(limit.Max, math.MaxInt32))
}
