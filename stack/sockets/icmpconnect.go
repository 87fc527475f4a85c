package sockets

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
)

// unknownToNetstack reports whether e is an error that ends an attempt to connect
// on Linux (tcp_v4_err, tcp_v6_err), but that netstack does not pass on to TCP:
// of ICMPv6 it knows "no route" and "port unreachable" alone, and of neither
// version that a packet's time to live was over.
func (e icmpError) unknownToNetstack() bool {
	if !e.v6 {
		typ := header.ICMPv4Type(e.typ)
		return typ == header.ICMPv4TimeExceeded || typ == header.ICMPv4ParamProblem
	}
	code := header.ICMPv6Code(e.code)
	return header.ICMPv6Type(e.typ) != header.ICMPv6DstUnreachable ||
		code != header.ICMPv6NetworkUnreachable && code != header.ICMPv6PortUnreachable
}

// failConnect ends an attempt to connect with errno, by way of the one error of
// the kind that netstack knows. The pending error is errno before netstack's own
// can be.
func (d *description) failConnect(ep *endpoint, e icmpError, errno Errno) {
	d.setError(errno)
	t, ok := ep.Endpoint.(gstack.TransportEndpoint)
	if !ok {
		return
	}
	pkt := gstack.NewPacketBuffer(gstack.PacketBufferOptions{})
	defer pkt.DecRef()
	pkt.NetworkProtocolNumber = header.IPv4ProtocolNumber
	if e.v6 {
		pkt.NetworkProtocolNumber = header.IPv6ProtocolNumber
	}
	t.HandleError(connectError(e), pkt)
}

// A connectError is an icmpError as netstack takes it.
type connectError icmpError

// Kind implements stack.TransportError.
func (connectError) Kind() gstack.TransportErrorKind {
	return gstack.DestinationHostUnreachableTransportError
}

// Origin implements tcpip.SockErrorCause.
func (e connectError) Origin() tcpip.SockErrOrigin {
	if e.v6 {
		return tcpip.SockExtErrorOriginICMP6
	}
	return tcpip.SockExtErrorOriginICMP
}

// Type, Code and Info implement tcpip.SockErrorCause.
func (e connectError) Type() uint8  { return e.typ }
func (e connectError) Code() uint8  { return e.code }
func (e connectError) Info() uint32 { return e.info }
