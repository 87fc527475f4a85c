package sockets

import (
	"net"
	"net/netip"
	"strconv"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/userstack/userstack/dnsresolver/netdb"
	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/internal/translate"
)

// Sockaddr is an address that Bind, Connect and SendTo take and that the other
// calls return: an Inet4 or an Inet6.
type Sockaddr interface {
	net.Addr
	Family() Family
}

// Inet4 is an AF_INET address (ip(7)). Host is a dotted quad, a name that the
// Host's resolver looks up, "" for INADDR_ANY or "<broadcast>" for
// 255.255.255.255. Addresses that a call returns are always numeric.
type Inet4 struct {
	Host string
	Port int // 0 to 65535
}

// Inet6 is an AF_INET6 address (ipv6(7)). Host is an IPv6 address, with a
// "%zone" where one is needed, a name, or "" for the unspecified address.
type Inet6 struct {
	Host     string
	Port     int    // 0 to 65535
	FlowInfo uint32 // not used: netstack has no flow labels
	ScopeID  uint32 // interface index; goes before a zone in Host when not 0
}

// Family returns AF_INET.
func (Inet4) Family() Family { return AF_INET }

// Network returns "ip4".
func (Inet4) Network() string { return "ip4" }

// String returns "host:port".
func (a Inet4) String() string { return net.JoinHostPort(a.Host, strconv.Itoa(a.Port)) }

// AddrPort returns the address when it is numeric, and whether it is.
func (a Inet4) AddrPort() (netip.AddrPort, bool) {
	addr, ok := numericHost(a.Host, AF_INET)
	if !ok || a.Port < 0 || a.Port > 0xffff {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr, uint16(a.Port)), true
}

// Family returns AF_INET6.
func (Inet6) Family() Family { return AF_INET6 }

// Network returns "ip6".
func (Inet6) Network() string { return "ip6" }

// String returns "[host]:port".
func (a Inet6) String() string { return net.JoinHostPort(a.Host, strconv.Itoa(a.Port)) }

// AddrPort returns the address when it is numeric, and whether it is. A
// ScopeID becomes the zone.
func (a Inet6) AddrPort() (netip.AddrPort, bool) {
	addr, ok := numericHost(a.Host, AF_INET6)
	if !ok || a.Port < 0 || a.Port > 0xffff {
		return netip.AddrPort{}, false
	}
	if a.ScopeID != 0 && !addr.Is4In6() {
		addr = addr.WithZone(strconv.FormatUint(uint64(a.ScopeID), 10))
	}
	return netip.AddrPortFrom(addr, uint16(a.Port)), true
}

// numericHost parses host without a look-up.
func numericHost(host string, f Family) (netip.Addr, bool) {
	switch {
	case host == "" && f == AF_INET:
		return netip.IPv4Unspecified(), true
	case host == "":
		return netip.IPv6Unspecified(), true
	case host == "<broadcast>" && f == AF_INET:
		return netip.AddrFrom4([4]byte{255, 255, 255, 255}), true
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Is4() != (f == AF_INET) {
		return netip.Addr{}, false
	}
	return addr, true
}

// sockaddr returns ap as an address of the family: on AF_INET6 an IPv4 peer is
// ::ffff:a.b.c.d (T14).
func sockaddr(f Family, ap netip.AddrPort) Sockaddr {
	addr := ap.Addr()
	if f == AF_INET {
		if !addr.IsValid() {
			addr = netip.IPv4Unspecified()
		}
		return Inet4{Host: addr.Unmap().String(), Port: int(ap.Port())}
	}
	if !addr.IsValid() {
		addr = netip.IPv6Unspecified()
	}
	if addr.Is4() {
		addr = netip.AddrFrom16(addr.As16())
	}
	scope := uint32(0)
	if n, err := strconv.ParseUint(addr.Zone(), 10, 32); err == nil {
		scope, addr = uint32(n), addr.WithZone("")
	}
	return Inet6{Host: netdb.Ntop(addr), Port: int(ap.Port()), ScopeID: scope}
}

// addrPort returns an address that gVisor gave. Its NIC becomes a zone, by
// index, for the addresses that need one and is dropped otherwise, because a
// NIC that is fed back into Bind switches the address check off (T15).
func addrPort(full tcpip.FullAddress) netip.AddrPort {
	addr := translate.NetipAddr(full.Addr)
	if full.NIC != 0 && needsZone(addr) {
		addr = addr.WithZone(strconv.Itoa(int(full.NIC)))
	}
	return netip.AddrPortFrom(addr, full.Port)
}

func needsZone(a netip.Addr) bool {
	return a.Is6() && (a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || a.IsInterfaceLocalMulticast())
}

// zoneNIC returns the NIC that the address's zone names, 0 without a zone.
func zoneNIC(s *stack.Stack, a netip.Addr) (tcpip.NICID, Errno) {
	if a.Zone() == "" {
		return 0, 0
	}
	ifc, ok := s.InterfaceByZone(a.Zone())
	if !ok {
		return 0, ENODEV
	}
	return tcpip.NICID(ifc.Index), 0
}

// v4MappedAny is what binding an AF_INET6 socket to ::ffff:0.0.0.0 must pass,
// so that the socket serves IPv4 alone.
var v4MappedAny = tcpip.AddrFrom16(netip.MustParseAddr("::ffff:0.0.0.0").As16())

// bindAddress returns ap for Endpoint.Bind.
func bindAddress(s *stack.Stack, ap netip.AddrPort) (tcpip.FullAddress, Errno) {
	nic, errno := zoneNIC(s, ap.Addr())
	if errno != 0 {
		return tcpip.FullAddress{}, errno
	}
	full := translate.FullAddress(ap, nic)
	if ap.Addr().Is4In6() && ap.Addr().Unmap().IsUnspecified() {
		full.Addr = v4MappedAny
	}
	return full, 0
}

// peerAddress returns ap for Endpoint.Connect and Endpoint.Write: the
// unspecified address means this host, as on Linux.
func peerAddress(s *stack.Stack, ap netip.AddrPort) (tcpip.FullAddress, Errno) {
	addr := ap.Addr()
	nic, errno := zoneNIC(s, addr)
	if errno != 0 {
		return tcpip.FullAddress{}, errno
	}
	full := tcpip.FullAddress{NIC: nic, Addr: translate.Addr(addr), Port: ap.Port()}
	switch {
	case addr == netip.IPv6Unspecified():
		full.Addr = header.IPv6Loopback
	case addr.Unmap() == netip.IPv4Unspecified():
		full.Addr = header.IPv4Loopback
	}
	return full, 0
}
