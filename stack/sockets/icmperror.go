package sockets

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// An icmpError is what an ICMP error message says about a packet that this host
// sent (RFC 792, RFC 4443 section 3). It comes from anyone on the network.
type icmpError struct {
	v6        bool
	typ, code uint8
	info      uint32 // MTU of the next hop, or the offset of the bad field

	transport     tcpip.TransportProtocolNumber // of the quoted packet
	local, remote netip.AddrPort                // its source and destination; a ping's port is its identifier
	payload       []byte                        // what is quoted behind the transport header
	message       []byte                        // what is quoted from the transport header on
}

// parseICMPError reads an ICMP message whose checksum is right. It reports false
// for what is not an error, or quotes too little to tell whose packet it was:
// the IP header and 8 bytes behind it (RFC 792), of a first fragment.
func parseICMPError(v6 bool, m []byte) (icmpError, bool) {
	if len(m) < header.ICMPv4MinimumSize { // the same for ICMPv6 errors
		return icmpError{}, false
	}
	e := icmpError{v6: v6, typ: m[0], code: m[1]}
	field := binary.BigEndian.Uint32(m[4:])
	quote := m[header.ICMPv4MinimumSize:]
	if v6 {
		if e.typ >= firstICMPv6Information || e.typ == 0 {
			return icmpError{}, false
		}
		e.info = field
		return e.quoted6(quote)
	}
	switch header.ICMPv4Type(e.typ) {
	case header.ICMPv4DstUnreachable:
		if header.ICMPv4Code(e.code) == header.ICMPv4FragmentationNeeded {
			e.info = field & 0xffff // RFC 1191 section 4
		}
	case header.ICMPv4ParamProblem:
		e.info = field >> 24
	case header.ICMPv4SrcQuench, header.ICMPv4TimeExceeded:
	default:
		return icmpError{}, false
	}
	return e.quoted4(quote)
}

// firstICMPv6Information is the first type that is no error (RFC 4443 section
// 2.1).
const firstICMPv6Information = 128

// quotedTransport is how much of the transport header must be quoted.
const quotedTransport = 8

func (e icmpError) quoted4(q []byte) (icmpError, bool) {
	if len(q) < header.IPv4MinimumSize || q[0]>>4 != header.IPv4Version {
		return e, false
	}
	ip := header.IPv4(q)
	size := int(ip.HeaderLength())
	if size < header.IPv4MinimumSize || len(q) < size || ip.FragmentOffset() != 0 {
		return e, false
	}
	local, remote := netip.AddrFrom4(ip.SourceAddress().As4()), netip.AddrFrom4(ip.DestinationAddress().As4())
	return e.ports(ip.TransportProtocol(), local, remote, q[size:])
}

func (e icmpError) quoted6(q []byte) (icmpError, bool) {
	if len(q) < header.IPv6MinimumSize || q[0]>>4 != header.IPv6Version {
		return e, false
	}
	ip := header.IPv6(q)
	proto, rest := tcpip.TransportProtocolNumber(ip.NextHeader()), q[header.IPv6MinimumSize:]
	if proto == header.IPv6FragmentHeader {
		if len(rest) < header.IPv6FragmentHeaderSize {
			return e, false
		}
		f := header.IPv6Fragment(rest)
		if f.FragmentOffset() != 0 {
			return e, false
		}
		proto, rest = f.TransportProtocol(), rest[header.IPv6FragmentHeaderSize:]
	}
	local, remote := netip.AddrFrom16(ip.SourceAddress().As16()), netip.AddrFrom16(ip.DestinationAddress().As16())
	return e.ports(proto, local, remote, rest)
}

// ports reads what the transport header says of the socket.
func (e icmpError) ports(proto tcpip.TransportProtocolNumber, local, remote netip.Addr, t []byte) (icmpError, bool) {
	if len(t) < quotedTransport {
		return e, false
	}
	e.transport, e.message, e.payload = proto, t, t
	from, to := uint16(0), uint16(0)
	switch proto {
	case header.UDPProtocolNumber:
		from, to = header.UDP(t).SourcePort(), header.UDP(t).DestinationPort()
		e.payload = t[header.UDPMinimumSize:]
	case header.TCPProtocolNumber: // the same place, and 8 bytes may be all there is
		from, to = header.UDP(t).SourcePort(), header.UDP(t).DestinationPort()
	case header.ICMPv4ProtocolNumber:
		if e.v6 || header.ICMPv4Type(t[0]) != header.ICMPv4Echo {
			break // a raw socket may want it
		}
		from = header.ICMPv4(t).Ident()
	case header.ICMPv6ProtocolNumber:
		if !e.v6 || header.ICMPv6Type(t[0]) != header.ICMPv6EchoRequest {
			break
		}
		from = header.ICMPv6(t).Ident()
	}
	e.local, e.remote = netip.AddrPortFrom(local, from), netip.AddrPortFrom(remote, to)
	return e, true
}

// An icmpErrno is what Linux makes of a reason: the error that the socket gets,
// and whether a connected socket gets it that did not ask for errors.
type icmpErrno struct {
	errno Errno
	hard  bool
}

// unreachable4 is icmp_err_convert of Linux, by code.
var unreachable4 = []icmpErrno{
	{ENETUNREACH, false}, {EHOSTUNREACH, false}, {ENOPROTOOPT, true}, {ECONNREFUSED, true},
	{EMSGSIZE, true}, // udp_err, ping_err and raw_err all count it as hard
	{EOPNOTSUPP, false}, {ENETUNREACH, true}, {EHOSTDOWN, true}, {ENONET, true},
	{ENETUNREACH, true}, {EHOSTUNREACH, true}, {ENETUNREACH, false}, {EHOSTUNREACH, false},
	{EHOSTUNREACH, true}, {EHOSTUNREACH, true}, {EHOSTUNREACH, true},
}

// unreachable6 is tab_unreach of Linux, by code.
var unreachable6 = []icmpErrno{
	{ENETUNREACH, false}, {EACCES, true}, {EHOSTUNREACH, false}, {EHOSTUNREACH, false},
	{ECONNREFUSED, true}, {EACCES, true}, {EACCES, true},
}

// errno is what the socket gets; zero for messages that are no error to it.
func (e icmpError) errno() icmpErrno {
	if e.v6 {
		return e.errno6()
	}
	switch header.ICMPv4Type(e.typ) {
	case header.ICMPv4TimeExceeded:
		return icmpErrno{EHOSTUNREACH, false}
	case header.ICMPv4ParamProblem:
		return icmpErrno{EPROTO, true}
	case header.ICMPv4SrcQuench:
		if e.transport == header.ICMPv4ProtocolNumber {
			return icmpErrno{EREMOTEIO, false} // not a real error, but ping wants to see it
		}
		return icmpErrno{}
	}
	if int(e.code) < len(unreachable4) {
		return unreachable4[e.code]
	}
	return icmpErrno{EHOSTUNREACH, false}
}

func (e icmpError) errno6() icmpErrno {
	switch header.ICMPv6Type(e.typ) {
	case header.ICMPv6DstUnreachable:
		if int(e.code) < len(unreachable6) {
			return unreachable6[e.code]
		}
		return icmpErrno{EPROTO, true}
	case header.ICMPv6PacketTooBig:
		return icmpErrno{EMSGSIZE, true}
	case header.ICMPv6TimeExceeded:
		return icmpErrno{EHOSTUNREACH, false}
	}
	return icmpErrno{EPROTO, header.ICMPv6Type(e.typ) == header.ICMPv6ParamProblem}
}

// tooBig reports whether the packet was larger than the next hop carries.
func (e icmpError) tooBig() bool {
	if e.v6 {
		return header.ICMPv6Type(e.typ) == header.ICMPv6PacketTooBig
	}
	return header.ICMPv4Type(e.typ) == header.ICMPv4DstUnreachable &&
		header.ICMPv4Code(e.code) == header.ICMPv4FragmentationNeeded
}
