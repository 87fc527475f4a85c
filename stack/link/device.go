package link

// A Device carries packets between this package and a kernel or a test. It is
// what package tun opens; this package knows nothing else of it.
//
// Every packet, in both directions and on every device, is preceded by the
// 10-byte legacy virtio_net_hdr (Virtual I/O Device 1.2, section 5.1.6, little
// endian). A device without offloads hands in zeroes there and takes nothing
// else.
//
// Read on one queue and Write on any may run at the same time; two Reads on
// the same queue do not.
type Device interface {
	// Read fills up to len(packets) packets of a queue and blocks until there
	// is at least one. packets[i] is a scatter list: virtio header and packet
	// fill its slices in order. sizes[i] becomes the number of bytes filled,
	// virtio header included. After Close it returns os.ErrClosed.
	Read(queue int, packets [][][]byte, sizes []int) (n int, err error)

	// Write sends packets in order, each a gather list that starts with the
	// virtio header, and returns how many the device took. It keeps no slice.
	// It must not wait for the far side to read: a stack calls it with a
	// connection locked.
	Write(queue int, packets [][][]byte) (n int, err error)

	// Features returns virtio-net feature bits as a guest driver negotiates
	// them: what may be sent (FeatureCSUM, FeatureHost…) and what may be handed
	// in (FeatureGuest…). They do not change.
	Features() uint64

	// Close ends every Read with os.ErrClosed. It may be called twice.
	Close() error
}

// Feature bits of a Device (Virtual I/O Device 1.2, section 5.1.3). Others are
// ignored.
const (
	FeatureCSUM      uint64 = 1 << 0  // completes checksums of packets sent
	FeatureGuestCSUM uint64 = 1 << 1  // hands in packets with partial checksums
	FeatureGuestTSO4 uint64 = 1 << 7  // hands in coalesced TCP segments over IPv4
	FeatureGuestTSO6 uint64 = 1 << 8  // the same over IPv6
	FeatureHostTSO4  uint64 = 1 << 11 // segments TCP over IPv4
	FeatureHostTSO6  uint64 = 1 << 12 // segments TCP over IPv6
	FeatureGuestUSO4 uint64 = 1 << 54 // hands in coalesced UDP datagrams over IPv4
	FeatureGuestUSO6 uint64 = 1 << 55 // the same over IPv6
	FeatureHostUSO   uint64 = 1 << 56 // cuts UDP into datagrams, of either IP version
)
