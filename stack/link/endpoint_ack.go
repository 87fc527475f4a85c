package link

import (
	"sync"
	"sync/atomic"

	gsync "gvisor.dev/gvisor/pkg/sync"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Netstack acknowledges each segment as soon as it has seen it, before whoever
// waits for the data has run. To a question the answer follows at once and says
// the same, so that the acknowledgement is a packet for nothing, a tenth of what a
// round trip takes. Linux waits up to 40 ms for the answer (tcp(7), TCP_QUICKACK).
//
// Here it waits for a turn of the reader's: the reader delivers a small segment
// that came alone, lets those run whom that has woken, and then goes on. An
// acknowledgement of just that segment which netstack sends meanwhile is kept, and
// is not sent if another packet of the connection that acknowledges as much comes
// first. There is no timer, and bulk is left alone.
//
// Only an acknowledgement of all that the segment brought is kept, without
// selective acknowledgements: one that tells the peer of a gap leaves at once.

// answerable is the size of a packet, in bytes, below which it may be a question:
// a segment of bulk is larger.
const answerable = 1024

// plainAck is the largest TCP header, in bytes, of an acknowledgement that is kept:
// with timestamps, without SACK blocks (RFC 7323, RFC 2018).
const plainAck = header.TCPMinimumSize + 12

// A flow is the addresses of a packet, their length, and the ports, source first.
type flow [1 + 2*header.IPv6AddressSize + 4]byte

const flowPorts = 1 + 2*header.IPv6AddressSize

// An ackKeeper keeps the acknowledgement of one segment.
type ackKeeper struct {
	waits atomic.Bool // for the acknowledgement, or for what makes it needless

	mu   sync.Mutex // guards what follows
	flow flow
	next uint32              // the acknowledgement's number
	kept *stack.PacketBuffer // the acknowledgement, with a reference of ours; or nil
}

// expect has the keeper wait for the acknowledgement of a frame of n bytes, virtio
// header included, that is about to be delivered, and reports whether it does.
func (e *Endpoint) expect(f *frame, n int) bool {
	n -= virtioHeaderSize
	if n <= 0 || n > answerable || e.queues > 1 || e.is(sendForm) {
		return false
	}
	head := f.head(n)
	l2, _, to, v := e.framing.deframe(head)
	if v != pass || to != tcpip.PacketHost {
		return false
	}
	l, ok := parseLayout(head, l2)
	if !ok || l.proto != protoTCP || l.declaredSize(head) != n-l2 {
		return false
	}
	t := header.TCP(head[l.transport():])
	size := uint32(n - l.payload())
	flags := t.Flags() &^ header.TCPFlagPsh
	if flags&header.TCPFlagFin != 0 {
		size++
	}
	if size == 0 || flags&^header.TCPFlagFin != header.TCPFlagAck {
		return false
	}
	e.acks.mu.Lock()
	defer e.acks.mu.Unlock()
	e.acks.flow = flowOf(l.addresses(head), l.ports(head))
	e.acks.next = t.SequenceNumber() + size
	e.acks.waits.Store(true)
	return true
}

// flowOf is that of a packet with these addresses and ports, source first.
func flowOf(addresses, ports []byte) (f flow) {
	f[0] = byte(len(addresses))
	copy(f[1:], addresses)
	copy(f[flowPorts:], ports)
	return f
}

// answers is the flow of the packets that one with these headers may answer.
func answers(network, transport []byte) (f flow, ok bool) {
	from, size := header.IPv4MinimumSize-2*header.IPv4AddressSize, header.IPv4AddressSize
	if len(network) > 0 && network[0]>>4 == 6 {
		from, size = header.IPv6MinimumSize-2*header.IPv6AddressSize, header.IPv6AddressSize
	}
	if len(network) < from+2*size || len(transport) < header.TCPMinimumSize {
		return f, false
	}
	f[0] = byte(2 * size)
	copy(f[1:], network[from+size:from+2*size])
	copy(f[1+size:], network[from:from+size])
	copy(f[flowPorts:], transport[2:4])
	copy(f[flowPorts+2:], transport[:2])
	return f, true
}

// keeps takes the acknowledgement that is waited for, which is not to be sent now,
// and returns true, or sees whether a packet makes it needless.
func (k *ackKeeper) keeps(pkt *stack.PacketBuffer, c *counters) bool {
	if pkt.TransportProtocolNumber != header.TCPProtocolNumber {
		return false
	}
	network, transport := pkt.NetworkHeader().Slice(), pkt.TransportHeader().Slice()
	from, ok := answers(network, transport)
	if !ok {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	t := header.TCP(transport)
	flags := t.Flags()
	ahead := int32(t.AckNumber() - k.next)
	if !k.waits.Load() || from != k.flow || flags&header.TCPFlagRst == 0 && (flags&header.TCPFlagAck == 0 || ahead < 0) {
		return false
	}
	if k.kept != nil {
		c.spared.Add(1)
		k.kept.DecRef()
		k.kept = nil
	}
	if ahead == 0 && flags == header.TCPFlagAck && len(transport) <= plainAck && pkt.Data().Size() == 0 {
		k.kept = pkt.IncRef()
		return true
	}
	k.waits.Store(false)
	return false
}

// answer lets those run whom a packet has woken, and then sends the acknowledgement
// if they have sent nothing in its place.
func (e *Endpoint) answer() {
	gsync.Goyield() // runtime.Gosched would wake another thread
	if pkt := e.acks.forget(); pkt != nil {
		e.writers[0].send([]*stack.PacketBuffer{pkt})
		pkt.DecRef()
	}
}

// forget ends the wait and returns what was kept.
func (k *ackKeeper) forget() *stack.PacketBuffer {
	if !k.waits.Load() {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waits.Store(false)
	pkt := k.kept
	k.kept = nil
	return pkt
}
