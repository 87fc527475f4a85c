//go:build linux && (amd64 || arm64)

package supervise

import (
	"context"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// Flags that mean the same to the kernel on the program's stream socket as they
// do on a TCP socket.
const (
	nativeReceive = unix.MSG_PEEK | unix.MSG_DONTWAIT | unix.MSG_WAITALL | unix.MSG_NOSIGNAL | unix.MSG_CMSG_CLOEXEC
	nativeSend    = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL | unix.MSG_MORE | unix.MSG_EOR
)

// A transfer is a call that receives from a stream or sends to it, where the
// kernel alone would do it wrong: it knows the name of an AF_UNIX peer, gives
// MSG_TRUNC no meaning and sends descriptors.
type transfer struct {
	c     *call
	st    *stream
	p     *place
	flags int
	done  int // bytes
}

// receiveStream is recvmsg(2) and recvfrom(2) on TCP.
func (c *call) receiveStream(flags int, p *place) (int64, error) {
	st := c.stream()
	switch {
	case st == nil:
		return 0, errNative
	case flags&unix.MSG_ERRQUEUE != 0:
		return (&receive{c: c, flags: flags, to: []*place{p}}).queuedError()
	case flags&unix.MSG_OOB != 0 || st.unconnected():
		var b [1]byte
		_, err := st.sock.RecvInto(b[:], sockets.MsgFlags(flags)|sockets.MSG_DONTWAIT)
		return 0, err
	case flags&^nativeReceive == 0 && (p.name == 0 || st.name == "") && !st.isShut(shutWrite):
		return 0, errNative // one that came from accept has a peer without a name
	}
	t := &transfer{c: c, st: st, p: p, flags: flags}
	return t.run(unix.EPOLLIN|unix.EPOLLRDHUP, unix.SO_RCVTIMEO, t.receive)
}

// unconnected reports whether the program's socket has never been connected, so
// that the kernel would say so in words of its own.
func (st *stream) unconnected() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.far == nil
}

// run transfers what is possible and waits for the rest where the call is to.
// transfer is EAGAIN when it has to wait.
func (t *transfer) run(events uint32, option int, transfer func() error) (int64, error) {
	c := t.c
	err := transfer()
	if err != syscall.EAGAIN || t.flags&unix.MSG_DONTWAIT != 0 || c.nonblocking() {
		return t.result(err)
	}
	return c.wait(func(ctx context.Context) (int64, error) {
		bound, cancel, ended := c.bounded(ctx, option)
		defer cancel()
		for err == syscall.EAGAIN {
			if failed := c.s.exchange.await(bound, c.s, c.dup, events); failed != nil {
				if bound.Err() != nil {
					failed = ended()
				}
				return t.result(failed)
			}
			err = transfer()
		}
		return t.result(err)
	})
}

// result is what the call returns after err: what was transferred comes first.
func (t *transfer) result(err error) (int64, error) {
	if t.done > 0 {
		return int64(t.done), nil
	}
	return 0, err
}

// receive receives until the call has enough.
func (t *transfer) receive() error {
	b := largeBuffers.Get().(*[largeBuffer]byte)
	defer largeBuffers.Put(b)
	room := t.p.data.Len()
	for t.done < room || room == 0 {
		n, _, err := unix.Recvfrom(t.c.dup, b[:min(room-t.done, len(b))], t.flags&unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ECONNRESET:
			return t.st.failure(err)
		case err != nil:
			return err
		case n == 0 && t.st.isShut(shutWrite): // the kernel would not hear of a reset from us any more
			if err := t.st.failure(nil); err != nil {
				return err
			}
		}
		if err := t.received(b[:n]); err != nil {
			return err
		}
		if n == 0 || t.flags&unix.MSG_WAITALL == 0 || t.flags&unix.MSG_PEEK != 0 {
			break
		}
	}
	return nil
}

// received gives the program what came, or with MSG_TRUNC only its length.
func (t *transfer) received(b []byte) error {
	c, p := t.c, t.p
	if !c.s.listener.Alive(c.n.ID) {
		return errGone
	}
	if t.flags&unix.MSG_TRUNC == 0 {
		if _, err := after(p.data, t.done).Scatter(int(c.n.TID), b); err != nil {
			return syscall.EFAULT
		}
	}
	t.done += len(b)
	rest := *p
	rest.data, rest.transfer = nil, 0
	return c.putParts(&rest, nil, nil, nil, t.flags&unix.MSG_CMSG_CLOEXEC, 0) // on a connection no name is told
}

// after returns what is left of v after n bytes.
func after(v seccomp.Vectors, n int) seccomp.Vectors {
	for len(v) > 0 && n >= v[0].Len {
		n -= v[0].Len
		v = v[1:]
	}
	if n == 0 {
		return v
	}
	rest := append(seccomp.Vectors{}, v...)
	rest[0].Base += uintptr(n)
	rest[0].Len -= n
	return rest
}

// failure returns why a connection has failed, which the kernel calls a reset
// whatever it was.
func (st *stream) failure(reset error) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.err == nil {
		return reset
	}
	err := st.err
	st.err = nil
	return err
}

// sendStream is sendmsg(2) and sendto(2) on TCP. An address is read and not looked
// at.
func (c *call) sendStream(p *place, flags int) (int64, error) {
	st := c.stream()
	if st == nil {
		return 0, errNative
	}
	if flags&(unix.MSG_OOB|unix.MSG_FASTOPEN) != 0 {
		return 0, syscall.EOPNOTSUPP // of the latter Linux says so where tcp_fastopen is off
	}
	if err := c.checkParts(st, p); err != nil {
		return 0, err
	}
	if st.unconnected() {
		return 0, c.unsendable(flags)
	}
	if p.controlRoom == 0 && p.name == 0 && flags&^nativeSend == 0 {
		return 0, errNative
	}
	t := &transfer{c: c, st: st, p: p, flags: flags}
	n, err := t.run(unix.EPOLLOUT, unix.SO_SNDTIMEO, t.send)
	return n, err
}

// checkParts refuses an address that cannot be read and the control messages that
// TCP does not take. Those that it takes have no effect.
func (c *call) checkParts(st *stream, p *place) error {
	var name [mostSockaddr]byte
	if p.name != 0 {
		if err := c.read(p.name, name[:p.nameRoom]); err != nil {
			return err
		}
	}
	if p.controlRoom == 0 {
		return nil
	}
	if p.controlRoom > mostAncillary {
		return syscall.ENOBUFS
	}
	b := make([]byte, p.controlRoom)
	if err := c.read(p.control, b); err != nil {
		return err
	}
	control, err := sockets.ParseControl(b)
	if err != nil {
		return err
	}
	_, err = st.sock.SendMsg(&sockets.Msg{Control: control}, sockets.MSG_DONTWAIT)
	if errno := errnoOf(err); errno == syscall.EINVAL || errno == syscall.EPERM {
		return err
	}
	return nil // the rest is about sending nothing
}

// partOfPage are the bits of a length that are not whole pages: of a part
// that cannot be read to its end TCP sends no piece of a page.
const partOfPage = 4<<10 - 1

// send sends until all is sent.
func (t *transfer) send() error {
	b := largeBuffers.Get().(*[largeBuffer]byte)
	defer largeBuffers.Put(b)
	size := t.p.data.Len()
	for t.done < size {
		part := b[:min(size-t.done, len(b))]
		n, err := after(t.p.data, t.done).Gather(int(t.c.n.TID), part)
		if err != nil {
			n &^= partOfPage
		}
		if n == 0 {
			return syscall.EFAULT
		}
		n, err = unix.SendmsgN(t.c.dup, part[:n], nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch err {
		case nil:
			t.done += n
		case unix.EINTR:
		case unix.EPIPE:
			if t.done > 0 {
				return nil
			}
			return t.c.unsendable(t.flags)
		default:
			return err
		}
	}
	return nil
}

// unsendable is what sending to a stream without a connection gives: EPIPE, and
// the signal unless the program does not want it.
func (c *call) unsendable(flags int) error {
	if flags&unix.MSG_NOSIGNAL == 0 {
		if tgid, err := seccomp.Process(int(c.n.TID)); err == nil && c.s.listener.Alive(c.n.ID) {
			unix.Tgkill(tgid, int(c.n.TID), unix.SIGPIPE)
		}
	}
	return syscall.EPIPE
}
