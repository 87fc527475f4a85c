package agent

import (
	"encoding/json"
	"io"
	"os"
	"runtime"
	"sync/atomic"

	"github.com/userstack/userstack/internal/bench/load"
)

// counted numbers the processors of this process as if they were the first ones.
func counted() []int {
	list := make([]int, runtime.NumCPU())
	for i := range list {
		list[i] = i
	}
	return list
}

// stayAwake keeps every processor busy at a priority that gives way to everybody, until r ends. A processor that has
// nothing to do sleeps, and waking it takes longer than a round trip.
func stayAwake(r io.Reader, w io.Writer) error {
	var stop atomic.Bool
	ready := make(chan error)
	processors := Processors()
	runtime.GOMAXPROCS(len(processors) + 1) // one to read with
	for _, cpu := range processors {
		go func() {
			runtime.LockOSThread()
			err := giveWay(cpu)
			ready <- err
			for err == nil && !stop.Load() {
			}
		}()
	}
	var failed error
	for range processors {
		if err := <-ready; err != nil {
			failed = err
		}
	}
	reply := load.Reply{PID: os.Getpid()}
	if failed != nil {
		reply.Error = failed.Error()
	}
	if err := json.NewEncoder(w).Encode(reply); err != nil || failed != nil {
		return failed
	}
	io.Copy(io.Discard, r)
	stop.Store(true)
	return nil
}
