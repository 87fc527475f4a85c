package link

import (
	"bytes"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// What segments of one run have in common; see gro.go.

// mergeable reports whether a TCP packet of n bytes may be a part of a run: data
// with no flags but ACK and PSH, in an IP packet without options that ends
// where it says.
func (l layout) mergeable(head []byte, n int) bool {
	plain := header.IPv4MinimumSize
	if l.v6 {
		plain = header.IPv6MinimumSize
	}
	flags := header.TCP(head[l.transport():]).Flags()
	return l.l3 == plain && n > l.payload() && flags&^header.TCPFlagPsh == header.TCPFlagAck &&
		l.declaredSize(head) == n-l.l2
}

// verify checks the checksums of a TCP packet and returns the sum of its
// payload. A device that has vouched for the packet spares the sum.
func (l layout) verify(a arrival, head []byte, rest [][]byte) (payload uint16, ok bool) {
	if !l.ipChecksumValid(head) {
		return 0, false
	}
	if a.vouched {
		return 0, true
	}
	var sum checksum.Checksumer
	size := len(head) - l.transport()
	sum.Add(head[l.payload():])
	for _, s := range rest {
		sum.Add(s)
		size += len(s)
	}
	payload = sum.Checksum()
	headers := checksum.Checksum(head[l.transport():l.payload()], l.pseudoSum(head, size))
	return payload, checksum.Combine(headers, payload) == 0xffff
}

// addresses returns the source and the destination address of a packet.
func (l layout) addresses(b []byte) []byte {
	if l.v6 {
		return b[l.l2+8 : l.l2+header.IPv6MinimumSize]
	}
	return b[l.l2+12 : l.l2+header.IPv4MinimumSize]
}

// ports returns the source and the destination port of a packet.
func (l layout) ports(b []byte) []byte { return b[l.transport() : l.transport()+4] }

// sameNetworkHeader compares the IP header of the next segment with the first's,
// all but what finish and cutting change: length, checksum and identification.
// The latter counts up where fragments may be made.
func (r *run) sameNetworkHeader(next []byte) bool {
	first := r.header[r.l.l2:r.l.transport()]
	if r.l.v6 {
		return bytes.Equal(next[:4], first[:4]) && bytes.Equal(next[6:], first[6:])
	}
	n, f := header.IPv4(next), header.IPv4(first)
	counts := f.Flags()&header.IPv4FlagDontFragment == 0
	return bytes.Equal(next[:2], first[:2]) && bytes.Equal(next[6:10], first[6:10]) && bytes.Equal(next[12:], first[12:]) &&
		(!counts || n.ID() == f.ID()+uint16(r.merged)+1)
}

// sameTCPHeader compares TCP headers, all but sequence number, checksum and PSH.
func sameTCPHeader(first, next header.TCP) bool {
	return bytes.Equal(first[8:13], next[8:13]) && // acknowledgement, header length
		first.Flags()|header.TCPFlagPsh == next.Flags()|header.TCPFlagPsh &&
		bytes.Equal(first[14:16], next[14:16]) && // window
		bytes.Equal(first[18:], next[18:next.DataOffset()]) // urgent pointer, options
}
