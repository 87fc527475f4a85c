package sockets

import (
	"context"
	"net/netip"
	"strconv"
	"time"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

// AddrInfoHints narrow GetAddrInfo down (getaddrinfo(3)). Zero fields mean any.
type AddrInfoHints struct {
	Flags  AI
	Family Family   // AF_UNSPEC, AF_INET or AF_INET6
	Type   Type     // 0, SOCK_STREAM, SOCK_DGRAM or SOCK_RAW
	Proto  Protocol // 0, or the one that goes with Type
}

// AddrInfoEntry is one way to reach a host: what Socket takes, and what Connect
// or Bind takes.
type AddrInfoEntry struct {
	Family    Family
	Type      Type
	Proto     Protocol
	CanonName string   // in the first entry only, with AI_CANONNAME
	Addr      Sockaddr // an Inet4 or an Inet6, numeric
}

// GetAddrInfo is GetAddrInfoContext without a context.
func (h *Host) GetAddrInfo(host, service string, hints *AddrInfoHints) ([]AddrInfoEntry, error) {
	return h.GetAddrInfoContext(context.Background(), host, service, hints)
}

// GetAddrInfoContext translates a host and a service into addresses, best first
// (getaddrinfo(3), RFC 6724). The host is a name, an address in any form of
// inet_aton(3) or of IPv6 with or without a zone, or "" for this host: the
// loopback addresses or, with AI_PASSIVE, those to bind to. The service is a
// name, a number from 0 to 65535, or "" for port 0. Without hints there is an
// entry for each of TCP, UDP and raw sockets for each address.
//
// The error is a *GAIError, with the codes of netdb.DB.GetAddrInfo.
func (h *Host) GetAddrInfoContext(ctx context.Context, host, service string, hints *AddrInfoHints) ([]AddrInfoEntry, error) {
	if hints == nil {
		hints = new(AddrInfoHints)
	}
	found, err := h.names().GetAddrInfo(ctx, host, service, netdb.Hints{
		Flags: hints.Flags, Family: netdb.Family(hints.Family), SockType: int(hints.Type), Protocol: int(hints.Proto),
	})
	if err != nil {
		return nil, nameError(err)
	}
	list := make([]AddrInfoEntry, len(found))
	for i, ai := range found {
		f := Family(ai.Family)
		list[i] = AddrInfoEntry{
			Family: f, Type: Type(ai.SockType), Proto: Protocol(ai.Protocol), CanonName: ai.CanonName,
			Addr: sockaddr(f, h.numericZone(ai.Addr)),
		}
	}
	return list, nil
}

// numericZone replaces the name of an interface by its index.
func (h *Host) numericZone(ap netip.AddrPort) netip.AddrPort {
	zone := ap.Addr().Zone()
	if zone == "" {
		return ap
	}
	if ifc, ok := h.stack.InterfaceByZone(zone); ok {
		return netip.AddrPortFrom(ap.Addr().WithZone(strconv.Itoa(ifc.Index)), ap.Port())
	}
	return ap
}

// fqdnTimeout bounds the two look-ups of GetFQDN, which returns no error: the
// time of one, by resolv.conf(5)'s defaults of 5 s and 2 attempts.
const fqdnTimeout = 10 * time.Second

// GetFQDN returns the full name of a host: of the names of its address, the
// first that has a dot, or else the first; "" is this host. A host that cannot
// be looked up within 10 s is returned as it is.
func (h *Host) GetFQDN(name string) string {
	ctx, cancel := context.WithTimeout(context.Background(), fqdnTimeout)
	defer cancel()
	return h.names().GetFQDN(ctx, name)
}

// GetHostByName returns the first IPv4 address of a name as a dotted quad
// (gethostbyname(3)). "" is 0.0.0.0 and "<broadcast>" is 255.255.255.255. The
// error is a *GAIError; EAI_ADDRFAMILY for an IPv6 address.
func (h *Host) GetHostByName(name string) (string, error) {
	addr, err := h.names().GetHostByName(context.Background(), name)
	if err != nil {
		return "", nameError(err)
	}
	return addr.String(), nil
}

// GetHostByNameEx returns the official name, the aliases and the IPv4 addresses
// of a name (gethostbyname(3)): where the name is an alias in DNS, the end of
// the chain and what leads there. A numeric address has itself as its name. The
// error is a *GAIError, which errors.As also sees as an *HError.
func (h *Host) GetHostByNameEx(name string) (HostEnt, error) {
	ent, err := h.names().GetHostByNameEx(context.Background(), name)
	if err != nil {
		return HostEnt{}, nameError(err)
	}
	return ent, nil
}

// GetHostByAddr returns the names of an IPv4 or IPv6 address (gethostbyaddr(3)).
// A name is looked up first, and the names of its first address are returned.
// The error is an *HError when the address has no name, or a *GAIError when the
// name is unknown.
func (h *Host) GetHostByAddr(addr string) (HostEnt, error) {
	ent, err := h.names().GetHostByAddr(context.Background(), addr)
	if err != nil {
		return HostEnt{}, nameError(err)
	}
	return ent, nil
}

// GetNameInfo returns the name of the host of an address and the name of the
// service of its port (getnameinfo(3)), or numbers where there are no names.
// The error is a *GAIError: EAI_BADFLAGS; EAI_FAMILY for an address that is not
// of IPv4 or IPv6; EAI_NONAME for a host that is not numeric, or that has no name
// with NI_NAMEREQD; EAI_SERVICE for a port outside 0 to 65535; EAI_AGAIN and
// EAI_FAIL when the look-up fails.
func (h *Host) GetNameInfo(a Sockaddr, flags NI) (host, service string, err error) {
	ap, code := h.numericAddr(a)
	if code != 0 {
		name := ""
		if a != nil {
			name = a.String()
		}
		return "", "", &GAIError{Code: code, Name: name}
	}
	host, service, err = h.names().GetNameInfo(context.Background(), ap, flags)
	if err != nil {
		return "", "", nameError(err)
	}
	return host, service, nil
}

// numericAddr returns an address that takes no look-up.
func (h *Host) numericAddr(a Sockaddr) (netip.AddrPort, EAI) {
	var host string
	var port int
	var scope uint32
	switch a := a.(type) {
	case Inet4:
		host, port = a.Host, a.Port
	case Inet6:
		host, port, scope = a.Host, a.Port, a.ScopeID
	case interface {
		AddrPort() (netip.AddrPort, bool)
	}:
		ap, ok := a.AddrPort()
		if !ok {
			return ap, EAI_NONAME
		}
		return ap, 0
	default:
		return netip.AddrPort{}, EAI_FAMILY
	}
	addr, ok := numericHost(host, a.Family())
	if !ok {
		var code EAI
		addr, code, ok = netdb.LiteralOf(host, netdb.Family(a.Family()), nil)
		if code != 0 || !ok {
			return netip.AddrPort{}, EAI_NONAME
		}
	}
	if port < 0 || port > 0xffff {
		return netip.AddrPort{}, EAI_SERVICE
	}
	if scope != 0 {
		addr = addr.WithZone(strconv.FormatUint(uint64(scope), 10))
	}
	return netip.AddrPortFrom(addr, uint16(port)), 0
}
