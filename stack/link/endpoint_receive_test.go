package link

import (
	"bytes"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

func with(h virtioHeader, change func(*virtioHeader)) virtioHeader {
	change(&h)
	return h
}

// TestEndpointDelivers has what must arrive, and in what form.
func TestEndpointDelivers(t *testing.T) {
	plain, _ := testPacket{payload: 1400}.build()
	tcp4, l4 := testPacket{payload: 60000}.build()
	h4 := coalesced(bytes.Clone(tcp4), l4, 1000)
	partial4 := bytes.Clone(tcp4)
	partial(partial4, l4)
	hop, lh := testPacket{v6: true, payload: 900, hopOpts: 8}.build()
	hh := partial(hop, lh)
	sctp := bytes.Clone(plain)
	sctp[9] = 132
	tests := []struct {
		name     string
		features uint64
		frame    []byte
		want     []byte
		vouched  bool
	}{
		{"plain", allOffloads, framed(virtioHeader{}, plain), plain, false},
		{"verified by the device", allOffloads, framed(virtioHeader{flags: virtioDataValid}, plain), plain, true},
		{"verified unasked", FeatureGuestTSO4, framed(virtioHeader{flags: virtioDataValid}, plain), plain, false},
		{"verified, but no transport we know", allOffloads, framed(virtioHeader{flags: virtioDataValid}, sctp), sctp, false},
		{"coalesced", allOffloads, framed(h4, partial4), partial4, true},
		{"coalesced with CWR", allOffloads, framed(with(h4, func(h *virtioHeader) { h.gsoType |= virtioGSOECN }), partial4), partial4, true},
		{"header length lies", allOffloads, framed(with(h4, func(h *virtioHeader) { h.hdrLen = 9999 }), partial4), partial4, true},
		{"IPv6 options", allOffloads, framed(hh, hop), hop, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for queues := range 2 {
				d, _, s := newSinkEndpoint(t, test.features, 1+queues)
				got := receive(t, d, s, test.frame)
				if len(got) != 1 || !bytes.Equal(got[0].bytes, test.want) || got[0].vouched != test.vouched {
					t.Fatalf("%d queues delivered %d packets, %+v", 1+queues, len(got), got)
				}
			}
		})
	}
}

// TestEndpointCompletes has partial checksums that nobody may believe.
func TestEndpointCompletes(t *testing.T) {
	full, l := testPacket{payload: 60000}.build()
	odd := bytes.Clone(full)
	odd[9] = 250 // a protocol that nobody knows, with a checksum at 3
	for name, queues := range map[string]int{"wire form": 1, "unknown protocol": 4} {
		t.Run(name, func(t *testing.T) {
			d, e, s := newSinkEndpoint(t, allOffloads, queues)
			b := bytes.Clone(full)
			h := partial(b, l)
			if name == "unknown protocol" {
				b = bytes.Clone(odd)
				h.csumStart, h.csumOffset = 30, 4
			} else if name == "wire form" {
				e.RequireWireForm()
			}
			got := receive(t, d, s, framed(h, b))
			if len(got) != 1 || got[0].vouched {
				t.Fatalf("delivered %+v", got)
			}
			if name != "unknown protocol" {
				if !bytes.Equal(got[0].bytes, full) {
					t.Error("checksum differs from the sender's")
				}
				return
			}
			want := bytes.Clone(b)
			completePartial(want, 30, 34, nil)
			if !bytes.Equal(got[0].bytes, want) || bytes.Equal(want, b) {
				t.Error("checksum not completed")
			}
		})
	}
}

// TestEndpointSplits compares the pieces of large packets with packets that
// were built small.
func TestEndpointSplits(t *testing.T) {
	tests := map[string]struct {
		packet   testPacket
		wireForm func(*Endpoint)
		size     uint16
		want     []int // payload sizes
	}{
		"UDP4":     {packet: testPacket{udp: true, payload: 3001, noDF: true, id: 0xffff}, size: 1000, want: []int{1000, 1000, 1000, 1}},
		"UDP6":     {packet: testPacket{udp: true, payload: 3000, v6: true}, size: 1000, want: []int{1000, 1000, 1000}},
		"one UDP":  {packet: testPacket{udp: true, payload: 7}, size: 1000, want: []int{7}},
		"UDP hop":  {packet: testPacket{udp: true, payload: 17, v6: true, hopOpts: 16}, size: 9, want: []int{9, 8}},
		"TCP4":     {packet: testPacket{payload: 2500, flags: header.TCPFlagPsh | header.TCPFlagFin | tcpFlagCWR, options: 12}, wireForm: (*Endpoint).RequireWireForm, size: 1000, want: []int{1000, 1000, 500}},
		"TCP6":     {packet: testPacket{payload: 65495 - 20, v6: true, flags: header.TCPFlagPsh}, wireForm: (*Endpoint).RequireWireForm, size: 65000, want: []int{65000, 475}},
		"TCP6 hop": {packet: testPacket{payload: 2000, v6: true, hopOpts: 8}, wireForm: (*Endpoint).RequireWireForm, size: 1999, want: []int{1999, 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d, e, s := newSinkEndpoint(t, allOffloads, 1)
			if test.wireForm != nil {
				test.wireForm(e)
			}
			b, l := test.packet.build()
			large := bytes.Clone(b)
			got := receive(t, d, s, framed(coalesced(b, l, test.size), b))
			if len(got) != len(test.want) {
				t.Fatalf("%d pieces, want %d", len(got), len(test.want))
			}
			offset := 0
			for i, size := range test.want {
				checkPiece(t, got[i].bytes, large, l, i, offset, size)
				if at := l.payload() + offset; !bytes.Equal(got[i].bytes[l.payload():], large[at:at+size]) {
					t.Errorf("piece %d: payload differs", i)
				}
				offset += size
			}
			if n := e.Stats().RxSplit; n != uint64(len(got)) {
				t.Errorf("RxSplit is %d", n)
			}
		})
	}
}

// checkPiece compares the headers of piece i, which has size bytes of payload
// from offset on, with those of the large packet.
func checkPiece(t *testing.T, piece, large []byte, l layout, i, offset, size int) {
	t.Helper()
	if got, ok := parseLayout(piece, 0); !ok || got != l || len(piece) != l.payload()+size {
		t.Fatalf("piece %d has layout %+v and %d bytes", i, got, len(piece))
	}
	if err := checkFrame(framed(virtioHeader{}, piece), 0, maxMTU); err != nil {
		t.Errorf("piece %d: %v", i, err)
	}
	if !l.v6 {
		step := i
		if header.IPv4(large).Flags()&header.IPv4FlagDontFragment != 0 {
			step = 0
		}
		if got, want := header.IPv4(piece).ID(), header.IPv4(large).ID()+uint16(step); got != want {
			t.Errorf("piece %d: ID %#x, want %#x", i, got, want)
		}
	}
	if l.proto != protoTCP {
		return
	}
	p, whole := header.TCP(piece[l.transport():]), header.TCP(large[l.transport():])
	if got := int(p.SequenceNumber() - whole.SequenceNumber()); got != offset {
		t.Errorf("piece %d: sequence number +%d, want +%d", i, got, offset)
	}
	want := whole.Flags()
	if i > 0 {
		want &^= tcpFlagCWR
	}
	if offset+size < len(large)-l.payload() {
		want &^= header.TCPFlagPsh | header.TCPFlagFin
	}
	if p.Flags() != want {
		t.Errorf("piece %d: flags %v, want %v", i, p.Flags(), want)
	}
}

func TestEndpointUnsummedUDP(t *testing.T) {
	d, _, s := newSinkEndpoint(t, allOffloads, 1)
	b, l := testPacket{udp: true, payload: 100}.build()
	h := coalesced(b, l, 60)
	h.flags = virtioDataValid
	header.UDP(b[l.transport():]).SetChecksum(0)
	for i, p := range receive(t, d, s, framed(h, b)) {
		if sum := header.UDP(p.bytes[l.transport():]).Checksum(); sum != 0 {
			t.Errorf("piece %d: checksum %#x of a datagram sent without", i, sum)
		}
	}
}

// TestEndpointSizes reads packets of every size around the buffers'.
func TestEndpointSizes(t *testing.T) {
	d, _, s := newSinkEndpoint(t, 0, 1)
	for _, size := range []int{40, 41, copyBelow, copyBelow + 1, 2048, 2049, 18432, 18433, 34816, 34817, 65535} {
		want, _ := testPacket{payload: size - 40}.build()
		got := receive(t, d, s, framed(virtioHeader{}, want))
		if len(got) != 1 || !bytes.Equal(got[0].bytes, want) {
			t.Fatalf("%d bytes: delivered %d packets", size, len(got))
		}
	}
}
