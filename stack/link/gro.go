package link

import (
	"bytes"
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Generic receive offload: TCP segments that one Read brings in are merged
// into larger ones before the stack sees them, so that it looks up a
// connection, wakes its reader and acknowledges once instead of once for each
// segment. It is what a device does that has FeatureGuestTSO4 and
// FeatureGuestTSO6, and is done here for the family that a device has not.
//
// A run is a segment and those that continue it: the same connection, next in
// sequence, every header field the same but those that tell segments of one
// large packet apart (IP length, identification and checksum, TCP sequence
// number and checksum, PSH), all with as much payload as the first but the
// last, which may have less. Cutting a run at the size of the first makes the
// segments again. The rules are those of Linux (tcp_offload.c, af_inet.c),
// narrower in that only ACK and PSH may be set and that neither IP options nor
// extension headers may be there.
//
// What is not a part of a run passes at once, after the run of its own
// connection has been handed on, so that no packet of a connection overtakes
// another. PSH, a short segment and 65,535 bytes end a run, and the end of what
// one Read brought ends all: nothing is kept while a reader waits, and there is
// no timer.
//
// Before a segment joins a run, its checksums are verified or the device has
// vouched for it. The checksums of a merged packet are right, from the sums
// that verifying gave: no byte is summed twice, and a Capture shows a packet
// that is whole. Where packets must be in wire form or in send form nothing is
// merged.
//
// gVisor's package stack/gro is not used. Its Flush hands on one packet of each
// bucket and keeps the rest (TestLibraryKeepsPackets), it swallows pure
// acknowledgements behind data, and it leaves lengths and checksums of merged
// packets wrong or stale.

// groRuns is how many connections may have a run at a time (Linux
// MAX_GRO_SKBS). The oldest run makes room for another.
const groRuns = 8

// A coalescer is the state of one reader. Between batches it is empty. The nil
// pointer merges nothing.
type coalescer struct {
	e    *Endpoint
	runs [groRuns]run
	n    int // runs in use, oldest first
}

// A run is a packet that is being put together.
type run struct {
	arrival
	l       layout
	header  []byte        // of the packet, the start of buf
	buf     buffer.Buffer // the packet so far, with the first segment's headers
	segment int           // payload of the first segment, in bytes
	payload int           // of all, in bytes
	sum     uint16        // of the payload, where the device has not vouched
	merged  int           // segments besides the first
}

// newCoalescer returns what merges the packets of a reader, or nil when the
// device does it.
func (e *Endpoint) newCoalescer() *coalescer {
	if e.merges(false) || e.merges(true) {
		return &coalescer{e: e}
	}
	return nil
}

// merges reports whether TCP packets of a family are merged here.
func (e *Endpoint) merges(v6 bool) bool {
	if v6 {
		return e.features&FeatureGuestTSO6 == 0
	}
	return e.features&FeatureGuestTSO4 == 0
}

// receiveBatch receives the frames that one Read brought.
func (e *Endpoint) receiveBatch(g *coalescer, frames []frame, sizes []int) {
	if len(frames) == 1 {
		g = nil
	}
	for i := range frames {
		e.stats.rx[e.receive(g, &frames[i], sizes[i])].Add(1)
	}
	g.flush()
}

// take makes a frame of n bytes a part of a run and returns true, or returns
// false for a packet that is to be delivered by itself, now.
func (c *coalescer) take(a arrival, f *frame, n int) bool {
	if c == nil || !c.e.is(stackForm) {
		return false
	}
	head := f.head(n)
	l, ok := parseLayout(head, a.l2)
	if !ok || l.proto != protoTCP {
		if !ok {
			c.flush() // a fragment or an ICMP message may be of any connection
		}
		return false
	}
	i := c.find(head, l)
	mergeable := c.e.merges(l.v6) && a.to == tcpip.PacketHost && l.mergeable(head, n)
	if i >= 0 && (!mergeable || !c.runs[i].continuedBy(a, head, l, n)) {
		c.deliver(i)
		i = -1
	}
	push := mergeable && header.TCP(head[l.transport():]).Flags()&header.TCPFlagPsh != 0
	if !mergeable || i < 0 && push {
		return false
	}
	sum, ok := l.verify(a, head, f.rest(n))
	if !ok {
		if i >= 0 {
			c.deliver(i)
		}
		return false
	}
	if i < 0 {
		c.start(a, l, f.pull(n), sum)
		return true
	}
	r := &c.runs[i]
	r.join(f.pull(n), sum)
	if push || n-l.payload() < r.segment {
		c.deliver(i)
	}
	return true
}

// find returns the index of the run of a packet's connection, or -1.
func (c *coalescer) find(head []byte, l layout) int {
	for i := range c.n {
		r := &c.runs[i]
		if r.l.v6 == l.v6 && bytes.Equal(r.l.addresses(r.header), l.addresses(head)) &&
			bytes.Equal(r.l.ports(r.header), l.ports(head)) {
			return i
		}
	}
	return -1
}

// start begins a run.
func (c *coalescer) start(a arrival, l layout, buf buffer.Buffer, sum uint16) {
	if c.n == groRuns {
		c.deliver(0)
	}
	first := buf.AsViewList()
	payload := int(buf.Size()) - l.payload()
	c.runs[c.n] = run{
		arrival: a, l: l, header: first.Front().AsSlice()[:l.payload()], buf: buf,
		segment: payload, payload: payload, sum: sum,
	}
	c.n++
}

// flush delivers every run, oldest first.
func (c *coalescer) flush() {
	for c != nil && c.n > 0 {
		c.deliver(0)
	}
}

// deliver hands the packet of a run to the stack.
func (c *coalescer) deliver(i int) {
	r := c.runs[i]
	copy(c.runs[i:], c.runs[i+1:c.n])
	c.n--
	c.runs[c.n] = run{}
	if r.merged > 0 {
		r.finish()
		c.e.stats.merged.Add(uint64(r.merged))
	}
	r.vouched = true
	c.e.deliver(r.arrival, stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: r.buf}))
}

// continuedBy reports whether a packet is the next segment of the run.
func (r *run) continuedBy(a arrival, head []byte, l layout, n int) bool {
	payload := n - l.payload()
	if l != r.l || a.vouched != r.vouched || a.d != r.d ||
		payload > r.segment || l.l3+l.l4+r.payload+payload > maxMTU {
		return false
	}
	next, first := header.TCP(head[l.transport():]), header.TCP(r.header[l.transport():])
	return next.SequenceNumber() == first.SequenceNumber()+uint32(r.payload) &&
		bytes.Equal(head[:l.l2], r.header[:l.l2]) &&
		r.sameNetworkHeader(head[l.l2:l.transport()]) && sameTCPHeader(first, next)
}

// join appends the payload of a segment.
func (r *run) join(segment buffer.Buffer, sum uint16) {
	last := segment.AsViewList()
	flags := header.TCP(last.Front().AsSlice()[r.l.transport():]).Flags()
	tcp := header.TCP(r.header[r.l.transport():])
	tcp.SetFlags(uint8(tcp.Flags() | flags))
	segment.TrimFront(int64(r.l.payload()))
	if r.payload%2 != 0 { // it begins in the middle of a 16-bit word (RFC 1071)
		sum = sum<<8 | sum>>8
	}
	r.sum = checksum.Combine(r.sum, sum)
	r.payload += int(segment.Size())
	r.merged++
	r.buf.Merge(&segment)
}

// finish writes the lengths and checksums of the merged packet. What the
// device has vouched for keeps a partial checksum.
func (r *run) finish() {
	r.l.setLength(r.header, r.payload)
	r.l.setPartial(r.header, r.payload)
	if r.vouched {
		return
	}
	t := r.header[r.l.transport():]
	binary.BigEndian.PutUint16(t[header.TCPChecksumOffset:], ^checksum.Checksum(t, r.sum))
}
