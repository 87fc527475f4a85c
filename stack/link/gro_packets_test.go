package link

import (
	"bytes"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// A groSegment describes a TCP packet of one of several connections.
type groSegment struct {
	v6       bool
	port     uint16 // the source's; it tells connections apart
	seq, ack uint32
	window   uint16
	flags    header.TCPFlags // ACK if zero
	tos, ttl uint8
	id       uint16
	noDF     bool
	options  []byte
	ipExtra  int // bytes of IP options or of a hop-by-hop header, a multiple of 8
	trailing int // bytes behind the packet, as Ethernet pads
	payload  []byte
	change   func(b []byte, l layout) // made before the checksums
	damage   func(b []byte, l layout) // made after
}

// build returns the packet's bytes.
func (s groSegment) build() ([]byte, layout) {
	p := testPacket{v6: s.v6, payload: len(s.payload), id: s.id, noDF: s.noDF, options: len(s.options)}
	if s.v6 {
		p.hopOpts = s.ipExtra
	}
	b, l := p.build()
	if !s.v6 && s.ipExtra > 0 {
		b = append(b[:20:20], append(bytes.Repeat([]byte{1}, s.ipExtra), b[20:]...)...) // no operation
		b[0] += byte(s.ipExtra / 4)
		l.l3 += s.ipExtra
	}
	if s.flags == 0 {
		s.flags = header.TCPFlagAck
	}
	if s.v6 {
		b[1], b[7] = b[1]&0x0f|s.tos<<4, 64+s.ttl
	} else {
		b[1], b[8] = s.tos, 64+s.ttl
	}
	header.TCP(b[l.transport():]).Encode(&header.TCPFields{
		SrcPort: 1000 + s.port, DstPort: 2000, SeqNum: s.seq, AckNum: s.ack,
		DataOffset: uint8(l.l4), Flags: s.flags, WindowSize: 500 + s.window,
	})
	copy(b[l.transport()+header.TCPMinimumSize:], s.options)
	copy(b[l.payload():], s.payload)
	if s.change != nil {
		s.change(b, l)
	}
	sumUp(b, l)
	if s.damage != nil {
		s.damage(b, l)
	}
	return append(b, make([]byte, s.trailing)...), l
}

// sumUp sets lengths and checksums.
func sumUp(b []byte, l layout) {
	l.setLength(b, len(b)-l.payload())
	src, dst := testSrc4, testDst4
	if l.v6 {
		src, dst = testSrc6, testDst6
	}
	t := b[l.transport():]
	checksum.Put(t[l.checksumOffset():], 0)
	sum := header.PseudoHeaderChecksum(tcpip.TransportProtocolNumber(l.proto), src, dst, uint16(len(t)))
	checksum.Put(t[l.checksumOffset():], ^checksum.Checksum(t, sum))
}

// A groReader receives batches as a reader does, without its goroutine.
type groReader struct {
	e     *Endpoint
	g     *coalescer
	sink  *sink
	batch frameBatch
}

func newGroReader(t testing.TB, features uint64) *groReader {
	d, _ := newFakePair(features, 1)
	e, err := New(Config{Device: d})
	if err != nil {
		t.Fatal(err)
	}
	r := &groReader{e: e, g: e.newCoalescer(), sink: newSink(e)}
	r.batch.grow(mergeBatch)
	t.Cleanup(func() { r.batch.release(); e.Close(); e.Wait() })
	return r
}

// receive hands in a batch of frames, virtio header included, and returns what
// was delivered.
func (r *groReader) receive(frames ...[]byte) []delivered {
	r.batch.refill(len(r.batch.frames))
	for i, frame := range frames {
		rest := frame
		for _, s := range r.batch.packets[i] {
			rest = rest[copy(s, rest):]
		}
		r.batch.sizes[i] = len(frame)
	}
	r.e.receiveBatch(r.g, r.batch.frames[:len(frames)], r.batch.sizes[:len(frames)])
	r.sink.mu.Lock()
	defer r.sink.mu.Unlock()
	got := r.sink.packets
	r.sink.packets = nil
	return got
}

// plain puts an empty virtio header before packets.
func plain(packets ...[]byte) [][]byte {
	var frames [][]byte
	for _, p := range packets {
		frames = append(frames, framed(virtioHeader{}, p))
	}
	return frames
}
