package link

import (
	"bytes"
	"sync"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

var pipeConfigs = map[string]PipeConfig{
	"zero":      {},
	"gso":       {GSOMaxSize: MaxGSOSize},
	"large MTU": {MTU: 65535},
	"least MTU": {MTU: 1280},
}

func TestPipeTCP(t *testing.T) {
	for name, cfg := range pipeConfigs {
		for _, v := range []string{"4", "6"} {
			t.Run(name+"/"+v, func(t *testing.T) {
				t.Parallel()
				a, b := NewPipe(cfg)
				near, far := connect(t, newHost(t, 1, a), newHost(t, 2, b), v)
				transfer(t, near, far, 3<<20)
				transfer(t, far, near, 3<<20)
				if s := a.Stats(); s.QueueFull+s.Oversize > 0 || s.Delivered == 0 {
					t.Errorf("stats %+v", s)
				}
			})
		}
	}
}

func TestPipeUDP(t *testing.T) {
	for name, cfg := range pipeConfigs {
		for _, v := range []string{"4", "6"} {
			t.Run(name+"/"+v, func(t *testing.T) {
				t.Parallel()
				a, b := NewPipe(cfg)
				exchange(t, newHost(t, 1, a), newHost(t, 2, b), v, 0, 1, 1000, 1472, 1473, 9000, 65507)
			})
		}
	}
}

// TestPipeWireForm has one end ask for wire form; its stack then gets what a
// wire would carry while the other end goes on as before.
func TestPipeWireForm(t *testing.T) {
	for _, v := range []string{"4", "6"} {
		t.Run(v, func(t *testing.T) {
			a, b := NewPipe(PipeConfig{GSOMaxSize: MaxGSOSize})
			a.RequireWireForm()
			watch := &wireChecker{PipeEnd: a}
			near, far := connect(t, newHost(t, 1, watch), newHost(t, 2, b), v)
			transfer(t, near, far, 4<<20)
			transfer(t, far, near, 4<<20)
			watch.mu.Lock()
			defer watch.mu.Unlock()
			if watch.seen < 2000 || watch.err != nil {
				t.Errorf("%d packets seen, %v", watch.seen, watch.err)
			}
		})
	}
}

// A wireChecker checks every packet that a pipe end hands up.
type wireChecker struct {
	*PipeEnd
	up stack.NetworkDispatcher

	mu   sync.Mutex
	seen int
	err  error
}

func (w *wireChecker) Attach(d stack.NetworkDispatcher) {
	if w.up = d; d == nil {
		w.PipeEnd.Attach(nil)
		return
	}
	w.PipeEnd.Attach(w)
}

func (w *wireChecker) DeliverNetworkPacket(proto tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	v := pkt.ToView()
	err := checkFrame(framed(virtioHeader{}, v.AsSlice()), 0, DefaultMTU)
	v.Release()
	w.mu.Lock()
	w.seen++
	if err != nil {
		w.err = err
	}
	w.mu.Unlock()
	w.up.DeliverNetworkPacket(proto, pkt)
}

func (*wireChecker) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}

// TestPipeBothWays saturates both directions of several connections at once:
// neither end may wait for the other.
func TestPipeBothWays(t *testing.T) {
	for name, cfg := range map[string]PipeConfig{
		"zero": {},
		"gso":  {GSOMaxSize: MaxGSOSize},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := NewPipe(cfg)
			one, two := newHost(t, 1, a), newHost(t, 2, b)
			var wg sync.WaitGroup
			for range 4 {
				near, far := connect(t, one, two, "4")
				wg.Go(func() { transfer(t, near, far, 2<<20) })
				wg.Go(func() { transfer(t, far, near, 2<<20) })
			}
			wg.Wait()
			if s := a.Stats(); s.QueueFull > 0 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// write sends a packet of the given payload.
func write(t *testing.T, l stack.LinkEndpoint, p testPacket) {
	t.Helper()
	pkt, _, _ := outgoing(p, 1400, 1400)
	pkt.GSOOptions = stack.GSO{}
	pkt.NetworkProtocolNumber = header.IPv4ProtocolNumber
	var list stack.PacketBufferList
	list.PushBack(pkt)
	if n, err := l.WritePackets(list); n != 1 || err != nil {
		t.Errorf("WritePackets: %d, %v", n, err)
	}
	list.Reset()
}

// TestPipeDrops counts what does not arrive.
func TestPipeDrops(t *testing.T) {
	a, b := NewPipe(PipeConfig{QueueBytes: 3000})
	write(t, a, testPacket{payload: 10}) // nobody there
	s := &stuckSink{release: make(chan struct{}), entered: make(chan struct{}, 1)}
	b.Attach(s)
	write(t, a, testPacket{payload: 1000})
	<-s.entered // the reader is stuck with 1040 bytes
	write(t, a, testPacket{payload: 1461})
	for range 3 {
		write(t, a, testPacket{payload: 900}) // the second makes 2920, the third is too much
	}
	if got, want := b.Stats(), (PipeStats{Delivered: 1, DeliveredBytes: 1040, QueueFull: 1, Detached: 1, Oversize: 1}); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
	b.Attach(nil)
	close(s.release)
	b.Close()
	b.Wait() // the two that wait are dropped
	write(t, a, testPacket{payload: 10})
	if got := b.Stats().Detached; got != 4 {
		t.Errorf("Detached is %d, want 4", got)
	}
	a.Close()
	a.Wait()
}

// A stuckSink blocks in its first delivery.
type stuckSink struct{ release, entered chan struct{} }

func (s *stuckSink) DeliverNetworkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {
	select {
	case s.entered <- struct{}{}:
	default:
	}
	<-s.release
}

func (*stuckSink) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}

// TestPipeKeepsBytes changes a packet after it was written, as a retransmitting
// stack does with its next headers, and expects the first form to arrive.
func TestPipeKeepsBytes(t *testing.T) {
	a, b := NewPipe(PipeConfig{})
	s := &stuckSink{release: make(chan struct{}), entered: make(chan struct{}, 1)}
	b.Attach(s)
	write(t, a, testPacket{payload: 1})
	<-s.entered
	pkt, _, l := outgoing(testPacket{payload: 500}, 100, 1400)
	first := pkt.ToView()
	defer first.Release()
	var list stack.PacketBufferList
	list.PushBack(pkt)
	a.WritePackets(list)
	header.TCP(pkt.TransportHeader().Slice()).SetSequenceNumber(1)
	list.Reset()
	k := newSink(b)
	close(s.release)
	got := k.next(t)
	if !bytes.Equal(got.bytes, first.AsSlice()) {
		t.Errorf("header changed underway: %x", got.bytes[:l.payload()])
	}
	if !got.vouched {
		t.Error("a partial checksum was not vouched for")
	}
	for _, e := range []*PipeEnd{a, b} {
		e.Close()
		e.Wait()
	}
}
