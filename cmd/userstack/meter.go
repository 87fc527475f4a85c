package main

import (
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/nested"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A meter is a link that counts the packets of the link below it, which it owns, and shows them to a watcher. With
// segmentation offload a segment of up to 64 KiB is one packet.
type meter struct {
	nested.Endpoint
	lower   gstack.LinkEndpoint
	packets [2]atomic.Uint64 // by direction
	bytes   [2]atomic.Uint64 // from the IP header on

	watch func(d direction, proto tcpip.NetworkProtocolNumber, pkt *gstack.PacketBuffer) // nil, or set before the first packet
}

type direction int

const (
	sent direction = iota
	received
)

func newMeter(lower gstack.LinkEndpoint) *meter {
	m := &meter{lower: lower}
	m.Endpoint.Init(lower, m)
	return m
}

func (m *meter) note(d direction, proto tcpip.NetworkProtocolNumber, pkt *gstack.PacketBuffer) {
	m.packets[d].Add(1)
	m.bytes[d].Add(uint64(pkt.Size() - len(pkt.LinkHeader().Slice())))
	if m.watch != nil {
		m.watch(d, proto, pkt)
	}
}

// RequireWireForm passes the request on to the link below; see package link.
func (m *meter) RequireWireForm() {
	if l, ok := m.lower.(interface{ RequireWireForm() }); ok {
		l.RequireWireForm()
	}
}

// RequireSendForm passes the request on to the link below; see package link.
func (m *meter) RequireSendForm() {
	if l, ok := m.lower.(interface{ RequireSendForm() }); ok {
		l.RequireSendForm()
		return
	}
	m.RequireWireForm()
}

// WritePackets implements gstack.LinkEndpoint.
func (m *meter) WritePackets(pkts gstack.PacketBufferList) (int, tcpip.Error) {
	for _, pkt := range pkts.AsSlice() {
		m.note(sent, pkt.NetworkProtocolNumber, pkt)
	}
	return m.Endpoint.WritePackets(pkts)
}

// DeliverNetworkPacket implements gstack.NetworkDispatcher, for the link below.
func (m *meter) DeliverNetworkPacket(proto tcpip.NetworkProtocolNumber, pkt *gstack.PacketBuffer) {
	m.note(received, proto, pkt)
	m.Endpoint.DeliverNetworkPacket(proto, pkt)
}

// traffic is what a meter has counted.
type traffic struct{ packets, bytes [2]uint64 }

func (m *meter) traffic() (t traffic) {
	for d := range t.packets {
		t.packets[d], t.bytes[d] = m.packets[d].Load(), m.bytes[d].Load()
	}
	return t
}

// since returns what was counted after an earlier reading.
func (t traffic) since(earlier traffic) traffic {
	for d := range t.packets {
		t.packets[d] -= earlier.packets[d]
		t.bytes[d] -= earlier.bytes[d]
	}
	return t
}
