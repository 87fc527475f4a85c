package link

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// allOffloads is what a Linux TUN device has at its best.
const allOffloads = FeatureCSUM | FeatureGuestCSUM | FeatureGuestTSO4 | FeatureGuestTSO6 |
	FeatureHostTSO4 | FeatureHostTSO6 | FeatureGuestUSO4 | FeatureGuestUSO6

// fakeQueue is how much a fake device holds, in bytes, before it drops.
const fakeQueue = 32 << 20

// iovMax is how many slices a packet may have (Linux UIO_MAXIOV).
const iovMax = 1024

// A fakeDevice is one of two devices joined back to back. Like the kernel it
// refuses a virtio header that asks for what it has not, and it checks that
// every packet written is what its header says.
type fakeDevice struct {
	features uint64
	queues   []*fakeWire // what Read takes from
	peer     *fakeDevice
	check    func(frame []byte) error // nil: take anything
	lose     func() bool              // nil: never; called for each packet written
	refuse   func() error             // nil: takes all; the error that a packet is refused with
	losing   sync.Mutex               // held while lose or refuse runs
	l2       int
	mtu      atomic.Int64

	mu     sync.Mutex
	faults []error // returned by the next writes
	bad    []error // found by check
}

type fakeWire struct {
	mu     sync.Mutex
	cond   *sync.Cond
	frames [][]byte
	free   [][]byte
	bytes  int
	errs   []error // returned by the next reads, before frames
	drops  int
	closed bool
}

// newFakePair returns two devices. Each has the features given: its sending
// features are the receiving features of the other.
func newFakePair(features uint64, queues int) (a, b *fakeDevice) {
	make := func() *fakeDevice {
		d := &fakeDevice{features: features}
		for range queues {
			w := &fakeWire{}
			w.cond = sync.NewCond(&w.mu)
			d.queues = append(d.queues, w)
		}
		return d
	}
	a, b = make(), make()
	a.peer, b.peer = b, a
	return a, b
}

func (d *fakeDevice) Features() uint64 { return d.features }

func (d *fakeDevice) Close() error {
	for _, w := range d.queues {
		w.mu.Lock()
		w.closed = true
		w.mu.Unlock()
		w.cond.Broadcast()
	}
	return nil
}

func (d *fakeDevice) Read(queue int, packets [][][]byte, sizes []int) (int, error) {
	w := d.queues[queue]
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.frames) == 0 && len(w.errs) == 0 && !w.closed {
		w.cond.Wait()
	}
	if w.closed {
		return 0, os.ErrClosed
	}
	if len(w.errs) > 0 {
		err := w.errs[0]
		w.errs = w.errs[1:]
		return 0, err
	}
	n := min(len(packets), len(w.frames))
	for i, f := range w.frames[:n] {
		sizes[i] = len(f)
		for at, rest := 0, f; len(rest) > 0 && at < len(packets[i]); at++ {
			rest = rest[copy(packets[i][at], rest):]
		}
		w.bytes -= len(f)
		if len(w.free) < 64 {
			w.free = append(w.free, f[:0])
		}
	}
	w.frames = w.frames[n:]
	return n, nil
}

func (d *fakeDevice) Write(queue int, packets [][][]byte) (int, error) {
	d.mu.Lock()
	if len(d.faults) > 0 {
		err := d.faults[0]
		d.faults = d.faults[1:]
		d.mu.Unlock()
		return 0, err
	}
	d.mu.Unlock()
	for i, p := range packets {
		if err := d.write(queue, p); err != nil {
			return i, err
		}
	}
	return len(packets), nil
}

func (d *fakeDevice) write(queue int, packet [][]byte) error {
	h := parseVirtioHeader(packet[0])
	if len(packet[0]) != virtioHeaderSize || len(packet) > iovMax {
		return syscall.EINVAL
	}
	want := uint64(0)
	if h.flags != 0 {
		want |= FeatureCSUM
	}
	switch h.gsoType {
	case virtioGSOTCPv4:
		want |= FeatureHostTSO4
	case virtioGSOTCPv6:
		want |= FeatureHostTSO6
	case virtioGSOUDP:
		want |= FeatureHostUSO
	case virtioGSONone:
	default:
		return syscall.EINVAL
	}
	if d.features&want != want {
		return syscall.EINVAL
	}
	lost, err := d.loses()
	if err != nil {
		return err
	}
	if lost {
		if d.check != nil {
			d.note(d.check(slices.Concat(packet...)))
		}
		return nil
	}
	frame := d.peer.inject(queue, packet)
	if d.check == nil || frame == nil {
		return nil
	}
	d.note(d.check(frame))
	return nil
}

// loses decides what becomes of a packet that is written.
func (d *fakeDevice) loses() (lost bool, err error) {
	d.losing.Lock()
	defer d.losing.Unlock()
	if d.refuse != nil {
		err = d.refuse()
	}
	return err == nil && d.lose != nil && d.lose(), err
}

// note remembers what check said.
func (d *fakeDevice) note(err error) {
	if err != nil {
		d.mu.Lock()
		d.bad = append(d.bad, err)
		d.mu.Unlock()
	}
}

// inject puts a frame into the device's receive queue, virtio header first,
// and returns a copy if somebody checks frames.
func (d *fakeDevice) inject(queue int, packet [][]byte) []byte {
	w := d.queues[queue]
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.bytes > fakeQueue {
		w.drops++
		return nil
	}
	var f []byte
	if n := len(w.free); n > 0 {
		f, w.free = w.free[n-1], w.free[:n-1]
	}
	for _, p := range packet {
		f = append(f, p...)
	}
	w.frames = append(w.frames, f)
	w.bytes += len(f)
	w.cond.Signal()
	if d.peer.check == nil {
		return nil
	}
	return append([]byte(nil), f...)
}

// injectAll puts frames into the receive queue of queue 0 such that one Read
// can have them all.
func (d *fakeDevice) injectAll(frames [][]byte) {
	w := d.queues[0]
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range frames {
		w.frames = append(w.frames, f)
		w.bytes += len(f)
	}
	w.cond.Signal()
}

// fail makes the next reads of queue 0 return errors.
func (d *fakeDevice) fail(errs ...error) {
	w := d.queues[0]
	w.mu.Lock()
	w.errs = append(w.errs, errs...)
	w.mu.Unlock()
	w.cond.Broadcast()
}

// strict makes the device check every packet that is written to it.
func (d *fakeDevice) strict(t testing.TB, mtu int) {
	d.setMTU(mtu)
	d.check = func(frame []byte) error { return checkFrame(frame, d.l2, int(d.mtu.Load())) }
	t.Cleanup(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(d.bad) > 0 {
			t.Errorf("%d bad packets written, first: %v", len(d.bad), d.bad[0])
		}
	})
}

// setMTU changes what strict checks for.
func (d *fakeDevice) setMTU(mtu int) { d.mtu.Store(int64(mtu)) }

// checkFrame says what is wrong with a frame as a device would judge it.
func checkFrame(frame []byte, l2, mtu int) error {
	h, b := parseVirtioHeader(frame), frame[virtioHeaderSize:]
	if l2 > 0 && header.Ethernet(b).Type() == header.ARPProtocolNumber {
		return nil
	}
	l, ok := parseLayout(b, l2)
	if !ok {
		if len(b)-l2 > mtu {
			return fmt.Errorf("%d bytes exceed the MTU", len(b)-l2)
		}
		return nil // ICMP, fragment: netstack's own work
	}
	size := len(b) - l2
	if h.gsoType != virtioGSONone {
		if int(h.hdrLen) != l.payload() || h.gsoSize == 0 || len(b)-l.payload() <= int(h.gsoSize) {
			return fmt.Errorf("virtio header %+v of %d bytes, layout %+v", h, len(b), l)
		}
		size = l.l3 + l.l4 + int(h.gsoSize)
	}
	if size > mtu {
		return fmt.Errorf("segment of %d bytes exceeds MTU %d", size, mtu)
	}
	if !l.ipChecksumValid(b) || l.declaredSize(b) != len(b)-l2 {
		return io.ErrUnexpectedEOF
	}
	return checkTransport(h, l, b)
}

// checkTransport verifies the transport checksum, a partial one against its
// pseudo-header.
func checkTransport(h virtioHeader, l layout, b []byte) error {
	field := b[l.transport()+l.checksumOffset():]
	pseudo := l.pseudoSum(b, len(b)-l.transport())
	if h.flags&virtioNeedsCSUM != 0 {
		if int(h.csumStart) != l.transport() || int(h.csumOffset) != l.checksumOffset() {
			return fmt.Errorf("checksum at %d+%d, layout %+v", h.csumStart, h.csumOffset, l)
		}
		if got := binary.BigEndian.Uint16(field); got != pseudo {
			return fmt.Errorf("partial checksum %#x, want %#x", got, pseudo)
		}
		return nil
	}
	if l.proto == protoUDP && binary.BigEndian.Uint16(field) == 0 {
		return fmt.Errorf("UDP without a checksum")
	}
	if sum := checksum.Checksum(b[l.transport():], pseudo); sum != 0xffff {
		return fmt.Errorf("bad checksum: sum %#x, flags %+v", sum, h)
	}
	return nil
}
