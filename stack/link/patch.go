package link

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A Patch joins two links back to back, as a patch cable joins two sockets in a
// wall: what one link receives, the other sends, with no stack in between and
// nothing changed, not even the TTL. A TUN device whose far side is another
// link's network is made so.
//
// Both links carry IP packets; one with link-layer addresses needs a stack to
// resolve them. Segmentation and checksum offload of one link are passed on to
// the other where both can; see Send form in the package comment. A packet that
// the other link finds too large it drops: the two should have the same MTU.
type Patch struct {
	ends [2]stack.LinkEndpoint
}

// NewPatch joins the links, which it owns from here on, and starts both.
func NewPatch(a, b stack.LinkEndpoint) *Patch {
	for _, way := range [][2]stack.LinkEndpoint{{a, b}, {b, a}} {
		passOn(way[0], way[1])
	}
	a.Attach(patched{to: b})
	b.Attach(patched{to: a})
	return &Patch{ends: [2]stack.LinkEndpoint{a, b}}
}

// passOn has a link hand up packets as another can send them.
func passOn(from, to stack.LinkEndpoint) {
	gso, ok := to.(stack.GSOEndpoint)
	if ok && gso.SupportedGSO() == stack.HostGSOSupported && gso.GSOMaxSize() > 0 {
		if l, ok := from.(interface{ RequireSendForm() }); ok {
			l.RequireSendForm()
			return
		}
	}
	requireWireForm(from)
}

// Close closes both links. It does not wait: Wait does.
func (p *Patch) Close() {
	for _, l := range p.ends {
		l.Close()
	}
}

// Wait returns when both links' goroutines have ended, which takes a Close.
func (p *Patch) Wait() {
	for _, l := range p.ends {
		l.Wait()
	}
}

// patched is what a link of a Patch delivers to.
type patched struct{ to stack.LinkEndpoint }

// DeliverNetworkPacket implements stack.NetworkDispatcher. The packet stays the
// caller's; a link that keeps it takes a reference of its own.
func (p patched) DeliverNetworkPacket(proto tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	pkt.NetworkProtocolNumber = proto
	var list stack.PacketBufferList
	list.PushBack(pkt)
	_, _ = p.to.WritePackets(list) // a link counts what it drops
}

// DeliverLinkPacket implements stack.NetworkDispatcher: frames to other hosts
// go nowhere.
func (patched) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}
