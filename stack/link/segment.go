package link

import (
	"encoding/binary"
	"iter"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// MaxGSOSize is the largest segment that a link takes, in bytes with headers:
// an IP length field has 16 bits.
const MaxGSOSize = 65535

// A segment is one of the packets that a large one is cut into.
type segment struct {
	index  int
	offset int // of its payload in that of the large packet
	size   int // of its payload
	last   bool
}

// cut yields the segments of a payload of total bytes, size bytes each; for
// none it is one empty segment.
func cut(total, size int) iter.Seq[segment] {
	return func(yield func(segment) bool) {
		for s := (segment{}); !s.last; s.index++ {
			s.offset += s.size
			s.size = min(size, total-s.offset)
			s.last = s.offset+s.size == total
			if !yield(s) {
				return
			}
		}
	}
}

// writeHeaders turns dst, a copy of the large packet's headers, into those of
// one segment, with a partial transport checksum.
func (l layout) writeHeaders(dst []byte, s segment) {
	if l.proto == protoTCP {
		tcp := header.TCP(dst[l.transport():])
		tcp.SetSequenceNumber(tcp.SequenceNumber() + uint32(s.offset))
		flags := tcp.Flags()
		if !s.last {
			flags &^= header.TCPFlagFin | header.TCPFlagPsh
		}
		if s.index > 0 {
			flags &^= tcpFlagCWR
		}
		tcp.SetFlags(uint8(flags))
	}
	if !l.v6 {
		// The identification matters only where fragments may be made
		// (RFC 6864, section 4); a packet that forbids them keeps its own.
		if ip := header.IPv4(dst[l.l2:]); ip.Flags()&header.IPv4FlagDontFragment == 0 {
			ip.SetID(ip.ID() + uint16(s.index))
		}
	}
	l.setLength(dst, s.size)
	l.setPartial(dst, s.size)
}

// tcpFlagCWR goes on the first segment only (RFC 3168, section 6.1.2).
const tcpFlagCWR = header.TCPFlags(0x80)

// sendSize returns the payload that each segment of a packet may have: the
// peer's MSS, or less where the MTU has shrunk since the connection began.
// An mss of zero is not known yet: such a packet is no longer than the MTU.
// Datagrams keep their size whatever the MTU has become.
func sendSize(l layout, mss uint16, mtu uint32) int {
	size := int(mss)
	if l.proto == protoUDP && size > 0 {
		return size
	}
	if size == 0 {
		size = maxMTU
	}
	if room := int(mtu) - l.l3 - l.l4; room > 0 {
		return min(size, room)
	}
	return size
}

// layoutOf returns the layout of a TCP or UDP packet that a stack sends with GSO
// options and a partial checksum, and false for any other. Netstack's GSO types
// tell the IP versions apart; the transport is the packet's.
func layoutOf(pkt *stack.PacketBuffer) (layout, bool) {
	if !pkt.GSOOptions.NeedsCsum {
		return layout{}, false
	}
	l := layout{
		l2:    len(pkt.LinkHeader().Slice()),
		l3:    len(pkt.NetworkHeader().Slice()),
		l4:    len(pkt.TransportHeader().Slice()),
		v6:    pkt.GSOOptions.Type == stack.GSOTCPv6,
		proto: protoTCP,
	}
	least := header.TCPMinimumSize
	if pkt.TransportProtocolNumber == header.UDPProtocolNumber {
		l.proto, least = protoUDP, header.UDPMinimumSize
	}
	switch pkt.GSOOptions.Type {
	case stack.GSOTCPv4:
		return l, l.l3 >= header.IPv4MinimumSize && l.l4 >= least
	case stack.GSOTCPv6:
		return l, l.l3 >= header.IPv6MinimumSize && l.l4 >= least
	}
	return l, false
}

// split yields packets in wire form, at most size bytes of payload each, for
// the large packet in buf. The caller owns each, and keeps buf. Bytes are
// copied: a slice of a large packet would keep all of it in memory.
func (l layout) split(buf *buffer.Buffer, size int) iter.Seq[*stack.PacketBuffer] {
	return func(yield func(*stack.PacketBuffer) bool) {
		headers := make([]byte, l.payload())
		buf.ReadAt(headers, 0)
		unsummed := l.unsummed(headers)
		for s := range cut(int(buf.Size())-l.payload(), size) {
			v := buffer.NewViewSize(l.payload() + s.size)
			b := v.AsSlice()
			copy(b, headers)
			buf.ReadAt(b[l.payload():], int64(l.payload()+s.offset))
			l.writeHeaders(b, s)
			if unsummed {
				binary.BigEndian.PutUint16(b[l.transport()+l.checksumOffset():], 0)
			} else {
				completePartial(b, l.transport(), l.transport()+l.checksumOffset(), nil)
			}
			if !yield(stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(v)})) {
				return
			}
		}
	}
}

// unsummed reports a UDP packet that was sent without a checksum, as IPv4
// permits (RFC 768).
func (l layout) unsummed(b []byte) bool {
	return l.proto == protoUDP && !l.v6 && header.UDP(b[l.transport():]).Checksum() == 0
}
