//go:build linux && (amd64 || arm64)

package supervise

import (
	"sync"
	"time"
)

// ends knows whether sockets are about to end: an address is in use until they
// have, and several goroutines may find that the program has closed one.
type ends struct {
	mu   sync.Mutex
	now  int
	none chan struct{} // closed when now is 0 again; nil unless somebody waits
}

// endsWait bounds wait: a socket that lingers takes its time (SO_LINGER).
const endsWait = time.Second

func (e *ends) begin() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now++
}

func (e *ends) finish() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.now--; e.now == 0 && e.none != nil {
		close(e.none)
		e.none = nil
	}
}

// wait waits until none is about to end.
func (e *ends) wait() {
	e.mu.Lock()
	if e.now > 0 && e.none == nil {
		e.none = make(chan struct{})
	}
	none := e.none
	e.mu.Unlock()
	if none == nil {
		return
	}
	late := time.NewTimer(endsWait)
	defer late.Stop()
	select {
	case <-none:
	case <-late.C:
	}
}
