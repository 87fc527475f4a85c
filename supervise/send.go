//go:build linux && (amd64 || arm64)

package supervise

import (
	"context"
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
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
	return c.send(p, int(int32(c.arg(2))))
}

func (c *call) send(p *place, flags int) (int64, error) {
	if c.datagrams() == nil {
		return c.sendStream(p, flags)
	}
	m, err := c.outgoing(p)
	if err != nil {
		return 0, err
	}
	n, err := c.sendNow(m, flags)
	if errnoOf(err) != syscall.EAGAIN || flags&unix.MSG_DONTWAIT != 0 || c.nonblocking() {
		return int64(n), err
	}
	return c.wait(func(ctx context.Context) (int64, error) {
		bound, cancel, ended := c.bounded(ctx, unix.SO_SNDTIMEO)
		defer cancel()
		n, err := c.f.sock.SendMsg(m, sockets.MsgFlags(flags), sockets.WithContext(bound))
		if bound.Err() != nil && err != nil {
			return 0, ended()
		}
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
	n, err := d.sock.SendMsg(m, sockets.MsgFlags(flags)|sockets.MSG_DONTWAIT)
	c.s.exchange.deliver()
	return n, err
}

// sendmmsg is sendmmsg(2).
func (c *call) sendmmsg() (int64, error) {
	if c.datagrams() == nil {
		return c.sendStreams()
	}
	flags := int(int32(c.arg(3)))
	done, err := c.sendAll(0, flags)
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
			done, err = c.sendAll(done, flags)
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

// sendAll sends the messages of sendmmsg(2) after the first done, and returns how
// many are sent then. EAGAIN says that the next one has to wait.
func (c *call) sendAll(done, flags int) (int, error) {
	count := int(min(uint64(uint32(c.arg(2))), mostHeaders))
	for ; done < count; done++ {
		at := c.arg(1) + uint64(done)*headersSize
		n, err := c.sendOne(at, flags)
		if errnoOf(err) == syscall.EAGAIN {
			return done, syscall.EAGAIN
		}
		if err == nil {
			err = c.write(at+headerTransfer, binary.NativeEndian.AppendUint32(nil, uint32(n)))
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (c *call) sendOne(at uint64, flags int) (int, error) {
	p, err := c.header(at)
	if err != nil {
		return 0, err
	}
	m, err := c.outgoing(p)
	if err != nil {
		return 0, err
	}
	return c.sendNow(m, flags)
}

// mostMessage bounds what is read of a message, in bytes: the stack knows what is
// too long, so that one more than any is enough.
const mostMessage = 1<<17 - 1

// mostAncillary bounds the control messages of one call, in bytes, as
// net.core.optmem_max does.
const mostAncillary = 128 << 10

// outgoing reads a message from its place. Errors: EFAULT; EINVAL for an address
// or a control message that is none; ENOBUFS for too many of these.
func (c *call) outgoing(p *place) (*sockets.Msg, error) {
	m := &sockets.Msg{}
	if p.controlRoom > mostAncillary {
		return nil, syscall.ENOBUFS
	}
	if p.controlRoom > 0 && p.control != 0 {
		b := make([]byte, p.controlRoom)
		if err := c.read(p.control, b); err != nil {
			return nil, err
		}
		var err error
		if m.Control, err = sockets.ParseControl(b); err != nil {
			return nil, err
		}
	}
	if p.name != 0 && (p.nameRoom > 0 || p.header == 0) {
		a, err := c.destination(p)
		if err != nil {
			return nil, err
		}
		m.Addr = a
	}
	data := make([]byte, min(p.data.Len(), mostMessage))
	if _, err := p.data.Gather(int(c.n.TID), data); err != nil {
		return nil, syscall.EFAULT
	}
	m.Buffers = [][]byte{data}
	return m, nil
}

// destination reads the address of a datagram. AF_UNSPEC is AF_INET to Linux on
// an AF_INET socket and no address on an AF_INET6 one.
func (c *call) destination(p *place) (sockets.Sockaddr, error) {
	b := make([]byte, p.nameRoom)
	if err := c.read(p.name, b); err != nil {
		return nil, err
	}
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
