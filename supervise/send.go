//go:build linux && (amd64 || arm64)

package supervise

import (
	"context"
	"encoding/binary"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// sendto is sendto(2) with an address or flags that AF_UNIX does not have.
func (c *call) sendto() (int64, error) {
	p, err := c.plain()
	if err != nil {
		return 0, err
	}
	if p.name != 0 {
		if size := int(int32(c.arg(5))); size < 0 || size > mostSockaddr {
			return 0, syscall.EINVAL
		}
		p.nameRoom = int(int32(c.arg(5)))
	}
	return c.send(p, int(int32(c.arg(3))))
}

// sendmsg is sendmsg(2).
func (c *call) sendmsg() (int64, error) {
	p, err := c.header(c.arg(1))
	if err != nil {
		return 0, err
	}
	flags, err := messageFlags(c.arg(2))
	if err != nil {
		return 0, err
	}
	return c.send(p, flags)
}

func (c *call) send(p *place, flags int) (int64, error) {
	if c.datagrams() == nil {
		return c.sendStream(p, flags)
	}
	b := scratches.Get().(*scratch)
	m, err := c.outgoing(p, b)
	if err != nil {
		scratches.Put(b)
		return 0, err
	}
	n, err := c.sendNow(m, flags)
	if errnoOf(err) != syscall.EAGAIN || flags&unix.MSG_DONTWAIT != 0 || c.nonblocking() {
		scratches.Put(b)
		return int64(n), err
	}
	return c.wait(func(ctx context.Context) (int64, error) {
		bound, cancel, ended := c.bounded(ctx, unix.SO_SNDTIMEO)
		defer cancel()
		defer scratches.Put(b)
		n, err := c.f.sock.SendMsg(m, sockets.MsgFlags(flags), sockets.WithContext(bound))
		if bound.Err() != nil && err != nil {
			return 0, ended()
		}
		c.s.counts.sent.Add(uint64(max(n, 0)))
		return int64(n), err
	})
}

// sendNow sends a message unless that would have to wait.
func (c *call) sendNow(m *sockets.Msg, flags int) (int, error) {
	d := c.datagrams()
	d.mu.Lock()
	err := d.takeErrorLocked(c.dup)
	d.sendQueuedLocked() // which came first
	d.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n := 0
	c.s.exchange.during(func() { n, err = d.sock.SendMsg(m, sockets.MsgFlags(flags)|sockets.MSG_DONTWAIT) })
	c.s.counts.sent.Add(uint64(max(n, 0)))
	return n, err
}

// sendmmsg is sendmmsg(2).
func (c *call) sendmmsg() (int64, error) {
	if c.datagrams() == nil {
		return c.sendStreams()
	}
	flags, err := messageFlags(c.arg(3))
	if err != nil {
		return 0, err
	}
	places, err := c.headers(c.arg(1), c.arg(2))
	if err != nil {
		return 0, err
	}
	done, err := c.sendAll(places, flags)
	if err != syscall.EAGAIN || flags&unix.MSG_DONTWAIT != 0 || c.nonblocking() {
		return partly(done, err)
	}
	return c.wait(func(ctx context.Context) (int64, error) {
		bound, cancel, ended := c.bounded(ctx, unix.SO_SNDTIMEO)
		defer cancel()
		for err == syscall.EAGAIN {
			if c.s.poll(bound, c.f.sock, sockets.POLLOUT) != nil {
				return partly(done, ended())
			}
			n := 0
			n, err = c.sendAll(places[done:], flags)
			done += n
		}
		return partly(done, err)
	})
}

// partly is the result of a call on many messages that failed after done of them:
// what failed is told by the next call.
func partly(done int, err error) (int64, error) {
	if done > 0 {
		return int64(done), nil
	}
	return 0, err
}

// sendAll sends messages and returns how many it has sent. EAGAIN says that the
// next one has to wait.
func (c *call) sendAll(places []*place, flags int) (done int, err error) {
	b := scratches.Get().(*scratch)
	defer scratches.Put(b)
	for _, p := range places {
		var m *sockets.Msg
		if m, err = c.outgoing(p, b); err != nil {
			break
		}
		n := 0
		if n, err = c.sendNow(m, flags); err != nil {
			if errnoOf(err) == syscall.EAGAIN {
				err = syscall.EAGAIN
			}
			break
		}
		p.sent = uint32(n)
		done++
	}
	if told := c.putSent(places[:done]); told != nil {
		return 0, told
	}
	return done, err
}

// putSent writes how much of each message was sent.
func (c *call) putSent(places []*place) error {
	if len(places) > 0 && !c.s.listener.Alive(c.n.ID) {
		return errGone
	}
	const atOnce = 8 // what WriteSegments takes
	for group := range slices.Chunk(places, atOnce) {
		var s [atOnce]seccomp.Segment
		for i, p := range group {
			s[i] = seccomp.Segment{Addr: p.transfer, Data: binary.NativeEndian.AppendUint32(nil, p.sent)}
		}
		if _, err := seccomp.WriteSegments(int(c.n.TID), s[:len(group)]...); err != nil {
			return syscall.EFAULT
		}
	}
	return nil
}

// mostMessage is how long a datagram may be before anything else about it is
// looked at, in bytes (udp_sendmsg of Linux).
const mostMessage = 0xffff

// mostAncillary bounds the control messages of one call, in bytes, as
// net.core.optmem_max does.
const mostAncillary = 128 << 10

// outgoing reads a message from its place; b is for its data. Errors: EMSGSIZE;
// EFAULT; EINVAL for an address or a control message that is none; ENOBUFS for too
// many of these.
func (c *call) outgoing(p *place, b *scratch) (*sockets.Msg, error) {
	switch {
	case p.controlRoom > mostAncillary:
		return nil, syscall.ENOBUFS
	case p.data.Len() > mostMessage:
		return nil, syscall.EMSGSIZE
	}
	name, control := b.name[:p.nameRoom], []byte(nil)
	if p.name == 0 {
		name = nil
	}
	if p.controlRoom > 0 {
		control = make([]byte, p.controlRoom)
	}
	data, err := c.readParts(p, name, control, b)
	if err != nil {
		return nil, err
	}
	m := &sockets.Msg{Buffers: [][]byte{data}}
	if m.Control, err = sockets.ParseControl(control); err != nil {
		return nil, err
	}
	if p.name != 0 && (p.nameRoom > 0 || p.header == 0) {
		m.Addr, err = c.destination(name)
	}
	return m, err
}

// readParts reads the parts of a message, in one go where that is possible.
func (c *call) readParts(p *place, name, control []byte, b *scratch) (data []byte, err error) {
	data = b.data[:p.data.Len()]
	tid := int(c.n.TID)
	s := []seccomp.Segment{{Addr: p.name, Data: name}, {Addr: p.control, Data: control}}
	if len(p.data) == 1 {
		s = append(s, seccomp.Segment{Addr: uint64(p.data[0].Base), Data: data})
	} else if _, err := p.data.Gather(tid, data); err != nil {
		return nil, syscall.EFAULT
	}
	if _, err := seccomp.ReadSegments(tid, s...); err != nil {
		return nil, syscall.EFAULT
	}
	return data, nil
}

// destination returns the address of a datagram. AF_UNSPEC is AF_INET to Linux on
// an AF_INET socket and no address on an AF_INET6 one.
func (c *call) destination(b []byte) (sockets.Sockaddr, error) {
	unspecified := len(b) >= 2 && b[0] == 0 && b[1] == 0
	if c.f.sock.Family() == sockets.AF_INET && len(b) < unix.SizeofSockaddrInet4 {
		return nil, syscall.EINVAL
	}
	if unspecified && c.f.sock.Family() == sockets.AF_INET {
		b[0] = unix.AF_INET
	}
	a, err := parseSockaddr(b)
	if _, strange := a.(foreign); strange && c.f.sock.Family() == sockets.AF_INET6 {
		return nil, syscall.EINVAL
	}
	return a, err
}
