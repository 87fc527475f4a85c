package acks

import (
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack/internal/flow"
)

// Key is a connection, seen from our side.
type Key struct {
	Local, Remote         tcpip.Address
	LocalPort, RemotePort uint16
}

// watches are the connections that somebody watches. While there are none a
// segment costs a load of a pointer that is nil.
type watches struct {
	mu    sync.Mutex // held over a change of flows
	flows atomic.Pointer[map[key]*flow.Flow]
}

// Watch has f told of every segment of a connection that passes, until stop is
// called. It reports false for a connection that has a watcher.
func (l *Link) Watch(k Key, f *flow.Flow) (stop func(), ok bool) {
	id := key{k.Local, k.Remote, k.LocalPort, k.RemotePort}
	l.watches.change(func(flows map[key]*flow.Flow) {
		if _, taken := flows[id]; !taken {
			flows[id], ok = f, true
		}
	})
	if !ok {
		return nil, false
	}
	return func() {
		l.watches.change(func(flows map[key]*flow.Flow) { delete(flows, id) })
	}, true
}

func (w *watches) change(edit func(map[key]*flow.Flow)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	flows := map[key]*flow.Flow{}
	if old := w.flows.Load(); old != nil {
		flows = maps.Clone(*old)
	}
	edit(flows)
	if len(flows) == 0 {
		w.flows.Store(nil)
		return
	}
	w.flows.Store(&flows)
}

// of returns who watches a connection, or nil.
func (w *watches) of(k key) *flow.Flow {
	if flows := w.flows.Load(); flows != nil {
		return (*flows)[k]
	}
	return nil
}

// watchSent tells the watcher, if there is one, of a segment of ours.
func (l *Link) watchSent(seg *segment, pkt *stack.PacketBuffer) {
	f := l.watches.of(seg.key)
	if f == nil {
		return
	}
	s := seg.seen(seg.options)
	if pkt.GSOOptions.Type != stack.GSONone {
		s.MSS = int(pkt.GSOOptions.MSS)
	}
	f.Sent(s)
}

// watchReceived tells the watcher, if there is one, of a segment of the peer.
func (l *Link) watchReceived(seg *segment, pkt *stack.PacketBuffer) {
	f := l.watches.of(seg.key)
	if f == nil || !l.intact(seg, pkt) {
		return
	}
	headers := seg.network + seg.length - int(seg.payload)
	b, ok := pkt.Data().PullUp(headers)
	if !ok {
		return
	}
	f.Received(seg.seen(header.TCP(b[seg.network:]).Options()))
}

// seen is the segment as a watcher has it.
func (s *segment) seen(options []byte) flow.Segment {
	o := header.ParseTCPOptions(options)
	return flow.Segment{
		Seq: s.seq, Ack: s.ack, Flags: s.flags, Window: s.window, Payload: s.payload,
		TS: o.TS, TSVal: o.TSVal, TSEcr: o.TSEcr, SACK: o.SACKBlocks,
	}
}

// shake is what a watcher wants to know of a handshake that is past.
type shake struct {
	iss       seqnum.Value // of our side
	peerScale uint8        // shift of the windows that the peer advertises
	ownScale  uint8        // and of ours
	answered  bool         // rtt is how long the peer took
	rtt       uint32       // µs, 0 if not known; until the peer answers, when we asked, by the link's clock
}

// micros is the link's clock: microseconds, which wrap after an hour.
func (l *Link) micros() uint32 { return uint32(time.Since(l.made) / time.Microsecond) }

// Handshake returns what was agreed for a connection; the zero value when that
// is not known.
func (l *Link) Handshake(k Key) flow.Handshake {
	s := l.stream(key{k.Local, k.Remote, k.LocalPort, k.RemotePort})
	if s == nil {
		return flow.Handshake{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := flow.Handshake{Seen: true, ISS: s.shake.iss, SendScale: s.shake.peerScale, ReceiveScale: s.shake.ownScale}
	if s.shake.answered {
		h.RTT = time.Duration(s.shake.rtt) * time.Microsecond
	}
	return h
}

// asked returns what our SYN, or our answer to the peer's, says.
func (l *Link) asked(seg segment) shake {
	h := shake{iss: seg.seq, rtt: l.micros()}
	if before := l.stream(seg.key); before != nil && before.shake.iss == seg.seq {
		h.answered, h.rtt = true, 0 // sent again: which of them is answered is not known (Karn's algorithm)
	}
	own := header.ParseSynOptions(seg.options, seg.flags&header.TCPFlagAck != 0).WS
	if own < 0 {
		return h
	}
	h.ownScale = uint8(own)
	if seg.flags&header.TCPFlagAck != 0 {
		h.peerScale = l.offers.scale(l.seed, seg.key)
	}
	return h
}

// replied notes the peer's first segment. If it is the answer to our SYN it
// holds the peer's scale; a peer without one has none of us scaled.
func (s *shake) replied(now uint32) {
	if !s.answered {
		s.answered, s.rtt = true, now-s.rtt
	}
}

// accepted takes in the options of the peer's answer to our SYN.
func (s *shake) accepted(options []byte, now uint32) {
	s.replied(now)
	ws := header.ParseSynOptions(options, true).WS
	if ws < 0 {
		s.ownScale = 0
		return
	}
	s.peerScale = uint8(ws)
}

// offers remembers the window scales of SYNs that came, for the moment until they
// are answered: there are no streams for them yet, and a flood of them is not to
// make any. An entry is 24 bits of a hash and the scale; another SYN may take its
// place, and then the scale is taken to be 0.
type offers [1 << 10]atomic.Uint32

const offerScaleBits = 8

func (o *offers) slot(seed maphash.Seed, k key) (*atomic.Uint32, uint32) {
	h := maphash.Comparable(seed, k)
	return &o[h%uint64(len(o))], uint32(h>>32) << offerScaleBits
}

// note remembers the scale of a peer's SYN.
func (o *offers) note(seed maphash.Seed, seg *segment) {
	slot, tag := o.slot(seed, seg.key)
	slot.Store(tag | uint32(max(header.ParseSynOptions(seg.options, false).WS, 0)))
}

func (o *offers) scale(seed maphash.Seed, k key) uint8 {
	slot, tag := o.slot(seed, k)
	if v := slot.Load(); v&^(1<<offerScaleBits-1) == tag {
		return uint8(v)
	}
	return 0
}
