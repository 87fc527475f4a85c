package acks

import (
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A listener of netstack that is short of places answers with SYN cookies, which
// hold no offer of SACK, and makes the connection by the acknowledgement of its
// answer. Where that is lost, the peer's data tells as much, but netstack has
// two traps for it (transport/tcp, accept.go):
//
//   - A segment that a listener passes on to the connection is charged to the
//     listener for ever (segment.setOwner takes it to the other's account, without
//     taking it from the first). With a receive buffer's worth of it the listener
//     drops all that has data, and such connections come never to be.
//   - It takes a segment behind the first for one with a false cookie, and resets
//     the connection.
//
// Segments without data it always takes. So the acknowledgement that was lost is
// handed up once more before the data, from which it is known that the peer sent
// it.

// Bare returns how many such acknowledgements were handed up.
func (l *Link) Bare() uint64 { return l.bare.Load() }

// deliverBare hands up the acknowledgement that came before a segment of a peer
// whose first byte is given.
func (l *Link) deliverBare(seg *segment, begins seqnum.Value, pkt *stack.PacketBuffer) {
	if !l.intact(seg, pkt) {
		return
	}
	view := pkt.Data().AsRange().Capped(seg.network + seg.length - int(seg.payload)).ToView()
	tcp := header.TCP(view.AsSlice()[seg.network:])
	tcp.SetFlags(uint8(header.TCPFlagAck))
	tcp.SetSequenceNumber(uint32(begins))
	fixLengths(seg.protocol(), view.AsSlice(), tcp)
	l.bare.Add(1)
	l.deliverView(seg, pkt, view)
}
