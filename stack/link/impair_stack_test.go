package link

import (
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// TestImpairTransfer moves bytes between two stacks over a bad wire, and wants
// flipped bits to be seen by the receiver's checksums, although the wire has
// checksum and segmentation offload without the Impair.
func TestImpairTransfer(t *testing.T) {
	const seed, size = 5, 1 << 20
	rough := Impairment{Loss: .005, Duplicate: .005, Reorder: .01, Corrupt: .01}
	for _, version := range []string{"4", "6"} {
		t.Run("IPv"+version, func(t *testing.T) {
			near, far := NewPipe(PipeConfig{GSOMaxSize: MaxGSOSize})
			impair, err := NewImpair(near, ImpairConfig{In: rough, Out: rough, Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			one, two := newHost(t, 1, impair), newHost(t, 2, far)
			for _, h := range []*host{one, two} {
				// RACK can stall on such a wire; see docs/performance.md.
				off, backoff := tcpip.TCPRecovery(0), tcpip.TCPMaxRTOOption(time.Second)
				h.SetTransportProtocolOption(tcp.ProtocolNumber, &off)
				h.SetTransportProtocolOption(tcp.ProtocolNumber, &backoff)
			}
			c1, c2 := connect(t, one, two, version)
			t.Logf("seed %d", seed)
			transfer(t, c1, c2, size)
			transfer(t, c2, c1, size)
			if mean := impair.Stats().In.Bytes / impair.Stats().In.Packets; mean > 1500 {
				t.Errorf("packets of %d bytes came in", mean)
			}
			for n, h := range []*host{one, two} {
				if h.Stats().TCP.ChecksumErrors.Value() == 0 {
					t.Errorf("host %d saw no wrong checksum", n+1)
				}
			}
		})
	}
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
