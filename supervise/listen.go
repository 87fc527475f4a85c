//go:build linux && (amd64 || arm64)

package supervise

import (
	"context"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// listen is listen(2). The program's socket listens natively too, so that it
// polls as it should; whom we accept, we connect to it.
func (c *call) listen() (int64, error) {
	st := c.stream()
	if st == nil {
		return 0, syscall.EOPNOTSUPP
	}
	backlog := int(int32(c.arg(1)))
	err := st.sock.Listen(backlog)
	if errnoOf(err) == syscall.EADDRINUSE {
		c.s.files.settle()
		err = st.sock.Listen(backlog)
	}
	if err != nil {
		return 0, err
	}
	if st.spent() {
		if err := c.renew(st); err != nil {
			return 0, err
		}
	}
	if err := unix.Listen(c.dup, backlog); err != nil {
		return 0, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.phase == listening {
		return 0, nil // with another backlog
	}
	ctx, stop := context.WithCancel(st.s.ctx)
	st.phase, st.noMore = listening, stop
	st.s.listeners.add(st)
	if st.arrived == nil { // it has not listened before
		st.taken, st.arrived = make(chan struct{}, 1), make(chan struct{}, 1)
	}
	st.s.work.Go(func() {
		defer stop()
		st.acceptAll(ctx)
	})
	return 0, nil
}

// acceptAll takes connections from the stack for as long as the program
// listens.
func (st *stream) acceptAll(ctx context.Context) {
	for {
		sock, _, err := st.sock.Accept(sockets.WithContext(ctx))
		if err != nil {
			if pause(ctx, err) {
				continue
			}
			return
		}
		if !st.offer(ctx, sock) {
			if ctx.Err() == nil {
				st.end() // the program has closed it
			}
			return
		}
	}
}

// offer puts a connection into the queue of the program's socket, and reports
// whether that still listens.
func (st *stream) offer(ctx context.Context, sock *sockets.Socket) bool {
	sock.SetBlocking(true)
	child := &stream{file: &file{s: st.s, sock: sock}, sentAll: make(chan struct{})}
	child.kind = child
	st.mu.Lock()
	child.sndbuf, child.rcvbuf = st.sndbuf, st.rcvbuf // as accept(2) has it
	st.mu.Unlock()
	child.mu.Lock() // the program may be quick
	if err := st.enqueueLocked(ctx, child); err != nil {
		child.mu.Unlock()
		child.abort()
		return false
	}
	child.startLocked()
	child.mu.Unlock()
	notify(st.arrived)
	return true
}

// enqueueLocked connects a child, whose lock is held, to the program's socket, after
// waiting for a place in its queue.
func (st *stream) enqueueLocked(ctx context.Context, child *stream) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	for err != nil && pause(ctx, err) {
		fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	}
	if err != nil {
		return err
	}
	widen(fd, child.rcvbuf)
	for {
		st.mu.Lock()
		if st.phase != listening {
			err = syscall.EINVAL
		} else if err = unix.Connect(fd, &unix.SockaddrUnix{Name: st.name}); err == nil {
			st.waiting = append(st.waiting, child)
		}
		st.mu.Unlock()
		if err == nil {
			child.far = os.NewFile(uintptr(fd), "socket")
			return nil
		}
		if err == unix.EAGAIN { // the queue is full
			select {
			case <-st.taken:
				continue
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		unix.Close(fd)
		return err
	}
}

// notify wakes one that waits for ch, now or next.
func notify(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// accept is accept(2).
func (c *call) accept() (int64, error) { return c.acceptWith(0) }

// accept4 is accept4(2).
func (c *call) accept4() (int64, error) {
	flags := int(int32(c.arg(3)))
	if flags&^typeFlags != 0 {
		return 0, syscall.EINVAL
	}
	return c.acceptWith(flags)
}

func (c *call) acceptWith(flags int) (int64, error) {
	st := c.stream()
	if st == nil {
		return 0, syscall.EOPNOTSUPP
	}
	if n, err := c.take(st, flags); err != syscall.EAGAIN || c.nonblocking() {
		return n, err
	}
	return c.wait(func(ctx context.Context) (int64, error) {
		bound, cancel, ended := c.bounded(ctx, unix.SO_RCVTIMEO)
		defer cancel()
		for {
			n, err := c.take(st, flags)
			if err != syscall.EAGAIN {
				return n, err
			}
			select {
			case <-st.arrived:
			case <-bound.Done():
				return 0, ended()
			}
		}
	})
}

// take gives the program the first connection that waits. EAGAIN says that none
// does, EINVAL that the socket does not listen.
func (c *call) take(st *stream, flags int) (int64, error) {
	st.mu.Lock()
	if st.phase != listening {
		st.mu.Unlock()
		notify(st.arrived) // the next call that waits has to hear of it too
		return 0, syscall.EINVAL
	}
	fd, err := acceptOwn(c.dup)
	if err != nil {
		st.mu.Unlock()
		return 0, err
	}
	first := acceptable{st.waiting[0], fd}
	st.waiting = st.waiting[1:]
	if len(st.refused) > 0 {
		if first.conn != nil {
			st.refused = append(st.refused, first)
		} else {
			unix.Close(fd) // it stood for the one that is taken now
		}
		first = st.refused[0]
		st.refused = st.refused[1:]
	}
	more := len(st.waiting) > 0
	st.mu.Unlock()
	notify(st.taken)
	if more {
		notify(st.arrived)
	}
	if first.conn == nil { // it stood for one that was taken before it came up
		unix.Close(first.fd)
		return c.take(st, flags)
	}
	return c.handOver(st, first, flags)
}

// acceptOwn takes a connection out of the queue of a listening AF_UNIX socket that
// this process has made. Whoever reads the socket's name in /proc/net/unix may
// connect to it too, and is turned away. EAGAIN says that there is none.
func acceptOwn(fd int) (int, error) {
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(p, 0); err == unix.EINTR {
			continue
		} else if n != 1 {
			return -1, syscall.EAGAIN
		}
		conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
		if err != nil {
			return -1, err
		}
		peer, err := unix.GetsockoptUcred(conn, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err == nil && peer.Pid == int32(os.Getpid()) {
			return conn, nil
		}
		unix.Close(conn)
	}
}

// An acceptable connection is one that the program may have, with its end.
type acceptable struct {
	conn *stream
	fd   int
}

// giveBack keeps a connection that the program could not take for its next call,
// for which the listening socket has to look as if one had come.
func (st *stream) giveBack(a acceptable) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
		st.mu.Lock()
		defer st.mu.Unlock()
		if err = unix.Connect(fd, &unix.SockaddrUnix{Name: st.name}); err == nil {
			st.refused = append([]acceptable{a}, st.refused...)
			st.waiting = append(st.waiting, nil)
			notify(st.arrived)
			return
		}
	}
	unix.Close(a.fd)
	a.conn.abort()
}

// handOver gives the program its end of a connection.
func (c *call) handOver(st *stream, a acceptable, flags int) (int64, error) {
	widen(a.fd, a.conn.sndbuf)
	cookie, err := seccomp.Cookie(a.fd)
	if err != nil {
		unix.Close(a.fd)
		return 0, err
	}
	a.conn.mu.Lock()
	a.conn.cookie = cookie
	a.conn.mu.Unlock()
	unix.SetNonblock(a.fd, flags&unix.SOCK_NONBLOCK != 0)
	if c.arg(1) != 0 {
		peer, err := a.conn.sock.GetPeerName()
		if err != nil {
			peer = a.conn.anonymous()
		}
		if err := c.putSockaddr(peer, c.arg(1), c.arg(2)); err != nil {
			unix.Close(a.fd)
			return 0, err // the connection is lost, as it is on Linux
		}
	}
	n, err := c.introduce(a.conn.file, a.fd, flags)
	if err != nil {
		if c.s.files.remove(a.conn.file) {
			c.s.counts.closes()
		}
		st.giveBack(a)
		return 0, err
	}
	a.conn.handed(a.fd)
	unix.Close(a.fd)
	return n, errLater
}

// handed notes that the program has got the connection, for which fd is a
// descriptor of ours. It may have failed before, with nobody to watch for then.
func (st *stream) handed(fd int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.given = true
	if st.phase == dead {
		st.watchLocked(fd)
	}
}

// anonymous is the peer's address on a connection that has ended already.
func (f *file) anonymous() sockets.Sockaddr {
	if f.sock.Family() == sockets.AF_INET {
		return sockets.Inet4{Host: "0.0.0.0"}
	}
	return sockets.Inet6{Host: "::"}
}
