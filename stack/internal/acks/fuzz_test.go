package acks

import (
	"bytes"
	"slices"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// FuzzReceive has a packet arrive at a connection that has sent two segments, and
// whose handshake agreed on SACK or might have been that of a SYN cookie. What is
// handed up beside the packet has to say no more than it does.
func FuzzReceive(f *testing.F) {
	for _, protocol := range []tcpip.NetworkProtocolNumber{header.IPv4ProtocolNumber, header.IPv6ProtocolNumber} {
		b := newBench(f, protocol)
		fields := header.TCPFields{SeqNum: 120, AckNum: 1000, Flags: header.TCPFlagAck}
		f.Add(uint32(protocol), true, b.packetOf(fields, timestamp, []byte("x")))
		f.Add(uint32(protocol), false, b.packetOf(fields, timestamp, []byte("x")))
		f.Add(uint32(protocol), true, b.packetOf(fields, sackOf(header.SACKBlock{Start: 1010, End: 1020}), nil))
	}
	f.Fuzz(func(t *testing.T, protocol uint32, sack bool, data []byte) {
		b := newBench(t, tcpip.NetworkProtocolNumber(protocol))
		up := b.listen()
		if protocol != uint32(header.IPv4ProtocolNumber) && protocol != uint32(header.IPv6ProtocolNumber) {
			b.receiveBytes(data)
			return
		}
		if sack {
			b.sendFields(header.TCPFields{SeqNum: 999, AckNum: 100, Flags: synACK}, offer, nil)
			for seq := uint32(1000); seq < 1020; seq += 10 {
				b.sendFields(header.TCPFields{SeqNum: seq, AckNum: 100, Flags: header.TCPFlagAck}, timestamp, make([]byte, 10))
			}
		} else {
			b.sendFields(header.TCPFields{SeqNum: 999, AckNum: 100, Flags: synACK}, timestamp, nil)
		}
		b.receiveBytes(slices.Clone(data))
		last := len(up.packets) - 1
		if !bytes.Equal(up.packets[last], data) {
			t.Fatalf("handed up %x of %x", up.packets[last], data)
		}
		for _, more := range up.packets[:last] {
			b.wantNoMore(more, data)
		}
		b.blocks(b.send(header.TCPFlagAck, 100, timestamp, nil))
	})
}

// wantNoMore checks that a packet without data says nothing that another does not.
func (b *bench) wantNoMore(packet, of []byte) {
	b.t.Helper()
	if !b.wellFormed(of) {
		return // netstack takes neither
	}
	if !b.wellFormed(packet) {
		b.t.Fatalf("bad packet %x of %x", packet, of)
	}
	tcp, whole := b.tcpOf(packet), b.tcpOf(of)
	if len(tcp.Payload()) != 0 || tcp.AckNumber() != whole.AckNumber() || tcp.WindowSize() != whole.WindowSize() {
		b.t.Errorf("%x of %x", tcp, whole)
	}
	all := header.ParseTCPOptions(whole.Options()).SACKBlocks
	for _, some := range header.ParseTCPOptions(tcp.Options()).SACKBlocks {
		if !slices.ContainsFunc(all, func(b header.SACKBlock) bool { return b.Contains(some) }) {
			b.t.Errorf("SACK %v of %v", some, all)
		}
	}
}
