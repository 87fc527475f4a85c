package link

import (
	"bytes"
	"reflect"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// A garbageFrame is a frame that must be dropped and counted in one field.
type garbageFrame struct {
	name     string
	features uint64
	frame    []byte
	counter  string // field of Stats
}

func garbageFrames() []garbageFrame {
	plain, _ := testPacket{payload: 100}.build()
	tcp4, l4 := testPacket{payload: 3000}.build()
	tcp6, l6 := testPacket{v6: true, payload: 3000}.build()
	udp4, u4 := testPacket{udp: true, payload: 3000}.build()
	bare, lb := testPacket{udp: true}.build()
	fragment, lf := testPacket{payload: 3000}.build()
	header.IPv4(fragment).SetFlagsFragmentOffset(header.IPv4FlagMoreFragments, 0)
	lying, ll := testPacket{payload: 3000}.build()
	header.IPv4(lying).SetTotalLength(100)
	h4, h6, hu := coalesced(tcp4, l4, 1000), coalesced(tcp6, l6, 1000), coalesced(udp4, u4, 1000)
	hp := with(h4, func(h *virtioHeader) { h.gsoType = virtioGSONone })
	badIP := bytes.Clone(tcp4)
	badIP[8]++ // TTL
	all := uint64(allOffloads)
	set := func(h virtioHeader, change func(*virtioHeader)) []byte { return framed(with(h, change), tcp4) }
	return []garbageFrame{
		{"nothing", all, nil, "RxShort"},
		{"half a header", all, make([]byte, 5), "RxShort"},
		{"only a header", all, make([]byte, 10), "RxShort"},
		{"one byte of IPv4", all, framed(virtioHeader{}, plain[:1]), "RxShort"},
		{"truncated IPv4", all, framed(virtioHeader{}, plain[:19]), "RxShort"},
		{"truncated IPv6", all, framed(virtioHeader{}, tcp6[:39]), "RxShort"},
		{"version 0", all, framed(virtioHeader{}, make([]byte, 60)), "RxUnknown"},
		{"version 15", all, framed(virtioHeader{}, bytes.Repeat([]byte{0xff}, 60)), "RxUnknown"},
		{"too large", all, framed(virtioHeader{}, append(plain, make([]byte, frameCapacity)...)), "RxOversize"},

		{"checksum not negotiated", 0, framed(hp, tcp4), "RxNotNegotiated"},
		{"TSO4 not negotiated", all &^ FeatureGuestTSO4, framed(h4, tcp4), "RxNotNegotiated"},
		{"TSO6 not negotiated", all &^ FeatureGuestTSO6, framed(h6, tcp6), "RxNotNegotiated"},
		{"USO not negotiated", all &^ FeatureGuestUSO4, framed(hu, udp4), "RxNotNegotiated"},
		{"unknown type", all, set(h4, func(h *virtioHeader) { h.gsoType = 3 }), "RxNotNegotiated"},
		{"TSO6 on IPv4", all, set(h4, func(h *virtioHeader) { h.gsoType = virtioGSOTCPv6 }), "RxNotNegotiated"},
		{"TSO4 on IPv6", all, framed(with(h6, func(h *virtioHeader) { h.gsoType = virtioGSOTCPv4 }), tcp6), "RxNotNegotiated"},

		{"USO on TCP", all, set(h4, func(h *virtioHeader) { h.gsoType = virtioGSOUDP }), "RxBadGSO"},
		{"TSO on UDP", all, framed(with(hu, func(h *virtioHeader) { h.gsoType = virtioGSOTCPv4 }), udp4), "RxBadGSO"},
		{"segments of 0", all, set(h4, func(h *virtioHeader) { h.gsoSize = 0 }), "RxBadGSO"},
		{"segments of 1", all, set(h4, func(h *virtioHeader) { h.gsoSize = 1 }), "RxBadGSO"},
		{"segments by frags", all, set(h4, func(h *virtioHeader) { h.gsoSize = 0xffff }), "RxBadGSO"},
		{"3000 datagrams", all, framed(with(hu, func(h *virtioHeader) { h.gsoSize = 1 }), udp4), "RxBadGSO"},
		{"28-byte super-packet", all, framed(coalesced(bare, lb, 1000), bare), "RxBadGSO"},
		{"truncated TCP header", all, framed(h4, tcp4[:30]), "RxBadGSO"},
		{"fragment", all, framed(coalesced(fragment, lf, 1000), fragment), "RxBadGSO"},
		{"IP length lies", all, framed(coalesced(lying, ll, 1000), lying), "RxBadGSO"},
		{"checksum elsewhere", all, set(h4, func(h *virtioHeader) { h.csumStart = 24 }), "RxBadGSO"},

		{"checksum past the end", all, framed(with(hp, func(h *virtioHeader) { h.csumStart = 0xffff }), tcp4), "RxBadChecksum"},
		{"checksum field past the end", all, framed(with(hp, func(h *virtioHeader) { h.csumOffset = 0xffff }), tcp4), "RxBadChecksum"},
		{"checksum in the IP header", all, framed(with(hp, func(h *virtioHeader) { h.csumStart = 10 }), tcp4), "RxBadChecksum"},
		{"checksum in the last byte", all, framed(with(hp, func(h *virtioHeader) { h.csumStart, h.csumOffset = 40, 59 }), tcp4[:100]), "RxBadChecksum"},
		{"IP header corrupt", all, framed(hp, badIP), "RxBadChecksum"},
	}
}

func TestEndpointDropsGarbage(t *testing.T) {
	for _, g := range garbageFrames() {
		t.Run(g.name, func(t *testing.T) {
			d, e, s := newSinkEndpoint(t, g.features, 1)
			if got := receive(t, d, s, g.frame); len(got) != 0 {
				t.Errorf("delivered %d packets", len(got))
			}
			if n := reflect.ValueOf(e.Stats()).FieldByName(g.counter).Uint(); n != 1 {
				t.Errorf("%s is %d, want 1: %+v", g.counter, n, e.Stats())
			}
			if n := e.Stats().RxPackets; n > 1 {
				t.Errorf("RxPackets is %d", n)
			}
		})
	}
}
