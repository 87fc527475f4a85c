package sockets

import (
	"context"
	"net/netip"
	"strconv"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

// ResolveSockaddr returns a with its host as a number: what Bind, Connect and
// SendTo do with an address that has a name, which take the first that the
// look-up gives. The error is a *GAIError, EINVAL for a port outside 0 to
// 65535, or EAFNOSUPPORT for an address of another
// family.
func (h *Host) ResolveSockaddr(ctx context.Context, a Sockaddr) (Sockaddr, error) {
	if a == nil {
		return nil, &Error{Op: "resolve", Num: EAFNOSUPPORT}
	}
	ap, err := h.resolve(ctx, a)
	switch err := err.(type) {
	case nil:
		return sockaddr(a.Family(), h.numericZone(ap)), nil
	case Errno:
		return nil, &Error{Op: "resolve", Num: err, Remote: a}
	default:
		return nil, err
	}
}

// resolve returns a numeric address and port for a, which may hold a name. The
// family is that of the socket.
func (h *Host) resolve(ctx context.Context, a Sockaddr) (netip.AddrPort, error) {
	var host string
	var port int
	var scope uint32
	f := AF_INET
	switch a := a.(type) {
	case Inet4:
		host, port = a.Host, a.Port
	case Inet6:
		host, port, scope, f = a.Host, a.Port, a.ScopeID, AF_INET6
	case *NetworkAddress:
		ap, ok := a.AddrPort()
		if !ok {
			return ap, EAFNOSUPPORT
		}
		return ap, nil
	default:
		return netip.AddrPort{}, EAFNOSUPPORT
	}
	if port < 0 || port > 0xffff {
		return netip.AddrPort{}, EINVAL
	}
	addr, ok := numericHost(host, f)
	if !ok {
		addrs, err := h.lookup(ctx, f, host)
		if err != nil {
			return netip.AddrPort{}, err
		}
		addr = addrs[0]
	}
	if scope != 0 && !addr.Is4In6() {
		addr = addr.WithZone(strconv.FormatUint(uint64(scope), 10))
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}

// lookup returns the addresses of a host, at least one, or a *GAIError.
func (h *Host) lookup(ctx context.Context, f Family, host string) ([]netip.Addr, error) {
	found, err := h.names().GetAddrInfo(ctx, host, "", netdb.Hints{Family: netdb.Family(f), SockType: netdb.SOCK_STREAM})
	if err != nil {
		return nil, nameError(err)
	}
	addrs := make([]netip.Addr, len(found))
	for i, ai := range found {
		addrs[i] = ai.Addr.Addr()
	}
	return addrs, nil
}
