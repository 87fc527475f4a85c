package sockets

import (
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Netstack's endpoints take a TTL with a datagram, but no TOS and no IPv4 source
// address. A send that asks for these goes past the endpoint: the header is made
// here and the packet given to a route of the same stack. Such packets do not
// count to SO_SNDBUF; the link's queue bounds them.

// sendDirect sends p from the socket's port in the given shape.
func (d *description) sendDirect(p []byte, to tcpip.FullAddress, v6 bool, sh *shape) Errno {
	rawIPv4 := d.kind == onRaw && !v6 && !d.endpoint().SocketOptions().GetHeaderIncluded()
	if d.kind&(onUDP|onPing) == 0 && !rawIPv4 {
		return EOPNOTSUPP // of raw IPv6 sockets netstack makes the checksum
	}
	port, errno := d.sourcePort(to)
	if errno != 0 {
		return errno
	}
	route, errno := d.route(to, v6, sh)
	if errno != 0 {
		return errno
	}
	defer route.Release()
	if !d.ep.Load().SocketOptions().GetBroadcast() && route.IsOutboundBroadcast() {
		return EACCES
	}
	size := header.UDPMinimumSize // an echo's header has the same
	pkt := gstack.NewPacketBuffer(gstack.PacketBufferOptions{
		ReserveHeaderBytes: size + int(route.MaxHeaderLength()),
		Payload:            buffer.MakeWithData(p),
	})
	defer pkt.DecRef()
	switch d.kind {
	case onPing:
		errno = echoHeader(pkt, route, port)
	case onUDP:
		errno = udpHeader(pkt, route, port, to.Port, d.ep.Load().SocketOptions().GetNoChecksum())
	}
	if errno != 0 {
		return errno
	}
	switch terr := route.WritePacket(d.headerParams(route, sh), pkt); terr.(type) {
	case *tcpip.ErrNoBufferSpace:
		return 0 // dropped, as Linux's queues do without IP_RECVERR
	default:
		return errnoOf(terr)
	}
}

// sourcePort binds the socket if it is not, as sending does.
func (d *description) sourcePort(to tcpip.FullAddress) (uint16, Errno) {
	if d.kind == onRaw {
		return 0, 0
	}
	ep := d.ep.Load()
	var terr tcpip.Error
	if e, ok := ep.Endpoint.(tcpip.EndpointWithPreflight); ok {
		terr = e.Preflight(tcpip.WriteOptions{To: &to})
	} else if local, _ := ep.GetLocalAddress(); local.Port == 0 {
		terr = ep.Bind(tcpip.FullAddress{})
	}
	if terr != nil {
		return 0, errnoOf(terr)
	}
	local, terr := ep.GetLocalAddress()
	return local.Port, errnoOf(terr)
}

// route finds the way to a destination. A source that is not the stack's is
// ENETUNREACH, as on Linux.
func (d *description) route(to tcpip.FullAddress, v6 bool, sh *shape) (*gstack.Route, Errno) {
	proto := header.IPv4ProtocolNumber
	if v6 {
		proto = header.IPv6ProtocolNumber
	}
	source := d.sourceOf(sh, v6)
	if source.BitLen() != 0 && !d.host.isOwn(source) {
		return nil, ENETUNREACH
	}
	ops := d.ep.Load().SocketOptions()
	nic := to.NIC
	if nic == 0 {
		nic = tcpip.NICID(ops.GetBindToDevice())
	}
	if nic == 0 && (header.IsV4MulticastAddress(to.Addr) || header.IsV6MulticastAddress(to.Addr)) {
		var m tcpip.MulticastInterfaceOption
		if terr := d.ep.Load().GetSockOpt(&m); terr == nil {
			nic = m.NIC
		}
	}
	route, terr := d.host.gv.FindRoute(nic, source, to.Addr, proto, ops.GetMulticastLoop())
	return route, errnoOf(terr)
}

// headerParams are the fields of the IP header: the shape's, else the socket's.
func (d *description) headerParams(route *gstack.Route, sh *shape) gstack.NetworkHeaderParams {
	ep := d.ep.Load()
	number := func(o tcpip.SockOptInt) int {
		n, _ := ep.GetSockOptInt(o)
		return n
	}
	v6 := route.NetProto() == header.IPv6ProtocolNumber
	remote := route.RemoteAddress()
	ttlOption, tosOption := tcpip.IPv4TTLOption, tcpip.IPv4TOSOption
	if v6 {
		ttlOption, tosOption = tcpip.IPv6HopLimitOption, tcpip.IPv6TrafficClassOption
	}
	if header.IsV4MulticastAddress(remote) || header.IsV6MulticastAddress(remote) {
		ttlOption = tcpip.MulticastTTLOption
	}
	p := gstack.NetworkHeaderParams{Protocol: d.transport, TTL: route.DefaultTTL()}
	if n := number(ttlOption); n > 0 || n == 0 && ttlOption != tcpip.IPv4TTLOption {
		p.TTL = uint8(n)
	}
	if sh.ttl >= 0 {
		p.TTL = uint8(sh.ttl)
	}
	p.TOS = uint8(number(tosOption))
	if sh.tos >= 0 {
		p.TOS = uint8(sh.tos)
	}
	p.DF = !v6 && number(tcpip.MTUDiscoverOption) != int(tcpip.PMTUDiscoveryDont)
	return p
}

// udpHeader puts the header in front of the payload (RFC 768).
func udpHeader(pkt *gstack.PacketBuffer, route *gstack.Route, from, to uint16, noChecksum bool) Errno {
	size := header.UDPMinimumSize + pkt.Data().Size()
	if size > header.UDPMaximumPacketSize {
		return EMSGSIZE
	}
	h := header.UDP(pkt.TransportHeader().Push(header.UDPMinimumSize))
	pkt.TransportProtocolNumber = header.UDPProtocolNumber
	h.Encode(&header.UDPFields{SrcPort: from, DstPort: to, Length: uint16(size)})
	if !route.RequiresTXTransportChecksum() || noChecksum && route.NetProto() == header.IPv4ProtocolNumber {
		return 0
	}
	sum := route.PseudoHeaderChecksum(header.UDPProtocolNumber, uint16(size))
	sum = h.CalculateChecksum(checksum.Combine(sum, pkt.Data().Checksum()))
	if sum != 0xffff { // what is sent is never 0, which stands for "no checksum"
		sum = ^sum
	}
	h.SetChecksum(sum)
	return 0
}

// echoHeader makes the payload's first 8 bytes the header of an echo request
// (RFC 792, RFC 4443 section 4.1) with the socket's identifier.
func echoHeader(pkt *gstack.PacketBuffer, route *gstack.Route, ident uint16) Errno {
	head, ok := pkt.Data().PullUp(header.ICMPv4MinimumSize)
	v6 := route.NetProto() == header.IPv6ProtocolNumber
	want := uint8(header.ICMPv4Echo)
	if v6 {
		want = uint8(header.ICMPv6EchoRequest)
	}
	if !ok || head[0] != want || head[1] != 0 {
		return EINVAL
	}
	h := pkt.TransportHeader().Push(header.ICMPv4MinimumSize)
	copy(h, head)
	pkt.Data().TrimFront(header.ICMPv4MinimumSize)
	header.ICMPv4(h).SetIdent(ident)
	header.ICMPv4(h).SetChecksum(0)
	if v6 {
		pkt.TransportProtocolNumber = header.ICMPv6ProtocolNumber
		header.ICMPv6(h).SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{
			Header: h, Src: route.LocalAddress(), Dst: route.RemoteAddress(),
			PayloadCsum: pkt.Data().Checksum(), PayloadLen: pkt.Data().Size(),
		}))
		return 0
	}
	pkt.TransportProtocolNumber = header.ICMPv4ProtocolNumber
	header.ICMPv4(h).SetChecksum(^checksum.Checksum(h, pkt.Data().Checksum()))
	return 0
}
