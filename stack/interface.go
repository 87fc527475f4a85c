package stack

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"

	"github.com/userstack/userstack/stack/internal/translate"
)

// Interface describes a NIC of a stack at one moment.
type Interface struct {
	Index    int // 1 is the loopback
	Name     string
	MTU      int // bytes of an IP packet
	MAC      net.HardwareAddr
	Addrs    []netip.Prefix
	Loopback bool
	Up       bool
}

// Interfaces returns the NICs in the order of their indexes.
func (s *Stack) Interfaces() []Interface {
	infos := s.gv.NICInfo()
	out := make([]Interface, 0, len(infos))
	for id, info := range infos {
		ifc := Interface{
			Index: int(id), Name: info.Name, MTU: int(info.MTU),
			Loopback: info.Flags.Loopback, Up: info.Flags.Up,
		}
		if len(info.LinkAddress) > 0 {
			ifc.MAC = net.HardwareAddr(info.LinkAddress)
		}
		for _, a := range info.ProtocolAddresses {
			if addr := translate.NetipAddr(a.AddressWithPrefix.Address); addr.IsValid() {
				ifc.Addrs = append(ifc.Addrs, netip.PrefixFrom(addr, a.AddressWithPrefix.PrefixLen))
			}
		}
		out = append(out, ifc)
	}
	slices.SortFunc(out, func(a, b Interface) int { return cmp.Compare(a.Index, b.Index) })
	return out
}

// InterfaceByZone returns the NIC that an IPv6 zone names: an interface name or
// its decimal index (RFC 4007 section 11.2).
func (s *Stack) InterfaceByZone(zone string) (Interface, bool) {
	index, err := strconv.Atoi(zone)
	for _, ifc := range s.Interfaces() {
		if ifc.Name == zone || err == nil && ifc.Index == index {
			return ifc, true
		}
	}
	return Interface{}, false
}

// Promiscuous has the NIC show frames to other hosts to packet sockets, until
// leave is called, which counts once; it changes nothing on links that filter none, such as TUN
// devices.
func (s *Stack) Promiscuous(index int) (leave func()) {
	i := index - firstLinkIndex
	if i < 0 || i >= len(s.links) {
		return func() {}
	}
	l, ok := s.links[i].(interface {
		EnterPromiscuous()
		LeavePromiscuous()
	})
	if !ok {
		return func() {}
	}
	l.EnterPromiscuous()
	return sync.OnceFunc(l.LeavePromiscuous)
}

// firstLinkIndex is the index of the first interface after the loopback.
const firstLinkIndex = 2

// AddAddress gives the NIC an address and the connected route that goes with
// it.
func (s *Stack) AddAddress(nic string, p netip.Prefix) error {
	ifc, ok := s.InterfaceByZone(nic)
	if !ok || !p.IsValid() {
		return fmt.Errorf("stack: adding %v to NIC %q: no such NIC or address", p, nic)
	}
	if err := s.addAddress(tcpip.NICID(ifc.Index), p); err != nil {
		return fmt.Errorf("stack: NIC %q: %w", nic, err)
	}
	return s.addRouteOnce(Route{Dst: p.Masked(), NIC: ifc.Name})
}

// RemoveAddress takes an address from the NIC, and its connected route when no
// other address of the NIC is in the same network. Connections that use the
// address end as they find that they cannot send.
func (s *Stack) RemoveAddress(nic string, addr netip.Addr) error {
	ifc, ok := s.InterfaceByZone(nic)
	i := slices.IndexFunc(ifc.Addrs, func(p netip.Prefix) bool { return p.Addr() == addr })
	if !ok || i < 0 {
		return fmt.Errorf("stack: NIC %q does not have the address %v", nic, addr)
	}
	if err := s.gv.RemoveAddress(tcpip.NICID(ifc.Index), translate.Addr(addr)); err != nil {
		return fmt.Errorf("stack: removing %v from NIC %q: %v", addr, nic, err)
	}
	network := ifc.Addrs[i].Masked()
	for j, p := range ifc.Addrs {
		if j != i && p.Masked() == network {
			s.generation.Add(1)
			return nil
		}
	}
	s.RemoveRoute(Route{Dst: network, NIC: ifc.Name})
	return nil
}
