package link

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/stack/gro"
)

// groData returns seeded random bytes.
func groData(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// stream returns segments of the given sizes that follow each other.
func stream(base groSegment, sizes ...int) groSegments {
	data := groData(1 << 17)
	var list groSegments
	for i, n := range sizes {
		s := base
		s.id, s.payload = base.id+uint16(i), data[:n]
		list = append(list, s)
		base.seq, data = base.seq+uint32(n), data[n:]
	}
	return list
}

// with changes segment i of a list.
func (s groSegments) with(i int, change func(*groSegment)) groSegments {
	change(&s[i])
	return s
}

type groSegments []groSegment

// TestMerge has lists of segments, each received at once, and the payloads of
// the packets that the stack gets for them.
func TestMerge(t *testing.T) {
	three := func() groSegments { return stream(groSegment{seq: 0xfffffe00}, 1000, 1000, 1000) }
	set := func(change func(*groSegment)) groSegments { return three().with(1, change) }
	flag := func(f header.TCPFlags) groSegments {
		return set(func(s *groSegment) { s.flags = header.TCPFlagAck | f })
	}
	apart := []int{1000, 1000, 1000}
	for name, test := range map[string]struct {
		list groSegments
		want []int
	}{
		"in order":              {three(), []int{3000}},
		"alone":                 {stream(groSegment{}, 1000), []int{1000}},
		"IPv6":                  {stream(groSegment{v6: true}, 999, 999, 999, 5), []int{3002}},
		"odd sizes":             {stream(groSegment{}, 333, 333, 333, 333, 1), []int{1333}},
		"one byte each":         {stream(groSegment{}, 1, 1, 1, 1, 1), []int{5}},
		"across two buffers":    {stream(groSegment{}, 9000, 9000, 9000), []int{27000}},
		"options":               {stream(groSegment{options: []byte{1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8}}, 500, 500), []int{1000}},
		"short one ends it":     {stream(groSegment{}, 1000, 999, 1000, 1000), []int{1999, 2000}},
		"longer one begins":     {stream(groSegment{}, 1000, 1001, 1001), []int{1000, 2002}},
		"PSH ends it":           {flag(header.TCPFlagPsh), []int{2000, 1000}},
		"PSH alone":             {three().with(0, func(s *groSegment) { s.flags = header.TCPFlagAck | header.TCPFlagPsh }), []int{1000, 2000}},
		"FIN":                   {flag(header.TCPFlagFin), apart},
		"SYN":                   {flag(header.TCPFlagSyn), apart},
		"RST":                   {flag(header.TCPFlagRst), apart},
		"URG":                   {flag(header.TCPFlagUrg), apart},
		"ECE":                   {flag(0x40), apart},
		"CWR":                   {flag(0x80), apart},
		"URG on each":           {stream(groSegment{flags: header.TCPFlagAck | header.TCPFlagUrg}, 9, 9), []int{9, 9}},
		"RST on each":           {stream(groSegment{flags: header.TCPFlagAck | header.TCPFlagRst}, 9, 9), []int{9, 9}},
		"no ACK on each":        {stream(groSegment{flags: header.TCPFlagUrg}, 9, 9), []int{9, 9}},
		"no ACK":                {set(func(s *groSegment) { s.flags = header.TCPFlagPsh }), apart},
		"other acknowledgement": {set(func(s *groSegment) { s.ack = 9 }), apart},
		"other window":          {set(func(s *groSegment) { s.window = 9 }), apart},
		"other TOS":             {set(func(s *groSegment) { s.tos = 3 }), apart},
		"other TTL":             {set(func(s *groSegment) { s.ttl = 1 }), apart},
		"other options":         {set(func(s *groSegment) { s.options = []byte{1, 1, 1, 1} }), apart},
		"other value of one":    {stream(groSegment{options: []byte{8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1}}, 9, 9).with(1, func(s *groSegment) { s.options = []byte{8, 10, 0, 0, 0, 2, 0, 0, 0, 2, 1, 1} }), []int{9, 9}},
		"gap":                   {set(func(s *groSegment) { s.seq++ }), apart},
		"repeated":              {groSegments{three()[0], three()[0], three()[1]}, []int{1000, 2000}},
		"behind":                {groSegments{three()[1], three()[0], three()[2]}, apart},
		"acknowledgement alone": {set(func(s *groSegment) { s.payload = nil }), []int{1000, 0, 1000}},
		"IP options":            {set(func(s *groSegment) { s.ipExtra = 8 }), apart},
		"hop-by-hop options":    {stream(groSegment{v6: true, ipExtra: 8}, 1000, 1000), []int{1000, 1000}},
		"bytes behind":          {set(func(s *groSegment) { s.trailing = 4 }), []int{1000, 1004, 1000}},
		"same ID":               {set(func(s *groSegment) { s.id = 0 }), []int{3000}},
		"fragments allowed":     {stream(groSegment{noDF: true, id: 0xffff}, 1000, 1000, 1000), []int{3000}},
		"fragments, same ID":    {stream(groSegment{noDF: true, id: 7}, 1000, 1000).with(1, func(s *groSegment) { s.id = 7 }), []int{1000, 1000}},
		"other DF":              {stream(groSegment{id: 7}, 1000, 1000).with(1, func(s *groSegment) { s.noDF = true }), []int{1000, 1000}},
		"64 KiB":                {stream(groSegment{}, slices.Repeat([]int{4000}, 17)...), []int{64000, 4000}},
		"two connections": {groSegments{three()[0], stream(groSegment{port: 1}, 10)[0], three()[1], stream(groSegment{v6: true}, 20)[0], three()[2]},
			[]int{3000, 10, 20}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newGroReader(t, 0)
			checkMerged(t, r, test.list, test.want)
		})
	}
}

// checkMerged receives segments and compares the packets that come of them.
func checkMerged(t *testing.T, r *groReader, list groSegments, want []int) {
	t.Helper()
	var packets [][]byte
	for _, s := range list {
		b, _ := s.build()
		packets = append(packets, b)
	}
	var sizes []int
	for _, p := range r.receive(plain(packets...)...) {
		l, _ := parseLayout(p.bytes, 0)
		sizes = append(sizes, len(p.bytes)-l.payload())
		if len(p.bytes) == l.declaredSize(p.bytes) {
			if err := checkFrame(framed(virtioHeader{}, p.bytes), 0, maxMTU); err != nil {
				t.Errorf("a packet of %d bytes: %v", len(p.bytes), err)
			}
		}
	}
	if !slices.Equal(sizes, want) {
		t.Errorf("payloads %v, want %v", sizes, want)
	}
	s := r.e.Stats()
	if s.RxPackets != uint64(len(list)) || s.RxPackets-s.RxMerged != uint64(len(want)) {
		t.Errorf("stats %+v of %d packets", s, len(list))
	}
	if r.g != nil && r.g.n > 0 {
		t.Errorf("%d runs are left", r.g.n)
	}
}

// TestMergeChecksum damages one segment of a run: it must reach the stack as it
// is, unvouched, and what is before and behind it in packets of their own.
func TestMergeChecksum(t *testing.T) {
	for name, damage := range map[string]func(b []byte, l layout){
		"payload":     func(b []byte, l layout) { b[len(b)-1] ^= 1 },
		"checksum":    func(b []byte, l layout) { b[l.transport()+16] ^= 1 },
		"IP checksum": func(b []byte, l layout) { b[10] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			r := newGroReader(t, 0)
			list := stream(groSegment{}, 1000, 1000, 1000, 1000, 1000).with(2, func(s *groSegment) { s.damage = damage })
			var packets [][]byte
			for _, s := range list {
				b, _ := s.build()
				packets = append(packets, b)
			}
			got := r.receive(plain(packets...)...)
			if len(got) != 3 || !bytes.Equal(got[1].bytes, packets[2]) {
				t.Fatalf("%d packets, the second of them changed", len(got))
			}
			if !got[0].vouched || got[1].vouched || !got[2].vouched {
				t.Error("the wrong packet is vouched for")
			}
		})
	}
}

// TestMergeNothing has devices and settings where segments pass as they come.
func TestMergeNothing(t *testing.T) {
	list := stream(groSegment{}, 1000, 1000)
	for name, r := range map[string]func() *groReader{
		"the device does it": func() *groReader { return newGroReader(t, FeatureGuestCSUM|FeatureGuestTSO4) },
		"wire form":          func() *groReader { r := newGroReader(t, 0); r.e.RequireWireForm(); return r },
		"send form":          func() *groReader { r := newGroReader(t, 0); r.e.RequireSendForm(); return r },
	} {
		t.Run(name, func(t *testing.T) { checkMerged(t, r(), list, []int{1000, 1000}) })
	}
	six := stream(groSegment{v6: true}, 1000, 1000)
	checkMerged(t, newGroReader(t, FeatureGuestCSUM|FeatureGuestTSO4), six, []int{2000})
}

// TestMergeOrder has packets that everything before them must precede: one of
// the same connection, and one that may be of any.
func TestMergeOrder(t *testing.T) {
	r := newGroReader(t, 0)
	run := stream(groSegment{}, 1000, 1000, 1000)
	one, _ := run[0].build()
	two, _ := run[1].build()
	fragment, _ := groSegment{port: 5, payload: groData(8), change: func(b []byte, l layout) { b[6] = 0x20 }}.build()
	got := r.receive(plain(one, two, fragment)...)
	if len(got) != 2 || !bytes.Equal(got[1].bytes, fragment) {
		t.Errorf("%d packets, a fragment overtakes", len(got))
	}
	udp, _ := testPacket{udp: true, payload: 9}.build()
	got = r.receive(plain(one, udp, two)...)
	if len(got) != 2 || !bytes.Equal(got[0].bytes, udp) || len(got[1].bytes) != 2040 {
		t.Errorf("%d packets: a datagram ends a run", len(got))
	}
}

// TestMergeManyConnections has more connections than runs: each segment is
// delivered, those of one connection in order.
func TestMergeManyConnections(t *testing.T) {
	r := newGroReader(t, 0)
	var packets [][]byte
	for round := range 3 {
		for port := range uint16(groRuns + 3) {
			b, _ := stream(groSegment{port: port}, 100, 100, 100)[round].build()
			packets = append(packets, b)
		}
	}
	next := map[uint16]uint32{}
	for _, p := range r.receive(plain(packets...)...) {
		tcp := header.TCP(p.bytes[20:])
		if tcp.SequenceNumber() != next[tcp.SourcePort()] {
			t.Errorf("port %d: %d comes after %d", tcp.SourcePort(), tcp.SequenceNumber(), next[tcp.SourcePort()])
		}
		next[tcp.SourcePort()] += uint32(len(p.bytes) - 40)
	}
	if len(next) != groRuns+3 {
		t.Errorf("%d connections", len(next))
	}
	for port, n := range next {
		if n != 300 {
			t.Errorf("port %d: %d bytes", port, n)
		}
	}
}

// TestMergeVouched has a device that leaves checksums to us but coalesces
// nothing, as a TUN device with TUN_F_CSUM alone.
func TestMergeVouched(t *testing.T) {
	r := newGroReader(t, FeatureGuestCSUM|FeatureCSUM)
	var frames [][]byte
	for _, s := range stream(groSegment{}, 1001, 1001, 7) {
		b, l := s.build()
		h := partial(b, l)
		frames = append(frames, framed(h, b))
	}
	got := r.receive(frames...)
	if len(got) != 1 || !got[0].vouched {
		t.Fatalf("%d packets", len(got))
	}
	mixed := slices.Clone(frames)
	complete, _ := stream(groSegment{}, 1001, 1001)[1].build()
	mixed[1] = framed(virtioHeader{}, complete)
	if n := len(r.receive(mixed...)); n != 3 {
		t.Errorf("%d packets of 3, one of which the device has not vouched for", n)
	}
	padded := slices.Clone(frames)
	padded[2] = append(slices.Clone(frames[2]), 0, 0, 0, 0)
	if n := len(r.receive(padded...)); n != 2 {
		t.Errorf("%d packets of 3, one of which has bytes behind it", n)
	}
	l, _ := parseLayout(got[0].bytes, 0)
	h := virtioHeader{flags: virtioNeedsCSUM, csumStart: uint16(l.transport()), csumOffset: 16}
	if err := checkFrame(framed(h, got[0].bytes), 0, maxMTU); err != nil {
		t.Error(err)
	}
}

// TestLibraryKeepsPackets says why gVisor's own package is not used: Flush
// leaves packets behind. When it fails, look at the package again.
func TestLibraryKeepsPackets(t *testing.T) {
	var g gro.GRO
	g.Init(true)
	n := 0
	g.Dispatcher = deliverFunc(func() { n++ })
	for _, port := range []uint16{0, 8} { // of one bucket
		b, _ := groSegment{port: port, payload: groData(100)}.build()
		pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(b)})
		pkt.NetworkProtocolNumber = header.IPv4ProtocolNumber
		g.Enqueue(pkt)
		pkt.DecRef()
	}
	g.Flush()
	if n != 1 {
		t.Errorf("Flush handed on %d packets of 2", n)
	}
	g.Flush()
}

type deliverFunc func()

func (f deliverFunc) DeliverNetworkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) { f() }
func (f deliverFunc) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer)    {}
