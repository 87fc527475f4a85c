package sockets

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"gvisor.dev/gvisor/pkg/waiter"
)

// networks are what DialContext, Listen and ListenPacket take, in package net's
// words.
var networks = map[string]struct {
	typ    Type
	family Family // AF_UNSPEC for both
}{
	"tcp":  {SOCK_STREAM, AF_UNSPEC},
	"tcp4": {SOCK_STREAM, AF_INET},
	"tcp6": {SOCK_STREAM, AF_INET6},
	"udp":  {SOCK_DGRAM, AF_UNSPEC},
	"udp4": {SOCK_DGRAM, AF_INET},
	"udp6": {SOCK_DGRAM, AF_INET6},
}

// DialContext connects to the address on the named network, as
// net.Dialer.DialContext does: "tcp", "tcp4", "tcp6", "udp", "udp4" or "udp6",
// and "host:port" with a numeric port; or "unix", "unixgram" or "unixpacket",
// and a path or "@name". A name's addresses are tried in the resolver's order,
// the families taking turns, a quarter of a second apart (RFC 8305); the error is
// the first one's. The result is a *Conn.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if typ, ok := unixNetworks[network]; ok {
		c, err := h.dialUnix(ctx, typ, address)
		if err != nil {
			return nil, &net.OpError{Op: "dial", Net: network, Addr: textAddr{network, address}, Err: err}
		}
		return c, nil
	}
	addrs, typ, err := h.addresses(ctx, network, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	conn, errs := race(ctx, alternate(addrs, addrFamily), func(ctx context.Context, ap netip.AddrPort) (net.Conn, error) {
		c, err := h.dialOne(ctx, typ, ap)
		if err != nil {
			err = &net.OpError{Op: "dial", Net: network, Addr: netAddrOf(typ, ap), Err: err}
		}
		return c, err
	}, func(c net.Conn) { c.Close() })
	if conn != nil {
		return conn, nil
	}
	return nil, raceError(ctx, errs)
}

func addrFamily(ap netip.AddrPort) Family { return familyOf(ap.Addr()) }

// raceError is the error of the first attempt, as package net has it, but not that
// of one that was given up to make room.
func raceError(ctx context.Context, errs []error) error {
	for _, err := range errs {
		if err != nil && (ctx.Err() != nil || !errors.Is(err, context.Canceled)) {
			return err
		}
	}
	return errs[0]
}

// Dial is DialContext without a context, for code that wants package net's Dial.
func (h *Host) Dial(network, address string) (net.Conn, error) {
	return h.DialContext(context.Background(), network, address)
}

func (h *Host) dialOne(ctx context.Context, typ Type, ap netip.AddrPort) (net.Conn, error) {
	s, err := h.Socket(familyOf(ap.Addr()), typ, 0)
	if err != nil {
		return nil, err
	}
	c := s.newCall(waiter.WritableEvents, 0, nil)
	c.ctx = ctx
	s.d.setNoDelay() // before there is a connection, which would look for something to send
	if err := s.connect(ap, &c); err != nil {
		err = adapterError(s, "connect", err)
		s.Close()
		return nil, err
	}
	return s.conn(ap), nil
}

// Listen listens on the address: "tcp", "tcp4" or "tcp6", and "host:port" where
// host is numeric, a name or empty and port 0 takes a free one; "" is ":0". With
// an empty host, "tcp" serves IPv4 and IPv6. The result is a *Listener.
func (h *Host) Listen(network, address string) (net.Listener, error) {
	s, err := h.bindNew(network, address, SOCK_STREAM)
	if err == nil {
		err = s.d.listen(SOMAXCONN)
	}
	if err != nil {
		return nil, h.listenError(network, address, s, err)
	}
	return s.listener(), nil
}

// ListenPacket opens a datagram socket on the address: "udp", "udp4" or "udp6",
// and "host:port" as for Listen. The result is a *PacketConn.
func (h *Host) ListenPacket(network, address string) (net.PacketConn, error) {
	s, err := h.bindNew(network, address, SOCK_DGRAM)
	if err != nil {
		return nil, h.listenError(network, address, s, err)
	}
	if s.d.unix != nil {
		return s.unixPacketConn(), nil
	}
	return s.packetConn(), nil
}

func (h *Host) listenError(network, address string, s *Socket, err error) error {
	if s != nil {
		err = adapterError(s, "listen", err)
		s.Close()
	}
	return &net.OpError{Op: "listen", Net: network, Addr: textAddr{network, address}, Err: err}
}

// bindNew returns a socket bound to the address. When binding fails it returns
// the socket beside the error.
func (h *Host) bindNew(network, address string, want Type) (*Socket, error) {
	if typ, ok := unixNetworks[network]; ok && (typ == SOCK_DGRAM) == (want == SOCK_DGRAM) {
		return h.listenUnix(typ, address)
	}
	if address == "" {
		address = ":0" // as package net has it
	}
	addrs, typ, err := h.addresses(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	if typ != want {
		return nil, net.UnknownNetworkError(network)
	}
	ap := addrs[0]
	s, err := h.Socket(familyOf(ap.Addr()), typ, 0)
	if err != nil {
		return nil, err
	}
	if typ == SOCK_STREAM { // as package net: a restarted server gets its port back
		err = s.SetSockOptInt(SOL_SOCKET, SO_REUSEADDR, 1)
	}
	if strings.HasSuffix(network, "6") && err == nil {
		err = s.SetSockOptInt(SOL_IPV6, IPV6_V6ONLY, 1)
	}
	if err != nil {
		return s, err
	}
	return s, s.d.bind(ap)
}

var (
	errMissingAddress = errors.New("missing address")
	errPort           = errors.New("the port is not a number from 0 to 65535")
)

// addresses returns what network and address name, at least one.
func (h *Host) addresses(ctx context.Context, network, address string) ([]netip.AddrPort, Type, error) {
	n, ok := networks[network]
	if !ok {
		return nil, 0, net.UnknownNetworkError(network)
	}
	if address == "" {
		return nil, 0, errMissingAddress
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, 0, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, 0, &net.AddrError{Err: errPort.Error(), Addr: address}
	}
	addrs, err := h.hostAddrs(ctx, n.family, host)
	if err != nil {
		return nil, 0, err
	}
	var out []netip.AddrPort
	for _, a := range addrs {
		if n.family == AF_UNSPEC || n.family == familyOf(a) {
			out = append(out, netip.AddrPortFrom(a, uint16(port)))
		}
	}
	if len(out) == 0 {
		return nil, 0, &net.AddrError{Err: "no suitable address found", Addr: host}
	}
	return out, n.typ, nil
}

func (h *Host) hostAddrs(ctx context.Context, f Family, host string) ([]netip.Addr, error) {
	if host == "" && f == AF_INET {
		return []netip.Addr{netip.IPv4Unspecified()}, nil
	}
	if host == "" {
		return []netip.Addr{netip.IPv6Unspecified()}, nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	return h.lookup(ctx, f, host)
}

func familyOf(a netip.Addr) Family {
	if a.Unmap().Is4() {
		return AF_INET
	}
	return AF_INET6
}

func netAddrOf(typ Type, ap netip.AddrPort) net.Addr {
	if typ == SOCK_STREAM {
		return net.TCPAddrFromAddrPort(ap)
	}
	return net.UDPAddrFromAddrPort(ap)
}

// textAddr is an address that could not be listened on, as it was given.
type textAddr struct{ network, text string }

func (a textAddr) Network() string { return a.network }
func (a textAddr) String() string  { return a.text }
