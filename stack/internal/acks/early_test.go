package acks

import (
	"bytes"
	"slices"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// upward is what a Link hands up.
type upward struct {
	sink
	packets [][]byte
}

func (u *upward) DeliverNetworkPacket(_ tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	u.packets = append(u.packets, pkt.Data().AsRange().ToSlice())
}

// listen has what arrives kept.
func (b *bench) listen() *upward {
	u := &upward{}
	b.Attach(u)
	return u
}

// packetOf makes a packet of the peer.
func (b *bench) packetOf(fields header.TCPFields, options string, payload []byte) []byte {
	fields.SrcPort, fields.DstPort = 80, 1000
	tcp := b.tcp(b.peer, b.us, fields, options, payload)
	return slices.Concat(b.ip(b.peer, b.us, len(tcp)+len(payload)), tcp, payload)
}

// tcpOf is the TCP segment in a packet that is well formed.
func (b *bench) tcpOf(packet []byte) header.TCP {
	if b.protocol == header.IPv4ProtocolNumber {
		return header.TCP(header.IPv4(packet).Payload())
	}
	return header.TCP(header.IPv6(packet).Payload())
}

// wellFormed checks the lengths and the checksums of a packet of the peer.
func (b *bench) wellFormed(packet []byte) bool {
	if b.protocol == header.IPv4ProtocolNumber {
		ip := header.IPv4(packet)
		if !ip.IsValid(len(packet)) || !ip.IsChecksumValid() {
			return false
		}
	} else if !header.IPv6(packet).IsValid(len(packet)) {
		return false
	}
	tcp := b.tcpOf(packet)
	return tcp.IsChecksumValid(b.peer, b.us, checksum.Checksum(tcp.Payload(), 0), uint16(len(tcp.Payload())))
}

func sackOf(blocks ...header.SACKBlock) string {
	option := [header.TCPOptionsMaximumSize]byte{header.TCPOptionNOP, header.TCPOptionNOP}
	return timestamp + string(option[:2+header.EncodeSACKBlocks(blocks, option[2:])])
}

func TestParts(t *testing.T) {
	var first uint32 = 1<<32 - 15 // numbers wrap around
	at := func(from, to uint32) header.SACKBlock {
		return header.SACKBlock{Start: seqnum.Value(first + 10*from), End: seqnum.Value(first + 10*to)}
	}
	for name, c := range map[string]struct {
		sent    int // segments of ten bytes
		window  uint16
		blocks  []header.SACKBlock
		payload string
		flags   header.TCPFlags
		flip    byte
		parts   int
	}{
		"the second of two":                 {sent: 2, blocks: []header.SACKBlock{at(1, 2)}, parts: 3},
		"pushed":                            {sent: 2, blocks: []header.SACKBlock{at(1, 2)}, flags: header.TCPFlagPsh, parts: 3},
		"another window":                    {sent: 2, window: 9, blocks: []header.SACKBlock{at(1, 2)}, parts: 4},
		"the last of three":                 {sent: 3, blocks: []header.SACKBlock{at(2, 3)}, parts: 3},
		"two of three":                      {sent: 3, blocks: []header.SACKBlock{at(1, 3)}, parts: 3},
		"the second of three":               {sent: 3, blocks: []header.SACKBlock{at(1, 2)}, parts: 1},
		"the last of four":                  {sent: 4, blocks: []header.SACKBlock{at(3, 4)}, parts: 1},
		"the last of four, another window":  {sent: 4, window: 9, blocks: []header.SACKBlock{at(3, 4)}, parts: 2},
		"one in the middle, another window": {sent: 8, window: 9, blocks: []header.SACKBlock{at(3, 4), at(1, 2)}, parts: 2},
		"the latest is not the last":        {sent: 3, blocks: []header.SACKBlock{at(1, 2), at(2, 3)}, parts: 1},
		"no block, another window":          {sent: 2, window: 9, parts: 1},
		"what arrived twice":                {sent: 2, window: 9, blocks: []header.SACKBlock{at(0, 2)}, parts: 1},
		"what was not sent":                 {sent: 2, window: 9, blocks: []header.SACKBlock{at(1, 3)}, parts: 1},
		"backwards":                         {sent: 2, window: 9, blocks: []header.SACKBlock{{Start: at(0, 2).End, End: at(0, 1).End}}, parts: 1},
		"too small to part":                 {sent: 2, blocks: []header.SACKBlock{{Start: at(0, 2).End - 2, End: at(0, 2).End}}, parts: 1},
		"damaged":                           {sent: 2, blocks: []header.SACKBlock{at(1, 2)}, flip: 1, parts: 1},
		"with data":                         {sent: 2, blocks: []header.SACKBlock{at(1, 2)}, payload: "x", parts: 1},
		"the end":                           {sent: 2, blocks: []header.SACKBlock{at(1, 2)}, flags: header.TCPFlagFin, parts: 1},
	} {
		t.Run(name, func(t *testing.T) {
			everyVersion(t, func(t *testing.T, b *bench) {
				b.sendFields(header.TCPFields{SeqNum: first - 1, AckNum: 100, Flags: synACK}, offer, nil)
				for n := range uint32(c.sent) {
					b.sendFields(header.TCPFields{SeqNum: first + 10*n, AckNum: 100, Flags: header.TCPFlagAck}, timestamp, make([]byte, 10))
				}
				options := timestamp
				if len(c.blocks) > 0 {
					options = sackOf(c.blocks...)
				}
				packet := b.packetOf(header.TCPFields{
					SeqNum: 100, AckNum: first, Flags: header.TCPFlagAck | c.flags, WindowSize: c.window,
				}, options, []byte(c.payload))
				packet[len(packet)-20] ^= c.flip // in the timestamp
				up := b.listen()
				b.receiveBytes(slices.Clone(packet))
				if len(up.packets) != c.parts || !bytes.Equal(up.packets[len(up.packets)-1], packet) {
					t.Fatalf("handed up %x, want %d packets, the last %x", up.packets, c.parts, packet)
				}
				for i, part := range up.packets[:c.parts-1] {
					want := slices.Clone(c.blocks)
					want[0].End -= seqnum.Value(c.parts - 1 - i)
					b.wantPart(part, packet, want)
				}
			})
		})
	}
}

// wantPart checks that a packet differs from another in its blocks and its checksum alone.
func (b *bench) wantPart(part, whole []byte, want []header.SACKBlock) {
	b.t.Helper()
	if !b.wellFormed(part) {
		b.t.Errorf("bad packet %x", part)
		return
	}
	same := slices.Clone(part)
	tcp := b.tcpOf(same)
	if got := header.ParseTCPOptions(tcp.Options()).SACKBlocks; !slices.Equal(got, want) {
		b.t.Errorf("SACK %v, want %v", got, want)
	}
	at := header.TCPMinimumSize + findOption(tcp.Options(), header.TCPOptionSACK)
	copy(tcp[at:], b.tcpOf(whole)[at:])
	tcp.SetChecksum(b.tcpOf(whole).Checksum())
	if !bytes.Equal(same, whole) {
		b.t.Errorf("%x differs in more than the blocks from %x", part, whole)
	}
}

// TestPartsOfLargeSegments has the device cut what we send.
func TestPartsOfLargeSegments(t *testing.T) {
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(make([]byte, 5000))})
	defer pkt.DecRef()
	pkt.GSOOptions = stack.GSO{Type: stack.GSOTCPv4, MSS: 1000}
	seg := segment{payload: 5000}
	if size := segmentSize(&seg, pkt); size != 1000 {
		t.Errorf("segments of %d bytes, want 1000", size)
	}
	seg.payload = 10 // fits into one
	if size := segmentSize(&seg, pkt); size != 10 {
		t.Errorf("a segment of %d bytes, want 10", size)
	}
}
