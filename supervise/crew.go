//go:build linux && (amd64 || arm64)

package supervise

import "sync"

// A crew runs functions on goroutines that it keeps for the next ones: what is
// below, a TCP/IP stack, is deep, and to grow the stack of a new goroutine to
// what that takes costs more than what many of them do.
type crew struct {
	mu     sync.Mutex
	idle   []chan func()
	closed bool
	all    sync.WaitGroup
}

// mostIdle bounds how many goroutines are kept.
const mostIdle = 64

// Go runs f on a goroutine of the crew.
func (w *crew) Go(f func()) {
	w.mu.Lock()
	if n := len(w.idle); n > 0 {
		next := w.idle[n-1]
		w.idle = w.idle[:n-1]
		w.mu.Unlock()
		next <- f
		return
	}
	w.mu.Unlock()
	w.all.Go(func() { w.member(f) })
}

// member runs f and what comes after it.
func (w *crew) member(f func()) {
	next := make(chan func(), 1)
	for f != nil {
		f()
		w.mu.Lock()
		if w.closed || len(w.idle) >= mostIdle {
			w.mu.Unlock()
			return
		}
		w.idle = append(w.idle, next)
		w.mu.Unlock()
		f = <-next
	}
}

// Wait waits until every function has returned, and ends the goroutines. No
// function may start another one meanwhile.
func (w *crew) Wait() {
	w.mu.Lock()
	w.closed = true
	for _, next := range w.idle {
		close(next)
	}
	w.idle = nil
	w.mu.Unlock()
	w.all.Wait()
}
