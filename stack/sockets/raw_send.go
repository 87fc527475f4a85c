package sockets

import (
	"io"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack/internal/translate"
)

// Netstack's raw endpoints refuse what is longer than the MTU, also where Linux
// would fragment it, and what has its own header already when it is. Those
// packets take the route themselves.

// Most that a packet carries after its header, in bytes: the length field of
// IPv4 counts the header, that of IPv6 does not.
const (
	maxPayload4 = header.IPv4MaximumPayloadSize - header.IPv4MinimumSize
	maxPayload6 = header.IPv6MaximumPayloadSize
)

// writeRaw is the Write of a raw socket.
func (d *description) writeRaw(ep tcpip.Endpoint, r *gather, opts tcpip.WriteOptions) (int64, tcpip.Error) {
	if ep.SocketOptions().GetHeaderIncluded() {
		return d.writeRoute(ep, r, opts.To, d.sendIncluded)
	}
	most := maxPayload4
	if d.family == AF_INET6 {
		most = maxPayload6
	}
	if r.Len() > most {
		return 0, &tcpip.ErrMessageTooLong{}
	}
	n, terr := d.writeGroup(ep, r, opts)
	if _, long := terr.(*tcpip.ErrMessageTooLong); long {
		r.seek(0)
		return d.writeRoute(ep, r, opts.To, d.sendFragments)
	}
	return n, terr
}

// writeRoute sends a payload by way of its route.
func (d *description) writeRoute(ep tcpip.Endpoint, r *gather, to *tcpip.FullAddress,
	send func(tcpip.Endpoint, *gstack.Route, buffer.Buffer) tcpip.Error) (int64, tcpip.Error) {
	route, terr := d.rawRoute(ep, to)
	if terr != nil {
		return 0, terr
	}
	defer route.Release()
	if route.IsOutboundBroadcast() && !ep.SocketOptions().GetBroadcast() {
		return 0, &tcpip.ErrBroadcastDisabled{}
	}
	size := r.Len()
	v := buffer.NewView(size)
	if _, err := io.CopyN(v, r, int64(size)); err != nil {
		v.Release()
		return 0, &tcpip.ErrBadBuffer{}
	}
	if terr := send(ep, route, buffer.MakeWithView(v)); terr != nil {
		return 0, terr
	}
	return int64(size), nil
}

// rawRoute returns the route to a destination or to the peer.
func (d *description) rawRoute(ep tcpip.Endpoint, to *tcpip.FullAddress) (*gstack.Route, tcpip.Error) {
	info := endpointInfo(ep)
	if to == nil {
		if !connectedDatagram(ep) {
			return nil, &tcpip.ErrDestinationRequired{}
		}
		to = &tcpip.FullAddress{NIC: info.RegisterNICID, Addr: info.ID.RemoteAddress}
	}
	m := d.multicastState()
	nic, loop, out := to.NIC, m.loop4, m.if4
	if d.family == AF_INET6 {
		loop, out = m.loop6, m.if6
	}
	if nic == 0 {
		nic = tcpip.NICID(ep.SocketOptions().GetBindToDevice())
	}
	if nic == 0 && translate.NetipAddr(to.Addr).IsMulticast() {
		nic = out
	}
	local := info.ID.LocalAddress
	if translate.NetipAddr(local).IsMulticast() {
		local = tcpip.Address{} // packets come from an interface
	}
	return d.host.gv.FindRoute(nic, local, to.Addr, d.network(), loop)
}

// sendIncluded sends a packet that has its header (IP_HDRINCL, IPV6_HDRINCL).
func (d *description) sendIncluded(_ tcpip.Endpoint, route *gstack.Route, packet buffer.Buffer) tcpip.Error {
	least := int64(header.IPv4MinimumSize)
	if d.family == AF_INET6 {
		least = header.IPv6MinimumSize
	}
	pkt := gstack.NewPacketBuffer(gstack.PacketBufferOptions{ReserveHeaderBytes: int(route.MaxHeaderLength()), Payload: packet})
	defer pkt.DecRef()
	switch size := packet.Size(); {
	case size < least:
		return &tcpip.ErrMalformedHeader{}
	case size > int64(route.MTU())+least:
		return &tcpip.ErrMessageTooLong{}
	}
	return route.WriteHeaderIncludedPacket(pkt)
}

// sendFragments sends a payload that is longer than the MTU.
func (d *description) sendFragments(ep tcpip.Endpoint, route *gstack.Route, payload buffer.Buffer) tcpip.Error {
	if strategy, _ := ep.GetSockOptInt(tcpip.MTUDiscoverOption); tcpip.PMTUDStrategy(strategy) >= tcpip.PMTUDiscoveryDo {
		payload.Release()
		return &tcpip.ErrMessageTooLong{}
	}
	if d.family == AF_INET6 && !putChecksum(ep, d.transport, route, &payload) {
		payload.Release()
		return &tcpip.ErrInvalidOptionValue{}
	}
	pkt := gstack.NewPacketBuffer(gstack.PacketBufferOptions{ReserveHeaderBytes: int(route.MaxHeaderLength()), Payload: payload})
	defer pkt.DecRef()
	params := d.headerParams(route, &shape{ttl: -1, tos: -1})
	params.DF = false
	return route.WritePacket(params, pkt)
}

// putChecksum is IPV6_CHECKSUM: it writes the checksum where the socket wants
// it (RFC 3542 section 3.1), and reports whether there is room for it.
func putChecksum(ep tcpip.Endpoint, proto tcpip.TransportProtocolNumber, route *gstack.Route, payload *buffer.Buffer) bool {
	at, _ := ep.GetSockOptInt(tcpip.IPv6Checksum)
	if at < 0 {
		return true
	}
	v, ok := payload.PullUp(at, checksum.Size)
	if !ok {
		return false
	}
	checksum.Put(v.AsSlice(), 0)
	sum := header.PseudoHeaderChecksum(proto, route.LocalAddress(), route.RemoteAddress(), uint16(payload.Size()))
	checksum.Put(v.AsSlice(), ^checksum.Combine(payload.Checksum(0), sum))
	return true
}
