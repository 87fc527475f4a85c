// Package tuntest has a tun.Device in memory and the test that every
// tun.Device must pass.
//
//	a, b := tuntest.NewPair(tuntest.Config{})
//	link := newLink(a) // the code under test
//	b.Write(0, [][][]byte{{header, packet}})
//
// The two ends of a pair are joined like the two sides of a TUN device: what is
// written to one is read from the other, with its header. A full queue makes
// Write wait. There is no kernel in between: headers are checked against
// Config.Features as a kernel would, but nothing is segmented and no checksum
// is computed.
package tuntest

import (
	"os"
	"sync"
	"syscall"

	"github.com/userstack/userstack/tun"
)

// queueLen is how many packets wait in a queue of a Device: as many as in
// Linux's (drivers/net/tun.c TUN_READQ_SIZE).
const queueLen = 500

// Config describes a pair. The zero value is two devices without offload, with
// one queue and an MTU of 1500.
type Config struct {
	Features uint64 // tun.Feature bits, of both ends
	Queues   int    // zero means 1
	MTU      int    // bytes; zero means 1500. It is told, not enforced
}

// Device is one end of a pair. It implements tun.Device.
type Device struct {
	name     string
	features uint64
	mtu      int
	in       []chan []byte // a queue each; the other end sends and nobody closes them
	peer     *Device

	closing sync.Once
	closed  chan struct{} // closed by Close
}

var _ tun.Device = (*Device)(nil)

// NewPair returns two devices joined to each other, queue by queue.
func NewPair(config Config) (a, b *Device) {
	if config.Queues == 0 {
		config.Queues = 1
	}
	if config.MTU == 0 {
		config.MTU = 1500
	}
	a, b = newDevice("mem0", config), newDevice("mem1", config)
	a.peer, b.peer = b, a
	return a, b
}

func newDevice(name string, config Config) *Device {
	d := &Device{name: name, features: config.Features, mtu: config.MTU, closed: make(chan struct{})}
	for range config.Queues {
		d.in = append(d.in, make(chan []byte, queueLen))
	}
	return d
}

// Read implements tun.Device.
func (d *Device) Read(queue int, packets [][][]byte, sizes []int) (int, error) {
	if queue < 0 || queue >= len(d.in) || len(sizes) < len(packets) {
		return 0, d.error("read", syscall.EINVAL)
	}
	for _, p := range packets {
		if length(p) <= tun.HeaderSize {
			return 0, d.error("read", syscall.EINVAL)
		}
	}
	if len(packets) == 0 {
		return 0, nil
	}
	select {
	case <-d.closed:
		return 0, d.error("read", os.ErrClosed)
	case data := <-d.in[queue]:
		sizes[0] = scatter(packets[0], data)
	}
	for n := 1; n < len(packets); n++ {
		select {
		case data := <-d.in[queue]:
			sizes[n] = scatter(packets[n], data)
		default:
			return n, nil
		}
	}
	return len(packets), nil
}

// Write implements tun.Device. After the other end's Close, it returns EIO as
// for an interface that is down.
func (d *Device) Write(queue int, packets [][][]byte) (int, error) {
	if queue < 0 || queue >= len(d.in) {
		return 0, d.error("write", syscall.EINVAL)
	}
	for n, p := range packets {
		if err := d.send(queue, gather(p)); err != nil {
			return n, d.error("write", err)
		}
	}
	return len(packets), nil
}

func (d *Device) send(queue int, data []byte) error {
	select {
	case <-d.closed:
		return os.ErrClosed
	case <-d.peer.closed:
		return syscall.EIO
	default:
	}
	if !legal(data, d.features, hostBits) {
		return syscall.EINVAL
	}
	select {
	case <-d.closed:
		return os.ErrClosed
	case <-d.peer.closed:
		return syscall.EIO
	case d.peer.in[queue] <- data:
		return nil
	}
}

// Features, Name, Queues and MTU implement tun.Device.
func (d *Device) Features() uint64  { return d.features }
func (d *Device) Name() string      { return d.name }
func (d *Device) Queues() int       { return len(d.in) }
func (d *Device) MTU() (int, error) { return d.mtu, nil }

// Close implements tun.Device. Packets not read yet are lost.
func (d *Device) Close() error {
	err := d.error("close", os.ErrClosed)
	d.closing.Do(func() {
		close(d.closed)
		err = nil
	})
	return err
}

func (d *Device) error(op string, err error) error {
	return &os.PathError{Op: op, Path: d.name, Err: err}
}

func length(packet [][]byte) int {
	n := 0
	for _, part := range packet {
		n += len(part)
	}
	return n
}

func gather(packet [][]byte) []byte {
	data := make([]byte, 0, length(packet))
	for _, part := range packet {
		data = append(data, part...)
	}
	return data
}

func scatter(packet [][]byte, data []byte) int {
	n := 0
	for _, part := range packet {
		n += copy(part, data[n:])
	}
	return n
}
