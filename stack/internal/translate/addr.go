// Package translate is the one border between netip and Linux errno numbers on
// our side and tcpip addresses and errors on gVisor's. Everything that crosses
// it goes through here, so that the odd corners (the empty "any" address, the
// IPv4-mapped forms, an error type added by a newer gVisor) are met once.
package translate

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Addr returns a as gVisor writes it: 4 bytes for IPv4 (also for an
// IPv4-mapped IPv6 address), 16 bytes for IPv6, empty for the zero Addr. The
// zone is not part of a tcpip.Address; see FullAddress.
func Addr(a netip.Addr) tcpip.Address {
	switch a = a.Unmap(); {
	case a.Is4():
		return tcpip.AddrFrom4(a.As4())
	case a.Is6():
		return tcpip.AddrFrom16(a.As16())
	}
	return tcpip.Address{}
}

// NetipAddr is the inverse of Addr. The empty Address, and any length that is
// neither 4 nor 16 bytes, gives the zero Addr.
func NetipAddr(a tcpip.Address) netip.Addr {
	addr, _ := netip.AddrFromSlice(a.AsSlice())
	return addr
}

// FullAddress returns the gVisor form of an address and port on the given
// NIC (0 = any). The unspecified addresses 0.0.0.0 and :: become gVisor's
// empty address, which is how it writes INADDR_ANY.
func FullAddress(ap netip.AddrPort, nic tcpip.NICID) tcpip.FullAddress {
	full := tcpip.FullAddress{NIC: nic, Port: ap.Port()}
	if a := ap.Addr(); a.IsValid() && !a.Unmap().IsUnspecified() {
		full.Addr = Addr(a)
	}
	return full
}

// Protocol returns the network protocol that carries packets to a.
func Protocol(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Unmap().Is4() {
		return header.IPv4ProtocolNumber
	}
	return header.IPv6ProtocolNumber
}

// Subnet returns p, masked, as a gVisor subnet. p must be valid.
func Subnet(p netip.Prefix) tcpip.Subnet {
	return tcpip.AddressWithPrefix{Address: Addr(p.Addr()), PrefixLen: p.Bits()}.Subnet()
}

// Prefix is the inverse of Subnet.
func Prefix(s tcpip.Subnet) netip.Prefix {
	id := s.ID()
	return netip.PrefixFrom(NetipAddr(id), s.Prefix())
}
