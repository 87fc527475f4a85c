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
	st.ctx, st.noMore = context.WithCancel(st.s.ctx)
	st.phase = listening
	st.s.listeners.add(st)
	if st.came == nil { // it has not listened before
		st.came = make(chan struct{}, 1)
	}
	st.s.exchange.follow(st.sock, st.acceptAll)
	return 0, nil
}

// acceptAll takes what connections the stack has, and puts them into the queue of
// the program's socket, without waiting. When that is full it keeps one.
func (st *stream) acceptAll() {
	st.accepting.Lock()
	defer st.accepting.Unlock()
	for {
		if !st.is(listening) {
			st.dropKeptLocked()
			return
		}
		child := st.kept
		st.kept = nil
		if child == nil {
			sock, _, err := st.sock.Accept(sockets.MSG_DONTWAIT)
			if err != nil {
				st.later(err)
				return
			}
			child = st.child(sock)
		}
		switch err := st.offer(child); {
		case err == nil:
		case err == unix.EAGAIN:
			st.kept = child
			return
		case scarce(err):
			st.kept = child
			st.later(err)
			return
		default:
			child.abort()
			if st.is(listening) { // but the program has closed it
				st.s.work.Go(st.end)
			}
			return
		}
	}
}

func (st *stream) is(p phase) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.phase == p
}

// dropKeptLocked resets the connection for which there was no room.
func (st *stream) dropKeptLocked() {
	if st.kept != nil {
		st.kept.abort()
		st.kept = nil
	}
}

// later accepts again after an error that may pass.
func (st *stream) later(err error) {
	if errnoOf(err) == syscall.EAGAIN {
		return
	}
	st.s.work.Go(func() {
		if pause(st.ctx, err) {
			st.acceptAll()
		}
	})
}

// child returns the stream for a connection that was accepted.
func (st *stream) child(sock *sockets.Socket) *stream {
	sock.SetBlocking(true)
	child := &stream{file: &file{s: st.s, sock: sock}, sentAll: make(chan struct{})}
	child.kind = child
	st.mu.Lock()
	defer st.mu.Unlock()
	child.sndbuf, child.rcvbuf = st.sndbuf, st.rcvbuf // as accept(2) has it
	return child
}

// offer puts a connection into the queue of the program's socket. It is EAGAIN
// when there is no room, of which take is told.
func (st *stream) offer(child *stream) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	child.mu.Lock()
	defer child.mu.Unlock() // the program may be quick
	st.full.Store(false)
	if err = st.reach(fd, child); err == unix.EAGAIN {
		st.full.Store(true)
		err = st.reach(fd, child) // take may have made room before it could know
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	widen(fd, child.rcvbuf)
	child.far = st.s.exchange.newEnd(fd, child.ready)
	child.startLocked()
	notify(st.came)
	return nil
}

// reach connects fd to the program's socket, for child.
func (st *stream) reach(fd int, child *stream) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.phase != listening {
		return unix.ECONNREFUSED
	}
	err := unix.Connect(fd, &unix.SockaddrUnix{Name: st.name})
	if err == nil {
		st.waiting = append(st.waiting, child)
	}
	return err
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
	n, err := c.take(st, flags)
	if err == syscall.EAGAIN {
		st.acceptAll() // the exchange may not have heard of it yet
		n, err = c.take(st, flags)
	}
	if err != syscall.EAGAIN || c.nonblocking() {
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
			case <-st.came:
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
		notify(st.came) // the next call that waits has to hear of it too
		return 0, syscall.EINVAL
	}
	fd, err := acceptOwn(c.dup, flags&unix.SOCK_NONBLOCK)
	if err != nil {
		st.mu.Unlock()
		return 0, err
	}
	if len(st.waiting) == 0 { // it is nobody's: this process made it, but not for this listener
		st.mu.Unlock()
		unix.Close(fd)
		return 0, syscall.EAGAIN
	}
	first := acceptable{st.waiting[0], fd, flags & unix.SOCK_NONBLOCK}
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
	if st.full.Load() {
		st.acceptAll()
	}
	if more {
		notify(st.came)
	}
	if first.conn == nil { // it stood for one that was taken before it came up
		unix.Close(first.fd)
		return c.take(st, flags)
	}
	return c.handOver(st, first, flags)
}

// acceptOwn takes a connection out of the queue of a listening AF_UNIX socket that
// this process has made. Whoever reads the socket's name in /proc/net/unix may
// connect to it too, and is turned away. EAGAIN says that there is none. The flags
// are those of accept4(2).
func acceptOwn(fd, flags int) (int, error) {
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(p, 0); err == unix.EINTR {
			continue
		} else if n != 1 {
			return -1, syscall.EAGAIN
		}
		conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC|flags)
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
	conn  *stream
	fd    int
	flags int // SOCK_NONBLOCK, if fd has it
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
			notify(st.came)
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
	c.s.files.identify(a.conn.file, cookie)
	a.conn.mu.Unlock()
	if a.flags != flags&unix.SOCK_NONBLOCK { // it was accepted for another call
		unix.SetNonblock(a.fd, a.flags == 0)
		a.flags ^= unix.SOCK_NONBLOCK
	}
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
