package sockets

import (
	"sync"
	"time"
)

// A deadline is a point in time that can be moved while calls wait for it, as
// net.Conn's deadlines can. It is net.Pipe's design.
type deadline struct {
	mu     sync.Mutex
	timer  *time.Timer
	passed chan struct{} // closed when the deadline has passed
}

func makeDeadline() deadline { return deadline{passed: make(chan struct{})} }

// set moves the deadline; the zero time takes it away.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.passed // the timer's function runs now or has run
	}
	d.timer = nil
	isPassed := isClosed(d.passed)
	if t.IsZero() {
		if isPassed {
			d.passed = make(chan struct{})
		}
		return
	}
	if until := time.Until(t); until > 0 {
		if isPassed {
			d.passed = make(chan struct{})
		}
		passed := d.passed
		d.timer = time.AfterFunc(until, func() { close(passed) })
		return
	}
	if !isPassed {
		close(d.passed)
	}
}

// wait returns a channel that is closed once the deadline has passed.
func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.passed
}

// stop frees the timer.
func (d *deadline) stop() { d.set(time.Time{}) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
