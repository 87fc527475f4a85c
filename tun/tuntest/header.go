package tuntest

import "github.com/userstack/userstack/tun"

// bits are the features that the fields of a virtio-net header need in one
// direction (Virtual I/O Device 1.2, section 5.1.6).
type bits struct {
	needsCSUM uint64
	gso       map[byte]uint64
}

var (
	hostBits = bits{tun.FeatureCSUM, map[byte]uint64{ // of what Write takes
		1: tun.FeatureHostTSO4,
		4: tun.FeatureHostTSO6,
		5: tun.FeatureHostUSO,
	}}
	guestBits = bits{tun.FeatureGuestCSUM, map[byte]uint64{ // of what Read returns
		1: tun.FeatureGuestTSO4,
		4: tun.FeatureGuestTSO6,
		5: tun.FeatureGuestUSO4 | tun.FeatureGuestUSO6,
	}}
)

// legal reports whether a packet's header asks only for what was agreed on.
func legal(data []byte, features uint64, need bits) bool {
	if len(data) <= tun.HeaderSize {
		return false
	}
	flags, gso := data[0], data[1]
	if flags&1 != 0 && features&need.needsCSUM == 0 {
		return false
	}
	return gso == 0 || features&need.gso[gso] != 0
}
