package link_test

import (
	"bytes"
	"fmt"

	"github.com/gopacket/gopacket/pcapgo"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack/link"
)

func ExampleNewCapture() {
	var out bytes.Buffer // or link.CreateCaptureFile("x.pcapng", …)
	file := link.NewCaptureFile(&out, link.CaptureConfig{Comment: "an example"})
	near, far := link.NewPipe(link.PipeConfig{})
	defer far.Close()
	wire := link.NewCapture(near, file, "pipe0", "the near end")

	// A stack on the wire would do this.
	wire.Annotate("a ping")
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData([]byte("packet"))})
	var packets stack.PacketBufferList
	packets.PushBack(pkt)
	wire.WritePackets(packets)
	packets.Reset()

	wire.Close()
	if err := file.Close(); err != nil {
		fmt.Println(err)
	}
	r, err := pcapgo.NewNgReader(&out, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		fmt.Println(err)
		return
	}
	data, _, opts, err := r.ReadPacketDataWithOptions()
	fmt.Printf("%s: %q, %v, %v\n", r.SectionInfo().Comment, data, opts.Comments, err)
	// Output: an example: "packet", [a ping], <nil>
}
