package sockets

import (
	"net"
	"net/netip"
	"strconv"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

// NetworkAddress is NSPR's address of an internet socket: an IPv4 or IPv6
// address, a port, and the name that it was made from. It is a Sockaddr. A Host
// or a Socket makes it; the zero value is unset and stays so. Nothing guards it
// against concurrent changes.
type NetworkAddress struct {
	host  *Host
	addr  netip.Addr
	port  uint16
	given string // what it was made from, "" for a constant
	canon string // the canonical name, or ""
	entry *HostEntry
}

var _ Sockaddr = (*NetworkAddress)(nil)

// IPConst stands for an address of either family (PRNetAddrValue).
type IPConst int

// Constants for NetworkAddressOf.
const (
	IPNull     IPConst = 0 // PR_IpAddrNull: no address, only a port
	IPAny      IPConst = 1 // PR_IpAddrAny: 0.0.0.0 or ::
	IPLoopback IPConst = 2 // PR_IpAddrLoopback: 127.0.0.1 or ::1
	IPV4Mapped IPConst = 3 // PR_IpAddrV4Mapped: ::ffff:0.0.0.0, AF_INET6 only
)

var ipConsts = map[Family]map[IPConst]netip.Addr{
	AF_INET: {
		IPNull: netip.IPv4Unspecified(), IPAny: netip.IPv4Unspecified(), IPLoopback: netip.AddrFrom4([4]byte{127, 0, 0, 1}),
	},
	AF_INET6: {
		IPNull: netip.IPv6Unspecified(), IPAny: netip.IPv6Unspecified(), IPLoopback: netip.IPv6Loopback(),
		IPV4Mapped: netip.AddrFrom16(netip.IPv4Unspecified().As16()),
	},
}

// NetworkAddressOf returns the address that c stands for. Errors: EINVAL for
// another constant, port or family.
func (h *Host) NetworkAddressOf(c IPConst, port int, f Family) (*NetworkAddress, error) {
	addr, ok := ipConsts[f][c]
	if !ok {
		return nil, &Error{Op: "networkaddress", Num: EINVAL, Msg: "no such constant of " + f.String()}
	}
	a := &NetworkAddress{host: h, addr: addr}
	return a, a.SetPort(port)
}

// NewNetworkAddress returns the first address of a name, or the address that is
// written in name, of the family AF_INET or AF_INET6. Errors: EINVAL for another
// port or family, *GAIError when there is none.
func (h *Host) NewNetworkAddress(name string, port int, f Family) (*NetworkAddress, error) {
	if f != AF_INET && f != AF_INET6 {
		return nil, &Error{Op: "networkaddress", Num: EINVAL, Msg: "the family must be AF_INET or AF_INET6"}
	}
	a := &NetworkAddress{host: h}
	if err := a.SetPort(port); err != nil {
		return nil, err
	}
	return a, a.SetFromString(name, f)
}

// SetFromString makes the address that of another name or text, as
// NewNetworkAddress does, and keeps the port. With AF_UNSPEC it takes the first
// address of any family. On an error nothing changes.
func (a *NetworkAddress) SetFromString(s string, f Family) error {
	switch {
	case f != AF_INET && f != AF_INET6 && f != AF_UNSPEC:
		return &Error{Op: "networkaddress", Num: EINVAL, Msg: "the family must be AF_INET, AF_INET6 or AF_UNSPEC"}
	case a.host == nil:
		return &Error{Op: "networkaddress", Num: EINVAL, Msg: "no Host made this address"}
	}
	info, err := a.host.NewAddrInfo(s, f, PR_AI_ADDRCONFIG)
	if err != nil {
		return err
	}
	port := a.port
	*a = *info.At(0)
	a.port = port
	return nil
}

// newNetworkAddress returns an address that a call of the stack gave.
func (h *Host) newNetworkAddress(f Family, ap netip.AddrPort) *NetworkAddress {
	sa := sockaddr(f, ap)
	switch sa := sa.(type) {
	case Inet4:
		ap, _ = sa.AddrPort()
	case Inet6:
		ap, _ = sa.AddrPort()
	}
	return &NetworkAddress{host: h, addr: ap.Addr(), port: ap.Port()}
}

// Address returns the numeric address, "" when it is unset.
func (a *NetworkAddress) Address() string {
	if !a.addr.IsValid() {
		return ""
	}
	return netdb.Ntop(a.addr)
}

// AddrPort returns the address and the port, and whether it is set.
func (a *NetworkAddress) AddrPort() (netip.AddrPort, bool) {
	if a.Family() == AF_UNSPEC {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.addr, a.port), true
}

// Family returns AF_INET or AF_INET6, AF_UNSPEC when the address is unset.
func (a *NetworkAddress) Family() Family {
	switch {
	case a == nil || !a.addr.IsValid():
		return AF_UNSPEC
	case a.addr.Is4():
		return AF_INET
	}
	return AF_INET6
}

// Network returns "ip4" or "ip6".
func (a *NetworkAddress) Network() string {
	if a.Family() == AF_INET {
		return "ip4"
	}
	return "ip6"
}

// Port returns the port.
func (a *NetworkAddress) Port() int { return int(a.port) }

// SetPort changes the port. The error is EINVAL outside 0 to 65535.
func (a *NetworkAddress) SetPort(port int) error {
	if port < 0 || port > 0xffff {
		return &Error{Op: "networkaddress", Num: EINVAL, Msg: "the port is outside 0 to 65535"}
	}
	a.port = uint16(port)
	return nil
}

// Hostname returns the canonical name of what the address was made from, if
// there is one, else the text itself; "" for a constant and for what a call
// returned. The name of a numeric text is looked up on the first call.
func (a *NetworkAddress) Hostname() string {
	if a.given == "" || a.canon != "" {
		return a.canon
	}
	a.canon = a.given
	if isLiteral(a.given) {
		if e, err := a.HostEntry(); err == nil {
			a.canon = e.Hostname()
		}
	}
	return a.canon
}

// HostEntry looks the address's names up; the first answer is kept.
//
// Deprecated: use AddrInfo. NSPR's documents say so.
func (a *NetworkAddress) HostEntry() (*HostEntry, error) {
	if a.entry != nil {
		return a.entry, nil
	}
	if a.host == nil {
		return nil, &Error{Op: "hostentry", Num: EINVAL, Msg: "no Host made this address"}
	}
	e, err := a.host.NewHostEntryFromAddr(a)
	if err == nil {
		a.entry = e
	}
	return e, err
}

// String returns "82.94.237.218:0" or "[::1]:80", "" when the address is unset.
func (a *NetworkAddress) String() string {
	if a == nil || !a.addr.IsValid() {
		return ""
	}
	return net.JoinHostPort(a.Address(), strconv.Itoa(int(a.port)))
}

// connectedTo remembers what Connect was given.
func (d *description) connectedTo(a Sockaddr) {
	if d.in != nil {
		d.in.forgetSender()
	}
	if name := nameIn(a); name != "" {
		d.makeUnusual().peerName.Store(&name)
	} else if d.rare.Load() != nil {
		d.makeUnusual().peerName.Store(nil)
	}
}

// nameIn returns the name of a host in an address, "" when it holds none.
func nameIn(a Sockaddr) string {
	host := ""
	switch a := a.(type) {
	case Inet4:
		host = a.Host
	case Inet6:
		host = a.Host
	case *NetworkAddress:
		host = a.given
	}
	if host == "" || host == "<broadcast>" || isLiteral(host) {
		return ""
	}
	return host
}

// isLiteral reports whether the text of a host is an address.
func isLiteral(host string) bool {
	_, lit := netdb.ParseLiteral(host, nil)
	return lit == netdb.IsLiteral
}

// NetAddr returns the address that the socket has come to know last: the sender
// of the last datagram, else the peer it is connected to, else what it is bound
// to, else nil.
func (s *Socket) NetAddr() *NetworkAddress {
	d := s.d
	if s.closed() || d.family != AF_INET && d.family != AF_INET6 {
		return nil
	}
	if d.in != nil { // a socket of datagrams
		if from := d.in.lastSender(); from.IsValid() {
			return s.host.newNetworkAddress(d.family, from)
		}
	}
	if peer, errno := s.remoteAddr(); errno == 0 {
		return s.host.newNetworkAddress(d.family, peer)
	}
	if local := s.localAddr(); local.Port() != 0 {
		return s.host.newNetworkAddress(d.family, local)
	}
	return nil
}
