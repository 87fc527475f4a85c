package link

import (
	"errors"
	"os"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	// writeBatch is how many packets are gathered for one Write: a 64 KiB
	// segment cut for MTU 1500 makes 46.
	writeBatch = 64
	// maxGather is how many slices a packet may have before it is copied into
	// one. Linux takes 1024 (UIO_MAXIOV); a packet of many tiny slices costs
	// more to describe than to copy.
	maxGather = 256
)

// A batch gathers packets for one Write. Slices point into the packets that
// the stack sends and into headers; nothing is copied but headers that change.
type batch struct {
	packets [][][]byte
	pieces  [][]byte // backs packets
	headers []byte   // backs virtio headers and changed headers
	flat    []byte   // backs packets of more than maxGather slices
	sizes   []int    // of packets, without virtio header
}

var batches = sync.Pool{New: func() any {
	return &batch{
		packets: make([][][]byte, 0, writeBatch),
		pieces:  make([][]byte, 0, 4*writeBatch),
		headers: make([]byte, 0, writeBatch*128),
		sizes:   make([]int, 0, writeBatch),
	}
}}

// reset forgets the packets. Memory that append has moved to stays.
func (b *batch) reset() {
	clear(b.packets)
	clear(b.pieces)
	b.packets, b.pieces = b.packets[:0], b.pieces[:0]
	b.headers, b.flat, b.sizes = b.headers[:0], b.flat[:0], b.sizes[:0]
}

// header returns n bytes that live until reset.
func (b *batch) header(n int) []byte {
	at := len(b.headers)
	b.headers = append(b.headers, make([]byte, n)...)
	return b.headers[at:]
}

// add appends a packet: virtio header, then the pieces gathered since start.
func (b *batch) add(h virtioHeader, start, size int) {
	h.put(b.pieces[start])
	b.packets = append(b.packets, b.pieces[start:len(b.pieces):len(b.pieces)])
	b.sizes = append(b.sizes, size)
}

// begin starts a packet with room for its virtio header and returns the place
// that add wants.
func (b *batch) begin() int {
	b.pieces = append(b.pieces, b.header(virtioHeaderSize))
	return len(b.pieces) - 1
}

// gather appends the pieces of a packet from the given byte on.
func (b *batch) gather(pkt *stack.PacketBuffer, from int) {
	views, offset := pkt.AsViewList()
	from += offset
	if views.Len() > maxGather {
		b.flatten(pkt, from)
		return
	}
	for v := views.Front(); v != nil; v = v.Next() {
		if s := v.AsSlice(); from < len(s) {
			b.pieces = append(b.pieces, s[from:])
			from = 0
		} else {
			from -= len(s)
		}
	}
}

func (b *batch) flatten(pkt *stack.PacketBuffer, from int) {
	at := len(b.flat)
	views, _ := pkt.AsViewList()
	for v := views.Front(); v != nil; v = v.Next() {
		s := v.AsSlice()
		skip := min(from, len(s))
		b.flat = append(b.flat, s[skip:]...)
		from -= skip
	}
	b.pieces = append(b.pieces, b.flat[at:])
}

// WritePackets implements stack.LinkEndpoint. Packets of bulk are written to the
// device by another goroutine, and others when it returns unless they found that
// one at work; writer.go says how. It waits only while there is no room for
// them. An acknowledgement may be kept for a moment; see endpoint_ack.go. Packets
// that the device refuses are dropped and counted, as by any wire, and see Err.
func (e *Endpoint) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	for list := pkts.AsSlice(); len(list) > 0; {
		waits := e.acks.waits.Load()
		if waits && e.acks.keeps(list[0], &e.stats) {
			list = list[1:]
			continue
		}
		queue, n := e.queueOf(list[0]), 1
		for n < len(list) && !waits && e.queueOf(list[n]) == queue {
			n++
		}
		e.writers[queue].send(list[:n])
		list = list[n:]
	}
	return pkts.Len(), nil
}

// queueOf is where packets of a connection go, all of them.
func (e *Endpoint) queueOf(pkt *stack.PacketBuffer) int { return int(pkt.Hash % uint32(e.queues)) }

// gather puts a packet into the batch in the form that the device takes.
func (e *Endpoint) gather(b *batch, pkt *stack.PacketBuffer, queue int) {
	l, offload := layoutOf(pkt)
	if !offload { // nothing is left to do
		at := b.begin()
		b.gather(pkt, 0)
		b.add(virtioHeader{}, at, pkt.Size())
		return
	}
	size := sendSize(l, pkt.GSOOptions.MSS, e.MTU())
	payload := pkt.Data().Size()
	device := virtioHeader{
		flags:      virtioNeedsCSUM,
		hdrLen:     uint16(l.payload()),
		csumStart:  uint16(l.transport()),
		csumOffset: uint16(l.checksumOffset()),
	}
	switch {
	case payload <= size && e.features&FeatureCSUM != 0:
	case payload > size && e.segments(l):
		device.gsoType, device.gsoSize = l.gsoType(), uint16(size)
		e.stats.offloaded.Add(1)
	default:
		e.cut(b, pkt, l, device, size, queue)
		return
	}
	at := b.begin()
	b.gather(pkt, 0)
	b.add(device, at, pkt.Size())
}

// segments reports whether the device cuts packets of this layout.
func (e *Endpoint) segments(l layout) bool {
	want := FeatureCSUM | FeatureHostTSO4
	switch {
	case l.proto == protoUDP:
		want = FeatureCSUM | FeatureHostUSO
	case l.v6:
		want = FeatureCSUM | FeatureHostTSO6
	}
	return e.features&want == want
}

// SegmentsUDP reports that the link takes several datagrams of one flow in one
// packet: UDP payload of up to MaxGSOSize bytes with headers, of which each
// GSOOptions.MSS bytes are a datagram, the last one perhaps shorter, behind
// headers whose checksum is partial (GSOOptions.NeedsCsum). What the device
// cannot cut is cut here.
func (e *Endpoint) SegmentsUDP() bool { return true }

// cut puts a packet into the batch in pieces of size bytes of payload each. Their
// checksums are completed here unless the device does that.
func (e *Endpoint) cut(b *batch, pkt *stack.PacketBuffer, l layout, device virtioHeader, size, queue int) {
	whole := batches.Get().(*batch)
	defer func() { whole.reset(); batches.Put(whole) }()
	whole.gather(pkt, l.payload())
	rest := pieceReader{whole.pieces}
	headers := packetHeaders(pkt, l)
	payload := pkt.Data().Size()
	for s := range cut(payload, size) {
		at := b.begin()
		h := b.header(l.payload())
		headers(h)
		b.pieces = append(b.pieces, h)
		b.pieces = rest.append(b.pieces, s.size)
		if payload > size {
			l.writeHeaders(h, s)
			e.stats.segments.Add(1)
		}
		if e.features&FeatureCSUM != 0 {
			b.add(device, at, l.payload()+s.size)
		} else {
			completePartial(h, l.transport(), l.transport()+l.checksumOffset(), b.pieces[at+2:])
			b.add(virtioHeader{}, at, l.payload()+s.size)
		}
		if len(b.packets) >= writeBatch {
			e.flush(b, queue)
		}
	}
}

// packetHeaders returns a function that copies a packet's headers.
func packetHeaders(pkt *stack.PacketBuffer, l layout) func(dst []byte) {
	l2, l3, l4 := pkt.LinkHeader().Slice(), pkt.NetworkHeader().Slice(), pkt.TransportHeader().Slice()
	return func(dst []byte) {
		copy(dst, l2)
		copy(dst[l.l2:], l3)
		copy(dst[l.l2+l.l3:], l4)
	}
}

// A pieceReader hands out a list of slices in portions.
type pieceReader struct{ pieces [][]byte }

// append appends slices of n bytes in total to dst.
func (r *pieceReader) append(dst [][]byte, n int) [][]byte {
	for n > 0 && len(r.pieces) > 0 {
		p := r.pieces[0]
		if len(p) > n {
			r.pieces[0] = p[n:]
			return append(dst, p[:n])
		}
		dst = append(dst, p)
		n -= len(p)
		r.pieces = r.pieces[1:]
	}
	return dst
}

// flush writes the batch. A packet that the device refuses is passed over, the
// ones behind it are tried.
func (e *Endpoint) flush(b *batch, queue int) {
	for at := 0; at < len(b.packets); {
		n, err := e.device.Write(queue, b.packets[at:])
		for _, size := range b.sizes[at : at+n] {
			e.stats.tx.Add(1)
			e.stats.txBytes.Add(uint64(size))
		}
		at += n
		if n > 0 {
			e.faults.clear(&e.faults.write)
		}
		if err != nil || n == 0 {
			e.stats.txErrors.Add(1)
			at++
		}
		if err != nil && !e.isClosed() {
			e.faults.set(&e.faults.write, err)
		}
		if errors.Is(err, os.ErrClosed) {
			e.stats.txErrors.Add(uint64(len(b.packets) - at))
			break
		}
	}
	b.reset()
}
