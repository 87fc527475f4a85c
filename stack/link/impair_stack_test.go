package link

import (
	"fmt"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// TestImpairTransfer moves bytes between two stacks over a bad wire, and wants
// flipped bits to be seen by the receiver's checksums.
func TestImpairTransfer(t *testing.T) {
	const seed, size = 5, 1 << 20
	rough := Impairment{Loss: .005, Duplicate: .005, Reorder: .01, Corrupt: .01}
	for _, version := range []string{"4", "6"} {
		t.Run("IPv"+version, func(t *testing.T) {
			near, far := NewPipe(PipeConfig{})
			impair, err := NewImpair(near, ImpairConfig{In: rough, Out: rough, Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			one, two := newHost(t, 1, impair), newHost(t, 2, far)
			for _, h := range []*host{one, two} {
				// RACK can stall on such a wire; see docs/performance.md.
				off := tcpip.TCPRecovery(0)
				h.SetTransportProtocolOption(tcp.ProtocolNumber, &off)
			}
			c1, c2 := connect(t, one, two, version)
			t.Logf("seed %d", seed)
			transfer(t, c1, c2, size)
			transfer(t, c2, c1, size)
			for n, h := range []*host{one, two} {
				if h.Stats().TCP.ChecksumErrors.Value() == 0 {
					t.Errorf("host %d saw no wrong checksum", n+1)
				}
			}
		})
	}
}

func ExampleNewImpair() {
	near, far := NewPipe(PipeConfig{})
	defer far.Close()
	impair, err := NewImpair(near, ImpairConfig{
		Out:  Impairment{Loss: .25},
		In:   Impairment{Delay: 33 * time.Millisecond, Rate: 100e6},
		Seed: 1,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer impair.Close()

	// A stack would do this; see stack.Config.
	var packets stack.PacketBufferList
	for range 1000 {
		packets.PushBack(stack.NewPacketBuffer(stack.PacketBufferOptions{}))
	}
	impair.WritePackets(packets)
	packets.Reset()

	out := impair.Stats().Out
	fmt.Println(out.Packets, "sent,", out.Lost, "lost,", out.Delivered, "delivered")
	// Output: 1000 sent, 231 lost, 769 delivered
}

func BenchmarkImpair(b *testing.B) {
	for name, cfg := range map[string]Impairment{
		"zero":  {},
		"loss":  {Loss: .01},
		"rough": {Loss: .05, Duplicate: .05, Reorder: .1, Corrupt: .02},
	} {
		b.Run(name, func(b *testing.B) {
			near, far := NewPipe(PipeConfig{})
			defer far.Close()
			impair, err := NewImpair(near, ImpairConfig{Out: cfg})
			if err != nil {
				b.Fatal(err)
			}
			var list stack.PacketBufferList
			list.PushBack(stack.NewPacketBuffer(stack.PacketBufferOptions{ReserveHeaderBytes: 1500}))
			b.ReportAllocs()
			for b.Loop() {
				impair.WritePackets(list)
			}
			list.Reset()
			impair.Close()
			impair.Wait()
		})
	}
}
