package tun

import "sync"

// yields decides when who polls a device gives its processor away
// (sched_yield(2)).
//
// Whom a packet of ours has woken may be waiting for this very processor, which
// somebody who polls would keep from it: then one yield brings the answer. Where
// the answer is made on another processor, yielding does nothing, or harm: the
// kernel takes a slice of time off for each, and gives it to whatever else is
// there, for milliseconds. So a poller tries it when polling was in vain, goes on
// while it brings the answer, and yields once for what was written.
type yields struct {
	mu      sync.Mutex // guards all below: pollers of one queue take turns, but at do
	shared  bool       // an answer came right after a yield, or none came without
	yielded bool       // by the last call
	spun    bool       // polls in vain since the last packet
	written uint64     // what was written when it yielded last
}

// after is told what a poll brought, and how much has been written, and reports
// whether to yield now.
func (y *yields) after(n int, written uint64) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	if n > 0 {
		y.shared = y.yielded || y.shared && !y.spun
		y.yielded, y.spun = false, false
		return false
	}
	y.yielded = y.shared && written != y.written
	y.spun = y.spun || !y.yielded
	if y.yielded {
		y.written = written
	}
	return y.yielded
}

// sleep is told that who polled waits instead: it was in vain, if there was a poll.
func (y *yields) sleep() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.shared = y.shared || y.spun
	y.yielded, y.spun = false, false
}
