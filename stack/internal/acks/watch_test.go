package acks

import (
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"

	"github.com/userstack/userstack/stack/internal/flow"
)

var watchKey = key{tcpip.AddrFrom4([4]byte{10, 0, 0, 1}), tcpip.AddrFrom4([4]byte{10, 0, 0, 2}), 1000, 80}

// scaled returns the options of a SYN with a window scale.
func scaled(ws uint8) []byte {
	return []byte{header.TCPOptionWS, header.TCPOptionWSLength, ws, header.TCPOptionNOP}
}

// TestShake learns window scales from handshakes of either side.
func TestShake(t *testing.T) {
	l := newBench(t, header.IPv4ProtocolNumber).Link
	for _, c := range []struct {
		name      string
		own, peer []byte // options of our SYN and of the peer's
		sends     uint8
		receives  uint8
	}{
		{"both scale", scaled(7), scaled(9), 9, 7},
		{"the peer does not", scaled(7), nil, 0, 0},
	} {
		t.Run(c.name+", we ask", func(t *testing.T) {
			s := &stream{key: watchKey, shake: l.asked(segment{key: watchKey, seq: 77, flags: header.TCPFlagSyn, options: c.own})}
			s.answered(&segment{seq: 5, options: c.peer}, l.micros()+1000)
			if h := s.shake; h.iss != 77 || h.peerScale != c.sends || h.ownScale != c.receives || !h.answered || h.rtt < 1000 {
				t.Errorf("%+v, want scales %d and %d", h, c.sends, c.receives)
			}
		})
		t.Run(c.name+", we are asked", func(t *testing.T) {
			l.offers.note(l.seed, &segment{key: watchKey, options: c.peer})
			own := c.own
			if c.peer == nil {
				own = nil // netstack offers a scale to who has offered one
			}
			h := l.asked(segment{key: watchKey, seq: 77, flags: header.TCPFlagSyn | header.TCPFlagAck, options: own})
			if h.peerScale != c.sends || h.ownScale != c.receives || h.answered {
				t.Errorf("%+v, want scales %d and %d", h, c.sends, c.receives)
			}
		})
	}
	if h := l.asked(segment{key: key{localPort: 1}, flags: header.TCPFlagSyn | header.TCPFlagAck, options: scaled(7)}); h.peerScale != 0 {
		t.Errorf("another connection has the scale %d", h.peerScale)
	}
}

// TestHandshake: a SYN that was sent again gives no round trip.
func TestHandshake(t *testing.T) {
	l := newBench(t, header.IPv4ProtocolNumber).Link
	id := Key{watchKey.local, watchKey.remote, watchKey.localPort, watchKey.remotePort}
	if h := l.Handshake(id); h != (flow.Handshake{}) {
		t.Errorf("of an unknown connection: %+v", h)
	}
	syn := segment{key: watchKey, seq: 77, flags: header.TCPFlagSyn, options: scaled(7)}
	answer := segment{seq: 5, options: scaled(9)}
	for again := range 2 {
		s := &stream{key: watchKey, shake: l.asked(syn)}
		l.open(s)
		s.answered(&answer, l.micros()+1000)
		h := l.Handshake(id)
		if !h.Seen || h.ISS != seqnum.Value(77) || h.SendScale != 9 || h.ReceiveScale != 7 {
			t.Errorf("%+v", h)
		}
		if (h.RTT >= time.Millisecond) != (again == 0) {
			t.Errorf("a round trip of %v, after %d retransmissions", h.RTT, again)
		}
	}
}

// TestWatches: nobody watching leaves nothing behind that a segment would look at.
func TestWatches(t *testing.T) {
	l := newBench(t, header.IPv4ProtocolNumber).Link
	id := Key{watchKey.local, watchKey.remote, watchKey.localPort, watchKey.remotePort}
	first, second := flow.New(flow.Handshake{}), flow.New(flow.Handshake{})
	stop, ok := l.Watch(id, first)
	if _, again := l.Watch(id, second); !ok || again || l.watches.of(watchKey) != first {
		t.Error("the second watcher took the place of the first")
	}
	stop()
	if stop, ok = l.Watch(id, second); !ok || l.watches.of(watchKey) != second {
		t.Fatal("nobody can watch after the first")
	}
	stop()
	if l.watches.flows.Load() != nil {
		t.Error("something is left")
	}
}
