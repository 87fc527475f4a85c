package link

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A sink is attached to a link in place of a stack, and keeps what arrives.
type sink struct {
	link stack.LinkEndpoint

	mu      sync.Mutex
	packets []delivered
	arrived chan struct{}
}

type delivered struct {
	bytes   []byte // link header included
	proto   tcpip.NetworkProtocolNumber
	to      tcpip.PacketType
	vouched bool
}

func newSink(l stack.LinkEndpoint) *sink {
	s := &sink{link: l, arrived: make(chan struct{}, 1)}
	l.Attach(s)
	return s
}

func (s *sink) DeliverNetworkPacket(proto tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := pkt.ToView()
	defer v.Release()
	s.packets = append(s.packets, delivered{
		bytes: v.ToSlice(), proto: proto, to: pkt.PktType,
		vouched: s.link.Capabilities()&stack.CapabilityRXChecksumOffload != 0,
	})
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

func (*sink) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}

// upTo waits for a packet with these bytes and returns those before it.
func (s *sink) upTo(t *testing.T, last []byte) []delivered {
	t.Helper()
	timeout := time.After(testTimeout)
	for {
		s.mu.Lock()
		for i, p := range s.packets {
			if bytes.Equal(p.bytes, last) {
				got := s.packets[:i]
				s.packets = s.packets[i+1:]
				s.mu.Unlock()
				return got
			}
		}
		s.mu.Unlock()
		select {
		case <-s.arrived:
		case <-timeout:
			t.Fatal("the last packet did not arrive")
		}
	}
}

// newSinkEndpoint returns a device to inject into, its link and what arrives.
func newSinkEndpoint(t *testing.T, features uint64, queues int) (*fakeDevice, *Endpoint, *sink) {
	t.Helper()
	d, _ := newFakePair(features, queues)
	e, err := New(Config{Device: d, Queues: queues})
	if err != nil {
		t.Fatal(err)
	}
	s := newSink(e)
	t.Cleanup(func() { e.Close(); e.Wait() })
	return d, e, s
}

// receive injects a frame and returns what the stack gets of it.
func receive(t *testing.T, d *fakeDevice, s *sink, frame []byte) []delivered {
	t.Helper()
	last := lastPacket()
	d.inject(0, [][]byte{frame})
	d.inject(0, [][]byte{framed(virtioHeader{}, last)})
	return s.upTo(t, last)
}

// lastPacket returns a packet that none overtakes and that overtakes none: it
// is of a protocol that nobody knows.
func lastPacket() []byte {
	b, _ := testPacket{udp: true, payload: 1}.build()
	ip := header.IPv4(b)
	b[9] = 253 // RFC 3692
	ip.SetChecksum(0)
	ip.SetChecksum(^ip.CalculateChecksum())
	return b
}

// next waits for a packet.
func (s *sink) next(t *testing.T) delivered {
	t.Helper()
	select {
	case <-s.arrived:
	case <-time.After(testTimeout):
		t.Fatal("no packet arrived")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.packets[0]
	s.packets = s.packets[1:]
	return p
}
