package agent

import (
	"encoding/json"
	"io"
	"os"
	"runtime"
	"sync/atomic"

	"github.com/userstack/userstack/internal/bench/load"
)

// stayAwake keeps every processor busy at a priority that gives way to everybody, until r ends. A processor that has
// nothing to do sleeps, and waking it takes longer than a round trip.
func stayAwake(r io.Reader, w io.Writer) error {
	var stop atomic.Bool
	ready := make(chan error)
	n := runtime.NumCPU()
	runtime.GOMAXPROCS(n + 1) // one to read with
	for cpu := range n {
		go func() {
			runtime.LockOSThread()
			err := giveWay(cpu)
			ready <- err
			for err == nil && !stop.Load() {
			}
		}()
	}
	var failed error
	for range n {
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
