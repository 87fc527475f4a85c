package sockets

import (
	"net/netip"
	"strconv"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport"
	"gvisor.dev/gvisor/pkg/tcpip/transport/raw"

	"github.com/userstack/userstack/stack/internal/translate"
)

// rawState is what raw and ping sockets have beyond their endpoint (raw(7),
// ipv6(7), icmp(7)).
type rawState struct {
	icmp  atomic.Uint32                     // ICMP_FILTER: bits of the types that are not wanted
	icmp6 [icmp6FilterWords]atomic.Uint32   // ICMPV6_FILTER: likewise
	peer  atomic.Pointer[tcpip.FullAddress] // where Connect went, with the port that raw sockets have no use for
}

// checkRawKind is checkKind for SOCK_RAW: there are raw sockets of every IP
// protocol.
func (d *description) checkRawKind() error {
	switch {
	case d.proto == 0:
		return &Error{Op: "socket", Num: EPROTONOSUPPORT}
	case d.proto > IPPROTO_RAW: // Linux makes them, but no packet can have such a number
		return unsupportedSocket(EPROTONOSUPPORT, "the header of an IP packet has no room for the protocol number "+strconv.Itoa(int(d.proto)))
	}
	d.kind, d.transport = onRaw, tcpip.TransportProtocolNumber(d.proto)
	d.raw = new(rawState)
	return nil
}

// familyRefusals say what to do instead of a family that makes no sense here.
var familyRefusals = map[Family]string{
	AF_NETLINK: "there is no kernel here to talk to; Stack.Routes and Stack.Interfaces tell what rtnetlink would",
	AF_TIPC:    "TIPC is not supported by userstack, as by a kernel without the module",
}

func refuseFamily(f Family) error {
	msg := familyRefusals[f]
	if msg == "" {
		msg = f.String() + " is not supported by userstack"
	}
	return unsupportedSocket(EAFNOSUPPORT, msg)
}

func unsupportedSocket(num Errno, msg string) error {
	return &Error{Op: "socket", Num: num, Msg: msg, Err: ErrUnsupported}
}

// newRawEndpoint returns a raw endpoint. One of IPPROTO_RAW only sends.
func (d *description) newRawEndpoint() (tcpip.Endpoint, tcpip.Error) {
	gv := d.host.gv
	ep, terr := gv.NewRawEndpoint(d.transport, d.network(), d.wq, d.proto != IPPROTO_RAW)
	if _, unknown := terr.(*tcpip.ErrUnknownProtocol); unknown {
		// ICMP of the other IP version, of which netstack's protocol makes none.
		return raw.NewEndpoint(gv, d.network(), d.transport, d.wq)
	}
	return ep, terr
}

// rebindLocked makes a bound raw socket fit for another Bind, which Linux allows
// until it is connected, and returns how to undo that.
func (d *description) rebindLocked() (undo func()) {
	old := d.bound
	if d.kind != onRaw || !old.IsValid() || transport.DatagramEndpointState(d.ep.Load().State()) != transport.DatagramEndpointStateBound {
		return func() {}
	}
	d.bound = netip.AddrPort{}
	d.replaceLocked()
	return func() {
		d.bound = old
		d.replaceLocked()
	}
}

// rawPeer is getpeername of a raw socket: Linux knows the peer only if the
// program named a port, which means nothing otherwise.
func (d *description) rawPeer() (netip.AddrPort, Errno) {
	p := d.raw.peer.Load()
	if p == nil || p.Port == 0 {
		return netip.AddrPort{}, ENOTCONN
	}
	return addrPort(*p), 0
}

// refuses4In6 is the error for an IPv4 destination of an AF_INET6 socket that is
// not of TCP or UDP.
func (d *description) refuses4In6(addr netip.Addr) Errno {
	if addr.Is4In6() && d.kind&(onRaw|onPing) != 0 {
		return ENETUNREACH
	}
	return 0
}

// checkDatagramPort checks the port of a destination: UDP needs one, a raw
// AF_INET6 socket takes none but its protocol's number.
func (d *description) checkDatagramPort(dst netip.AddrPort) Errno {
	port := dst.Port()
	switch {
	case port == 0 && d.kind == onUDP:
		return EINVAL
	case d.kind == onRaw && d.family == AF_INET6 && port != 0 && Protocol(port) != d.proto:
		return EINVAL
	case d.kind == onPing && dst.Addr().Is4In6():
		return EINVAL
	}
	return 0
}

// ours reports whether a packet was sent to this host: netstack gives raw
// endpoints every packet that comes by (T41).
func (d *description) ours(nic tcpip.NICID, dst netip.Addr) bool {
	gv, a, proto := d.host.gv, translate.Addr(dst), translate.Protocol(dst)
	if dst.IsMulticast() {
		in, terr := gv.IsInGroup(nic, a)
		return terr == nil && in
	}
	// Not CheckLocalAddress of nic, which does not look at IPv4 addresses (T15).
	return gv.CheckLocalAddress(0, proto, a) != 0 || dst == broadcast4 || gv.IsSubnetBroadcast(nic, proto, a)
}

var broadcast4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// endpointInfo returns what a datagram endpoint knows about its addresses.
func endpointInfo(ep tcpip.Endpoint) gstack.TransportEndpointInfo {
	if info, ok := ep.Info().(*gstack.TransportEndpointInfo); ok {
		return *info
	}
	return gstack.TransportEndpointInfo{}
}

func connectedDatagram(ep tcpip.Endpoint) bool {
	return transport.DatagramEndpointState(ep.State()) == transport.DatagramEndpointStateConnected
}
