package tun

// Fields of the virtio-net header that decide whether a device can take a
// packet (Virtual I/O Device 1.2, section 5.1.6).
const (
	flagNeedsCSUM = 1 // flags: the checksum at csum_start+csum_offset is left to the other side

	gsoNone  = 0 // gso_type
	gsoTCPv4 = 1
	gsoTCPv6 = 4
	gsoUDPL4 = 5
)

// gsoFeature maps a gso_type to the feature that Write needs for it. A type
// that is zero here is never agreed on.
var gsoFeature = [256]uint64{
	gsoTCPv4: FeatureHostTSO4,
	gsoTCPv6: FeatureHostTSO6,
	gsoUDPL4: FeatureHostUSO,
}

// writable reports whether a device with these features takes a packet with
// this header. The kernel checks the rest of the header against the packet; a
// packet shorter than a header is never writable.
func writable(packet [][]byte, features uint64) bool {
	var first [2]byte // flags and gso_type
	n, total := 0, 0
	for _, part := range packet {
		n += copy(first[n:], part)
		if total += len(part); total > HeaderSize {
			break
		}
	}
	if total <= HeaderSize {
		return false
	}
	flags, gso := first[0], first[1]
	if flags&flagNeedsCSUM != 0 && features&FeatureCSUM == 0 {
		return false
	}
	return gso == gsoNone || gsoFeature[gso]&features != 0
}

// clearHeader zeroes the header of a packet that was read.
func clearHeader(packet [][]byte) {
	left := HeaderSize
	for _, part := range packet {
		part = part[:min(left, len(part))]
		clear(part)
		if left -= len(part); left == 0 {
			return
		}
	}
}

// room returns how many bytes a scatter list holds.
func room(packet [][]byte) int {
	n := 0
	for _, part := range packet {
		n += len(part)
	}
	return n
}
