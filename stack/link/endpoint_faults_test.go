package link

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"
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
