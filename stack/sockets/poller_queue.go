package sockets

import (
	"time"

	"gvisor.dev/gvisor/pkg/waiter"
)

// How a Poll finds what is ready without looking at every socket: a registration
// is an entry in its socket's wait queue, and a notification puts it into the
// Poller's queue. Poll takes the registrations out, asks each socket what it is
// ready for, and puts back those that stay ready and are level-triggered. A
// notification that comes while a socket is being asked finds its registration
// outside of the queue and puts it there again, so none is lost.

// A watch is the registration of a socket with a Poller.
type watch struct {
	entry  waiter.Entry
	poller *Poller
	sock   *Socket

	// Guarded by the Poller's scan.
	want PollEvents
	seen PollEvents // of want, at the last look

	// Guarded by the Poller's mu.
	prev, next *watch
	queued     bool
	resting    bool             // forgotten, or reported with EPOLLONESHOT
	why        waiter.EventMask // what has happened since the last look
}

// NotifyEvent implements waiter.EventListener: something happened to the socket.
// It runs wherever netstack or this package notifies.
func (w *watch) NotifyEvent(why waiter.EventMask) {
	w.poller.push(w, why)
	if w.poller.held.Load() == 0 { // else Release finds it in the queue
		w.poller.wake()
	}
}

// look returns what to report about a socket to which why has happened: what is
// wanted of what it is ready for. If it is edge-triggered, what was not wanted
// and changes nothing that was is no reason to report it. Of a socket that is
// closed forget comes next. The caller holds scan.
func (w *watch) look(why waiter.EventMask) PollEvents {
	ev := w.sock.ready() & (w.want&^pollModes | pollAlways)
	if ev&POLLNVAL != 0 {
		return 0
	}
	appeared := ev &^ w.seen
	w.seen = ev
	if w.want&EPOLLET == 0 || appeared != 0 || w.concerns(why) {
		return ev
	}
	return 0
}

// concerns reports whether why announces something that is wanted. Netstack
// announces the end of the data as something to read.
func (w *watch) concerns(why waiter.EventMask) bool {
	return why&waiter.ReadableEvents != 0 && w.want&pollReadable != 0 ||
		why&waiter.WritableEvents != 0 && w.want&pollWritable != 0 ||
		why&^(waiter.ReadableEvents|waiter.WritableEvents) != 0
}

// poll is the wait loop. It appends to found, up to its capacity, or any number
// if found is nil.
func (p *Poller) poll(found []PollDesc, timeout time.Duration) ([]PollDesc, error) {
	var timeUp <-chan time.Time
	for {
		got, err := p.collect(found)
		if err != nil || len(got) > 0 || timeout == 0 {
			return got, err
		}
		if timeout > 0 && timeUp == nil {
			t := time.NewTimer(timeout)
			defer t.Stop()
			timeUp = t.C
		}
		select {
		case <-p.woken:
		case <-timeUp:
			timeout = 0 // and look once more
		case <-p.done:
		case <-p.host.stack.Closing():
		}
	}
}

// collect looks at the registrations in the queue, each once, and leaves those
// in it that stay ready.
func (p *Poller) collect(found []PollDesc) ([]PollDesc, error) {
	p.scan.Lock()
	defer p.scan.Unlock()
	if p.closed || isClosed(p.host.stack.Closing()) {
		return nil, pollerError("epoll_wait", ErrClosed)
	}
	unbounded := found == nil
	for left := p.queued(); left > 0 && (unbounded || len(found) < cap(found)); left-- {
		w, why := p.pop()
		ev := w.look(why)
		if ev == 0 {
			continue
		}
		found = append(found, PollDesc{Sock: w.sock, In: w.want, Out: ev})
		switch {
		case w.want&EPOLLONESHOT != 0:
			p.rest(w)
		case w.want&EPOLLET == 0:
			p.push(w, 0)
		}
	}
	if p.queued() > 0 {
		p.wake() // another goroutine may have the rest
	}
	return found, nil
}

// wakeIfReady queues a registration that is new or changed. The caller holds
// scan.
func (p *Poller) wakeIfReady(w *watch) {
	if w.look(lookAgain) != 0 {
		w.NotifyEvent(lookAgain)
	}
}

// wake lets one goroutine look at the queue.
func (p *Poller) wake() {
	select {
	case p.woken <- struct{}{}:
	default: // one will
	}
}

// push puts w at the end of the queue, unless it stands there already.
func (p *Poller) push(w *watch, why waiter.EventMask) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.why |= why
	if !w.queued && !w.resting {
		p.queue.push(w)
	}
}

// pop takes the first registration and what has happened to it. Only the holder
// of scan shortens the queue, so whoever saw it filled can pop.
func (p *Poller) pop() (*watch, waiter.EventMask) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, why := p.queue.first, p.queue.first.why
	p.queue.remove(w)
	w.why = 0
	return w, why
}

// rest keeps w out of the queue. The caller holds scan.
func (p *Poller) rest(w *watch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.resting = true
	if w.queued {
		p.queue.remove(w)
	}
}

// unrest lets w into the queue again.
func (p *Poller) unrest(w *watch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.resting = false
}

func (p *Poller) queued() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.len
}

// A watchQueue is a list of registrations to look at.
type watchQueue struct {
	first, last *watch
	len         int
}

func (q *watchQueue) push(w *watch) {
	w.queued, w.prev = true, q.last
	if q.last == nil {
		q.first = w
	} else {
		q.last.next = w
	}
	q.last = w
	q.len++
}

func (q *watchQueue) remove(w *watch) {
	if w.prev == nil {
		q.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	q.len--
}
