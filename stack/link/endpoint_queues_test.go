package link

import (
	"bytes"
	"sync"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// TestQueuesVouch floods two queues at once, one with packets that the device
// vouches for, the other with packets that it does not: netstack must be told
// which is which although they are delivered side by side.
func TestQueuesVouch(t *testing.T) {
	const each = 2000
	d, _ := newFakePair(allOffloads, 2)
	e, err := New(Config{Device: d, Queues: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(); e.Wait() })
	vouched, l := testPacket{payload: 300}.build()
	plain := bytes.Clone(vouched)
	h := partial(vouched, l)
	for range each {
		d.inject(0, [][]byte{framed(h, vouched)})
		d.inject(1, [][]byte{framed(virtioHeader{}, plain)})
	}
	s := &vouchSink{link: e, partial: vouched[l.payload()-4 : l.payload()]}
	s.left.Add(2 * each)
	e.Attach(s)
	s.left.Wait()
	if s.wrong > 0 || s.vouched != each {
		t.Errorf("%d of %d packets judged wrongly, %d vouched for, want %d", s.wrong, 2*each, s.vouched, each)
	}
	if got := e.Stats().RxVouched; got != each {
		t.Errorf("RxVouched = %d, want %d", got, each)
	}
}

// A vouchSink asks for each packet what netstack asks, and compares the answer
// with the packet: only one with a partial checksum is vouched for.
type vouchSink struct {
	link    stack.LinkEndpoint
	partial []byte // the end of the headers of such a packet
	left    sync.WaitGroup

	mu             sync.Mutex
	wrong, vouched int
}

func (s *vouchSink) DeliverNetworkPacket(_ tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	defer s.left.Done()
	vouched := s.link.Capabilities()&stack.CapabilityRXChecksumOffload != 0
	v := pkt.ToView()
	defer v.Release()
	at := v.Size() - 300
	s.mu.Lock()
	defer s.mu.Unlock()
	if vouched != bytes.Equal(v.AsSlice()[at-4:at], s.partial) {
		s.wrong++
	}
	if vouched {
		s.vouched++
	}
}

func (*vouchSink) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}
