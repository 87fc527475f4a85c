package link

import (
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

const (
	// minTCPSegment is the least payload of a coalesced segment, in bytes
	// (Linux TCP_MIN_GSO_SIZE).
	minTCPSegment = 8
	// maxUDPSegments is how many datagrams a packet may hold (Linux
	// UDP_MAX_SEGMENTS).
	maxUDPSegments = 128
	// gsoByFrags is no size but a mark inside Linux (GSO_BY_FRAGS).
	gsoByFrags = 0xffff
)

// A plan is what to do with a frame that passed.
type plan struct {
	layout           // when segmentSize or unfinished is set
	segmentSize int  // cut it into pieces of this payload; 0: leave it whole
	vouched     bool // netstack need not verify its checksums
	unfinished  bool // leave the partial checksum, and cutting to mss, to the link that sends it
	mss         int  // payload of each segment, if it is to be cut there; else 0
	complete    bool // complete the partial checksum at sumField, from sumStart
	sumStart    int
	sumField    int
}

// judge checks the virtio header h of a frame of n bytes against the frame and
// against what the device has, and says what to do with it.
func (e *Endpoint) judge(h virtioHeader, head []byte, l2, n int) (plan, verdict) {
	h.gsoType &^= virtioGSOECN
	if e.features&FeatureGuestCSUM == 0 {
		if h.flags&virtioNeedsCSUM != 0 {
			return plan{}, notNegotiated
		}
		h.flags &^= virtioDataValid // Linux sets it unasked
	}
	if h.flags&(virtioNeedsCSUM|virtioDataValid) == 0 && h.gsoType == virtioGSONone {
		return plan{}, pass
	}
	var p plan
	l, known := parseLayout(head, l2)
	if h.gsoType != virtioGSONone {
		if v := e.judgeGSO(h, l, known, head, n); v != pass {
			return plan{}, v
		}
		p.layout = l
		switch {
		case e.is(sendForm) && l.proto == protoTCP && h.flags&virtioNeedsCSUM != 0:
			p.mss = int(h.gsoSize)
		case l.proto == protoUDP || !e.is(stackForm):
			p.segmentSize = int(h.gsoSize)
		}
	}
	return p, e.judgeChecksum(&p, h, l, known, head)
}

// judgeGSO checks that a large packet is what its virtio header says.
func (e *Endpoint) judgeGSO(h virtioHeader, l layout, known bool, head []byte, n int) verdict {
	feature, proto := gsoFeature(h.gsoType, l.v6)
	switch size, payload := int(h.gsoSize), n-l.payload(); {
	case e.features&feature == 0:
		return notNegotiated
	case !known || l.proto != proto || size == 0 || size == gsoByFrags:
		return badGSO
	case payload <= 0 || l.declaredSize(head) != n-l.l2:
		return badGSO
	case proto == protoTCP && size < minTCPSegment:
		return badGSO
	case proto == protoUDP && payload > size*maxUDPSegments:
		return badGSO
	}
	return pass
}

// gsoFeature returns the feature that a segment type belongs to and the
// protocol that it cuts.
func gsoFeature(gsoType uint8, v6 bool) (feature uint64, proto uint8) {
	switch {
	case gsoType == virtioGSOTCPv4 && !v6:
		return FeatureGuestTSO4, protoTCP
	case gsoType == virtioGSOTCPv6 && v6:
		return FeatureGuestTSO6, protoTCP
	case gsoType == virtioGSOUDP && !v6:
		return FeatureGuestUSO4, protoUDP
	case gsoType == virtioGSOUDP && v6:
		return FeatureGuestUSO6, protoUDP
	}
	return 0, 0
}

// judgeChecksum decides whether a packet's checksums are believed, completed
// or left for netstack to verify. Believing is all or nothing in netstack, so
// the IPv4 header, which virtio says nothing about, is verified here.
func (e *Endpoint) judgeChecksum(p *plan, h virtioHeader, l layout, known bool, head []byte) verdict {
	believe := known && e.is(stackForm)
	if h.flags&virtioNeedsCSUM == 0 {
		p.vouched = believe && h.flags&virtioDataValid != 0 && l.ipChecksumValid(head)
		return pass
	}
	start := int(h.csumStart)
	field := start + int(h.csumOffset)
	if start < l.l2+header.IPv4MinimumSize || field+2 > len(head) {
		return badChecksum
	}
	whole := known && start == l.transport() && int(h.csumOffset) == l.checksumOffset()
	switch {
	case whole && !l.ipChecksumValid(head):
		return badChecksum
	case h.gsoType != virtioGSONone && !whole:
		return badGSO
	case p.segmentSize != 0:
		p.vouched = believe // each piece gets a checksum of its own
	case whole && l.proto == protoTCP && e.is(sendForm):
		p.layout, p.unfinished = l, true
	case whole && believe:
		p.vouched = true
	default:
		p.complete, p.sumStart, p.sumField = true, start, field
	}
	return pass
}

// declaredSize is the size of the IP packet in b by its own length field.
func (l layout) declaredSize(b []byte) int {
	if l.v6 {
		return header.IPv6MinimumSize + int(header.IPv6(b[l.l2:]).PayloadLength())
	}
	return int(header.IPv4(b[l.l2:]).TotalLength())
}

// ipChecksumValid verifies the checksum of an IPv4 header.
func (l layout) ipChecksumValid(b []byte) bool {
	return l.v6 || header.IPv4(b[l.l2:l.transport()]).IsChecksumValid()
}
