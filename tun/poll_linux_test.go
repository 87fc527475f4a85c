package tun_test

import (
	"errors"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/tun"
)

// TestPoll asks a device that has nothing, one that has a packet, and one that is closed.
func TestPoll(t *testing.T) {
	if !inside(t) {
		return
	}
	dev := mustOpen(t, tun.Config{Addrs: farAddrs[:1]})
	poller := dev.(interface {
		Poll(queue int, packets [][][]byte, sizes []int) (int, error)
	})
	buf, sizes := make([]byte, tun.MaxPacketSize), make([]int, 1)
	packets := [][][]byte{{buf}}
	poll := func() []byte {
		n, err := poller.Poll(0, packets, sizes)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return nil
		}
		return buf[:sizes[0]]
	}
	for poll() != nil { // what the kernel says of itself as the interface comes up
	}
	allocations := testing.AllocsPerRun(100, func() { poll() })
	if allocations > 0 {
		t.Errorf("asking takes %v allocations", allocations)
	}
	if _, err := dev.Write(0, [][][]byte{{make([]byte, tun.HeaderSize), ping4()}}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		if p := poll(); p != nil && p[tun.HeaderSize+9] == unix.IPPROTO_ICMP {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no answer came")
		}
	}
	if _, err := poller.Poll(1, packets, sizes); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("asking a queue that is not there: %v", err)
	}
	if _, err := poller.Poll(0, [][][]byte{{buf[:tun.HeaderSize]}}, sizes); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("asking without room: %v", err)
	}
	dev.Close()
	if _, err := poller.Poll(0, packets, sizes); !errors.Is(err, os.ErrClosed) {
		t.Errorf("asking after Close: %v", err)
	}
}
