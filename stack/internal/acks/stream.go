package acks

import (
	"slices"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
)

const (
	// maxBlocks bounds what is remembered of a connection. The option has room
	// for three beside a timestamp; the peer remembers those that were in
	// earlier ones.
	maxBlocks = 16

	// maxGap bounds, in bytes, how far beyond what has arrived a segment can be:
	// no window is larger (RFC 7323 section 2.3).
	maxGap = 1 << 30
)

// key is a connection, seen from our side.
type key struct {
	local, remote         tcpip.Address
	localPort, remotePort uint16
}

// stream is what is known of the bytes that a peer sends.
type stream struct {
	key  key
	used atomic.Uint32 // Link.clock at its last segment

	mu     sync.Mutex
	agreed bool               // both sides said in the handshake that they do SACK
	next   seqnum.Value       // all before has arrived, or so it seems
	blocks []header.SACKBlock // arrived beyond next, the latest first, none touching another
	shut   bool               // the peer's window is closed
	wants  seqnum.Value       // the byte that the peer waits for, if it is
	shake  shake

	sent    seqnum.Value // the end of the data that we have sent, or more
	size    seqnum.Size  // of our largest segment so far
	window  uint16       // the peer's latest, not scaled
	opening bool         // we have sent nothing since an answer to the peer's SYN without an offer of SACK
	begins  seqnum.Value // the first byte of the peer, if so
}

// answered notes the peer's answer to our SYN: where its stream begins, and
// whether it does SACK, which our SYN always offers.
func (s *stream) answered(seg *segment, now uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next, s.agreed = seg.seq.Add(1), hasOption(seg.options, header.TCPOptionSACKPermitted)
	s.shake.accepted(seg.options, now)
}

// replied notes the peer's first segment after our answer to its SYN.
func (s *stream) replied(now uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shake.replied(now)
}

// heard is what a segment of the peer is about.
type heard struct {
	first   bool         // its window is open, and nothing has been heard of the peer before
	strange bool         // its data closes a gap or opens one, or begins elsewhere
	opening bool         // it has more than the answer to our answer, which our side may not have heard
	begins  seqnum.Value // stream.begins, if so
	changed bool         // its window is another than the last segment's
	sent    seqnum.Value // stream.sent
	flight  seqnum.Size  // bytes that we have sent behind what it acknowledges
	size    seqnum.Size  // stream.size
}

// hear notes a segment that is no SYN. A window that opens ends the wait for it.
// If a bit has flipped on its way netstack will not take it, and we come to miss a
// gap.
func (s *stream) hear(seg *segment) (h heard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seg.window != 0 {
		s.shut = false
		h.first = !s.shake.answered
	}
	h.changed = seg.window != s.window
	s.window = seg.window
	h.sent, h.size = s.sent, s.size
	if seg.ack.LessThan(s.sent) {
		h.flight = seg.ack.Size(s.sent)
	}
	if s.opening && (seg.payload > 0 || seg.flags&header.TCPFlagFin != 0) {
		h.opening = seg.ack == s.shake.iss.Add(1) && !seg.seq.LessThan(s.begins)
		h.begins = s.begins
	}
	if seg.payload > 0 {
		h.strange = !s.follow(seg.seq, seg.seq.Add(seg.payload))
	}
	return h
}

// follow notes data from start to end that closes no gap and opens none, and
// reports whether it was such: the usual case. The caller holds mu.
func (s *stream) follow(start, end seqnum.Value) bool {
	switch {
	case end.LessThanEq(s.next):
	case start.LessThanEq(s.next) && len(s.blocks) == 0:
		s.next = end
	default:
		return false
	}
	return true
}

// send notes that our side has sent data, or sent it again, up to an end, in a
// segment or in several of the given size, and acknowledged what it says.
func (s *stream) send(ack, end seqnum.Value, size seqnum.Size) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(ack)
	if s.sent.LessThan(end) {
		s.sent = end
	}
	s.size = max(s.size, size)
}

// advance notes that our side has acknowledged all before ack. The caller holds mu.
func (s *stream) advance(ack seqnum.Value) {
	s.opening = false
	if s.next.LessThan(ack) {
		s.next = ack
		s.prune()
	}
}

// receive notes a segment that arrived intact.
func (s *stream) receive(start, end seqnum.Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case end.LessThanEq(s.next) || s.next.Size(end) > maxGap:
	case s.next.LessThan(start):
		s.insert(header.SACKBlock{Start: start, End: end})
	default:
		s.next = end
		s.prune()
	}
}

// insert adds a block, joined with those that it touches, as the latest.
func (s *stream) insert(b header.SACKBlock) {
	s.blocks = slices.DeleteFunc(s.blocks, func(old header.SACKBlock) bool {
		if old.End.LessThan(b.Start) || b.End.LessThan(old.Start) {
			return false
		}
		if old.Start.LessThan(b.Start) {
			b.Start = old.Start
		}
		if b.End.LessThan(old.End) {
			b.End = old.End
		}
		return true
	})
	s.blocks = slices.Insert(s.blocks, 0, b)
	s.blocks = s.blocks[:min(len(s.blocks), maxBlocks)]
}

// prune drops the blocks that next has reached, and moves next to their end.
func (s *stream) prune() {
	for again := true; again; {
		again = false
		s.blocks = slices.DeleteFunc(s.blocks, func(b header.SACKBlock) bool {
			if s.next.LessThan(b.Start) {
				return false
			}
			if s.next.LessThan(b.End) {
				s.next, again = b.End, true
			}
			return true
		})
	}
}

// acknowledge notes what the stack has acknowledged, and returns the latest
// blocks beyond it, n of them.
func (s *stream) acknowledge(ack seqnum.Value) (latest [header.TCPMaxSACKBlocks]header.SACKBlock, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(ack)
	if s.agreed {
		n = copy(latest[:], s.blocks)
	}
	return latest, n
}

// closed notes that the peer takes no more than what is before a byte.
func (s *stream) closed(wants seqnum.Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.shut || s.wants.LessThan(wants) {
		s.shut, s.wants = true, wants
	}
}

// acceptable returns the sequence number that an acknowledgement without data
// has to have for the peer to look at it: its own, or with a closed window that
// of the byte that the peer waits for.
func (s *stream) acceptable(seq seqnum.Value) seqnum.Value {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut && s.wants.LessThan(seq) {
		return s.wants
	}
	return seq
}
