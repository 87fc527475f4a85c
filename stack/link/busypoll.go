package link

import (
	"runtime"
	"time"
)

// A Poller is a Device that can be asked without waiting, as those of package
// tun can. Config.BusyPoll needs one.
type Poller interface {
	Device

	// Poll is Read that does not block: it returns 0 and no error when there
	// is no packet.
	Poll(queue int, packets [][][]byte, sizes []int) (n int, err error)
}

const (
	// maxBusyPoll bounds Config.BusyPoll: waking a thread takes 5 to 60 µs, and
	// polling for much longer than that cannot pay.
	maxBusyPoll = time.Millisecond

	// wakeUp is what a wait in Read may last longer than its packet takes: the
	// thread has to be woken. 60 µs were measured in a virtual machine.
	wakeUp = 100 * time.Microsecond

	// pollBreak is how long a reader polls without a wait in Read between. While
	// it polls, a processor of the program's is never idle, and Go's scheduler
	// looks for other descriptors only on idle ones, else every 10 ms.
	pollBreak = 5 * time.Millisecond

	// pollBytes is how much may have come and gone since the last wait for
	// polling to go on, in bytes. More is bulk, which does not wait for anybody.
	pollBytes = 32 << 10

	// maxPollSkip bounds how many short waits pass without polling after it was
	// in vain: it doubles from 1.
	maxPollSkip = 64
)

// A waiter is the wait of one reader for the next packets. It polls for a
// while before it blocks, where that has paid: after a wait that was short.
// So the first packet after a pause is not polled for, a stack without traffic
// makes no system call, and a peer that always takes longer than the budget
// costs a poll in 64 packets.
type waiter struct {
	e      *Endpoint
	queue  int
	poller Poller // nil: never poll
	budget time.Duration
	now    func() time.Time

	short   bool      // the last wait was
	blocked time.Time // end of the last wait in Read
	moved   uint64    // bytes that had passed by the last wait
	skip    int       // short waits still to pass without polling
	penalty int       // what skip was set to last
}

func (e *Endpoint) newWaiter(queue int) *waiter {
	w := &waiter{e: e, queue: queue, budget: e.busyPoll, now: time.Now}
	if w.budget > 0 {
		w.poller, _ = e.device.(Poller)
	}
	return w
}

// read is Device.Read.
func (w *waiter) read(packets [][][]byte, sizes []int) (int, error) {
	if w.poller == nil {
		return w.e.device.Read(w.queue, packets, sizes)
	}
	start := w.now()
	if w.pays(start) {
		n, err := w.poll(start, packets, sizes)
		if n > 0 || err != nil {
			w.e.stats.pollHits.Add(1)
			w.penalty = 0
			return n, err
		}
		w.penalty = min(max(2*w.penalty, 1), maxPollSkip)
		w.skip = w.penalty
	}
	n, err := w.e.device.Read(w.queue, packets, sizes)
	w.blocked = w.now()
	w.short = w.blocked.Sub(start) < w.budget+wakeUp
	if w.short && w.skip > 0 {
		w.skip--
	}
	return n, err
}

// pays reports whether to poll in the wait that begins now.
func (w *waiter) pays(now time.Time) bool {
	before := w.moved
	w.moved = w.e.stats.rxBytes.Load() + w.e.stats.txBytes.Load()
	return w.short && w.skip == 0 && w.moved-before <= pollBytes && now.Sub(w.blocked) < pollBreak
}

// poll asks the device until the budget has passed. It gives way each time:
// first of all to those whom the last packets have woken.
func (w *waiter) poll(start time.Time, packets [][][]byte, sizes []int) (int, error) {
	for {
		runtime.Gosched()
		w.e.stats.polls.Add(1)
		n, err := w.poller.Poll(w.queue, packets, sizes)
		if n > 0 || err != nil || w.now().Sub(start) >= w.budget {
			return n, err
		}
	}
}
