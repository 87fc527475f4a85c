//go:build linux && (amd64 || arm64)

package supervise

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// An end is our end of a connected pair of AF_UNIX sockets, of which the program
// has the other. It does not block; the exchange tells when it is ready. Its
// descriptor is used under open, so that nobody uses the number once it is
// another file's.
type end struct {
	x      *exchange
	id     int32         // in the exchange
	closed chan struct{} // closed by close
	room   chan struct{} // a token: there may be room to write

	open sync.RWMutex
	fd   int // -1 once closed

	mu     sync.Mutex // taken before open
	events uint32     // what the exchange watches for, 0 if it does not
}

// hangup stands for watching for what epoll reports without being asked, which
// it does only if asked for something: AF_UNIX has no exceptional conditions.
const hangup = unix.EPOLLPRI

// newEnd takes over fd. turn is called with events that were wanted.
func (x *exchange) newEnd(fd int, turn func(events uint32)) *end {
	e := &end{x: x, fd: fd, closed: make(chan struct{}), room: make(chan struct{}, 1)}
	e.id = x.number(func(events uint32) {
		if events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 && e.want(0, unix.EPOLLOUT) {
			notify(e.room)
		}
		turn(events)
	})
	return e
}

// want changes what the exchange watches for. It reports whether it watched for
// something in drop.
func (e *end) want(add, drop uint32) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.events
	now := before&^drop | add
	if e.fd < 0 || now == before {
		return false
	}
	op := unix.EPOLL_CTL_MOD
	switch {
	case before == 0:
		op = unix.EPOLL_CTL_ADD
	case now == 0:
		op = unix.EPOLL_CTL_DEL
	}
	e.events = now
	unix.EpollCtl(e.x.epoll, op, e.fd, &unix.EpollEvent{Events: now, Fd: e.id})
	return before&drop != 0
}

// use calls f with the descriptor, unless that is closed.
func (e *end) use(f func(fd int)) {
	e.open.RLock()
	defer e.open.RUnlock()
	if e.fd >= 0 {
		f(e.fd)
	}
}

// read reads what there is, EAGAIN for nothing.
func (e *end) read(p []byte) (n int, err error) { return e.transfer(unix.Read, p) }

// write writes as much as there is room for, EAGAIN for nothing.
func (e *end) write(p []byte) (n int, err error) { return e.transfer(unix.Write, p) }

func (e *end) transfer(do func(fd int, p []byte) (int, error), p []byte) (n int, err error) {
	e.open.RLock()
	defer e.open.RUnlock()
	if e.fd < 0 {
		return 0, os.ErrClosed
	}
	for {
		if n, err = do(e.fd, p); err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// writeAll writes everything, after waiting for room.
func (e *end) writeAll(p []byte) error {
	for len(p) > 0 {
		n, err := e.write(p)
		p = p[n:]
		switch {
		case err == unix.EAGAIN:
			e.want(unix.EPOLLOUT, 0)
			select {
			case <-e.room:
			case <-e.closed:
				return os.ErrClosed
			}
		case err != nil:
			return err
		}
	}
	return nil
}

// close closes the descriptor. A second close does nothing.
func (e *end) close() {
	e.want(0, ^uint32(0))
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open.Lock()
	defer e.open.Unlock()
	if e.fd < 0 {
		return
	}
	e.x.forget(e.id)
	unix.Close(e.fd)
	e.fd = -1
	close(e.closed)
}
