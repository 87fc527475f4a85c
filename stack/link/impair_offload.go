package link

import (
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const udpChecksumOffset = 6 // bytes into the UDP header (RFC 768)

// ipLayout is where things are in an IP packet that carries TCP or UDP.
type ipLayout struct {
	bytes     []byte // the packet, without padding behind it
	network   header.Network
	headerLen int // of IP
	transport tcpip.TransportProtocolNumber
}

// parseIP finds the transport header of an IP packet. It reports false for
// fragments, IPv6 extension headers and whatever does not add up: their
// checksums are left as they are.
func parseIP(protocol tcpip.NetworkProtocolNumber, bytes []byte) (ipLayout, bool) {
	switch protocol {
	case header.IPv4ProtocolNumber:
		ip := header.IPv4(bytes)
		if !ip.IsValid(len(bytes)) || ip.More() || ip.FragmentOffset() != 0 {
			return ipLayout{}, false
		}
		return ipLayout{bytes[:ip.TotalLength()], ip, int(ip.HeaderLength()), ip.TransportProtocol()}, true
	case header.IPv6ProtocolNumber:
		ip := header.IPv6(bytes)
		if !ip.IsValid(len(bytes)) {
			return ipLayout{}, false
		}
		end := header.IPv6MinimumSize + int(ip.PayloadLength())
		return ipLayout{bytes[:end], ip, header.IPv6MinimumSize, ip.TransportProtocol()}, true
	}
	return ipLayout{}, false
}

// setChecksum computes the TCP or UDP checksum, and reports whether there was
// one to compute.
func (p ipLayout) setChecksum() bool {
	segment := p.bytes[p.headerLen:]
	at := 0
	switch {
	case p.transport == header.TCPProtocolNumber && len(segment) >= header.TCPMinimumSize:
		at = header.TCPChecksumOffset
	case p.transport == header.UDPProtocolNumber && len(segment) >= header.UDPMinimumSize:
		at = udpChecksumOffset
	default:
		return false
	}
	checksum.Put(segment[at:], 0)
	sum := header.PseudoHeaderChecksum(p.transport, p.network.SourceAddress(), p.network.DestinationAddress(), uint16(len(segment)))
	sum = ^checksum.Checksum(segment, sum)
	if sum == 0 && p.transport == header.UDPProtocolNumber {
		sum = 0xffff // zero means "no checksum" (RFC 768)
	}
	checksum.Put(segment[at:], sum)
	return true
}

// completeChecksum returns a copy of pkt, from a link with receive checksum
// offload, with its TCP or UDP checksum filled in, or nil if it has none.
func completeChecksum(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) *stack.PacketBuffer {
	view := pkt.ToView()
	ip, ok := parseIP(protocol, view.AsSlice()[linkSize(pkt):])
	if !ok || !ip.setChecksum() {
		view.Release()
		return nil
	}
	full := repack(pkt, view)
	full.RXChecksumValidated = false
	return full
}

// splitTCP splits a coalesced TCP packet into packets of at most mtu bytes,
// each with full checksums. It returns nil for a packet that needs no split or
// is not TCP over plain IP.
func splitTCP(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer, mtu int) []*stack.PacketBuffer {
	if networkSize(pkt) <= mtu {
		return nil
	}
	view := pkt.ToView()
	defer view.Release()
	ip, ok := parseIP(protocol, view.AsSlice()[linkSize(pkt):])
	if !ok || ip.transport != header.TCPProtocolNumber || len(ip.bytes) < ip.headerLen+header.TCPMinimumSize {
		return nil
	}
	headers := ip.headerLen + int(header.TCP(ip.bytes[ip.headerLen:]).DataOffset())
	if headers < ip.headerLen+header.TCPMinimumSize || headers >= min(mtu, len(ip.bytes)) {
		return nil
	}
	link := view.AsSlice()[:linkSize(pkt)]
	step := mtu - headers
	if mss := int(pkt.GSOOptions.MSS); mss > 0 {
		step = min(step, mss)
	}
	var segments []*stack.PacketBuffer
	for at := headers; at < len(ip.bytes); at += step {
		end := min(at+step, len(ip.bytes))
		piece := buffer.NewView(len(link) + headers + end - at)
		piece.Write(link)
		piece.Write(ip.bytes[:headers])
		piece.Write(ip.bytes[at:end])
		own := piece.AsSlice()[len(link):]
		tcp := header.TCP(own[ip.headerLen:])
		tcp.SetSequenceNumber(tcp.SequenceNumber() + uint32(at-headers))
		if end < len(ip.bytes) {
			tcp.SetFlags(uint8(tcp.Flags() &^ (header.TCPFlagFin | header.TCPFlagPsh)))
		}
		setLengths(protocol, own)
		segment := repack(pkt, piece)
		segment.RXChecksumValidated = false
		segment.GSOOptions = stack.GSO{}
		segments = append(segments, segment)
	}
	return segments
}

// setLengths makes the IP header and the checksums of a packet fit its length.
func setLengths(protocol tcpip.NetworkProtocolNumber, bytes []byte) {
	if protocol == header.IPv4ProtocolNumber {
		ip := header.IPv4(bytes)
		ip.SetTotalLength(uint16(len(bytes)))
		ip.SetChecksum(0)
		ip.SetChecksum(^ip.CalculateChecksum())
	} else {
		header.IPv6(bytes).SetPayloadLength(uint16(len(bytes) - header.IPv6MinimumSize))
	}
	if ip, ok := parseIP(protocol, bytes); ok {
		ip.setChecksum()
	}
}
