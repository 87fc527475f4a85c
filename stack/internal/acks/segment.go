package acks

import (
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// segment is what matters of a TCP segment.
type segment struct {
	key      key
	seq, ack seqnum.Value
	flags    header.TCPFlags
	window   uint16 // as in the header, not scaled
	options  []byte
	payload  seqnum.Size // bytes
	network  int         // bytes of IP header
	length   int         // bytes of TCP header and payload
}

// protocol is that of the IP header.
func (s *segment) protocol() tcpip.NetworkProtocolNumber {
	if s.key.local.Len() == header.IPv6AddressSize {
		return header.IPv6ProtocolNumber
	}
	return header.IPv4ProtocolNumber
}

// sentSegment reads a segment that our stack sends. It reports false for
// whatever is not one, forwarded packets among them.
func sentSegment(pkt *stack.PacketBuffer) (segment, bool) {
	tcp := header.TCP(pkt.TransportHeader().Slice())
	if pkt.TransportProtocolNumber != header.TCPProtocolNumber || len(tcp) < header.TCPMinimumSize ||
		pkt.NetworkPacketInfo.IsForwardedPacket {
		return segment{}, false
	}
	k := key{localPort: tcp.SourcePort(), remotePort: tcp.DestinationPort()}
	switch network := pkt.NetworkHeader().Slice(); {
	case pkt.NetworkProtocolNumber == header.IPv4ProtocolNumber && len(network) >= header.IPv4MinimumSize:
		ip := header.IPv4(network)
		k.local, k.remote = ip.SourceAddress(), ip.DestinationAddress()
	case pkt.NetworkProtocolNumber == header.IPv6ProtocolNumber && len(network) == header.IPv6MinimumSize:
		ip := header.IPv6(network)
		k.local, k.remote = ip.SourceAddress(), ip.DestinationAddress()
	default:
		return segment{}, false
	}
	return segment{
		key:     k,
		seq:     seqnum.Value(tcp.SequenceNumber()),
		ack:     seqnum.Value(tcp.AckNumber()),
		flags:   tcp.Flags(),
		window:  tcp.WindowSize(),
		options: tcp.Options(),
		payload: seqnum.Size(pkt.Data().Size()),
	}, tcp.Flags()&header.TCPFlagAck != 0 || tcp.Flags()&header.TCPFlagSyn != 0
}

// receivedSegment reads a segment as a link hands it up. It reports false for
// whatever is not one, or does not add up.
func receivedSegment(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) (segment, bool) {
	var s segment
	switch protocol {
	case header.IPv4ProtocolNumber:
		b, ok := pkt.Data().PullUp(header.IPv4MinimumSize)
		ip := header.IPv4(b)
		if !ok || ip.Protocol() != uint8(header.TCPProtocolNumber) || ip.More() || ip.FragmentOffset() != 0 {
			return s, false
		}
		s.key.local, s.key.remote = ip.DestinationAddress(), ip.SourceAddress()
		s.network = int(ip.HeaderLength())
		s.length = int(ip.TotalLength()) - s.network
	case header.IPv6ProtocolNumber:
		b, ok := pkt.Data().PullUp(header.IPv6MinimumSize)
		ip := header.IPv6(b)
		if !ok || ip.NextHeader() != uint8(header.TCPProtocolNumber) {
			return s, false
		}
		s.key.local, s.key.remote = ip.DestinationAddress(), ip.SourceAddress()
		s.network, s.length = header.IPv6MinimumSize, int(ip.PayloadLength())
	default:
		return s, false
	}
	b, ok := pkt.Data().PullUp(s.network + header.TCPMinimumSize)
	if !ok || s.network < header.IPv4MinimumSize || s.network+s.length > pkt.Data().Size() {
		return s, false
	}
	tcp := header.TCP(b[s.network:])
	s.key.localPort, s.key.remotePort = tcp.DestinationPort(), tcp.SourcePort()
	s.seq, s.ack, s.flags = seqnum.Value(tcp.SequenceNumber()), seqnum.Value(tcp.AckNumber()), tcp.Flags()
	s.window = tcp.WindowSize()
	if int(tcp.DataOffset()) < header.TCPMinimumSize || int(tcp.DataOffset()) > s.length {
		return s, false
	}
	s.payload = seqnum.Size(s.length - int(tcp.DataOffset()))
	if s.flags&header.TCPFlagSyn != 0 { // only a SYN's options matter
		if b, ok = pkt.Data().PullUp(s.network + int(tcp.DataOffset())); !ok {
			return s, false
		}
		s.options = header.TCP(b[s.network:]).Options()
	}
	return s, s.flags&header.TCPFlagRst == 0
}

// checksumValid verifies the checksum of a received segment.
func (s *segment) checksumValid(pkt *stack.PacketBuffer) bool {
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, s.key.remote, s.key.local, uint16(s.length))
	whole := pkt.Data().AsRange().SubRange(s.network).Capped(s.length).ToView()
	defer whole.Release()
	return checksum.Checksum(whole.AsSlice(), sum) == 0xffff
}

// segmentSize returns the bytes of data of each of the segments that a packet of
// our stack becomes.
func segmentSize(seg *segment, pkt *stack.PacketBuffer) seqnum.Size {
	if size := seqnum.Size(pkt.GSOOptions.MSS); pkt.GSOOptions.Type != stack.GSONone && size > 0 {
		return min(size, seg.payload)
	}
	return seg.payload
}

// hasOption looks for an option of the given kind.
func hasOption(options []byte, want uint8) bool { return findOption(options, want) >= 0 }

// findOption returns where an option of the given kind begins, or -1.
func findOption(options []byte, want uint8) int {
	for at := 0; at < len(options); {
		switch kind := options[at]; {
		case kind == want:
			return at
		case kind == header.TCPOptionEOL:
			return -1
		case kind == header.TCPOptionNOP:
			at++
		case len(options)-at < 2 || int(options[at+1]) < 2 || int(options[at+1]) > len(options)-at:
			return -1
		default:
			at += int(options[at+1])
		}
	}
	return -1
}

// sackOption returns the option that tells of the blocks, as far as there is room
// for it in the TCP header of a segment.
func sackOption(pkt *stack.PacketBuffer, blocks []header.SACKBlock) []byte {
	option := [header.TCPOptionsMaximumSize]byte{header.TCPOptionNOP, header.TCPOptionNOP}
	const align = 2 // the NOPs put the blocks at a multiple of four
	room := header.TCPHeaderMaximumSize - len(pkt.TransportHeader().Slice())
	n := header.EncodeSACKBlocks(blocks, option[align:max(align, room)])
	if n == 0 {
		return nil
	}
	return option[:align+n]
}

// rewrite returns a copy of a segment without payload that has another sequence
// number and one more option, which may be nil.
func rewrite(pkt *stack.PacketBuffer, seq seqnum.Value, option []byte) *stack.PacketBuffer {
	link, network, tcp := pkt.LinkHeader().Slice(), pkt.NetworkHeader().Slice(), pkt.TransportHeader().Slice()
	view := buffer.NewView(len(link) + len(network) + len(tcp) + len(option))
	for _, part := range [][]byte{link, network, tcp, option} {
		view.Write(part)
	}
	ip := view.AsSlice()[len(link):]
	longer := header.TCP(ip[len(network):])
	longer.SetSequenceNumber(uint32(seq))
	longer.SetDataOffset(uint8(len(longer)))
	fixLengths(pkt.NetworkProtocolNumber, ip, longer)

	full := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: pkt.AvailableHeaderBytes(), Payload: buffer.MakeWithView(view), Mark: pkt.Mark,
	})
	full.LinkHeader().Consume(len(link))
	full.NetworkHeader().Consume(len(network))
	full.TransportHeader().Consume(len(longer))
	full.NetworkProtocolNumber, full.TransportProtocolNumber = pkt.NetworkProtocolNumber, pkt.TransportProtocolNumber
	full.EgressRoute, full.Hash, full.Owner, full.PktType = pkt.EgressRoute, pkt.Hash, pkt.Owner, pkt.PktType
	full.NICID = pkt.NICID
	return full
}

// fixLengths makes the IP header and the checksums fit a TCP header that has
// grown.
func fixLengths(protocol tcpip.NetworkProtocolNumber, packet []byte, tcp header.TCP) {
	var ip header.Network
	if protocol == header.IPv4ProtocolNumber {
		v4 := header.IPv4(packet)
		v4.SetTotalLength(uint16(len(packet)))
		v4.SetChecksum(0)
		v4.SetChecksum(^v4.CalculateChecksum())
		ip = v4
	} else {
		v6 := header.IPv6(packet)
		v6.SetPayloadLength(uint16(len(tcp)))
		ip = v6
	}
	tcp.SetChecksum(0)
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, ip.SourceAddress(), ip.DestinationAddress(), uint16(len(tcp)))
	tcp.SetChecksum(^tcp.CalculateChecksum(sum))
}
