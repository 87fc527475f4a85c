package link

import (
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A form is how the packets that a link hands up look; see the package comment.
type form uint32

const (
	stackForm form = iota // as a stack takes them that keeps them
	wireForm              // as a wire carries them
	sendForm              // as a stack hands them to a link
)

// formSetting is the part of a link that remembers the form.
type formSetting struct{ form atomic.Uint32 }

func (s *formSetting) is(f form) bool { return form(s.form.Load()) == f }

// RequireWireForm makes the link hand up only packets in wire form from now on:
// coalesced segments are cut up again, partial checksums completed, and none
// vouched for. A stack that forwards needs it.
func (s *formSetting) RequireWireForm() { s.form.Store(uint32(wireForm)) }

// RequireSendForm makes the link hand up only packets in send form from now on.
// A Patch needs it.
func (s *formSetting) RequireSendForm() { s.form.Store(uint32(sendForm)) }

// requireWireForm has lower hand up only packets in wire form, where it knows
// any other.
func requireWireForm(lower stack.LinkEndpoint) {
	if l, ok := lower.(interface{ RequireWireForm() }); ok {
		l.RequireWireForm()
	}
}

// requireSendForm has lower hand up only packets in send form. Wire form, which
// is send form without offload, has to do where it does not know the other.
func requireSendForm(lower stack.LinkEndpoint) {
	if l, ok := lower.(interface{ RequireSendForm() }); ok {
		l.RequireSendForm()
		return
	}
	requireWireForm(lower)
}

// toSendForm turns a TCP packet whose checksum is partial into what a stack
// would send: headers told apart, and the segment size that an offloading link
// is to cut it to, which is zero for a packet that needs no cutting.
func (l layout) toSendForm(pkt *stack.PacketBuffer, segmentSize int) {
	pkt.NetworkHeader().Consume(l.l3)
	pkt.TransportHeader().Consume(l.l4)
	pkt.TransportProtocolNumber = header.TCPProtocolNumber
	pkt.GSOOptions = stack.GSO{
		Type:       stack.GSOTCPv4,
		NeedsCsum:  true,
		CsumOffset: header.TCPChecksumOffset,
		MSS:        uint16(segmentSize),
		L3HdrLen:   uint16(l.l3),
		MaxSize:    MaxGSOSize,
	}
	if l.v6 {
		pkt.GSOOptions.Type = stack.GSOTCPv6
	}
}
