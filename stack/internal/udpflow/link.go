package udpflow

import (
	"net/netip"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/nested"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// nestedLink passes every call of a link on to the link below.
type nestedLink = nested.Endpoint

// Link is a link that takes datagrams past netstack.
type Link struct {
	nestedLink
	table *Table
	lower stack.LinkEndpoint
	nic   tcpip.NICID
	rx    atomic.Pointer[tcpip.NICPacketStats] // of the NIC
}

var (
	_ stack.LinkEndpoint      = (*Link)(nil)
	_ stack.GSOEndpoint       = (*Link)(nil)
	_ stack.NetworkDispatcher = (*Link)(nil)
)

// NewLink puts a Link in front of lower, the link of a NIC. Closing it closes
// lower.
func (t *Table) NewLink(lower stack.LinkEndpoint, nic tcpip.NICID) *Link {
	l := &Link{table: t, lower: lower, nic: nic}
	l.Init(lower, l)
	return l
}

// DeliverNetworkPacket implements stack.NetworkDispatcher, for the link below.
func (l *Link) DeliverNetworkPacket(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	if l.table.flows.Load() > 0 && pkt.PktType == tcpip.PacketHost {
		var room [pieces][]byte
		views, skip := pkt.AsViewList()
		b := contents(room[:0], &views, skip+len(pkt.LinkHeader().Slice()))
		vouched := l.lower.Capabilities()&stack.CapabilityRXChecksumOffload != 0
		if l.take(protocol, b, 0, vouched) {
			return
		}
	}
	l.nestedLink.DeliverNetworkPacket(protocol, pkt)
}

// DeliverDatagrams takes the IP packet in b, whose UDP payload is datagrams of
// segment bytes each. Its checksums must be known to be right, or to be yet to be
// made by who sent it. It reports false, and has done nothing, for what is
// netstack's.
func (l *Link) DeliverDatagrams(protocol tcpip.NetworkProtocolNumber, b *buffer.Buffer, segment int) bool {
	if l.table.flows.Load() == 0 {
		return false
	}
	var room [pieces][]byte
	views := b.AsViewList()
	return l.take(protocol, contents(room[:0], &views, 0), segment, true)
}

// pieces is how many a packet usually has at most: headers, and what a link reads
// into (stack/link's frame).
const pieces = 8

// contents appends the bytes of views from the given one on.
func contents(dst [][]byte, views *buffer.ViewList, skip int) [][]byte {
	for v := views.Front(); v != nil; v = v.Next() {
		s := v.AsSlice()
		from := min(skip, len(s))
		skip -= from
		if len(s) > from {
			dst = append(dst, s[from:])
		}
	}
	return dst
}

// take hands a packet in pieces to who receives its flow.
func (l *Link) take(protocol tcpip.NetworkProtocolNumber, b [][]byte, segment int, vouched bool) bool {
	t := l.table
	p, ok := parse(protocol, b, vouched)
	if !ok || t.paused.Load() > 0 {
		return false
	}
	p.key.NIC = l.nic
	f := t.find(p.key)
	if f == nil {
		return false
	}
	generation, now := t.generation.Load(), t.gv.Clock().Now()
	if f.good.Load() != generation || now.UnixNano() >= f.until.Load() {
		f.armed.Store(generation)
		return false
	}
	b[0] = b[0][p.headers:]
	if !vouched && !p.intact(b) {
		return false
	}
	d := Datagrams{Payload: b, Size: p.size, Segment: segment, TOS: p.tos, TTL: p.ttl, When: now}
	if segment >= p.size {
		d.Segment = 0
	}
	if !f.receiver.ReceiveFlow(f, d) {
		return false
	}
	t.taken.Add(uint64(d.Count()))
	l.count(d.Count(), p.headers, p.size)
	return true
}

// A packet is what the headers of a UDP packet say.
type packet struct {
	key      Key
	headers  int // bytes in front of the payload
	size     int // of the payload
	tos, ttl uint8
	sum      uint16 // of the pseudo-header
	unsummed bool   // sent without a checksum
}

// parse reads the headers of a packet that is simple. Everything that netstack
// would object to makes it report false.
func parse(protocol tcpip.NetworkProtocolNumber, b [][]byte, vouched bool) (packet, bool) {
	if len(b) == 0 {
		return packet{}, false
	}
	size := 0
	for _, piece := range b {
		size += len(piece)
	}
	switch protocol {
	case header.IPv4ProtocolNumber:
		return parse4(b[0], size, vouched)
	case header.IPv6ProtocolNumber:
		return parse6(b[0], size)
	}
	return packet{}, false
}

func parse4(ip header.IPv4, size int, vouched bool) (packet, bool) {
	const headers = header.IPv4MinimumSize + header.UDPMinimumSize
	const plain = 4<<4 | header.IPv4MinimumSize/4 // version 4, no options
	switch {
	case len(ip) < headers || ip[0] != plain || ip.Protocol() != uint8(header.UDPProtocolNumber):
	case ip.More() || ip.FragmentOffset() != 0 || int(ip.TotalLength()) != size:
	case !vouched && !ip[:header.IPv4MinimumSize].IsChecksumValid():
	default:
		p := packet{headers: headers, tos: ip[1], ttl: ip.TTL(), sum: checksum.Checksum(ip[12:20], 0)}
		from, to := netip.AddrFrom4([4]byte(ip[12:16])), netip.AddrFrom4([4]byte(ip[16:20]))
		return p, p.parseUDP(from, to, header.UDP(ip[header.IPv4MinimumSize:]), size)
	}
	return packet{}, false
}

func parse6(ip header.IPv6, size int) (packet, bool) {
	const headers = header.IPv6MinimumSize + header.UDPMinimumSize
	if len(ip) < headers || ip[0]>>4 != 6 || ip.NextHeader() != uint8(header.UDPProtocolNumber) ||
		header.IPv6MinimumSize+int(ip.PayloadLength()) != size {
		return packet{}, false
	}
	p := packet{headers: headers, ttl: ip.HopLimit(), sum: checksum.Checksum(ip[8:40], 0)}
	p.tos, _ = ip.TOS()
	from, to := netip.AddrFrom16([16]byte(ip[8:24])), netip.AddrFrom16([16]byte(ip[24:40]))
	return p, p.parseUDP(from, to, header.UDP(ip[header.IPv6MinimumSize:]), size) && !p.unsummed
}

// parseUDP reads the UDP header, and reports whether its length fits that of the
// packet.
func (p *packet) parseUDP(from, to netip.Addr, udp header.UDP, size int) bool {
	p.size = size - p.headers
	p.key.From, p.key.To = netip.AddrPortFrom(from, udp.SourcePort()), netip.AddrPortFrom(to, udp.DestinationPort())
	p.unsummed = udp.Checksum() == 0
	pseudo := [4]byte{0, uint8(header.UDPProtocolNumber), udp[4], udp[5]} // RFC 768, RFC 8200 section 8.1
	p.sum = checksum.Checksum(pseudo[:], p.sum)
	p.sum = checksum.Checksum(udp[:header.UDPMinimumSize], p.sum)
	return int(udp.Length()) == header.UDPMinimumSize+p.size
}

// intact verifies the UDP checksum over the headers, summed up already, and a
// payload.
func (p *packet) intact(payload [][]byte) bool {
	if p.unsummed {
		return true
	}
	var c checksum.Checksumer
	for _, piece := range payload {
		c.Add(piece)
	}
	return checksum.Combine(c.Checksum(), p.sum) == 0xffff
}

// count counts n datagrams with so many bytes of payload together where netstack
// would have. What each protocol counts for each NIC, which nobody hears of
// outside netstack, is left alone.
func (l *Link) count(n, headers, payload int) {
	t := l.table
	for _, c := range t.packets {
		c.IncrementBy(uint64(n))
	}
	t.bytes.IncrementBy(uint64(n*headers + payload))
	rx := l.rx.Load()
	if rx == nil {
		info, ok := t.gv.NICInfo()[l.nic]
		if !ok {
			return
		}
		rx = &info.Stats.Rx
		l.rx.Store(rx)
	}
	rx.Packets.IncrementBy(uint64(n))
	rx.Bytes.IncrementBy(uint64(n*headers + payload))
}
