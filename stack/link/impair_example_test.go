package link_test

import (
	"fmt"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack/link"
)

func ExampleNewImpair() {
	near, far := link.NewPipe(link.PipeConfig{})
	defer far.Close()
	impair, err := link.NewImpair(near, link.ImpairConfig{
		Out:  link.Impairment{Loss: .25},
		In:   link.Impairment{Delay: 33 * time.Millisecond, Rate: 100e6},
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
