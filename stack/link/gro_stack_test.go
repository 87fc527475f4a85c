package link

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// A groPeer is a TCP peer made of packets, which does nothing by itself.
type groPeer struct {
	v6     bool
	device *fakeDevice // of the stack
	seq    uint32      // the first byte of data
	stack  uint32      // what the stack has sent, acknowledged
}

// syn is what the peer begins with: an MSS of 1460, and selective
// acknowledgements allowed.
var synOptions = []byte{2, 4, 5, 0xb4, 4, 2, 1, 1}

// dial has a peer connect to a host that listens, and returns the connection.
func (p *groPeer) dial(t *testing.T, h *host) net.Conn {
	t.Helper()
	addr, proto := h.addr("4", 2000)
	if p.v6 {
		addr, proto = h.addr("6", 2000)
	}
	ln, err := gonet.ListenTCP(h.Stack, addr, proto)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p.put(groSegment{seq: p.seq - 1, flags: header.TCPFlagSyn, options: synOptions})
	answer := p.await(t, func(tcp header.TCP) bool { return tcp.Flags() == header.TCPFlagSyn|header.TCPFlagAck })
	p.stack = answer.SequenceNumber() + 1
	p.put(groSegment{seq: p.seq})
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// put hands the stack packets that one Read brings in, if the batch has room.
func (p *groPeer) put(list ...groSegment) {
	var frames [][]byte
	for _, s := range list {
		s.v6, s.ack = p.v6, p.stack
		b, _ := s.build()
		frames = append(frames, framed(virtioHeader{}, b))
	}
	p.device.injectAll(frames)
}

// await reads what the stack sends until there is a TCP packet that will do.
func (p *groPeer) await(t *testing.T, want func(header.TCP) bool) header.TCP {
	t.Helper()
	var f frame
	defer f.release()
	sizes := make([]int, 1)
	for {
		if _, err := p.device.peer.Read(0, [][][]byte{f.refill()}, sizes); err != nil {
			t.Fatal("the stack sent no such packet: ", err)
		}
		b := bytes.Clone(f.head(sizes[0] - virtioHeaderSize))
		if l, ok := parseLayout(b, 0); ok && l.proto == protoTCP && want(b[l.transport():]) {
			return b[l.transport():]
		}
	}
}

// groBatches cuts data into segments and mixes them up as a wire does: batches
// with segments lost and sent again, twice, cut otherwise, and out of order.
func groBatches(rng *rand.Rand, data []byte) [][]groSegment {
	var batches [][]groSegment
	at := 0
	segment := func(from, size int) groSegment {
		s := groSegment{seq: uint32(from), payload: data[from:min(from+size, len(data))]}
		if rng.IntN(8) == 0 {
			s.flags = header.TCPFlagAck | header.TCPFlagPsh
		}
		return s
	}
	for at < len(data) {
		size := []int{1448, 1460, 999, 1}[rng.IntN(4)]
		var list []groSegment
		for n := 1 + rng.IntN(readBatch); n > 0 && at < len(data); n-- {
			list = append(list, segment(at, size))
			at += len(list[len(list)-1].payload)
		}
		switch rng.IntN(5) {
		case 0:
			list[len(list)/2] = segment(int(list[0].seq), 700) // one is lost
		case 1:
			rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		case 2:
			list = append(list, list...)
		}
		batches = append(batches, list)
	}
	return batches
}

// TestMergeStack has a peer send the same packets to a stack that gets them
// merged and to one that gets each by itself. After every batch both must
// acknowledge what there is of the stream so far, both must read its bytes, and
// both must take the end for the end.
func TestMergeStack(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for seed := range uint64(6) {
			rng := rand.New(rand.NewPCG(seed, 1))
			data := groData(48 << 10)
			batches := groBatches(rng, data)
			whole := []groSegment{}
			for at := 0; at < len(data); at += 1000 { // what was lost
				whole = append(whole, groSegment{seq: uint32(at), payload: data[at:min(at+1000, len(data))]})
			}
			for _, s := range whole {
				batches = append(batches, []groSegment{s})
			}
			for _, merged := range []bool{true, false} {
				feed(t, groPeer{v6: v6, seq: 0xffff8000}, batches, data, merged)
			}
		}
	}
}

// feed sends batches, whose sequence numbers count from 0, and checks the
// stack's answers.
func feed(t *testing.T, p groPeer, batches [][]groSegment, data []byte, merged bool) {
	t.Helper()
	x, y := newFakePair(0, 1)
	guard := time.AfterFunc(testTimeout, func() { y.Close() })
	defer guard.Stop()
	p.device = x
	h := newEndpointHost(t, 1, x, Config{})
	e := h.link.(*Endpoint)
	if !merged {
		e.RequireWireForm()
	}
	c := p.dial(t, h)
	have := make([]bool, len(data))
	next := 0
	for _, batch := range batches {
		for i, s := range batch {
			for b := range s.payload {
				have[int(s.seq)+b] = true
			}
			batch[i].seq += p.seq
		}
		p.put(batch...)
		for i := range batch {
			batch[i].seq -= p.seq
		}
		for next < len(data) && have[next] {
			next++
		}
		p.await(t, func(tcp header.TCP) bool {
			if tcp.AckNumber()-p.seq > uint32(next) || tcp.Flags()&header.TCPFlagRst != 0 {
				t.Fatalf("the stack acknowledges %d of %d bytes, flags %v", tcp.AckNumber()-p.seq, next, tcp.Flags())
			}
			return tcp.AckNumber() == p.seq+uint32(next)
		})
	}
	p.put(groSegment{seq: p.seq + uint32(len(data)), flags: header.TCPFlagAck | header.TCPFlagFin})
	p.await(t, func(tcp header.TCP) bool { return tcp.AckNumber() == p.seq+uint32(len(data))+1 })
	c.SetDeadline(time.Now().Add(testTimeout))
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("read %d bytes, %v", len(got), err)
	}
	if n := e.Stats().RxMerged; n > 0 != merged {
		t.Errorf("RxMerged is %d, merging: %v", n, merged)
	}
	p.put(groSegment{seq: p.seq + uint32(len(data)) + 1, flags: header.TCPFlagRst | header.TCPFlagAck})
}

// TestMergeGap has a run arrive behind a gap. The peer is told at once what is
// missing, and what is not.
func TestMergeGap(t *testing.T) {
	x, y := newFakePair(0, 1)
	guard := time.AfterFunc(testTimeout, func() { y.Close() })
	defer guard.Stop()
	p := groPeer{device: x, seq: 1 << 20}
	h := newEndpointHost(t, 1, x, Config{})
	p.dial(t, h)
	list := stream(groSegment{seq: p.seq}, 1000, 1000, 1000, 1000)
	p.put(list[1:]...)
	sack := []byte{5, 10, 0, 0x10, 0x03, 0xe8, 0, 0x10, 0x0f, 0xa0} // p.seq+1000 to p.seq+4000
	p.await(t, func(tcp header.TCP) bool {
		return tcp.AckNumber() == p.seq && bytes.Contains(tcp.Options(), sack)
	})
	p.put(list[0])
	p.await(t, func(tcp header.TCP) bool { return tcp.AckNumber() == p.seq+4000 })
}
