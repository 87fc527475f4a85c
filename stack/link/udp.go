package link

import (
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// deliverDatagrams hands a packet of several datagrams up whole, where who takes
// packets wants those.
func deliverDatagrams(d *attached, proto tcpip.NetworkProtocolNumber, b *buffer.Buffer, size int) bool {
	t, ok := d.NetworkDispatcher.(interface {
		DeliverDatagrams(tcpip.NetworkProtocolNumber, *buffer.Buffer, int) bool
	})
	return ok && t.DeliverDatagrams(proto, b, size)
}

// segmentsUDP reports whether a link takes several datagrams in one packet; see
// Endpoint.SegmentsUDP.
func segmentsUDP(lower stack.LinkEndpoint) bool {
	l, ok := lower.(interface{ SegmentsUDP() bool })
	return ok && l.SegmentsUDP()
}

// datagramSize is the size of the largest IP packet that a packet of several
// datagrams is cut into, 0 for any other packet.
func (l layout) datagramSize(pkt *stack.PacketBuffer) int {
	if l.proto != protoUDP {
		return 0
	}
	return l.l3 + l.l4 + min(int(pkt.GSOOptions.MSS), pkt.Data().Size())
}

// SegmentsUDP is Endpoint's. Whole packets cross the pipe where TCP segments do;
// else the far end gets each datagram by itself.
func (p *PipeEnd) SegmentsUDP() bool { return true }
