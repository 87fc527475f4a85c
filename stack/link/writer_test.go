package link

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A heldDevice is a device whose writes wait while it is held. It remembers who
// sent which packet: source port and identification.
type heldDevice struct {
	mu      sync.Mutex
	changed sync.Cond
	held    bool
	closed  bool
	faults  []error  // returned by the next writes
	entered int      // calls of Write
	written []origin // packets taken
}

// An origin is a sender and the number of its packet.
type origin struct{ sender, number uint16 }

func newHeld(t *testing.T, queues int) (*heldDevice, *Endpoint) {
	d := &heldDevice{held: true}
	d.changed.L = &d.mu
	e, err := New(Config{Device: d, Queues: queues})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(); e.Wait() })
	return d, e
}

func (d *heldDevice) Features() uint64 { return allOffloads }

func (d *heldDevice) Read(int, [][][]byte, []int) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for !d.closed {
		d.changed.Wait()
	}
	return 0, os.ErrClosed
}

func (d *heldDevice) Write(_ int, packets [][][]byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entered++
	d.changed.Broadcast()
	for i, p := range packets {
		for d.held && !d.closed {
			d.changed.Wait()
		}
		switch {
		case d.closed:
			return i, os.ErrClosed
		case len(d.faults) > 0:
			err := d.faults[0]
			d.faults = d.faults[1:]
			return i, err
		}
		b := slices.Concat(p[1:]...)
		d.written = append(d.written, origin{header.TCP(b[header.IPv4MinimumSize:]).SourcePort(), header.IPv4(b).ID()})
	}
	return len(packets), nil
}

func (d *heldDevice) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.changed.Broadcast()
	return nil
}

// release lets writes through.
func (d *heldDevice) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held = false
	d.changed.Broadcast()
}

// enter waits for a call of Write.
func (d *heldDevice) enter() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.entered == 0 {
		d.changed.Wait()
	}
}

func (d *heldDevice) taken() []origin {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.written)
}

// sendFrom sends a packet of a sender with so much payload.
func sendFrom(e *Endpoint, o origin, payload int) {
	pkt, _, _ := outgoing(testPacket{payload: payload, id: o.number, noDF: true}, 1<<15, 1448)
	header.TCP(pkt.TransportHeader().Slice()).SetSourcePort(o.sender)
	pkt.Hash = uint32(o.sender)
	var list stack.PacketBufferList
	list.PushBack(pkt)
	e.WritePackets(list)
	list.Reset()
}

// state returns what waits for a queue, and how many callers wait for room.
func (w *writer) state() (bytes, blocked int, busy bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bytes, w.blocked, w.busy
}

// await waits for a condition of goroutines that run.
func await(condition func() bool) {
	for !condition() {
		runtime.Gosched()
	}
}

// settle waits until nobody writes.
func settle(e *Endpoint) {
	for i := range e.writers {
		await(func() bool { _, _, busy := e.writers[i].state(); return !busy })
	}
}

const (
	bulkPayload  = 60000
	smallPayload = 100
)

// TestWriterSmallIsWrittenAtOnce: a small packet that finds the queue free has
// been written when WritePackets returns, by its sender.
func TestWriterSmallIsWrittenAtOnce(t *testing.T) {
	d, e := newHeld(t, 1)
	d.release()
	for i := range uint16(10) {
		sendFrom(e, origin{1, i}, smallPayload)
		if n := len(d.taken()); n != int(i)+1 {
			t.Fatalf("%d packets written after %d calls", n, i+1)
		}
	}
	if s := e.Stats(); s.TxHandedOn != 0 {
		t.Errorf("%d of them by somebody else", s.TxHandedOn)
	}
}

// TestWriterBulkDoesNotWait: who sends bulk does not wait for the device, and a
// small packet does not overtake it.
func TestWriterBulkDoesNotWait(t *testing.T) {
	d, e := newHeld(t, 1)
	sendFrom(e, origin{1, 0}, bulkPayload)
	d.enter()
	sendFrom(e, origin{1, 1}, smallPayload)
	sendFrom(e, origin{1, 2}, bulkPayload)
	if n := len(d.taken()); n != 0 {
		t.Fatalf("%d packets passed a device that is held", n)
	}
	d.release()
	settle(e)
	if got := d.taken(); !slices.Equal(got, []origin{{1, 0}, {1, 1}, {1, 2}}) {
		t.Errorf("written in the order %v", got)
	}
	if n := e.Stats().TxHandedOn; n != 3 {
		t.Errorf("%d packets handed on, want 3", n)
	}
}

// TestWriterPassesOn: what comes while a small packet is being written is left to
// its sender, and goes out behind it, small or large.
func TestWriterPassesOn(t *testing.T) {
	for _, payload := range []int{smallPayload, bulkPayload} {
		d, e := newHeld(t, 1)
		var wg sync.WaitGroup
		wg.Go(func() { sendFrom(e, origin{1, 0}, smallPayload) })
		d.enter()
		sendFrom(e, origin{1, 1}, payload)
		sendFrom(e, origin{1, 2}, smallPayload)
		d.release()
		wg.Wait()
		settle(e)
		if got := d.taken(); !slices.Equal(got, []origin{{1, 0}, {1, 1}, {1, 2}}) {
			t.Errorf("payload %d: written in the order %v", payload, got)
		}
	}
}

// TestWriterKeepsOrder has senders send small and large packets at once, on one
// queue and on several: those of each arrive in order, and all of them.
func TestWriterKeepsOrder(t *testing.T) {
	const senders, each = 8, 300
	for _, queues := range []int{1, 3} {
		d, e := newHeld(t, queues)
		d.release()
		var wg sync.WaitGroup
		for s := range uint16(senders) {
			wg.Go(func() {
				for i := range uint16(each) {
					payload := smallPayload
					if (i+s)%3 == 0 {
						payload = bulkPayload
					}
					sendFrom(e, origin{s, i}, payload)
				}
			})
		}
		wg.Wait()
		settle(e)
		var next [senders]uint16
		for _, o := range d.taken() {
			if o.number != next[o.sender] {
				t.Fatalf("%d queues: packet %d of sender %d came for %d", queues, o.number, o.sender, next[o.sender])
			}
			next[o.sender]++
		}
		if s := e.Stats(); s.TxPackets != senders*each || s.TxHandedOn == 0 {
			t.Errorf("%d queues: %d packets written, %d of them handed on", queues, s.TxPackets, s.TxHandedOn)
		}
	}
}

// TestWriterBound: more than maxUnwritten does not wait for the device; who comes
// then waits, and all goes out once there is room.
func TestWriterBound(t *testing.T) {
	const senders, each = 5, 10
	d, e := newHeld(t, 1)
	var wg sync.WaitGroup
	for s := range uint16(senders) {
		wg.Go(func() {
			for i := range uint16(each) {
				sendFrom(e, origin{s, i}, bulkPayload)
			}
		})
	}
	w := &e.writers[0]
	await(func() bool { _, blocked, _ := w.state(); return blocked == senders })
	if bytes, _, _ := w.state(); bytes > maxUnwritten || bytes < maxUnwritten-2*bulkPayload {
		t.Errorf("%d bytes wait, the bound is %d", bytes, maxUnwritten)
	}
	d.release()
	wg.Wait()
	settle(e)
	if bytes, blocked, _ := w.state(); bytes != 0 || blocked != 0 || len(d.taken()) != senders*each {
		t.Errorf("%d packets written; %d bytes and %d senders wait", len(d.taken()), bytes, blocked)
	}
}

// TestWriterClose closes a link whose queue is full, with senders waiting: all of
// them return, no packet is kept (TestMain counts them), each is counted, and
// nobody is told of a fault.
func TestWriterClose(t *testing.T) {
	const senders, each = 4, 10
	d, e := newHeld(t, 1)
	var wg sync.WaitGroup
	for s := range uint16(senders) {
		wg.Go(func() {
			for i := range uint16(each) {
				sendFrom(e, origin{s, i}, bulkPayload)
			}
		})
	}
	await(func() bool { _, blocked, _ := e.writers[0].state(); return blocked == senders })
	e.Close()
	e.Wait()
	wg.Wait()
	if s := e.Stats(); s.TxPackets != 0 || s.TxErrors != senders*each {
		t.Errorf("%d packets written and %d dropped of %d", s.TxPackets, s.TxErrors, senders*each)
	}
	if len(d.taken()) != 0 || e.Err() != nil || changed(e) {
		t.Errorf("%d packets got through; Err is %v", len(d.taken()), e.Err())
	}
}

// TestWriterCloseFinishes: what a device would still take when Close is called
// is written.
func TestWriterCloseFinishes(t *testing.T) {
	d, e := newHeld(t, 1)
	e.patience = time.Minute
	for i := range uint16(5) {
		sendFrom(e, origin{1, i}, bulkPayload)
	}
	d.enter()
	var wg sync.WaitGroup
	wg.Go(e.Close)
	await(e.isClosed)
	d.release()
	wg.Wait()
	e.Wait()
	if n := len(d.taken()); n != 5 {
		t.Errorf("%d of 5 packets written", n)
	}
}

// TestWriterRefusals: a packet of bulk that the device refuses is counted, and
// the change told once.
func TestWriterRefusals(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EINVAL, syscall.ENOBUFS, syscall.EIO, syscall.ENETDOWN} {
		d, e := newHeld(t, 1)
		d.faults = []error{errno, errno, errno}
		for i := range uint16(3) {
			sendFrom(e, origin{1, i}, bulkPayload)
		}
		d.release()
		settle(e)
		if !changed(e) || changed(e) || !errors.Is(e.Err(), errno) {
			t.Errorf("%v is not told, or twice; Err is %v", errno, e.Err())
		}
		for i := range uint16(2) {
			sendFrom(e, origin{1, 3 + i}, bulkPayload)
		}
		settle(e)
		if !changed(e) || changed(e) || e.Err() != nil {
			t.Errorf("that it works again is not told, or twice; Err is %v", e.Err())
		}
		if s := e.Stats(); s.TxErrors != 3 || s.TxPackets != 2 {
			t.Errorf("%d refused, %d written", s.TxErrors, s.TxPackets)
		}
	}
}

// TestWriterLeavesNobody: when nothing waits, no goroutine does either, and the
// writer keeps no packet.
func TestWriterLeavesNobody(t *testing.T) {
	d, e := newHeld(t, 2)
	d.release()
	for i := range uint16(100) {
		sendFrom(e, origin{i % 2, i}, bulkPayload)
	}
	settle(e)
	await(func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.writing == 0 })
	for i := range e.writers {
		w := &e.writers[i]
		for _, kept := range [][]*stack.PacketBuffer{w.waiting[:cap(w.waiting)], w.spare[:cap(w.spare)]} {
			if slices.ContainsFunc(kept, func(p *stack.PacketBuffer) bool { return p != nil }) {
				t.Errorf("queue %d keeps a packet", i)
			}
		}
	}
}
