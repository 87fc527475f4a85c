package sockets

import (
	"context"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/userstack/userstack/stack/internal/translate"
)

// Bind gives the socket its local address (bind(2)). Port 0 takes a free port.
// Errors: EINVAL when it is bound already, EADDRNOTAVAIL when the address is
// not the stack's, EADDRINUSE, EAFNOSUPPORT.
func (s *Socket) Bind(a Sockaddr) error {
	if s.dead() {
		return s.error("bind", ErrClosed)
	}
	if s.d.unix != nil {
		return s.bindUnix(a)
	}
	if s.d.kind == onPacket {
		return s.withLocal("bind", a, s.d.bindLink(a))
	}
	if a == nil || a.Family() != s.d.family {
		return &Error{Op: "bind", Num: EAFNOSUPPORT, Local: a}
	}
	ap, err := s.host.resolve(context.Background(), a)
	if err != nil {
		return s.withLocal("bind", a, err)
	}
	defer s.d.forgetFlows()
	return s.withLocal("bind", a, s.d.bind(ap))
}

func (d *description) bind(ap netip.AddrPort) error {
	full, errno := bindAddress(d.host.stack, ap)
	if errno != 0 {
		return errno
	}
	if d.privileged(ap.Port()) {
		return EACCES
	}
	if errno := d.refuses4In6(ap.Addr()); errno != 0 {
		return map[sockets]Errno{onRaw: EADDRNOTAVAIL, onPing: EINVAL}[d.kind]
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isTCP() && header.IsV6MulticastAddress(full.Addr) {
		return EINVAL
	}
	if d.local(full) {
		d.reviveLocked()
	}
	undo := d.rebindLocked()
	ep := d.ep.Load()
	switch terr := d.bindOnceLocked(ep, full); terr.(type) {
	case nil:
	case *tcpip.ErrNoPortAvailable, *tcpip.ErrPortInUse:
		if d.isTCP() {
			d.kept = nil
			d.refreshLocked() // netstack keeps the address
		}
		return EADDRINUSE
	case *tcpip.ErrInvalidEndpointState, *tcpip.ErrAlreadyBound:
		if (d.family == AF_INET || !d.hasPort()) && !d.local(full) {
			return EADDRNOTAVAIL // which Linux looks at first, but for IPv6 after the port
		}
		return EINVAL
	default:
		undo()
		return errnoOf(terr)
	}
	d.bound = ap
	if local, terr := ep.GetLocalAddress(); terr == nil {
		d.bound = netip.AddrPortFrom(ap.Addr(), local.Port)
	}
	d.boundLocked(ep, ap.Addr())
	return nil
}

// Connect connects the socket (connect(2)). For UDP it sets the peer whose
// datagrams are received and to which Send sends, and may be called again. A nil
// address dissolves a UDP association or resets a TCP connection, as
// connect(AF_UNSPEC) does.
//
// A socket whose attempt failed can be used for another one. Errors: those of
// the network, such as ECONNREFUSED; EINPROGRESS and EALREADY on a non-blocking
// socket, where a later Connect reports the end; EISCONN; ErrTimeout, after
// which the attempt is given up.
func (s *Socket) Connect(a Sockaddr, opts ...CallOption) error {
	if s.dead() {
		return s.error("connect", ErrClosed)
	}
	if s.d.kind == onPacket {
		return s.withRemote("connect", a, EOPNOTSUPP)
	}
	if a == nil {
		return s.error("connect", s.d.disconnect())
	}
	c := s.sending(opts)
	if s.d.unix != nil {
		return s.withRemote("connect", a, s.connectUnix(a, &c))
	}
	defer s.d.forgetFlows()
	ap, err := s.peer(c.ctx, a)
	if err == EAFNOSUPPORT && s.d.isTCP() {
		ap, err = netip.AddrPort{}, nil // what came of the last attempt is told first
	}
	if err != nil {
		return s.withRemote("connect", a, s.d.autobind(err))
	}
	err = s.connect(ap, &c)
	if err == nil || err == EINPROGRESS {
		s.d.connectedTo(a)
	}
	return s.withRemote("connect", a, err)
}

// peer resolves the address of a peer. AF_INET addresses are good for AF_INET6
// datagram sockets as well, as on Linux.
func (s *Socket) peer(ctx context.Context, a Sockaddr) (netip.AddrPort, error) {
	if a.Family() != s.d.family && (a.Family() != AF_INET || s.d.typ != SOCK_DGRAM) {
		return netip.AddrPort{}, EAFNOSUPPORT
	}
	return s.host.resolve(ctx, a)
}

// ConnectEx is Connect that returns the errno of a failed attempt, 0 for none,
// as Python's connect_ex does: EAGAIN after a timeout. The error is for what
// happened before the attempt: a name that could not be resolved, a closed
// socket.
func (s *Socket) ConnectEx(a Sockaddr, opts ...CallOption) (Errno, error) {
	err := s.Connect(a, opts...)
	switch e := err.(type) {
	case nil:
		return 0, nil
	case *Error:
		switch e.Err {
		case nil:
			return e.Num, nil
		case ErrTimeout:
			return EAGAIN, nil
		}
	}
	return 0, err
}

func (s *Socket) connect(dst netip.AddrPort, c *call) error {
	if !s.d.isTCP() {
		return s.d.autobind(s.d.tryConnectDatagram(dst))
	}
	defer c.done()
	var first error
	for {
		if s.dead() {
			return ErrClosed // and not what closing made of the attempt
		}
		err := s.d.tryConnect(dst)
		if err != EINPROGRESS && err != EALREADY || !c.blocks() {
			return err
		}
		if first == nil {
			first = err
		}
		switch end := c.again(); end {
		case nil:
		case EAGAIN: // SO_SNDTIMEO: the attempt goes on
			return first
		default:
			s.d.giveUpConnect()
			return end
		}
	}
}

// destination checks an address for Connect and adds the NIC that
// SO_BINDTODEVICE names, which netstack does not consult (T9).
func (d *description) destination(dst netip.AddrPort) (tcpip.FullAddress, Errno) {
	full, errno := peerAddress(d.host.stack, dst)
	if errno != 0 {
		return full, errno
	}
	ep := d.ep.Load()
	if dst.Addr() == netip.IPv6Unspecified() && boundToIPv4(ep) {
		full.Addr = header.IPv4Loopback
	}
	if dev := ep.SocketOptions().GetBindToDevice(); dev != 0 {
		full.NIC = tcpip.NICID(dev)
	}
	if d.family == AF_INET6 && dst.Addr().Unmap().Is4() && ep.SocketOptions().GetV6Only() {
		return full, ENETUNREACH // T40
	}
	if errno := d.refuses4In6(dst.Addr()); errno != 0 {
		return full, errno
	}
	if d.isTCP() && d.notUnicast(full) {
		return full, ENETUNREACH // netstack would send SYNs until it times out (T18)
	}
	if d.rules(dontRoute) && d.viaGateway(full) {
		return full, ENETUNREACH
	}
	if forMany(full.Addr) {
		d.steer(ep, &full)
	}
	return full, 0
}

// boundToIPv4 reports whether an endpoint has an IPv4 address.
func boundToIPv4(ep tcpip.Endpoint) bool {
	local, terr := ep.GetLocalAddress()
	return terr == nil && local.Addr.Len() == header.IPv4AddressSize
}

func forMany(a tcpip.Address) bool {
	return a == header.IPv4Broadcast || header.IsV4MulticastAddress(a) || header.IsV6MulticastAddress(a)
}

// steer sends what is for many hosts to the interface that the socket's own
// address belongs to, unless it names another. IPv6 groups need no route: Linux
// has one to ff00::/8 on every interface.
func (d *description) steer(ep tcpip.Endpoint, full *tcpip.FullAddress) {
	m, group := d.multicastState(), translate.NetipAddr(full.Addr)
	if full.NIC != 0 || group.Is4() && m.if4 != 0 || group.Is6() && m.if6 != 0 {
		return
	}
	local, terr := ep.GetLocalAddress()
	if terr == nil && local.Addr.BitLen() == full.Addr.BitLen() {
		full.NIC = d.host.gv.CheckLocalAddress(0, translate.Protocol(group), local.Addr)
	}
	if full.NIC == 0 && group.Is6() && endpointInfo(ep).BindNICID == 0 {
		full.NIC = d.groupNIC(groupRequest{group: group})
	}
}

// hostBits are the bits that every subnet's broadcast address has set: networks
// of /31 and /32 have none (RFC 3021), and IPv6 none at all.
const hostBits = 0b11

func (d *description) notUnicast(full tcpip.FullAddress) bool {
	a := full.Addr
	if a.Len() != header.IPv4AddressSize || a.As4()[3]&hostBits != hostBits {
		return forMany(a) // most addresses: to look through the interfaces' takes a while
	}
	return forMany(a) ||
		d.host.gv.IsSubnetBroadcast(full.NIC, translate.Protocol(translate.NetipAddr(a)), a)
}

// disconnect is connect(AF_UNSPEC).
func (d *description) disconnect() error {
	if d.unix != nil {
		return d.unix.disconnect().orNil()
	}
	defer d.forgetFlows()
	d.mu.Lock()
	defer d.mu.Unlock()
	ep := d.ep.Load()
	d.pullError()
	switch terr := ep.Disconnect(); terr.(type) {
	case nil:
		d.unbindLocked()
		return nil
	case *tcpip.ErrNotSupported: // TCP and ping sockets
		if !d.isTCP() {
			d.raw.peer.Store(nil)
			d.replaceLocked()
			return nil
		}
		d.dropAhead()
		switch tcp.EndpointState(ep.State()) {
		case tcp.StateSynSent, tcp.StateConnecting, tcp.StateEstablished, tcp.StateCloseWait,
			tcp.StateFinWait1, tcp.StateFinWait2:
			d.replaceAsLocked(ECONNRESET) // what Linux's tcp_disconnect leaves
		default:
			d.replaceLocked()
		}
		return nil
	default:
		return errnoOf(terr)
	}
}

// unbindLocked takes the port from a disconnected UDP socket that did not ask for
// it. Netstack leaves it the one that sending brought.
func (d *description) unbindLocked() {
	if d.kind != onUDP || d.bound.IsValid() || !d.hasPort() {
		return
	}
	d.refreshLocked()
}

func (s *Socket) withLocal(op string, a Sockaddr, err error) error {
	err = s.error(op, err)
	if e, ok := err.(*Error); ok {
		e.Local = a
	}
	return err
}

func (s *Socket) withRemote(op string, a Sockaddr, err error) error {
	err = s.error(op, err)
	if e, ok := err.(*Error); ok {
		e.Remote = a
	}
	return err
}
