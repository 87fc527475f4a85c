package sockets

import (
	"net"
	"net/netip"
	"sync"
)

// A readMessage is what one message of a batch gave, and memory that is used
// again.
type readMessage struct {
	n, oobn int
	flags   MsgFlags
	from    netip.AddrPort

	meta    datagram
	control controlList
}

var readMessages = sync.Pool{New: func() any { return new(readMessage) }}

func (m *readMessage) free() {
	m.meta = datagram{}
	m.control.reset()
	readMessages.Put(m)
}

// recvInto receives a message into w, which it frees, and its control messages
// into oob.
func (s *Socket) recvInto(m *readMessage, w *scatter, oob []byte, c *call) error {
	defer w.free()
	m.meta = datagram{}
	m.control.reset()
	r := s.recvScatter(w, c, &m.meta)
	if r.err != nil {
		return r.err
	}
	m.n, m.from, m.flags = r.count(c.flags), r.from, 0
	if r.total > r.n && !r.toEnd {
		m.flags |= MSG_TRUNC
	}
	if m.meta.failed != nil {
		m.flags |= MSG_ERRQUEUE
	}
	s.d.controlOf(&m.control, &m.meta)
	cut := false
	if m.oobn, cut = putControl(oob, m.control.messages); cut {
		m.flags |= MSG_CTRUNC
	}
	return nil
}

// A namedSender is who sent the last datagram, as this package has it.
type namedSender struct {
	from netip.AddrPort
	name Sockaddr
}

// sockaddr is the function, and remembers the last one: a name costs two
// allocations.
func (in *inbox) sockaddr(from netip.AddrPort) Sockaddr {
	if n := in.sender.Load(); n != nil && n.from == from {
		return n.name
	}
	n := &namedSender{from, sockaddr(in.d.family, from)}
	in.sender.Store(n)
	return n.name
}

// A knownSender is who sent the last message, as package net has it.
type knownSender struct {
	from netip.AddrPort
	addr net.Addr
}

// netAddr is Socket.netAddr, and remembers the last one.
func (c *PacketConn) netAddr(from netip.AddrPort) net.Addr {
	if k := c.sender.Load(); k != nil && k.from == from {
		return k.addr
	}
	k := &knownSender{from, c.s.netAddr(from)}
	c.sender.Store(k)
	return k.addr
}
