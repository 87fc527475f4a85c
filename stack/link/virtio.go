package link

import "encoding/binary"

// virtioHeaderSize is the size of the legacy struct virtio_net_hdr that
// precedes every packet on a Device (Virtual I/O Device 1.2, section 5.1.6).
const virtioHeaderSize = 10

// Bits of virtioHeader.flags.
const (
	virtioNeedsCSUM = 1 // the checksum at csumStart+csumOffset is partial
	virtioDataValid = 2 // the sender of the header has verified the checksum
)

// Values of virtioHeader.gsoType.
const (
	virtioGSONone  = 0
	virtioGSOTCPv4 = 1
	virtioGSOTCPv6 = 4
	virtioGSOUDP   = 5    // VIRTIO_NET_HDR_GSO_UDP_L4: datagrams of gsoSize
	virtioGSOECN   = 0x80 // a bit beside the others: CWR is set
)

// A virtioHeader says what a packet still needs, or what was done to it.
type virtioHeader struct {
	flags      uint8
	gsoType    uint8
	hdrLen     uint16 // of all headers; a hint that readers must not trust
	gsoSize    uint16 // payload of each segment
	csumStart  uint16 // the checksum covers the packet from here to its end
	csumOffset uint16 // the checksum is here, counted from csumStart
}

func (h virtioHeader) put(b []byte) {
	_ = b[virtioHeaderSize-1]
	b[0], b[1] = h.flags, h.gsoType
	binary.LittleEndian.PutUint16(b[2:], h.hdrLen)
	binary.LittleEndian.PutUint16(b[4:], h.gsoSize)
	binary.LittleEndian.PutUint16(b[6:], h.csumStart)
	binary.LittleEndian.PutUint16(b[8:], h.csumOffset)
}

func parseVirtioHeader(b []byte) virtioHeader {
	_ = b[virtioHeaderSize-1]
	return virtioHeader{
		flags:      b[0],
		gsoType:    b[1],
		hdrLen:     binary.LittleEndian.Uint16(b[2:]),
		gsoSize:    binary.LittleEndian.Uint16(b[4:]),
		csumStart:  binary.LittleEndian.Uint16(b[6:]),
		csumOffset: binary.LittleEndian.Uint16(b[8:]),
	}
}
