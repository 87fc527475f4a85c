// Package acks mends the acknowledgements that netstack sends and takes, where
// they are what makes it slow, or stop, on a link that loses packets.
//
// Netstack sends selective acknowledgements (SACK, RFC 2018) in the state
// ESTABLISHED only (transport/tcp/connect.go, sendRaw): from shutdown(SHUT_WR)
// on, its acknowledgements of what still arrives carry none. A peer that has
// been promised SACK, Linux or netstack, takes an acknowledgement without it
// for no sign of a loss, and so waits for its retransmission timer at every
// gap. With 5 % loss a Linux sender then backs off beyond a minute.
//
// A Link goes between a stack and a link, and adds what is missing:
//
//	gv.CreateNIC(1, acks.New(lower))
//
// And it keeps two ends from waiting for each other whose windows have both
// closed. With data on its way that the peer had no room for, netstack sends its
// acknowledgements from behind that data, where they are out of the peer's
// window, so that the peer drops them and never hears that ours has opened (RFC
// 9293 section 3.10.7.4 has receivers make an exception; neither Linux nor
// netstack does). Linux sends them with a number inside (tcp_acceptable_seq).
//
// Two more faults of netstack are made up for in what is handed up to it: losses
// that it sees and does not take for such until its timer fires (early.go), and
// connections that a listener short of places comes never to make (opening.go).
//
// # How it works
//
// It follows, for each connection, how far the stream has arrived and which
// blocks have arrived beyond a gap, from the segments that pass; and it gives
// each acknowledgement that leaves without SACK while there are such blocks the
// option, and new checksums. In ESTABLISHED netstack leaves nothing to add. An
// acknowledgement without data gets the number of the byte that the peer waits
// for, while its window is closed.
//
// # Limits
//
// Only connections whose handshake passed and agreed on SACK are followed. It
// remembers 4,096 connections, a few less where more than four fall into one of
// its 1,024 buckets; the longest idle is forgotten, and fares as it would without
// it. It reads TCP right after
// the IP header only, as netstack sends it. It cannot see that netstack drops a
// segment for want of buffer and reports it all the same; the sender then finds
// out when its timer fires, as RFC 2018 section 8 has it do. Segments that carry
// data are left alone.
package acks

import (
	"hash/maphash"
	"math"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/nested"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	buckets = 1 << 10 // a power of two
	ways    = 4       // connections in a bucket; each is a pointer
)

// nestedLink passes every call of a link on to the link below.
type nestedLink = nested.Endpoint

// Link is a link that adds SACK to acknowledgements that lack it.
type Link struct {
	nestedLink
	lower stack.LinkEndpoint
	seed  maphash.Seed
	table [buckets][ways]atomic.Pointer[stream]
	clock atomic.Uint32 // connections opened so far
	added atomic.Uint64
	early atomic.Uint64
	bare  atomic.Uint64

	made    time.Time
	offers  offers
	watches watches
}

var (
	_ stack.LinkEndpoint      = (*Link)(nil)
	_ stack.GSOEndpoint       = (*Link)(nil)
	_ stack.NetworkDispatcher = (*Link)(nil)
)

// New puts a Link in front of lower. Closing it closes lower.
func New(lower stack.LinkEndpoint) *Link {
	l := &Link{lower: lower, seed: maphash.MakeSeed(), made: time.Now()}
	l.Init(lower, l)
	return l
}

// Added returns how many acknowledgements got the option.
func (l *Link) Added() uint64 { return l.added.Load() }

func (l *Link) bucket(k key) *[ways]atomic.Pointer[stream] {
	return &l.table[maphash.Comparable(l.seed, k)%buckets]
}

// stream returns what is known of a connection, or nil.
func (l *Link) stream(k key) *stream {
	bucket := l.bucket(k)
	for i := range bucket {
		if s := bucket[i].Load(); s != nil && s.key == k {
			s.used.Store(l.clock.Load())
			return s
		}
	}
	return nil
}

// open remembers a connection, in place of an earlier life of it, or of none, or
// of the one in the bucket that has been idle longest.
func (l *Link) open(s *stream) {
	now := l.clock.Add(1)
	s.used.Store(now)
	bucket := l.bucket(s.key)
	place, idle := 0, uint32(0)
	for i := range bucket {
		switch old := bucket[i].Load(); {
		case old == nil:
			place, idle = i, math.MaxUint32 // but the same connection may follow
		case old.key == s.key:
			bucket[i].Store(s)
			return
		case now-old.used.Load() > idle:
			place, idle = i, now-old.used.Load()
		}
	}
	bucket[place].Store(s)
}

// forget drops a connection.
func (l *Link) forget(k key) {
	bucket := l.bucket(k)
	for i := range bucket {
		if s := bucket[i].Load(); s != nil && s.key == k {
			bucket[i].Store(nil)
		}
	}
}

// WritePackets implements stack.LinkEndpoint.
func (l *Link) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	var replaced map[int]*stack.PacketBuffer
	for i, pkt := range pkts.AsSlice() {
		if full := l.complete(pkt); full != nil {
			if replaced == nil {
				replaced = make(map[int]*stack.PacketBuffer)
			}
			replaced[i] = full
		}
	}
	if replaced == nil {
		return l.lower.WritePackets(pkts)
	}
	var list stack.PacketBufferList
	for i, pkt := range pkts.AsSlice() {
		if full := replaced[i]; full != nil {
			pkt = full
		}
		list.PushBack(pkt)
	}
	n, err := l.lower.WritePackets(list)
	for _, full := range replaced {
		full.DecRef()
	}
	return n, err
}

// complete notes what a packet of the stack says about its connection, and
// returns a copy with SACK, or with another sequence number, if it should have
// that, else nil.
func (l *Link) complete(pkt *stack.PacketBuffer) *stack.PacketBuffer {
	seg, ok := sentSegment(pkt)
	if !ok {
		return nil
	}
	l.watchSent(&seg, pkt)
	switch {
	case seg.flags&header.TCPFlagRst != 0:
		l.forget(seg.key)
		return nil
	case seg.flags&header.TCPFlagSyn != 0: // another life of the same address and port
		// With ACK it answers the peer's SYN, and repeats its offer of SACK.
		answers := seg.flags&header.TCPFlagAck != 0
		agreed := answers && hasOption(seg.options, header.TCPOptionSACKPermitted)
		l.open(&stream{
			key: seg.key, next: seg.ack, sent: seg.seq.Add(1), agreed: agreed, shake: l.asked(seg),
			opening: answers && !agreed, begins: seg.ack,
		})
		return nil
	}
	s := l.stream(seg.key)
	if s == nil {
		return nil
	}
	if seg.payload > 0 {
		s.send(seg.ack, seg.seq.Add(seg.payload), segmentSize(&seg, pkt))
		return nil
	}
	blocks, n := s.acknowledge(seg.ack)
	var option []byte
	if n > 0 && !hasOption(seg.options, header.TCPOptionSACK) {
		option = sackOption(pkt, blocks[:n])
	}
	seq := seg.seq
	if seg.flags&^header.TCPFlagPsh == header.TCPFlagAck {
		seq = s.acceptable(seq)
	}
	if option == nil && seq == seg.seq {
		return nil
	}
	if option != nil {
		l.added.Add(1)
	}
	return rewrite(pkt, seq, option)
}

// DeliverNetworkPacket implements stack.NetworkDispatcher, for the link below.
func (l *Link) DeliverNetworkPacket(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	if seg, ok := receivedSegment(protocol, pkt); ok {
		l.watchReceived(&seg, pkt)
		if s := l.stream(seg.key); s != nil {
			l.note(s, &seg, pkt)
		}
		if seg.flags&(header.TCPFlagSyn|header.TCPFlagAck) == header.TCPFlagSyn {
			l.offers.note(l.seed, &seg)
		}
	}
	l.nestedLink.DeliverNetworkPacket(protocol, pkt)
}

// note takes in what a received segment says about its connection, and hands up
// what is to go before it.
func (l *Link) note(s *stream, seg *segment, pkt *stack.PacketBuffer) {
	if seg.flags&header.TCPFlagSyn != 0 {
		if seg.flags&header.TCPFlagAck != 0 && l.intact(seg, pkt) {
			s.answered(seg, l.micros())
		}
		return
	}
	h := s.hear(seg)
	switch {
	case h.first:
		s.replied(l.micros())
	case seg.window == 0 && l.intact(seg, pkt):
		s.closed(seg.ack)
	}
	if h.strange && l.intact(seg, pkt) {
		s.receive(seg.seq, seg.seq.Add(seg.payload))
	}
	switch {
	case h.opening:
		l.deliverBare(seg, h.begins, pkt)
	case h.flight > 0 && seg.payload == 0 && seg.flags&^header.TCPFlagPsh == header.TCPFlagAck:
		l.deliverParts(seg, &h, pkt)
	}
}

// intact reports whether a received segment is as it was sent: the link below
// vouches for it, or its checksum does.
func (l *Link) intact(seg *segment, pkt *stack.PacketBuffer) bool {
	return l.lower.Capabilities()&stack.CapabilityRXChecksumOffload != 0 || seg.checksumValid(pkt)
}
