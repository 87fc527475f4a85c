package link

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Capture is a link that records the packets to and from the link below it in
// a CaptureFile. Make one with NewCapture.
type Capture struct {
	nestedLink
	lower stack.LinkEndpoint
	file  *CaptureFile
	id    int

	annotated atomic.Bool // there are comments
	mu        sync.Mutex
	comments  []string // for the next packet
}

var (
	_ stack.LinkEndpoint      = (*Capture)(nil)
	_ stack.GSOEndpoint       = (*Capture)(nil)
	_ stack.NetworkDispatcher = (*Capture)(nil)
)

// NewCapture puts a Capture in front of lower, which it owns from here on, and
// adds it to f, which stays the caller's, as an interface of that name, with
// the comments, if any. Close f after the link.
//
// Packets are recorded as they pass: with their Ethernet header where lower has
// one, else from the IP header on. With offload that means segments of up to
// 64 KiB and checksums yet to be filled in, which Wireshark may call wrong; an
// Impair below the Capture, or a call of RequireWireForm, keeps them in the form
// they have on a wire. Outbound packets are recorded before lower sees them,
// whether it takes them or not.
func NewCapture(lower stack.LinkEndpoint, f *CaptureFile, name string, comments ...string) *Capture {
	linkType := layers.LinkTypeRaw
	if lower.ARPHardwareType() == header.ARPHardwareEther {
		linkType = layers.LinkTypeEthernet
	}
	c := &Capture{lower: lower, file: f}
	c.id = f.addInterface(name, strings.Join(comments, "\n"), linkType)
	c.Init(lower, c)
	return c
}

// Annotate attaches a comment to the next packet recorded on this link; what a
// test is about to do, say. Comments longer than 65535 bytes are cut.
func (c *Capture) Annotate(comment string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.comments = appendComment(c.comments, comment)
	c.annotated.Store(true)
}

func (c *Capture) takeComments() []string {
	if !c.annotated.Load() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.comments
	c.comments = nil
	c.annotated.Store(false)
	return taken
}

// RequireWireForm passes the request on to the link below; see Wire form in the
// package comment.
func (c *Capture) RequireWireForm() { requireWireForm(c.lower) }

// RequireSendForm passes the request on to the link below; see Send form in the
// package comment.
func (c *Capture) RequireSendForm() { requireSendForm(c.lower) }

// SegmentsUDP passes the question on to the link below; see Endpoint.
func (c *Capture) SegmentsUDP() bool { return segmentsUDP(c.lower) }

// WritePackets implements stack.LinkEndpoint.
func (c *Capture) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	for _, pkt := range pkts.AsSlice() {
		c.record(pcapgo.NgEpbFlagDirectionOutbound, pkt)
	}
	return c.lower.WritePackets(pkts)
}

// DeliverNetworkPacket implements stack.NetworkDispatcher, for the link below.
func (c *Capture) DeliverNetworkPacket(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	c.record(pcapgo.NgEpbFlagDirectionInbound, pkt)
	c.nestedLink.DeliverNetworkPacket(protocol, pkt)
}

func (c *Capture) record(direction pcapgo.NgEpbFlag, pkt *stack.PacketBuffer) {
	// A virtio header is talk between link and device, not part of a packet.
	virtio := len(pkt.VirtioNetHeader().Slice())
	fill := func(b []byte, limit int) []byte {
		views, skip := pkt.AsViewList()
		skip += virtio
		for v := views.Front(); v != nil && len(b) < limit; v = v.Next() {
			bytes := v.AsSlice()
			from := min(skip, len(bytes))
			skip -= from
			b = append(b, bytes[from:]...)
		}
		return b[:min(limit, len(b))]
	}
	c.file.add(c.id, direction, fill, pkt.Size()-virtio, c.takeComments())
}
