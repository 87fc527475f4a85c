package sockets

import (
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"gvisor.dev/gvisor/pkg/waiter"
)

// ReadMsgUDP is net.UDPConn's: it receives a datagram into p and its control
// messages into oob, in the form that ParseControl reads, and returns the lengths
// of both and the flags of recvmsg(2). What does not fit is lost, and the flags
// say so.
func (c *PacketConn) ReadMsgUDP(p, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	n, oobn, flags, from, err := c.ReadMsgUDPAddrPort(p, oob)
	if from.IsValid() {
		addr, _ = c.netAddr(from).(*net.UDPAddr)
	}
	return n, oobn, flags, addr, err
}

// ReadMsgUDPAddrPort is ReadMsgUDP with an address that costs no allocation.
func (c *PacketConn) ReadMsgUDPAddrPort(p, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error) {
	cl := c.s.adapterCall(waiter.ReadableEvents, &c.read)
	if c.s.expired(cl) {
		return 0, 0, 0, addr, c.opError("read", nil, ErrTimeout)
	}
	m := readMessages.Get().(*readMessage)
	defer m.free()
	if err := c.s.recvInto(m, scatterOver(p), oob, &cl); err != nil {
		return 0, 0, 0, addr, c.opError("read", nil, err)
	}
	return m.n, m.oobn, int(m.flags), m.from, nil
}

// WriteMsgUDP is net.UDPConn's: it sends p with the control messages in oob, in
// the form of MarshalControl and C programs, to addr, or to the peer if addr is
// nil. UDP_SEGMENT among them cuts p into datagrams. Errors are WriteTo's and
// SendMsg's.
func (c *PacketConn) WriteMsgUDP(p, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	var to netip.AddrPort
	if addr != nil {
		to = addr.AddrPort()
	}
	return c.writeMsg(p, oob, to, addr != nil)
}

// WriteMsgUDPAddrPort is WriteMsgUDP with an address that costs no allocation.
// The zero AddrPort is the peer.
func (c *PacketConn) WriteMsgUDPAddrPort(p, oob []byte, addr netip.AddrPort) (n, oobn int, err error) {
	return c.writeMsg(p, oob, addr, addr.IsValid())
}

// writeMsg sends to an address, if it is named, else to the peer.
func (c *PacketConn) writeMsg(p, oob []byte, to netip.AddrPort, named bool) (n, oobn int, err error) {
	cl := c.s.adapterCall(waiter.WritableEvents, &c.write)
	b := newSendBatch()
	defer b.free()
	b.one[0] = p
	c.s.addMessage(b, b.one[:], oob, to, named)
	switch {
	case c.s.dead():
		err = ErrClosed
	case c.s.expired(cl):
		err = ErrTimeout
	default:
		_, err = c.s.sendBatch(b, &cl)
	}
	if err == nil {
		return len(p), len(oob), nil
	}
	if !named {
		return 0, 0, c.opError("write", nil, err)
	}
	return 0, 0, c.opError("write", net.UDPAddrFromAddrPort(to), err)
}

// ReadBatch receives as golang.org/x/net/ipv4.PacketConn does: it waits for one
// message, takes what else there is, up to len(ms), and returns how many that
// were. flags are recvmsg(2)'s. It allocates nothing but the addresses of senders
// other than the last one's; equal ones may be the same *net.UDPAddr, so they
// must not be changed.
func (c *PacketConn) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	cl := c.s.adapterCall(waiter.ReadableEvents, &c.read)
	if c.s.expired(cl) {
		return 0, c.opError("read", nil, ErrTimeout)
	}
	m := readMessages.Get().(*readMessage)
	defer m.free()
	cl.flags |= MsgFlags(flags)
	for i := range ms {
		err := c.s.recvInto(m, scatterOverAll(ms[i].Buffers), ms[i].OOB, &cl)
		if err != nil {
			return i, c.batchError(i, err)
		}
		ms[i].N, ms[i].NN, ms[i].Flags, ms[i].Addr = m.n, m.oobn, int(m.flags), c.netAddr(m.from)
		cl.flags |= MSG_DONTWAIT
	}
	return len(ms), nil
}

// batchError is the error of a read after others have succeeded: the next call
// tells it.
func (c *PacketConn) batchError(before int, err error) error {
	if before == 0 {
		return c.opError("read", nil, err)
	}
	if errno, ok := err.(Errno); ok && errno != EAGAIN {
		c.s.d.untell(errno)
	}
	return nil
}

// WriteBatch sends messages in order, as golang.org/x/net/ipv4.PacketConn does,
// and returns how many were sent; an error only if none was. A nil Addr is the
// peer, others are *net.UDPAddr. Datagrams of one size that follow each other to
// one address leave in one piece, which the link or its device cuts.
func (c *PacketConn) WriteBatch(ms []ipv4.Message, flags int) (int, error) {
	cl := c.s.adapterCall(waiter.WritableEvents, &c.write)
	cl.flags |= MsgFlags(flags)
	switch {
	case c.s.dead():
		return 0, c.opError("write", nil, ErrClosed)
	case c.s.expired(cl):
		return 0, c.opError("write", nil, ErrTimeout)
	}
	b := newSendBatch()
	defer b.free()
	for i := range ms {
		m := &ms[i]
		addr, ok := m.Addr.(*net.UDPAddr)
		switch {
		case m.Addr == nil:
			c.s.addMessage(b, m.Buffers, m.OOB, netip.AddrPort{}, false)
		case ok:
			c.s.addMessage(b, m.Buffers, m.OOB, addr.AddrPort(), true)
		default:
			b.add(m.Buffers, nil).err = EINVAL
		}
	}
	n, err := c.s.sendBatch(b, &cl)
	for i := range ms[:n] {
		ms[i].N, ms[i].NN = b.out[i].size, len(ms[i].OOB)
	}
	if err != nil && n == 0 {
		return 0, c.opError("write", ms[0].Addr, err)
	}
	return n, nil
}
