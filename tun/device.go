package tun

// HeaderSize is the size in bytes of the virtio-net header before every packet:
// the legacy struct virtio_net_hdr without num_buffers, little-endian on every
// machine (Virtual I/O Device 1.2, section 5.1.6).
//
//	offset 0 flags u8, 1 gso_type u8, 2 hdr_len u16, 4 gso_size u16,
//	       6 csum_start u16, 8 csum_offset u16
const HeaderSize = 10

// MaxPacketSize is the size in bytes of the largest packet a device hands over,
// its header included: an IP packet has at most 65,535 bytes, and a TAP device
// puts an Ethernet header of 14 and a VLAN tag of 4 before it.
const MaxPacketSize = HeaderSize + 14 + 4 + 65535

// Feature bits of Device.Features, numbered as virtio-net numbers them (Virtual
// I/O Device 1.2, section 5.1.3), seen from this process as the guest.
const (
	FeatureCSUM      = 1 << 0  // Write takes packets whose checksum is left to the kernel
	FeatureGuestCSUM = 1 << 1  // Read may return such packets
	FeatureGuestTSO4 = 1 << 7  // Read may return TCP over IPv4 to be segmented
	FeatureGuestTSO6 = 1 << 8  // Read may return TCP over IPv6 to be segmented
	FeatureHostTSO4  = 1 << 11 // Write takes TCP over IPv4 to be segmented
	FeatureHostTSO6  = 1 << 12 // Write takes TCP over IPv6 to be segmented
	FeatureGuestUSO4 = 1 << 54 // Read may return UDP over IPv4 to be segmented
	FeatureGuestUSO6 = 1 << 55 // Read may return UDP over IPv6 to be segmented
	FeatureHostUSO   = 1 << 56 // Write takes UDP to be segmented
)

// Device is an open TUN or TAP device. Package tuntest has one in memory.
//
// A packet is a scatter list, an iovec: its bytes, which begin with the
// virtio-net header, fill the slices in order. The header may share a slice
// with the packet or be split among several.
//
// All methods may be called at any time from any goroutine. Two Reads of one
// queue take turns, and so do two Writes; the two directions and the queues are
// independent of each other.
type Device interface {
	// Read waits until a packet is there, then takes up to len(packets)
	// packets from a queue without waiting again. It fills packets[i], sets
	// sizes[i] to the bytes filled, header included, and returns how many
	// packets it took. A packet longer than its buffers is cut without a sign.
	//
	// When n > 0 and err != nil, n packets were read before the error.
	// After Close, err is os.ErrClosed. When the interface has been deleted,
	// it is EBADFD.
	Read(queue int, packets [][][]byte, sizes []int) (n int, err error)

	// Write sends packets in order and returns how many the kernel took: all
	// of them, or those before the one that err is about. The kernel has
	// processed a packet when Write returns; Write waits only when the
	// device's send buffer is full.
	//
	// err is os.ErrClosed after Close, EINVAL for a header that asks for what
	// Features does not offer or that does not fit its packet, EIO when the
	// interface is down, EBADFD when it has been deleted, ENOBUFS or ENOMEM
	// when the kernel is short of memory.
	Write(queue int, packets [][][]byte) (n int, err error)

	// Features returns what was agreed with the kernel: an or of Feature bits.
	// With 0, every header that is read is zero and every header written must
	// ask for nothing.
	Features() uint64

	// Name returns the name of the interface, such as "tun0".
	Name() string

	// Queues returns the number of queues; queue numbers start at 0.
	Queues() int

	// MTU asks for the interface's present MTU: the largest IP packet in bytes.
	MTU() (int, error)

	// Close ends every waiting Read and Write with os.ErrClosed and releases
	// the device. A second Close returns os.ErrClosed.
	Close() error
}
