package acks

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"testing"

	"go.uber.org/goleak"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/refs"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

func TestMain(m *testing.M) {
	refs.SetLeakMode(refs.LeaksPanic)
	code := m.Run()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	refs.DoLeakCheck() // panics with the list
	os.Exit(code)
}

var (
	us4, peer4 = tcpip.AddrFrom4([4]byte{192, 0, 2, 1}), tcpip.AddrFrom4([4]byte{192, 0, 2, 2})
	us6, peer6 = tcpip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: 1}), tcpip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: 2})
)

// bench is a Link on a channel, for one connection.
type bench struct {
	*Link
	t        testing.TB
	lower    *channel.Endpoint
	protocol tcpip.NetworkProtocolNumber
	us, peer tcpip.Address
}

type sink struct{}

func (sink) DeliverNetworkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}
func (sink) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer)    {}

func newBench(t testing.TB, protocol tcpip.NetworkProtocolNumber) *bench {
	b := &bench{t: t, lower: channel.New(16, 1500, ""), protocol: protocol, us: us4, peer: peer4}
	if protocol == header.IPv6ProtocolNumber {
		b.us, b.peer = us6, peer6
	}
	b.Link = New(b.lower)
	b.Attach(sink{})
	t.Cleanup(func() { b.Close(); b.lower.Drain() })
	return b
}

const (
	timestamp = "\x01\x01\x08\x0a\x00\x00\x00\x01\x00\x00\x00\x02"
	// offer is timestamp with SACK permitted in the place of the padding.
	offer = "\x04\x02\x08\x0a\x00\x00\x00\x01\x00\x00\x00\x02"
)

const synACK = header.TCPFlagSyn | header.TCPFlagAck

// tcp makes a TCP header with options and a checksum over payload.
func (b *bench) tcp(from, to tcpip.Address, fields header.TCPFields, options string, payload []byte) header.TCP {
	fields.DataOffset = uint8(header.TCPMinimumSize + len(options))
	h := make(header.TCP, fields.DataOffset)
	h.Encode(&fields)
	copy(h[header.TCPMinimumSize:], options)
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, from, to, uint16(len(h)+len(payload)))
	h.SetChecksum(^h.CalculateChecksum(checksum.Checksum(payload, sum)))
	return h
}

func (b *bench) ip(from, to tcpip.Address, length int) []byte {
	if b.protocol == header.IPv4ProtocolNumber {
		ip := make(header.IPv4, header.IPv4MinimumSize)
		ip.Encode(&header.IPv4Fields{
			TotalLength: uint16(len(ip) + length), Protocol: uint8(header.TCPProtocolNumber), TTL: 64, SrcAddr: from, DstAddr: to,
		})
		ip.SetChecksum(^ip.CalculateChecksum())
		return ip
	}
	ip := make(header.IPv6, header.IPv6MinimumSize)
	ip.Encode(&header.IPv6Fields{
		PayloadLength: uint16(length), TransportProtocol: header.TCPProtocolNumber, HopLimit: 64, SrcAddr: from, DstAddr: to,
	})
	return ip
}

// receive has a segment arrive, with the bits of flip turned in its last byte.
func (b *bench) receive(seq uint32, payload []byte, flip byte) {
	b.receiveSegment(header.TCPFlagAck, seq, timestamp, payload, flip)
}

func (b *bench) receiveSegment(flags header.TCPFlags, seq uint32, options string, payload []byte, flip byte) {
	tcp := b.tcp(b.peer, b.us, header.TCPFields{SrcPort: 80, DstPort: 1000, SeqNum: seq, Flags: flags}, options, payload)
	data := slices.Concat(b.ip(b.peer, b.us, len(tcp)+len(payload)), tcp, payload)
	data[len(data)-1] ^= flip
	b.receiveBytes(append(data, 0, 0)) // with padding
}

func (b *bench) receiveBytes(data []byte) {
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(data)})
	defer pkt.DecRef()
	b.lower.InjectInbound(b.protocol, pkt)
}

// send has the stack send a segment, and returns what reaches the link.
func (b *bench) send(flags header.TCPFlags, ack uint32, options string, payload []byte) []byte {
	b.t.Helper()
	return b.sendFields(header.TCPFields{AckNum: ack, Flags: flags}, options, payload)
}

func (b *bench) sendFields(fields header.TCPFields, options string, payload []byte) []byte {
	b.t.Helper()
	fields.SrcPort, fields.DstPort = 1000, 80
	tcp := b.tcp(b.us, b.peer, fields, options, payload)
	ip := b.ip(b.us, b.peer, len(tcp)+len(payload))
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: len(tcp) + len(ip) + 20, Payload: buffer.MakeWithData(slices.Clone(payload)),
	})
	copy(pkt.TransportHeader().Push(len(tcp)), tcp)
	copy(pkt.NetworkHeader().Push(len(ip)), ip)
	pkt.NetworkProtocolNumber, pkt.TransportProtocolNumber = b.protocol, header.TCPProtocolNumber
	var list stack.PacketBufferList
	list.PushBack(pkt)
	if n, err := b.WritePackets(list); n != 1 || err != nil {
		b.t.Fatalf("WritePackets = %d, %v", n, err)
	}
	list.Reset()
	out := b.lower.Read()
	view := out.ToView()
	out.DecRef()
	defer view.Release()
	return view.ToSlice()
}

// blocks parses a packet that was sent, checks its lengths and checksums, and
// returns its SACK blocks.
func (b *bench) blocks(packet []byte) []header.SACKBlock {
	b.t.Helper()
	var tcp header.TCP
	if b.protocol == header.IPv4ProtocolNumber {
		ip := header.IPv4(packet)
		if !ip.IsValid(len(packet)) || !ip.IsChecksumValid() || int(ip.TotalLength()) != len(packet) {
			b.t.Fatalf("bad IPv4 header %x", packet)
		}
		tcp = ip.Payload()
	} else {
		ip := header.IPv6(packet)
		if !ip.IsValid(len(packet)) || int(ip.PayloadLength()) != len(packet)-header.IPv6MinimumSize {
			b.t.Fatalf("bad IPv6 header %x", packet)
		}
		tcp = ip.Payload()
	}
	if !tcp.IsChecksumValid(b.us, b.peer, checksum.Checksum(tcp.Payload(), 0), uint16(len(tcp.Payload()))) {
		b.t.Errorf("bad TCP checksum: %x", tcp)
	}
	options := header.ParseTCPOptions(tcp.Options())
	if !options.TS {
		b.t.Error("the timestamp is gone")
	}
	return options.SACKBlocks
}

func everyVersion(t *testing.T, test func(t *testing.T, b *bench)) {
	for name, protocol := range map[string]tcpip.NetworkProtocolNumber{
		"IPv4": header.IPv4ProtocolNumber, "IPv6": header.IPv6ProtocolNumber,
	} {
		t.Run(name, func(t *testing.T) { test(t, newBench(t, protocol)) })
	}
}

func TestLinkAddsSACK(t *testing.T) {
	everyVersion(t, func(t *testing.T, b *bench) {
		ten := bytes.Repeat([]byte("x"), 10)
		want := func(what string, packet []byte, want ...header.SACKBlock) {
			t.Helper()
			if got := b.blocks(packet); !slices.Equal(got, want) {
				t.Errorf("%s: SACK %v, want %v", what, got, want)
			}
		}
		b.send(synACK, 100, offer, nil)
		want("first", b.send(header.TCPFlagAck, 100, timestamp, nil))
		b.receive(100, ten, 0)
		want("in order", b.send(header.TCPFlagAck, 110, timestamp, nil))
		b.receive(120, ten, 0)
		want("gap", b.send(header.TCPFlagAck, 110, timestamp, nil), header.SACKBlock{Start: 120, End: 130})
		b.receive(140, ten, 1)
		want("damaged", b.send(header.TCPFlagAck, 110, timestamp, nil), header.SACKBlock{Start: 120, End: 130})
		b.lower.LinkEPCapabilities = stack.CapabilityRXChecksumOffload
		b.receive(160, ten, 1) // whose checksum is not there yet
		b.lower.LinkEPCapabilities = 0
		latest := []header.SACKBlock{{Start: 160, End: 170}, {Start: 120, End: 130}}
		want("vouched for", b.send(header.TCPFlagAck, 110, timestamp, nil), latest...)
		want("data", b.send(header.TCPFlagAck, 110, timestamp, ten))
		own := timestamp + "\x01\x01\x05\x0a\x00\x00\x00\x01\x00\x00\x00\x02"
		want("netstack's own", b.send(header.TCPFlagAck, 110, own, nil), header.SACKBlock{Start: 1, End: 2})
		full := timestamp + "\xfe\x1c" + string(make([]byte, 26))
		want("no room", b.send(header.TCPFlagAck, 110, full, nil))
		want("FIN", b.send(header.TCPFlagAck|header.TCPFlagFin, 110, timestamp, nil), latest...)
		b.receive(110, ten, 0)
		want("filled", b.send(header.TCPFlagAck, 130, timestamp, nil), header.SACKBlock{Start: 160, End: 170})
		want("RST", b.send(header.TCPFlagRst|header.TCPFlagAck, 130, timestamp, nil))
		want("another life", b.send(header.TCPFlagSyn, 0, timestamp, nil))
		want("another life", b.send(header.TCPFlagAck, 130, timestamp, nil))
		if got := b.Added(); got != 5 {
			t.Errorf("Added = %d, want 5", got)
		}
	})
}

// TestLinkEntersClosedWindows: while the peer's window is closed, what has no data
// must have the number of the byte that it waits for.
func TestLinkEntersClosedWindows(t *testing.T) {
	everyVersion(t, func(t *testing.T, b *bench) {
		hear := func(ack uint32, window uint16, flip byte) {
			fields := header.TCPFields{SrcPort: 80, DstPort: 1000, SeqNum: 100, AckNum: ack, Flags: header.TCPFlagAck, WindowSize: window}
			tcp := b.tcp(b.peer, b.us, fields, timestamp, nil)
			data := slices.Concat(b.ip(b.peer, b.us, len(tcp)), tcp)
			data[len(data)-1] ^= flip
			b.receiveBytes(data)
		}
		want := func(what string, flags header.TCPFlags, payload []byte, want uint32) {
			t.Helper()
			packet := b.sendFields(header.TCPFields{SeqNum: 700, AckNum: 100, Flags: flags}, timestamp, payload)
			b.blocks(packet) // checks it
			if got := header.TCP(packet[len(b.ip(b.us, b.peer, 0)):]).SequenceNumber(); got != want {
				t.Errorf("%s: sequence number %d, want %d", what, got, want)
			}
		}
		b.send(synACK, 100, offer, nil)
		want("open", header.TCPFlagAck, nil, 700)
		hear(500, 0, 1)
		want("damaged", header.TCPFlagAck, nil, 700)
		hear(500, 0, 0)
		want("closed", header.TCPFlagAck, nil, 500)
		want("data", header.TCPFlagAck, []byte("x"), 700)
		want("FIN", header.TCPFlagAck|header.TCPFlagFin, nil, 700)
		hear(600, 0, 0)
		hear(500, 0, 0) // late
		want("closed further on", header.TCPFlagAck, nil, 600)
		hear(800, 0, 0)
		want("all is there", header.TCPFlagAck, nil, 700)
		hear(600, 1, 0)
		want("open again", header.TCPFlagAck, nil, 700)
	})
}

// TestLinkWantsAgreement: SACK may be sent only to a peer that said in its SYN
// that it knows it (RFC 2018 section 2).
func TestLinkWantsAgreement(t *testing.T) {
	ten := bytes.Repeat([]byte("x"), 10)
	for _, tc := range []struct {
		name      string
		handshake func(b *bench)
		want      int
	}{
		{"none seen", func(b *bench) {}, 0},
		{"we accept, agreed", func(b *bench) { b.send(synACK, 100, offer, nil) }, 1},
		{"we accept, not agreed", func(b *bench) { b.send(synACK, 100, timestamp, nil) }, 0},
		{"we connect, agreed", func(b *bench) {
			b.send(header.TCPFlagSyn, 0, offer, nil)
			b.receiveSegment(synACK, 99, offer, nil, 0)
		}, 1},
		{"we connect, not agreed", func(b *bench) {
			b.send(header.TCPFlagSyn, 0, offer, nil)
			b.receiveSegment(synACK, 99, timestamp, nil, 0)
		}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			everyVersion(t, func(t *testing.T, b *bench) {
				tc.handshake(b)
				b.send(header.TCPFlagAck, 100, timestamp, nil)
				b.receive(120, ten, 0)
				if got := b.blocks(b.send(header.TCPFlagAck, 100, timestamp, nil)); len(got) != tc.want {
					t.Errorf("SACK %v, want %d blocks", got, tc.want)
				}
			})
		})
	}
}

// TestLinkTakesNoOffence: what is no TCP segment passes untouched.
func TestLinkTakesNoOffence(t *testing.T) {
	everyVersion(t, func(t *testing.T, b *bench) {
		tcp := b.tcp(b.peer, b.us, header.TCPFields{SrcPort: 80, DstPort: 1000, SeqNum: 100}, timestamp, nil)
		whole := slices.Concat(b.ip(b.peer, b.us, len(tcp)+1), tcp, []byte("x"))
		for n := range len(whole) {
			b.receiveBytes(slices.Clone(whole[:n]))
		}
		for i := range whole {
			for bit := range 8 {
				bad := slices.Clone(whole)
				bad[i] ^= 1 << bit
				b.receiveBytes(bad)
			}
		}
	})
}

// BenchmarkLink is the price of the Link on a transfer without loss, for a
// segment and its acknowledgement.
func BenchmarkLink(b *testing.B) {
	l := newBench(b, header.IPv4ProtocolNumber)
	l.send(synACK, 0, offer, nil)
	payload := make([]byte, 1448)
	tcp := l.tcp(l.peer, l.us, header.TCPFields{SrcPort: 80, DstPort: 1000, Flags: header.TCPFlagAck}, timestamp, payload)
	in := stack.NewPacketBuffer(stack.PacketBufferOptions{
		Payload: buffer.MakeWithData(slices.Concat(l.ip(l.peer, l.us, len(tcp)+len(payload)), tcp, payload)),
	})
	defer in.DecRef()
	out := stack.NewPacketBuffer(stack.PacketBufferOptions{ReserveHeaderBytes: 60})
	defer out.DecRef()
	ack := l.tcp(l.us, l.peer, header.TCPFields{SrcPort: 1000, DstPort: 80, Flags: header.TCPFlagAck}, timestamp, nil)
	copy(out.TransportHeader().Push(len(ack)), ack)
	ip := l.ip(l.us, l.peer, len(ack))
	copy(out.NetworkHeader().Push(len(ip)), ip)
	out.NetworkProtocolNumber, out.TransportProtocolNumber = header.IPv4ProtocolNumber, header.TCPProtocolNumber
	sent := header.TCP(out.TransportHeader().Slice())
	head, _ := in.Data().PullUp(header.IPv4MinimumSize + header.TCPMinimumSize)
	seg := header.TCP(head[header.IPv4MinimumSize:])
	b.ReportAllocs()
	seq := uint32(0)
	for b.Loop() {
		seg.SetSequenceNumber(seq)
		seq += uint32(len(payload))
		sent.SetAckNumber(seq)
		l.DeliverNetworkPacket(header.IPv4ProtocolNumber, in)
		l.complete(out)
	}
}

// TestLinkRemembers fills the table, and has one connection stay in use.
func TestLinkRemembers(t *testing.T) {
	l := newBench(t, header.IPv4ProtocolNumber).Link
	number := func(n int) key { return key{us4, peer4, uint16(n), 80} }
	const few, many = 100, 60000
	for n := 1; n <= few; n++ {
		l.open(&stream{key: number(n)})
	}
	l.open(&stream{key: number(few)}) // again
	for n := 1; n <= few; n++ {
		if l.stream(number(n)) == nil {
			t.Errorf("connection %d of %d is forgotten", n, few)
		}
	}
	l.forget(number(1))
	if l.stream(number(1)) != nil || l.stream(number(2)) == nil {
		t.Error("forget took the wrong one, or none")
	}
	for n := few + 1; n <= many; n++ {
		l.open(&stream{key: number(n)})
		if l.stream(number(few)) == nil {
			t.Fatalf("the connection that is in use was forgotten for the %dth", n)
		}
	}
	remembered := 0
	for n := 1; n <= many; n++ {
		if l.stream(number(n)) != nil {
			remembered++
		}
	}
	if remembered != buckets*ways {
		t.Errorf("%d connections are remembered, want %d", remembered, buckets*ways)
	}
}
