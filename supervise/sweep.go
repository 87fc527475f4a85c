//go:build linux && (amd64 || arm64)

package supervise

import (
	"sync"
	"time"
)

// A sweeper looks for sockets that the program has closed and of which no event
// told, once the program has been quiet for a while.
type sweeper struct {
	mu      sync.Mutex
	timer   *time.Timer
	pending bool
	ended   bool
	born    int // sockets since the last sweep
}

const (
	sweepDelay = time.Second // after the call that may have left something behind
	sweepBorn  = 256         // sockets made, without a pause
)

// soon arranges for a sweep.
func (s *supervisor) soon() {
	w := &s.sweeps
	w.mu.Lock()
	defer w.mu.Unlock()
	w.born++
	if w.ended {
		return
	}
	if w.born >= sweepBorn {
		w.born = 0
		s.work.Go(func() { s.files.sweep() })
		return
	}
	if w.pending {
		return
	}
	w.pending = true
	w.timer = time.AfterFunc(sweepDelay, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.pending, w.born = false, 0; !w.ended {
			s.work.Go(func() { s.files.sweep() })
		}
	})
}

// stop ends the sweeps. The supervisor's work has the one that runs.
func (w *sweeper) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if w.timer != nil {
		w.timer.Stop()
	}
}
