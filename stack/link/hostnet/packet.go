package hostnet

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Packets for the stack that no endpoint of the gateway makes: datagrams and
// ICMP messages.

const (
	maxMTU        = 65535 // bytes: an IPv4 total length has 16 bits (RFC 791)
	defaultTTL    = 64    // RFC 1700; what the stack sees of packets whose own is not known
	fragmentUnits = 8     // bytes: fragment offsets count these (RFC 791, RFC 8200 section 4.5)
)

// An envelope is what an IP header says.
type envelope struct {
	from, to netip.Addr
	proto    tcpip.TransportProtocolNumber
	ttl, tos uint8
	at       netip.Addr // of what came in: the machine's address that it came to, where that is known
}

// sendUDP delivers a datagram to the stack.
func (u *Uplink) sendUDP(from, to netip.AddrPort, e envelope, payload []byte) {
	if len(payload)+header.UDPMinimumSize > maxMTU || from.Addr().Is4() != to.Addr().Is4() {
		return
	}
	e.from, e.to, e.proto = from.Addr(), to.Addr(), header.UDPProtocolNumber
	v := buffer.NewViewSize(header.UDPMinimumSize + len(payload))
	b := v.AsSlice()
	copy(b[header.UDPMinimumSize:], payload)
	h := header.UDP(b)
	h.Encode(&header.UDPFields{SrcPort: from.Port(), DstPort: to.Port(), Length: uint16(len(b))})
	sum := header.PseudoHeaderChecksum(e.proto, addressOf(e.from), addressOf(e.to), uint16(len(b)))
	if sum = ^checksum.Checksum(b, sum); sum == 0 {
		sum = 0xffff // zero means none (RFC 768)
	}
	h.SetChecksum(sum)
	u.send(e, v)
}

// sendICMP delivers an ICMP message without its checksum to the stack.
func (u *Uplink) sendICMP(e envelope, message []byte) {
	v := buffer.NewViewWithData(message)
	b := v.AsSlice()
	if e.to.Is4() {
		e.proto = header.ICMPv4ProtocolNumber
		header.ICMPv4(b).SetChecksum(0)
		header.ICMPv4(b).SetChecksum(^checksum.Checksum(b, 0))
	} else {
		e.proto = header.ICMPv6ProtocolNumber
		header.ICMPv6(b).SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{
			Header: header.ICMPv6(b), Src: addressOf(e.from), Dst: addressOf(e.to),
		}))
	}
	u.send(e, v)
}

// send puts an IP header in front of v, which it owns, or several where the link
// cannot carry it in one packet.
func (u *Uplink) send(e envelope, v *buffer.View) {
	if e.ttl == 0 {
		e.ttl = defaultTTL
	}
	head := header.IPv6MinimumSize
	if e.to.Is4() {
		head = header.IPv4MinimumSize
	}
	b, mtu := v.AsSlice(), int(u.cfg.MTU)
	if len(b)+head <= mtu {
		u.transmit(e, v, fragment{})
		return
	}
	defer v.Release()
	room := mtu - head
	if e.to.Is6() {
		room -= header.IPv6FragmentHeaderSize
	}
	room -= room % fragmentUnits
	f := fragment{is: true, id: u.fragments.Add(1)}
	for ; f.offset < len(b); f.offset += room {
		end := min(f.offset+room, len(b))
		f.more = end < len(b)
		u.transmit(e, buffer.NewViewWithData(b[f.offset:end]), f)
	}
}

// A fragment says which part of a packet is sent; the zero value is all of it.
type fragment struct {
	is     bool
	id     uint32
	offset int // bytes
	more   bool
}

// transmit writes one packet to the link. It owns v.
func (u *Uplink) transmit(e envelope, v *buffer.View, f fragment) {
	pkt := packetOf(e, v, f)
	defer pkt.DecRef()
	var list stack.PacketBufferList
	list.PushBack(pkt)
	u.far.WritePackets(list) // a full queue drops it, as networks do
}

// packetOf puts an IP header in front of v, which it owns.
func packetOf(e envelope, v *buffer.View, f fragment) *stack.PacketBuffer {
	size := v.Size()
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: header.IPv6MinimumSize + header.IPv6FragmentHeaderSize,
		Payload:            buffer.MakeWithView(v),
	})
	if e.to.Is4() {
		encode4(pkt, e, size, f)
	} else {
		encode6(pkt, e, size, f)
	}
	return pkt
}

func encode4(pkt *stack.PacketBuffer, e envelope, size int, f fragment) {
	pkt.NetworkProtocolNumber = header.IPv4ProtocolNumber
	ip := header.IPv4(pkt.NetworkHeader().Push(header.IPv4MinimumSize))
	fields := header.IPv4Fields{
		TOS: e.tos, TTL: e.ttl, Protocol: uint8(e.proto), ID: uint16(f.id), FragmentOffset: uint16(f.offset),
		TotalLength: uint16(header.IPv4MinimumSize + size), SrcAddr: addressOf(e.from), DstAddr: addressOf(e.to),
	}
	if f.more {
		fields.Flags = header.IPv4FlagMoreFragments
	}
	ip.Encode(&fields)
	ip.SetChecksum(^ip.CalculateChecksum())
}

func encode6(pkt *stack.PacketBuffer, e envelope, size int, f fragment) {
	pkt.NetworkProtocolNumber = header.IPv6ProtocolNumber
	fields := header.IPv6Fields{
		TrafficClass: e.tos, HopLimit: e.ttl, TransportProtocol: e.proto,
		SrcAddr: addressOf(e.from), DstAddr: addressOf(e.to), PayloadLength: uint16(size),
	}
	room := header.IPv6MinimumSize
	if f.is {
		fields.ExtensionHeaders = header.IPv6ExtHdrSerializer{&header.IPv6SerializableFragmentExtHdr{
			FragmentOffset: uint16(f.offset / fragmentUnits), M: f.more, Identification: f.id,
		}}
		fields.PayloadLength += header.IPv6FragmentHeaderSize
		room += header.IPv6FragmentHeaderSize
	}
	header.IPv6(pkt.NetworkHeader().Push(room)).Encode(&fields)
}

// soundTCP and soundUDP report whether a segment's or datagram's lengths are
// possible and its checksum is right, unless the link vouches for that. Netstack
// looks later than this package does.
func soundTCP(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	h := header.TCP(pkt.TransportHeader().Slice())
	if size := int(h.DataOffset()); size < header.TCPMinimumSize || size > len(h) {
		return false
	}
	data := pkt.Data()
	return pkt.RXChecksumValidated ||
		h.IsChecksumValid(id.RemoteAddress, id.LocalAddress, data.Checksum(), uint16(data.Size()))
}

func soundUDP(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	h := header.UDP(pkt.TransportHeader().Slice())
	size := int(h.Length()) - header.UDPMinimumSize
	if size < 0 || size > pkt.Data().Size() {
		return false
	}
	pkt.Data().CapLength(size)
	if h.Checksum() == 0 && pkt.NetworkProtocolNumber == header.IPv4ProtocolNumber {
		return true // there is none (RFC 768)
	}
	return pkt.RXChecksumValidated || h.IsChecksumValid(id.RemoteAddress, id.LocalAddress, pkt.Data().Checksum())
}

// payloadOf copies what follows the transport header into b and returns it.
func payloadOf(pkt *stack.PacketBuffer, b []byte) []byte {
	w := tcpip.SliceWriter(b)
	n, _ := pkt.Data().ReadTo(&w, true) // an error says that b is too small: it has 64 KiB
	return b[:n]
}

// netFields returns the time to live or hop limit, the type of service or traffic
// class, and whether routers may not fragment the packet.
func netFields(pkt *stack.PacketBuffer) (ttl, tos uint8, whole bool) {
	h := pkt.NetworkHeader().Slice()
	if pkt.NetworkProtocolNumber == header.IPv4ProtocolNumber {
		ip := header.IPv4(h)
		tos, _ = ip.TOS()
		return ip.TTL(), tos, ip.Flags()&header.IPv4FlagDontFragment != 0
	}
	ip := header.IPv6(h)
	tos, _ = ip.TOS()
	return ip.HopLimit(), tos, true
}
