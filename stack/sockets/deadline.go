package sockets

import (
	"sync"
	"sync/atomic"
	"time"
)

// A limit is the deadline of an adapter's calls, nothing until one is set: most
// connections never have one.
type limit struct{ d atomic.Pointer[deadline] }

// set moves the deadline. It reports whether that is the first one, which calls that
// wait do not know of.
func (l *limit) set(t time.Time) (first bool) {
	if l.d.Load() == nil {
		if t.IsZero() {
			return false
		}
		first = l.d.CompareAndSwap(nil, new(deadline))
	}
	l.d.Load().set(t)
	return first
}

// over reports whether the deadline has passed.
func (l *limit) over() bool {
	d := l.d.Load()
	return d != nil && d.over()
}

// wait returns a channel that is closed once the deadline has passed, nil where
// there is none.
func (l *limit) wait() <-chan struct{} {
	if d := l.d.Load(); d != nil {
		return d.wait()
	}
	return nil
}

// stop frees the timer.
func (l *limit) stop() { l.set(time.Time{}) }

// setLimit moves a deadline of an adapter on s, and has calls look again that began
// before there was any.
func (s *Socket) setLimit(l *limit, t time.Time) {
	if l.set(t) {
		s.d.wq.Notify(closedEvent)
	}
}

// A deadline is a point in time that can be moved while calls wait for it, as
// net.Conn's deadlines can. It is net.Pipe's design. The zero value is no
// deadline.
type deadline struct {
	mu     sync.Mutex
	timer  *time.Timer   // nil until there is a deadline ahead; then it is used again
	armed  bool          // the timer was started for the deadline that there is
	passed chan struct{} // closed when the deadline has passed; nil until somebody needs it
}

// set moves the deadline; the zero time takes it away.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.armed && !d.timer.Stop() {
		<-d.passed // the timer's function runs now or has run
	}
	d.armed = false
	isPassed := isClosed(d.passed)
	if t.IsZero() {
		if isPassed {
			d.passed = make(chan struct{})
		}
		return
	}
	if d.passed == nil {
		d.passed = make(chan struct{})
	}
	if until := time.Until(t); until > 0 {
		if isPassed {
			d.passed = make(chan struct{})
		}
		d.armed = true
		if d.timer == nil {
			d.timer = time.AfterFunc(until, d.pass)
		} else {
			d.timer.Reset(until)
		}
		return
	}
	if !isPassed {
		close(d.passed)
	}
}

// pass is the timer's function. The channel is that of the deadline: set changes it
// only when this cannot run, or has.
func (d *deadline) pass() { close(d.passed) }

// wait returns a channel that is closed once the deadline has passed.
func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.passed == nil {
		d.passed = make(chan struct{})
	}
	return d.passed
}

// over reports whether the deadline has passed.
func (d *deadline) over() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return isClosed(d.passed)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
