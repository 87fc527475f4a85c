package sockets

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Poller watches many sockets at once, as an epoll(7) instance or
// MicroPython's uselect.poll object does. What a Poll costs depends on how many
// sockets are ready, not on how many are registered, and there is no goroutine
// in it.
//
// A registration is level-triggered: Poll reports the socket as long as it is
// ready. With EPOLLET it is edge-triggered: it is reported when something
// happens, such as an arrival, even if earlier data was not read, and not again
// until something else happens; so read until EAGAIN. With EPOLLONESHOT it is
// reported once and then rests until Modify. A change may be told in one report
// with others; it may also be told when another goroutine has already read the
// data, so let the socket be non-blocking.
//
// A Socket that is closed is forgotten, without a report. Methods may be called
// from any goroutine. Of several goroutines in Poll one is woken for an event,
// and a registration with EPOLLONESHOT is handed to one of them only.
type Poller struct {
	host *Host

	// scan guards the registrations, and is held while readiness is looked up:
	// a Poll that finds nothing has not overlooked what another one is at. It is
	// taken before the lock of any wait queue.
	scan    sync.Mutex
	watches map[*Socket]*watch
	closed  bool

	// mu guards the queue of registrations to look at. It is taken under the
	// lock of a wait queue, with parts of netstack locked: nothing may be called
	// while it is held.
	mu    sync.Mutex
	queue watchQueue

	held  atomic.Int32  // by Hold, and not yet by Release
	woken chan struct{} // a token: the queue may have something
	done  chan struct{} // closed by Close
}

// NewPoller makes a Poller for sockets of the Host (epoll_create(2)). The error
// is ErrClosed.
func (h *Host) NewPoller() (*Poller, error) {
	p := &Poller{host: h, watches: map[*Socket]*watch{}, woken: make(chan struct{}, 1), done: make(chan struct{})}
	h.pollersMu.Lock()
	defer h.pollersMu.Unlock()
	if isClosed(h.closing) || isClosed(h.stack.Closing()) {
		return nil, pollerError("epoll_create", ErrClosed)
	}
	if h.pollers == nil {
		h.pollers = map[*Poller]struct{}{}
	}
	h.pollers[p] = struct{}{}
	return p, nil
}

// Register watches s for the events of ev, to which EPOLLET and EPOLLONESHOT may
// be added (EPOLL_CTL_ADD); POLLERR and POLLHUP are always reported. A socket
// that is ready already is reported. Errors: EEXIST when it is registered,
// EINVAL for a socket of another Host, ErrClosed.
func (p *Poller) Register(s *Socket, ev PollEvents) error {
	if s == nil {
		return pollerError("epoll_ctl", ErrClosed)
	}
	if s.host != p.host {
		return pollerError("epoll_ctl", EINVAL)
	}
	p.scan.Lock()
	defer p.scan.Unlock()
	switch {
	case p.closed:
		return pollerError("epoll_ctl", ErrClosed)
	case p.watches[s] != nil:
		return pollerError("epoll_ctl", EEXIST)
	}
	w := &watch{poller: p, sock: s, want: ev}
	w.entry.Init(w, lookAgain&^closedEvent)
	s.watched.Store(true) // from here on Close calls forget, which waits for scan
	if s.dead() {
		return pollerError("epoll_ctl", ErrClosed)
	}
	p.watches[s] = w
	s.d.wq.EventRegister(&w.entry)
	p.wakeIfReady(w)
	return nil
}

// Modify changes what a registered socket is watched for (EPOLL_CTL_MOD). A
// socket that is ready is reported again, also by a Poll that waits already.
// Errors: ENOENT when s is not registered, ErrClosed.
func (p *Poller) Modify(s *Socket, ev PollEvents) error {
	p.scan.Lock()
	defer p.scan.Unlock()
	w, err := p.find(s)
	if err != nil {
		return err
	}
	w.want = ev
	p.unrest(w)
	p.wakeIfReady(w)
	return nil
}

// Unregister forgets a socket (EPOLL_CTL_DEL). Errors: ENOENT when s is not
// registered, ErrClosed.
func (p *Poller) Unregister(s *Socket) error {
	p.scan.Lock()
	defer p.scan.Unlock()
	w, err := p.find(s)
	if err != nil {
		return err
	}
	p.drop(w)
	return nil
}

// find returns the registration of s. The caller holds scan.
func (p *Poller) find(s *Socket) (*watch, error) {
	w := p.watches[s]
	switch {
	case p.closed || s == nil || s.closed():
		return nil, pollerError("epoll_ctl", ErrClosed)
	case w == nil:
		return nil, pollerError("epoll_ctl", ENOENT)
	}
	return w, nil
}

// forget is called when s is closed.
func (p *Poller) forget(s *Socket) {
	p.scan.Lock()
	defer p.scan.Unlock()
	if w := p.watches[s]; w != nil {
		p.drop(w)
	}
}

// drop ends a registration. The caller holds scan.
func (p *Poller) drop(w *watch) {
	delete(p.watches, w.sock)
	w.sock.d.wq.EventUnregister(&w.entry)
	p.rest(w)
}

// Poll waits until at least one registered socket is ready and returns those
// that are (epoll_wait(2)), those first that have been ready longest: In is what
// was registered, Out what was found. A timeout of 0 only looks; NoTimeout, or
// any negative one, waits for ever. When the time is over the result is empty.
// The error is ErrClosed when the Poller or the Host is closed, before the call
// or during it.
func (p *Poller) Poll(timeout time.Duration) ([]PollDesc, error) {
	return p.poll(nil, timeout)
}

// PollInto is Poll into a slice, at most as many as fit, and returns how many
// there are. Those left out come first the next time. With a slice of its own
// for each goroutine it shares work between them.
func (p *Poller) PollInto(d []PollDesc, timeout time.Duration) (n int, err error) {
	if len(d) == 0 {
		return 0, pollerError("epoll_wait", EINVAL)
	}
	d, err = p.poll(d[:0:len(d)], timeout)
	return len(d), err
}

// Hold puts off until Release that a Poll is woken. A goroutine that makes
// sockets ready, and looks for itself afterwards with a timeout of 0, so spares
// the one that waits the trouble. Each Hold needs its Release, soon.
func (p *Poller) Hold() { p.held.Add(1) }

// Release ends a Hold. If something is left to report, a Poll is woken.
func (p *Poller) Release() {
	if p.held.Add(-1) == 0 && p.queued() > 0 {
		p.wake()
	}
}

// Close ends every registration and wakes every Poll with ErrClosed. The sockets
// stay open. A second Close does nothing.
func (p *Poller) Close() error {
	p.host.pollersMu.Lock()
	delete(p.host.pollers, p)
	p.host.pollersMu.Unlock()
	p.scan.Lock()
	defer p.scan.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	close(p.done)
	for _, w := range p.watches {
		p.drop(w)
	}
	return nil
}

// openPollers returns the Pollers of the Host.
func (h *Host) openPollers() []*Poller {
	h.pollersMu.Lock()
	defer h.pollersMu.Unlock()
	return slices.Collect(maps.Keys(h.pollers))
}

func pollerError(op string, err error) error {
	if errno, ok := err.(Errno); ok {
		return &Error{Op: op, Num: errno}
	}
	return &Error{Op: op, Num: EBADF, Err: err}
}
