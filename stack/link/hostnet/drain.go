package hostnet

import (
	"context"
	"encoding/binary"
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Drain waits until the machine has all datagrams that the stack has sent, and
// all bytes of the connections that it has ended. The stack's TCP has its
// acknowledgements from the gateway, so a program may have ended while its last
// bytes are still here. Connections that the stack has not ended are not waited
// for. The error is ctx's.
func (u *Uplink) Drain(ctx context.Context) error {
	passed, forget := u.marks.send(u)
	defer forget()
	select {
	case <-passed:
	case <-u.ctx.Done(): // nothing passes any more
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, cn := range u.tcp.ending() {
		select {
		case <-cn.outDone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// ending returns the connections whose stack's FIN has come.
func (c *connector) ending() (list []*conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for cn := range c.conns {
		switch tcp.EndpointState(cn.ep.State()) {
		case tcp.StateEstablished, tcp.StateFinWait1, tcp.StateFinWait2:
		default:
			list = append(list, cn)
		}
	}
	return list
}

// marks are packets on the link that say when all that was sent before has come
// through. A mark is a datagram from the gateway to itself, from and to port 0,
// which no stack sends.
type marks struct {
	mu   sync.Mutex
	next uint64
	open map[uint64]chan struct{}
}

const markSize = 8 // bytes: the mark's number

// send puts a mark behind all that the stack has sent. The channel is closed when
// it has come through; forget has to be called.
func (m *marks) send(u *Uplink) (passed <-chan struct{}, forget func()) {
	c := make(chan struct{})
	m.mu.Lock()
	if m.open == nil {
		m.open = map[uint64]chan struct{}{}
	}
	m.next++
	n := m.next
	m.open[n] = c
	m.mu.Unlock()

	v := buffer.NewViewSize(header.UDPMinimumSize + markSize)
	header.UDP(v.AsSlice()).Encode(&header.UDPFields{Length: uint16(v.Size())}) // without a checksum
	binary.BigEndian.PutUint64(v.AsSlice()[header.UDPMinimumSize:], n)
	e := envelope{from: u.cfg.Gateway4, to: u.cfg.Gateway4, proto: header.UDPProtocolNumber, ttl: defaultTTL}
	pkt := packetOf(e, v, fragment{})
	defer pkt.DecRef()
	var list stack.PacketBufferList
	list.PushBack(pkt)
	u.near.WritePackets(list)
	return c, func() {
		m.mu.Lock()
		delete(m.open, n)
		m.mu.Unlock()
	}
}

// isMark takes a mark, and reports whether a datagram was one.
func (m *marks) isMark(u *Uplink, from, to netip.AddrPort, pkt *stack.PacketBuffer) bool {
	if from.Port() != 0 || to.Port() != 0 || from.Addr() != u.cfg.Gateway4 || to.Addr() != u.cfg.Gateway4 {
		return false
	}
	b := pkt.Data().AsRange().ToSlice()
	if len(b) != markSize {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.open[binary.BigEndian.Uint64(b)]; ok {
		delete(m.open, binary.BigEndian.Uint64(b))
		close(c)
	}
	return true
}
