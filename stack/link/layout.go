package link

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// A layout says where the headers of a TCP or UDP packet are. Offsets count
// from the start of the frame, a link-layer header included.
type layout struct {
	l2, l3, l4 int // bytes of link, network (extension headers included) and transport header
	v6         bool
	proto      uint8 // protoTCP or protoUDP
}

const (
	protoTCP = uint8(header.TCPProtocolNumber)
	protoUDP = uint8(header.UDPProtocolNumber)
)

func (l layout) transport() int { return l.l2 + l.l3 }
func (l layout) payload() int   { return l.l2 + l.l3 + l.l4 }

// checksumOffset is where the checksum is in the transport header.
func (l layout) checksumOffset() int {
	if l.proto == protoTCP {
		return header.TCPChecksumOffset
	}
	return 6 // RFC 768
}

// gsoType is how a virtio header calls a large packet of this layout.
func (l layout) gsoType() uint8 {
	switch {
	case l.proto == protoUDP:
		return virtioGSOUDP
	case l.v6:
		return virtioGSOTCPv6
	}
	return virtioGSOTCPv4
}

// parseLayout finds the headers of the packet that starts l2 bytes into b. It
// fails on fragments, on protocols other than TCP and UDP, and when b ends
// before the headers do.
func parseLayout(b []byte, l2 int) (layout, bool) {
	if len(b) <= l2 {
		return layout{}, false
	}
	l := layout{l2: l2}
	ok := false
	switch ip := b[l2:]; ip[0] >> 4 {
	case 4:
		ok = l.parseIPv4(ip)
	case 6:
		l.v6 = true
		ok = l.parseIPv6(ip)
	}
	return l, ok && l.parseTransport(b)
}

func (l *layout) parseIPv4(ip []byte) bool {
	if len(ip) < header.IPv4MinimumSize {
		return false
	}
	h := header.IPv4(ip)
	l.l3, l.proto = int(h.HeaderLength()), h.Protocol()
	return l.l3 >= header.IPv4MinimumSize && !h.More() && h.FragmentOffset() == 0
}

// parseIPv6 walks over the extension headers that may precede a transport
// header; one it does not know, a fragment header among them, makes it fail.
func (l *layout) parseIPv6(ip []byte) bool {
	if len(ip) < header.IPv6MinimumSize {
		return false
	}
	l.l3, l.proto = header.IPv6MinimumSize, header.IPv6(ip).NextHeader()
	for {
		switch header.IPv6ExtensionHeaderIdentifier(l.proto) {
		case header.IPv6HopByHopOptionsExtHdrIdentifier,
			header.IPv6RoutingExtHdrIdentifier,
			header.IPv6DestinationOptionsExtHdrIdentifier:
		default:
			return true // parseTransport judges the rest
		}
		if len(ip) < l.l3+2 {
			return false
		}
		l.proto = ip[l.l3]
		l.l3 += 8 * (1 + int(ip[l.l3+1])) // RFC 8200, section 4.3
	}
}

func (l *layout) parseTransport(b []byte) bool {
	if len(b) < l.transport() {
		return false
	}
	switch t := b[l.transport():]; l.proto {
	case protoTCP:
		if len(t) < header.TCPMinimumSize {
			return false
		}
		l.l4 = int(header.TCP(t).DataOffset())
		return l.l4 >= header.TCPMinimumSize && len(t) >= l.l4
	case protoUDP:
		l.l4 = header.UDPMinimumSize
		return len(t) >= l.l4
	}
	return false
}

// setLength writes the length fields of the IP header, and of the UDP header,
// for a payload of n bytes, and completes an IPv4 header checksum.
func (l layout) setLength(b []byte, n int) {
	if l.proto == protoUDP {
		header.UDP(b[l.transport():]).SetLength(uint16(l.l4 + n))
	}
	if l.v6 {
		header.IPv6(b[l.l2:]).SetPayloadLength(uint16(l.l3 - header.IPv6MinimumSize + l.l4 + n))
		return
	}
	ip := header.IPv4(b[l.l2:l.transport()])
	ip.SetTotalLength(uint16(l.l3 + l.l4 + n))
	ip.SetChecksum(0)
	ip.SetChecksum(^ip.CalculateChecksum())
}

// setPartial writes the transport checksum in its partial form: the sum of the
// pseudo-header for a payload of n bytes.
func (l layout) setPartial(b []byte, n int) {
	binary.BigEndian.PutUint16(b[l.transport()+l.checksumOffset():], l.pseudoSum(b, l.l4+n))
}
