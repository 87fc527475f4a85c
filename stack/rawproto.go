package stack

import (
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/raw"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Netstack makes raw sockets only of protocols that it was given when it was
// built; Linux makes them of any. So every number that netstack does not know
// gets a rawProtocol, which has raw endpoints and nothing else. To peers the
// protocol must still be unknown: netstack would answer "port unreachable" for
// it, so it answers by itself (RFC 1122 section 3.2.2.1, RFC 8200 section 4).

// maxRawProtocol is the largest number of an IP protocol that can be received:
// 255 is IPPROTO_RAW, which only sends (raw(7)).
const maxRawProtocol = 254

// rawProtocols returns a factory for each protocol that have does not make.
func rawProtocols(have ...tcpip.TransportProtocolNumber) []stack.TransportProtocolFactory {
	known := map[tcpip.TransportProtocolNumber]bool{}
	for _, n := range have {
		known[n] = true
	}
	var all []stack.TransportProtocolFactory
	for n := tcpip.TransportProtocolNumber(1); n <= maxRawProtocol; n++ {
		if known[n] {
			continue
		}
		all = append(all, func(s *stack.Stack) stack.TransportProtocol { return &rawProtocol{stack: s, number: n} })
	}
	return all
}

type rawProtocol struct {
	stack  *stack.Stack
	number tcpip.TransportProtocolNumber
	open   atomic.Int32 // raw endpoints: while there are any, Linux sends no error
}

var _ stack.TransportProtocol = (*rawProtocol)(nil)

// Number implements stack.TransportProtocol.
func (p *rawProtocol) Number() tcpip.TransportProtocolNumber { return p.number }

// NewEndpoint implements stack.TransportProtocol: there are no sockets but raw
// ones.
func (*rawProtocol) NewEndpoint(tcpip.NetworkProtocolNumber, *waiter.Queue) (tcpip.Endpoint, tcpip.Error) {
	return nil, &tcpip.ErrUnknownProtocol{}
}

// NewRawEndpoint implements stack.TransportProtocol.
func (p *rawProtocol) NewRawEndpoint(version tcpip.NetworkProtocolNumber, wq *waiter.Queue) (tcpip.Endpoint, tcpip.Error) {
	ep, err := raw.NewEndpoint(p.stack, version, p.number, wq)
	if err != nil {
		return nil, err
	}
	p.open.Add(1)
	return &rawEndpoint{Endpoint: ep, proto: p}, nil
}

// A rawEndpoint is counted while it is open.
type rawEndpoint struct {
	tcpip.Endpoint
	proto *rawProtocol
	once  sync.Once
}

// Close implements tcpip.Endpoint.
func (e *rawEndpoint) Close() {
	e.once.Do(func() { e.proto.open.Add(-1) })
	e.Endpoint.Close()
}

// Abort implements tcpip.Endpoint.
func (e *rawEndpoint) Abort() { e.Close() }

// MinimumPacketSize implements stack.TransportProtocol. Netstack takes a packet
// without a transport header for malformed, so one byte is called that.
func (*rawProtocol) MinimumPacketSize() int { return 1 }

// ParsePorts implements stack.TransportProtocol.
func (*rawProtocol) ParsePorts([]byte) (src, dst uint16, err tcpip.Error) { return 0, 0, nil }

// Parse implements stack.TransportProtocol.
func (p *rawProtocol) Parse(pkt *stack.PacketBuffer) bool {
	_, ok := pkt.TransportHeader().Consume(p.MinimumPacketSize())
	pkt.TransportProtocolNumber = p.number
	return ok
}

// HandleUnknownDestinationPacket implements stack.TransportProtocol. It is
// called for every packet, since nothing is ever registered to take one.
func (p *rawProtocol) HandleUnknownDestinationPacket(_ stack.TransportEndpointID, pkt *stack.PacketBuffer) stack.UnknownDestinationPacketDisposition {
	if p.open.Load() == 0 {
		p.refuse(pkt)
	}
	return stack.UnknownDestinationPacketHandled
}

// refuse tells the sender that nobody here speaks the protocol, where an ICMP
// error may be sent at all (RFC 1122 section 3.2.2, RFC 4443 section 2.4).
func (p *rawProtocol) refuse(pkt *stack.PacketBuffer) {
	n := pkt.Network()
	src, dst := n.SourceAddress(), n.DestinationAddress()
	if pkt.NetworkPacketInfo.LocalAddressBroadcast || src == header.IPv4Any || src == header.IPv6Any ||
		header.IsV4MulticastAddress(dst) || header.IsV6MulticastAddress(dst) || header.IsV6MulticastAddress(src) {
		return
	}
	route, err := p.stack.FindRoute(pkt.NICID, dst, src, pkt.NetworkProtocolNumber, false)
	if err != nil {
		return
	}
	defer route.Release()
	if !p.stack.AllowICMPMessage() {
		return
	}
	if pkt.NetworkProtocolNumber == header.IPv4ProtocolNumber {
		refuse4(route, pkt)
	} else {
		refuse6(route, pkt)
	}
}

// quote returns what an ICMP error of at most size bytes carries of pkt, and
// reserves room for the headers before it.
func quote(route *stack.Route, pkt *stack.PacketBuffer, size int) *stack.PacketBuffer {
	payload := buffer.MakeWithView(pkt.NetworkHeader().View())
	payload.Append(pkt.TransportHeader().View())
	data := pkt.Data().ToBuffer()
	payload.Merge(&data)
	payload.Truncate(int64(size))
	return stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: int(route.MaxHeaderLength()) + header.ICMPv6MinimumSize,
		Payload:            payload,
	})
}

func refuse4(route *stack.Route, pkt *stack.PacketBuffer) {
	size := min(int(route.MTU()), header.IPv4MinimumProcessableDatagramSize-header.IPv4MinimumSize)
	reply := quote(route, pkt, size-header.ICMPv4MinimumSize)
	defer reply.DecRef()
	reply.TransportProtocolNumber = header.ICMPv4ProtocolNumber
	h := header.ICMPv4(reply.TransportHeader().Push(header.ICMPv4MinimumSize))
	h.SetType(header.ICMPv4DstUnreachable)
	h.SetCode(header.ICMPv4ProtoUnreachable)
	h.SetChecksum(header.ICMPv4Checksum(h, reply.Data().Checksum()))
	params := stack.NetworkHeaderParams{Protocol: header.ICMPv4ProtocolNumber, TTL: route.DefaultTTL()}
	if route.WritePacket(params, reply) == nil {
		route.Stats().ICMP.V4.PacketsSent.DstUnreachable.Increment()
	}
}

func refuse6(route *stack.Route, pkt *stack.PacketBuffer) {
	size := min(int(route.MTU()), header.IPv6MinimumMTU-header.IPv6MinimumSize)
	reply := quote(route, pkt, size-header.ICMPv6MinimumSize)
	defer reply.DecRef()
	reply.TransportProtocolNumber = header.ICMPv6ProtocolNumber
	h := header.ICMPv6(reply.TransportHeader().Push(header.ICMPv6MinimumSize))
	h.SetType(header.ICMPv6ParamProblem)
	h.SetCode(header.ICMPv6UnknownHeader)
	h.SetTypeSpecific(lastNextHeader(pkt.NetworkHeader().Slice()))
	h.SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{
		Header: h, Src: route.LocalAddress(), Dst: route.RemoteAddress(),
		PayloadCsum: reply.Data().Checksum(), PayloadLen: reply.Data().Size(),
	}))
	params := stack.NetworkHeaderParams{Protocol: header.ICMPv6ProtocolNumber, TTL: route.DefaultTTL()}
	if route.WritePacket(params, reply) == nil {
		route.Stats().ICMP.V6.PacketsSent.ParamProblem.Increment()
	}
}

// lastNextHeader returns the offset of the field that named the unknown
// protocol: the next-header field of the fixed header, or of the last extension
// header.
func lastNextHeader(h []byte) uint32 {
	at, next := uint32(header.IPv6NextHeaderOffset), uint32(header.IPv6MinimumSize)
	for int(next)+8 <= len(h) { // 8: the least extension header
		switch header.IPv6ExtensionHeaderIdentifier(h[at]) {
		case header.IPv6HopByHopOptionsExtHdrIdentifier, header.IPv6RoutingExtHdrIdentifier,
			header.IPv6DestinationOptionsExtHdrIdentifier:
			at, next = next, next+8+8*uint32(h[next+1])
		case header.IPv6FragmentExtHdrIdentifier:
			at, next = next, next+8
		default:
			return at
		}
	}
	return at
}

// SetOption implements stack.TransportProtocol.
func (*rawProtocol) SetOption(tcpip.SettableTransportProtocolOption) tcpip.Error {
	return &tcpip.ErrUnknownProtocolOption{}
}

// Option implements stack.TransportProtocol.
func (*rawProtocol) Option(tcpip.GettableTransportProtocolOption) tcpip.Error {
	return &tcpip.ErrUnknownProtocolOption{}
}

// Close, Wait, Pause, Resume and Restore implement stack.TransportProtocol:
// there is nothing that runs.
func (*rawProtocol) Close()   {}
func (*rawProtocol) Wait()    {}
func (*rawProtocol) Pause()   {}
func (*rawProtocol) Resume()  {}
func (*rawProtocol) Restore() {}
