//go:build linux && (amd64 || arm64)

package supervise

import (
	"context"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
)

// connect is connect(2).
func (c *call) connect() (int64, error) {
	a, err := c.sockaddr(c.arg(1), c.arg(2))
	if err != nil {
		return 0, err
	}
	st := c.stream()
	if st == nil {
		return c.connectDatagram(a)
	}
	if a != nil && st.spent() {
		if err := c.renew(st); err != nil {
			return 0, err
		}
	}
	own := c.s.listeners.sweep(a)
	if own && !c.nonblocking() {
		c.s.exchange.during(func() { err = st.soon(a) })
	} else {
		err = st.sock.Connect(a, sockets.MSG_DONTWAIT)
	}
	switch errnoOf(err) {
	case 0:
		if a == nil {
			return 0, nil
		}
		return 0, st.establish(c.dup)
	case syscall.EINPROGRESS, syscall.EALREADY:
	case syscall.EISCONN:
		if a != nil && st.unjoined() { // there was no descriptor for it
			return 0, st.establish(c.dup)
		}
		return 0, err
	default:
		return 0, err
	}
	if c.nonblocking() {
		if joined := st.await(c.dup); joined != nil {
			return 0, joined
		}
		return 0, err
	}
	return c.wait(func(ctx context.Context) (int64, error) {
		bound, cancel, ended := c.bounded(ctx, unix.SO_SNDTIMEO)
		defer cancel()
		if err := st.s.poll(bound, st.sock, sockets.POLLOUT); err != nil {
			if err := ended(); err != syscall.EAGAIN {
				return 0, err
			}
			return 0, syscall.EINPROGRESS // the attempt goes on
		}
		if err := st.sock.Connect(a, sockets.MSG_DONTWAIT); err != nil && errnoOf(err) != syscall.EISCONN {
			return 0, err
		}
		return 0, st.establish(c.dup)
	})
}

// soon gives an attempt to connect to a port of the program's own the few
// microseconds that it takes, which is less than to wait for it elsewhere does.
func (st *stream) soon(a sockets.Sockaddr) (err error) {
	const moment = 50 * time.Microsecond
	err = st.sock.Connect(a, sockets.MSG_DONTWAIT)
	for start := time.Now(); pending(err) && time.Since(start) < moment; {
		runtime.Gosched()
		err = st.sock.Connect(a, sockets.MSG_DONTWAIT)
	}
	return err
}

// pending reports whether an attempt to connect goes on.
func pending(err error) bool {
	errno := errnoOf(err)
	return errno == syscall.EINPROGRESS || errno == syscall.EALREADY
}

// poll waits until the socket is ready for one of the events, or has failed.
func (s *supervisor) poll(ctx context.Context, sock *sockets.Socket, events sockets.PollEvents) error {
	_, err := s.host.PollContext(ctx, []sockets.PollDesc{{Sock: sock, In: events}})
	return err
}

// establish lets the program use a connection that the stack has made. fd is a
// descriptor of the program's socket.
func (st *stream) establish(fd int) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.phase != fresh {
		return nil // it does already, or is about to
	}
	if err := st.joinLocked(fd); err != nil {
		return err
	}
	widen(fd, st.sndbuf)
	st.startLocked()
	return nil
}

// unjoined reports whether the program's socket is neither connected nor about to
// be.
func (st *stream) unjoined() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.phase == fresh
}

// await connects the program's socket to ours before the stack's is connected,
// and lets it become writable when that is, or fail as that does.
func (st *stream) await(fd int) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.phase != fresh {
		return nil
	}
	theirs, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := st.joinLocked(fd); err != nil {
		unix.Close(theirs)
		return err
	}
	st.fillLocked(fd)
	st.phase = connecting
	st.s.work.Go(func() {
		defer unix.Close(theirs)
		st.settle(theirs)
	})
	return nil
}

// settle waits for the end of a connection attempt.
func (st *stream) settle(fd int) {
	d := []sockets.PollDesc{{Sock: st.sock, In: sockets.POLLOUT}}
	_, err := st.s.host.PollContext(st.s.ctx, d)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.phase != connecting {
		return
	}
	if err == nil && d[0].Out&(sockets.POLLERR|sockets.POLLHUP|sockets.POLLNVAL) == 0 {
		st.startLocked()
		widen(fd, st.sndbuf)
		return
	}
	st.phase = failed
	close(st.sentAll)
	st.far.close() // with the filler unread, which makes it an error and not an end
}
