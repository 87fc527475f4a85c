package link

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// A partial checksum is what a sender leaves to its device: the checksum field
// holds the sum of the pseudo-header, not complemented, and whoever completes
// it sums from the transport header to the end of the packet, this field
// included, and stores the complement (Linux: CHECKSUM_PARTIAL).

// pseudoSum returns the sum of the pseudo-header for a transport header and
// payload of n bytes (RFC 9293, section 3.1; RFC 8200, section 8.1).
func (l layout) pseudoSum(b []byte, n int) uint16 {
	addrs := b[l.l2+12 : l.l2+20] // IPv4 source and destination
	if l.v6 {
		addrs = b[l.l2+8 : l.l2+header.IPv6MinimumSize]
	}
	return checksum.Combine(checksum.Checksum(addrs, 0), checksum.Combine(uint16(l.proto), uint16(n)))
}

// completePartial completes the partial checksum at field, which covers the
// packet from start on. head is the start of the packet, field included, and
// rest what follows it.
func completePartial(head []byte, start, field int, rest [][]byte) {
	var sum checksum.Checksumer
	sum.Add(head[start:])
	for _, s := range rest {
		sum.Add(s)
	}
	csum := ^sum.Checksum()
	if csum == 0 {
		csum = 0xffff // zero would mean "none" in UDP (RFC 768); elsewhere they are equal
	}
	binary.BigEndian.PutUint16(head[field:], csum)
}
