package link

import (
	"bytes"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

func TestEndpointReadFaults(t *testing.T) {
	d, e, s := newSinkEndpoint(t, 0, 1)
	down := &os.PathError{Op: "read", Path: "/dev/net/tun", Err: syscall.EIO}
	d.fail(down, down, down)
	want, _ := testPacket{payload: 9}.build()
	if got := receive(t, d, s, framed(virtioHeader{}, want)); len(got) != 1 {
		t.Fatalf("delivered %d packets after the link came back", len(got))
	}
	if st := e.Stats(); st.ReadErrors != 3 {
		t.Errorf("ReadErrors is %d", st.ReadErrors)
	}
	if err := e.Err(); err != nil {
		t.Errorf("Err is %v although reading works again", err)
	}
}

// TestEndpointDeviceGone reads from a device whose interface was deleted.
func TestEndpointDeviceGone(t *testing.T) {
	d, e, _ := newSinkEndpoint(t, 0, 1)
	d.fail(&os.PathError{Op: "read", Path: "/dev/net/tun", Err: goneErrors[1]})
	e.Wait() // the reader ends by itself
	if !errors.Is(e.Err(), goneErrors[1]) {
		t.Errorf("Err is %v", e.Err())
	}
	if n := e.Stats().ReadErrors; n != 1 {
		t.Errorf("ReadErrors is %d", n)
	}
}

// TestEndpointReadBackoff counts how often a device that only fails is read.
func TestEndpointReadBackoff(t *testing.T) {
	d := &failingDevice{err: syscall.EIO, read: make(chan struct{}, 1000)}
	e, err := New(Config{Device: d})
	if err != nil {
		t.Fatal(err)
	}
	newSink(e)
	start := time.Now()
	for range 6 { // 1+2+4+8+16 ms of pauses between them
		<-d.read
	}
	if got := time.Since(start); got < 31*time.Millisecond {
		t.Errorf("six reads in %v", got)
	}
	if !errors.Is(e.Err(), syscall.EIO) {
		t.Errorf("Err is %v", e.Err())
	}
	e.Close()
	e.Wait()
}

// A failingDevice fails every call.
type failingDevice struct {
	err  error
	read chan struct{}
}

func (d *failingDevice) Read(int, [][][]byte, []int) (int, error) {
	d.read <- struct{}{}
	return 0, d.err
}
func (d *failingDevice) Write(int, [][][]byte) (int, error) { return 0, d.err }
func (d *failingDevice) Features() uint64                   { return 0 }
func (d *failingDevice) Close() error                       { return nil }

// changed reports whether ErrChanged has a value.
func changed(e *Endpoint) bool {
	select {
	case <-e.ErrChanged():
		return true
	default:
		return false
	}
}

// TestEndpointRefusals has a device refuse writes with every error that a kernel
// has for them. Each is counted and the change told once, however many there
// are; the packets behind them are sent, and recovery is told once.
func TestEndpointRefusals(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EINVAL, syscall.ENOBUFS, syscall.ENOMEM, syscall.EIO, syscall.ENETDOWN, syscall.EMSGSIZE} {
		t.Run(errno.Error(), func(t *testing.T) {
			x, y := newFakePair(0, 1)
			e, err := New(Config{Device: x})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { e.Close(); e.Wait() }()
			write := func(n int) {
				var list stack.PacketBufferList
				for range n {
					pkt, _, _ := outgoing(testPacket{payload: 10}, 10, 1400)
					list.PushBack(pkt)
				}
				if m, err := e.WritePackets(list); m != n || err != nil {
					t.Errorf("WritePackets: %d, %v", m, err)
				}
				list.Reset()
			}
			write(1)
			if e.Err() != nil || changed(e) {
				t.Fatal("a device that works is said to fail")
			}
			for range 3 {
				x.faults = append(x.faults, &os.PathError{Op: "writev", Path: "tun0", Err: errno})
			}
			write(1)
			if !changed(e) || !errors.Is(e.Err(), errno) {
				t.Errorf("Err is %v", e.Err())
			}
			write(2)
			if changed(e) || !errors.Is(e.Err(), errno) {
				t.Errorf("told twice; Err is %v", e.Err())
			}
			write(5)
			if !changed(e) || e.Err() != nil {
				t.Errorf("the device works again, and Err is %v", e.Err())
			}
			if changed(e) {
				t.Error("told twice")
			}
			if s := e.Stats(); s.TxErrors != 3 || s.TxPackets != 6 || len(y.queues[0].frames) != 6 {
				t.Errorf("%d frames sent, %+v", len(y.queues[0].frames), s)
			}
		})
	}
}

// TestEndpointBothFail has reading and writing fail at a time: all is well only
// when both work.
func TestEndpointBothFail(t *testing.T) {
	var f faults
	f.changed = make(chan struct{}, 1)
	told := func() bool { return len(f.changed) > 0 && <-f.changed == struct{}{} }
	f.set(&f.read, syscall.EIO)
	if !told() {
		t.Error("the first is not told")
	}
	f.set(&f.write, syscall.ENOBUFS)
	f.clear(&f.read)
	if told() || !errors.Is(f.err(), syscall.ENOBUFS) {
		t.Errorf("told although one still fails, with %v", f.err())
	}
	f.clear(&f.write)
	f.clear(&f.write)
	if !told() || told() || f.err() != nil {
		t.Errorf("recovery is not told once; Err is %v", f.err())
	}
	f.set(&f.gone, syscall.EBADF)
	f.set(&f.write, syscall.EIO)
	f.clear(&f.write)
	if !told() || told() || !errors.Is(f.err(), syscall.EBADF) {
		t.Errorf("what is gone works again, or is told twice; Err is %v", f.err())
	}
}

// TestEndpointQueueCloses closes one queue of two: it is told once and stays so,
// and the other goes on.
func TestEndpointQueueCloses(t *testing.T) {
	for _, cause := range []error{os.ErrClosed, goneErrors[0]} {
		d, e, s := newSinkEndpoint(t, 0, 2)
		d.fail(cause)
		<-e.ErrChanged()
		want, _ := testPacket{payload: 300}.build()
		for range 3 {
			d.inject(1, [][]byte{framed(virtioHeader{}, want)})
			if got := s.next(t); !bytes.Equal(got.bytes, want) {
				t.Error("the other queue brings something else")
			}
		}
		if !errors.Is(e.Err(), cause) || changed(e) || e.Stats().ReadErrors != 1 {
			t.Errorf("Err is %v, %d failed reads", e.Err(), e.Stats().ReadErrors)
		}
	}
}

// TestEndpointCloseIsNoFault: Err says nothing of a device that its owner closes.
func TestEndpointCloseIsNoFault(t *testing.T) {
	_, e, _ := newSinkEndpoint(t, 0, 1)
	e.Close()
	e.Wait()
	var list stack.PacketBufferList
	pkt, _, _ := outgoing(testPacket{payload: 10}, 10, 1400)
	list.PushBack(pkt)
	e.WritePackets(list)
	list.Reset()
	if e.Err() != nil || changed(e) {
		t.Errorf("Err is %v", e.Err())
	}
}

// TestEndpointRefusesSome has a device short of memory now and then refuse a
// packet. Connections go on, in both directions.
func TestEndpointRefusesSome(t *testing.T) {
	for name, features := range endpointFeatures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, two, _ := watched(t, features, 1500, 1500, 0)
			e := one.link.(*Endpoint)
			device := e.device.(*fakeDevice)
			n := 0
			device.losing.Lock()
			device.refuse = func() error {
				if n++; n%11 == 0 && n < 110 {
					return syscall.ENOBUFS
				}
				return nil
			}
			device.losing.Unlock()
			near, far := connect(t, one, two, "4")
			other, end := connect(t, one, two, "6")
			transfer(t, near, far, 1<<20)
			transfer(t, far, near, 1<<20)
			transfer(t, other, end, 1<<20)
			if s := e.Stats(); s.TxErrors == 0 || e.Err() != nil {
				t.Errorf("%d packets refused; Err is %v", s.TxErrors, e.Err())
			}
		})
	}
}
