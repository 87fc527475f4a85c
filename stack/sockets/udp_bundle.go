package sockets

import (
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack/internal/translate"
)

// Datagrams of one size to one destination, which one call sends, leave as one
// packet: a bundle. Netstack makes its headers once, and the link, or the device
// below it, cuts it (UDP_SEGMENT of udp(7), and what sendmmsg(2) sends in a row).
// Where the link cannot, and for what stays inside the stack, each datagram is
// sent by itself.

// A bundle is several datagrams as one payload.
type bundle struct {
	bufs [][]byte // the payload
	size int      // of it, in bytes
	step int      // bytes of each datagram; the last may be shorter
}

func (b *bundle) datagrams() int { return (b.size + b.step - 1) / b.step }

// bundles reports whether datagrams of step bytes can go along a route in
// bundles.
func (d *description) bundles(route *gstack.Route, step int) bool {
	return d.kind == onUDP && route.Loop() == gstack.PacketOut && d.host.stack.SegmentsUDP(route.OutgoingNIC()) &&
		step+udpHeaderSize <= int(route.MTU()) && isUnicast(translate.NetipAddr(route.RemoteAddress())) &&
		!route.IsOutboundBroadcast() && !d.ep.Load().SocketOptions().GetNoChecksum()
}

// sendBundle sends datagrams that may be bundled to p's destination.
func (d *description) sendBundle(b *bundle, route *gstack.Route, p *corkedPacket) Errno {
	port, errno := d.boundPort(p.to)
	if errno != 0 {
		return errno
	}
	v := buffer.NewView(b.size)
	for _, buf := range b.bufs {
		v.Write(buf)
	}
	pkt := gstack.NewPacketBuffer(gstack.PacketBufferOptions{
		ReserveHeaderBytes: header.UDPMinimumSize + int(route.MaxHeaderLength()),
		Payload:            buffer.MakeWithView(v),
	})
	defer pkt.DecRef()
	h := header.UDP(pkt.TransportHeader().Push(header.UDPMinimumSize))
	pkt.TransportProtocolNumber = header.UDPProtocolNumber
	length := uint16(header.UDPMinimumSize + b.size)
	h.Encode(&header.UDPFields{
		SrcPort: port, DstPort: p.to.Port, Length: length,
		Checksum: route.PseudoHeaderChecksum(header.UDPProtocolNumber, length), // partial: the link completes it
	})
	pkt.GSOOptions = gstack.GSO{
		Type: gstack.GSOTCPv4, NeedsCsum: true, CsumOffset: udpChecksumOffset,
		MSS: uint16(b.step), L3HdrLen: header.IPv4MinimumSize, MaxSize: uint32(maxDatagram),
	}
	if p.v6 {
		pkt.GSOOptions.Type, pkt.GSOOptions.L3HdrLen = gstack.GSOTCPv6, header.IPv6MinimumSize
	}
	switch terr := route.WritePacket(d.headerParams(route, &p.shape), pkt); terr.(type) {
	case nil, *tcpip.ErrNoBufferSpace: // dropped, as Linux's queues do without IP_RECVERR
		d.host.udpSent.IncrementBy(uint64(b.datagrams()))
		return 0
	default:
		return errnoOf(terr)
	}
}

const udpChecksumOffset = 6 // RFC 768

// boundPort is sourcePort, and quick where the socket has a port.
func (d *description) boundPort(to tcpip.FullAddress) (uint16, Errno) {
	if local, terr := d.ep.Load().GetLocalAddress(); terr == nil && local.Port != 0 {
		return local.Port, 0
	}
	return d.sourcePort(to)
}
