package link

import (
	"math/rand/v2"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

var (
	testSrc4 = tcpip.AddrFrom4([4]byte{10, 0, 0, 9})
	testDst4 = tcpip.AddrFrom4([4]byte{10, 0, 0, 1})
	testSrc6 = tcpip.AddrFrom16([16]byte{0: 0xfd, 15: 9})
	testDst6 = tcpip.AddrFrom16([16]byte{0: 0xfd, 15: 1})
)

// A testPacket describes an IP packet with random payload and right checksums.
type testPacket struct {
	v6      bool
	udp     bool
	payload int
	flags   header.TCPFlags
	id      uint16
	noDF    bool
	options int // bytes of TCP options
	hopOpts int // bytes of IPv6 hop-by-hop options, a multiple of 8
}

// build returns the packet's bytes and the layout it has.
func (p testPacket) build() ([]byte, layout) {
	l := layout{l3: header.IPv4MinimumSize, l4: header.TCPMinimumSize + p.options, v6: p.v6, proto: protoTCP}
	if p.v6 {
		l.l3 = header.IPv6MinimumSize + p.hopOpts
	}
	if p.udp {
		l.l4, l.proto = header.UDPMinimumSize, protoUDP
	}
	b := make([]byte, l.payload()+p.payload)
	rand.NewChaCha8([32]byte{byte(p.payload)}).Read(b[l.payload():])
	t := b[l.transport():]
	if p.udp {
		header.UDP(t).Encode(&header.UDPFields{SrcPort: 1000, DstPort: 2000, Length: uint16(len(t))})
	} else {
		header.TCP(t).Encode(&header.TCPFields{
			SrcPort: 1000, DstPort: 2000, SeqNum: 0xffffff00, AckNum: 7,
			DataOffset: uint8(l.l4), Flags: p.flags | header.TCPFlagAck, WindowSize: 500,
		})
		for i := range p.options {
			t[header.TCPMinimumSize+i] = header.TCPOptionNOP
		}
	}
	p.encodeIP(b, l)
	src, dst := testSrc4, testDst4
	if p.v6 {
		src, dst = testSrc6, testDst6
	}
	sum := header.PseudoHeaderChecksum(tcpip.TransportProtocolNumber(l.proto), src, dst, uint16(len(t)))
	checksum.Put(t[l.checksumOffset():], ^checksum.Checksum(t, sum))
	return b, l
}

func (p testPacket) encodeIP(b []byte, l layout) {
	if p.v6 {
		header.IPv6(b).Encode(&header.IPv6Fields{
			PayloadLength: uint16(len(b) - header.IPv6MinimumSize), TransportProtocol: tcpip.TransportProtocolNumber(l.proto),
			HopLimit: 64, SrcAddr: testSrc6, DstAddr: testDst6,
		})
		if p.hopOpts > 0 {
			b[6] = uint8(header.IPv6HopByHopOptionsExtHdrIdentifier)
			hop := b[header.IPv6MinimumSize:]
			hop[0], hop[1] = l.proto, uint8(p.hopOpts/8-1)
			hop[2], hop[3] = 1, uint8(p.hopOpts-4) // PadN
		}
		return
	}
	flags := uint8(header.IPv4FlagDontFragment)
	if p.noDF {
		flags = 0
	}
	ip := header.IPv4(b)
	ip.Encode(&header.IPv4Fields{
		TotalLength: uint16(len(b)), ID: p.id, Flags: flags, TTL: 64,
		Protocol: l.proto, SrcAddr: testSrc4, DstAddr: testDst4,
	})
	ip.SetChecksum(^ip.CalculateChecksum())
}

// partial turns a packet's checksum into a partial one and returns the virtio
// header that says so.
func partial(b []byte, l layout) virtioHeader {
	l.setPartial(b, len(b)-l.payload())
	return virtioHeader{
		flags: virtioNeedsCSUM, hdrLen: uint16(l.payload()),
		csumStart: uint16(l.transport()), csumOffset: uint16(l.checksumOffset()),
	}
}

// coalesced does the same for a large packet that is made of segments of size.
func coalesced(b []byte, l layout, size uint16) virtioHeader {
	h := partial(b, l)
	h.gsoSize = size
	switch {
	case l.proto == protoUDP:
		h.gsoType = virtioGSOUDP
	case l.v6:
		h.gsoType = virtioGSOTCPv6
	default:
		h.gsoType = virtioGSOTCPv4
	}
	return h
}

// framed returns a frame as a Device hands it in.
func framed(h virtioHeader, b []byte) []byte {
	f := make([]byte, virtioHeaderSize, virtioHeaderSize+len(b))
	h.put(f)
	return append(f, b...)
}
