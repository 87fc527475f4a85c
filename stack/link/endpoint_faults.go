package link

import (
	"sync"
	"sync/atomic"
)

// Err returns the error that the device fails with now, and nil when its last
// read and its last write worked. The endpoint keeps trying, once a second at
// most, until Close, unless the device says that it, or one of its queues, is
// gone: then Err stays what it is.
func (e *Endpoint) Err() error { return e.faults.err() }

// ErrChanged returns a channel that has a value when Err has become an error or
// nil again since the last receive, for a program that wants to say so once. It
// has room for one value and is never closed; one goroutine may receive from it.
func (e *Endpoint) ErrChanged() <-chan struct{} { return e.faults.changed }

// faults remembers what the device fails with. The packet paths only load a
// flag while all is well.
type faults struct {
	read, write fault
	gone        fault         // a queue will never be read again
	changed     chan struct{} // has a value when failing has changed; room for one

	mu   sync.Mutex // guards last, and changes of failing
	last error
}

type fault struct{ failing atomic.Bool }

// set records that a direction fails, and clear that it works again.
func (f *faults) set(d *fault, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.gone.failing.Load() {
		f.last = err
	}
	before := f.failing()
	d.failing.Store(true)
	if !before { // and Err says so already
		f.announce()
	}
}

func (f *faults) clear(d *fault) {
	if !d.failing.Load() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if d.failing.Swap(false) && !f.failing() {
		f.announce()
	}
}

func (f *faults) failing() bool {
	return f.read.failing.Load() || f.write.failing.Load() || f.gone.failing.Load()
}

func (f *faults) announce() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

func (f *faults) err() error {
	if !f.failing() {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}
