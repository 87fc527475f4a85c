package stack

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack/internal/translate"
)

// A Path is how a packet would go to its destination.
type Path struct {
	Interface int        // index of the NIC that it leaves through; 1, the loopback, for the stack's own addresses
	Source    netip.Addr // its source when the sender has bound none (RFC 6724 section 5)
	Gateway   netip.Addr // next hop; the zero Addr means that the destination is on the link
	Local     bool       // the destination is an address of the stack
	Broadcast bool       // the destination is everybody on the link
}

// PathTo returns the path that the stack chooses to dst, and whether there is
// one. A nic that is not 0 is the index of the only NIC that it may leave through;
// a src that is not the zero Addr is the source that it must have. The zone of dst
// stands for nic.
func (s *Stack) PathTo(nic int, src, dst netip.Addr) (Path, bool) {
	if zone := dst.Zone(); zone != "" {
		ifc, ok := s.InterfaceByZone(zone)
		if !ok || nic != 0 && nic != ifc.Index {
			return Path{}, false
		}
		nic = ifc.Index
	}
	dst, src = dst.WithZone("").Unmap(), src.WithZone("").Unmap()
	if !dst.IsValid() || src.IsValid() && src.Is4() != dst.Is4() {
		return Path{}, false
	}
	route, err := s.gv.FindRoute(tcpip.NICID(nic), translate.Addr(src), translate.Addr(dst), translate.Protocol(dst), false)
	if err != nil {
		return Path{}, false
	}
	defer route.Release()
	p := Path{
		Interface: int(route.NICID()),
		Source:    translate.NetipAddr(route.LocalAddress()),
		Local:     route.NICID() == loopbackIndex || route.Loop() == stack.PacketLoop,
		Broadcast: route.IsOutboundBroadcast(),
	}
	if hop := translate.NetipAddr(route.NextHop()); !p.Local && hop != dst {
		p.Gateway = hop
	}
	return p, true
}

// SourceFor returns the address that a packet to dst would have as its source
// when the sender has not bound one (RFC 6724 section 5), and whether there is
// a route at all.
func (s *Stack) SourceFor(dst netip.Addr) (netip.Addr, bool) {
	p, ok := s.PathTo(0, netip.Addr{}, dst)
	return p.Source, ok
}
