package link

import (
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// DefaultMTU is the MTU of a link whose configuration leaves it zero, in bytes
// of an IP packet (RFC 894).
const DefaultMTU = 1500

// maxMTU is the largest MTU: an IPv4 total length has 16 bits (RFC 791).
const maxMTU = 65535

// minMTU is the smallest MTU: every IPv4 link carries this much (RFC 791).
const minMTU = 68

// An attachment is the part of a link that faces the stack and is the same for
// every link without link-layer addresses: where packets go, and the MTU.
type attachment struct {
	dispatcher atomic.Pointer[attached] // nil when detached
	mtu        atomic.Uint32
}

type attached struct{ stack.NetworkDispatcher }

func (a *attachment) attach(d stack.NetworkDispatcher) {
	if d == nil {
		a.dispatcher.Store(nil)
		return
	}
	a.dispatcher.Store(&attached{d})
}

// IsAttached implements stack.LinkEndpoint.
func (a *attachment) IsAttached() bool { return a.dispatcher.Load() != nil }

// MTU implements stack.LinkEndpoint: the largest IP packet, in bytes.
func (a *attachment) MTU() uint32 { return a.mtu.Load() }

// SetMTU implements stack.LinkEndpoint. It takes effect at once for packets
// sent from now on, those of established connections included. Values outside
// 68 to 65535 are brought inside.
func (a *attachment) SetMTU(mtu uint32) { a.mtu.Store(min(max(mtu, minMTU), maxMTU)) }

// MaxHeaderLength implements stack.LinkEndpoint.
func (*attachment) MaxHeaderLength() uint16 { return 0 }

// LinkAddress implements stack.LinkEndpoint.
func (*attachment) LinkAddress() tcpip.LinkAddress { return "" }

// SetLinkAddress implements stack.LinkEndpoint; there is no link address.
func (*attachment) SetLinkAddress(tcpip.LinkAddress) {}

// ARPHardwareType implements stack.LinkEndpoint.
func (*attachment) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }

// AddHeader implements stack.LinkEndpoint.
func (*attachment) AddHeader(*stack.PacketBuffer) {}

// ParseHeader implements stack.LinkEndpoint.
func (*attachment) ParseHeader(*stack.PacketBuffer) bool { return true }

// SetOnCloseAction implements stack.LinkEndpoint. Nothing outside the link has
// to be told, so it does nothing.
func (*attachment) SetOnCloseAction(func()) {}
