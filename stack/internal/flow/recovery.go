package flow

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
)

// maxRecords bounds what is remembered of segments in flight and of
// retransmissions, each. What is forgotten is not judged.
const maxRecords = 256

// resend is a retransmission that is not acknowledged yet.
type resend struct {
	end seqnum.Value
	n   int // packets
	ts  uint32
	has bool // ts is its timestamp
	at  time.Duration
}

// packet is a segment sent for the first time.
type packet struct {
	end  seqnum.Value
	size int // bytes of payload of its largest packet
}

// recovery follows retransmissions.
type recovery struct {
	active bool
	until  seqnum.Value // recovery ends when all before is acknowledged
	resent []resend     // oldest first
	flight []packet     // oldest first

	early     uint64 // retransmissions that were acknowledged before they can have arrived
	duplicate uint64 // those that the peer says it had already (RFC 2883)

	stuck     int // times that the first unacknowledged packet was sent again
	stuckSize int // bytes of its payload
	passed    int // bytes of payload of the largest packet that was acknowledged
}

// first notes a segment that is sent for the first time.
func (r *recovery) first(end seqnum.Value, size int) {
	if len(r.flight) < maxRecords {
		r.flight = append(r.flight, packet{end, size})
	}
}

// again notes a retransmission, and reports whether a recovery begins with it.
func (r *recovery) again(seg *Segment, n, size int, nxt, una seqnum.Value, now time.Duration) bool {
	if len(r.resent) < maxRecords {
		r.resent = append(r.resent, resend{seg.Seq.Add(seg.Payload), n, seg.TSVal, seg.TS, now})
	}
	if seg.Seq == una {
		r.stuck++
		r.stuckSize = size
	}
	if r.active {
		return false
	}
	r.active, r.until = true, nxt
	return true
}

// acknowledge notes that the peer has everything before seg.Ack. least is the
// shortest round trip known, 0 for none.
//
// A retransmission was not needed when the acknowledgement that covers it echoes
// an earlier timestamp than its own (the Eifel detection algorithm, RFC 3522
// section 3.2), or comes sooner than half a round trip after it.
func (r *recovery) acknowledge(seg *Segment, least, now time.Duration) {
	for len(r.resent) > 0 && r.resent[0].end.LessThanEq(seg.Ack) {
		switch a := r.resent[0]; {
		case a.has && seg.TS:
			if int32(seg.TSEcr-a.ts) < 0 {
				r.early += uint64(a.n)
			}
		case now-a.at < least/2:
			r.early += uint64(a.n)
		}
		r.resent = r.resent[1:]
	}
	for len(r.flight) > 0 && r.flight[0].end.LessThanEq(seg.Ack) {
		r.passed = max(r.passed, r.flight[0].size)
		r.flight = r.flight[1:]
	}
	r.stuck, r.stuckSize = 0, 0
	if r.active && r.until.LessThanEq(seg.Ack) {
		r.active = false
		r.resent = nil
	}
}

// duplicates notes a report of data that arrived twice: a first block below the
// acknowledgement or inside the second one (RFC 2883 section 4).
func (r *recovery) duplicates(seg *Segment) {
	if len(seg.SACK) == 0 {
		return
	}
	b := seg.SACK[0]
	inside := len(seg.SACK) > 1 && seg.SACK[1].Start.LessThanEq(b.Start) && b.End.LessThanEq(seg.SACK[1].End)
	if b.Start.LessThan(b.End) && (b.End.LessThanEq(seg.Ack) || inside) {
		r.duplicate++
	}
}

// spurious returns how many retransmissions turned out not to be needed. The two
// signs mostly speak of the same ones.
func (r *recovery) spurious() uint64 { return max(r.early, r.duplicate) }

func (r *recovery) restart() { r.early, r.duplicate = 0, 0 }

// rttClock measures round trips, one at a time.
type rttClock struct {
	running bool
	end     seqnum.Value // the acknowledgement that ends it
	at      time.Duration

	base     time.Duration
	n        int
	sum      time.Duration
	min, max time.Duration
}

func (c *rttClock) start(end seqnum.Value, now time.Duration) {
	if !c.running {
		c.running, c.end, c.at = true, end, now
	}
}

// stop drops a measurement: with retransmissions it would be ambiguous (Karn's
// algorithm, RFC 6298 section 3).
func (c *rttClock) stop() { c.running = false }

func (c *rttClock) acknowledge(ack seqnum.Value, now time.Duration) {
	if !c.running || ack.LessThan(c.end) {
		return
	}
	c.running = false
	rtt := now - c.at
	c.n++
	c.sum += rtt
	if c.n == 1 || rtt < c.min {
		c.min = rtt
	}
	c.max = max(c.max, rtt)
	if c.base == 0 || rtt < c.base {
		c.base = rtt
	}
}

// least returns the shortest round trip known, or 0.
func (c *rttClock) least() time.Duration { return c.base }

func (c *rttClock) rtt() RTT {
	r := RTT{Samples: c.n, Min: c.min, Max: c.max, Base: c.base}
	if c.n > 0 {
		r.Mean = c.sum / time.Duration(c.n)
	}
	return r
}

func (c *rttClock) restart() { c.n, c.sum, c.min, c.max = 0, 0, 0, 0 }
