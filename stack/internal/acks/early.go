package acks

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Netstack finds a loss by three duplicate acknowledgements, and needs its timer,
// 200 ms and more, where there are fewer:
//
//   - With two or three segments on their way, and the first lost, so many do not
//     come. RFC 5827 (early retransmit) has a sender take what comes for enough.
//   - It counts an acknowledgement only if its window is the last one's
//     (transport/tcp/snd.go, isDupAck), although it has SACK to go by (RFC 6675
//     section 2 asks for nothing else). A peer whose program reads meanwhile, or
//     whose buffer grows, says another window with each.
//
// So such an acknowledgement is handed up in parts, whose latest block of SACK
// grows to what it is: a byte less each, the last of them as it came. A peer might
// have sent them, so nothing is said to have arrived that has not.
const (
	// fewSegments are too few on their way for three duplicates (RFC 5827 section 3.1).
	fewSegments = 3
	// duplicates is netstack's nDupAckThreshold.
	duplicates = 3
)

// Early returns how many acknowledgements were handed up in parts.
func (l *Link) Early() uint64 { return l.early.Load() }

// deliverParts hands up all parts but the last of an acknowledgement without data,
// if it should have any.
func (l *Link) deliverParts(seg *segment, h *heard, pkt *stack.PacketBuffer) {
	if !h.changed && h.flight > fewSegments*h.size {
		return
	}
	b, ok := pkt.Data().PullUp(seg.network + seg.length)
	if !ok {
		return
	}
	at := findOption(header.TCP(b[seg.network:]).Options(), header.TCPOptionSACK)
	if at < 0 {
		return
	}
	end := seg.network + header.TCPMinimumSize + at + 2 + 4 // of the first block
	if end+4 > len(b) {
		return
	}
	block := header.SACKBlock{
		Start: seqnum.Value(binary.BigEndian.Uint32(b[end-4:])), End: seqnum.Value(binary.BigEndian.Uint32(b[end:])),
	}
	parts := h.parts(seg.ack, block)
	if parts < 2 || !l.intact(seg, pkt) {
		return
	}
	l.early.Add(1)
	for less := parts - 1; less > 0; less-- {
		l.deliverPart(seg, pkt, end, uint32(block.End)-uint32(less))
	}
}

// parts returns in how many parts netstack should have an acknowledgement, by its
// latest block.
func (h *heard) parts(ack seqnum.Value, latest header.SACKBlock) seqnum.Size {
	parts := seqnum.Size(1)
	if h.flight <= fewSegments*h.size && latest.End == h.sent {
		parts = duplicates
	}
	if h.changed {
		parts++
	}
	inside := ack.LessThan(latest.Start) && latest.Start.LessThan(latest.End) && latest.End.LessThanEq(h.sent)
	if !inside || latest.Start.Size(latest.End) < parts {
		return 1
	}
	return parts
}

// deliverPart hands up an acknowledgement with another end of a block, which is at
// the given place.
func (l *Link) deliverPart(seg *segment, pkt *stack.PacketBuffer, at int, end uint32) {
	view := pkt.Data().AsRange().Capped(seg.network + seg.length).ToView()
	b := view.AsSlice()
	tcp := header.TCP(b[seg.network:])
	from, to := (at-seg.network)&^1, (at-seg.network+4+1)&^1 // whole words, as the sum goes by them
	without := checksum.Combine(^tcp.Checksum(), ^checksum.Checksum(tcp[from:to], 0))
	binary.BigEndian.PutUint32(b[at:], end)
	tcp.SetChecksum(^checksum.Checksum(tcp[from:to], without)) // as right or wrong as it was (RFC 1624)
	l.deliverView(seg, pkt, view)
}

// deliverView hands up a packet in place of another, or before it.
func (l *Link) deliverView(seg *segment, pkt *stack.PacketBuffer, view *buffer.View) {
	part := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(view)})
	defer part.DecRef()
	part.NICID, part.PktType, part.RXChecksumValidated = pkt.NICID, pkt.PktType, pkt.RXChecksumValidated
	l.nestedLink.DeliverNetworkPacket(seg.protocol(), part)
}
