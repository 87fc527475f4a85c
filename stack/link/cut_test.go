//go:build !race

package link

import (
	"os"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A blackDevice takes everything and has nothing.
type blackDevice struct {
	packets int
	closed  chan struct{}
}

func (d *blackDevice) Read(int, [][][]byte, []int) (int, error) { <-d.closed; return 0, os.ErrClosed }
func (d *blackDevice) Features() uint64                         { return 0 }
func (d *blackDevice) Close() error                             { close(d.closed); return nil }
func (d *blackDevice) Write(_ int, packets [][][]byte) (int, error) {
	d.packets += len(packets)
	return len(packets), nil
}

// TestCuttingAllocatesNothing sends a packet that is cut in 2 and one that is cut
// in 40: what the latter allocates more is none of the segments'. Under the race
// detector the compiler leaves out what makes it so.
func TestCuttingAllocatesNothing(t *testing.T) {
	d := &blackDevice{closed: make(chan struct{})}
	e, err := New(Config{Device: d})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { e.Close(); e.Wait() }()
	const mss, slack = 1400, 15 // a pooled batch is made anew now and then
	allocations := func(segments int) float64 {
		pkt, _, _ := outgoing(testPacket{payload: segments * mss}, 32<<10, mss)
		var list stack.PacketBufferList
		list.PushBack(pkt)
		defer list.Reset()
		d.packets = 0
		n := testing.AllocsPerRun(100, func() {
			e.WritePackets(list)
			await(func() bool { _, _, busy := e.writers[0].state(); return !busy }) // a large one is another goroutine's
		})
		if want := 101 * segments; d.packets != want {
			t.Errorf("%d packets, want %d", d.packets, want)
		}
		return n
	}
	if few, many := allocations(2), allocations(40); many > few+slack {
		t.Errorf("%v allocations for 40 segments, %v for 2", many, few)
	}
}
