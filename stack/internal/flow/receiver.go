package flow

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
)

// maxEdges bounds how many of our acknowledgements are remembered. Timestamps
// tick in milliseconds, and one entry is kept for each tick: so it is the longest
// round trip in milliseconds, above which the oldest one known stands for it.
const maxEdges = 512

// edge is how far our acknowledgements of a tick let the peer send.
type edge struct {
	ts  uint32
	end seqnum.Value
}

// receiver is the direction in which the peer sends.
type receiver struct {
	known   bool         // next and high are
	next    seqnum.Value // all before has arrived
	high    seqnum.Value // the byte after the last that has arrived
	edge    seqnum.Value // the byte after the last that our window has room for
	open    bool         // edge is known
	edges   []edge       // oldest first, for peers that do timestamps
	full    bool         // when the last data came its sender had no room left
	scale   uint8
	scaled  bool
	size    seqnum.Size // of the largest packet of the peer: what it needs room for
	unread  int
	wanting bool // somebody waits for something to read, or has not noticed yet that there is

	out ReceiveReport
}

func (r *receiver) begin(h Handshake) { r.scale, r.scaled = h.ReceiveScale, h.Seen }

// state says what holds the peer back, as far as we can tell.
func (r *receiver) state() ReceiveState {
	full := r.full || r.open && r.known && r.scaled && r.edge.LessThanEq(r.high)
	switch {
	case r.known && r.next.LessThan(r.high):
		return ReceiveGap
	case full && r.unread > 0 && r.wanting:
		return ReceiveWoken
	case full && r.unread > 0:
		return ReceiveUnread
	case full:
		return ReceiveWindow
	case r.unread > 0:
		return ReceiveWorking
	}
	return ReceivePeer
}

func (r *receiver) charge(d time.Duration) { r.out.Time[r.state()] += d }

// acknowledges notes what a segment of ours lets the peer send.
func (r *receiver) acknowledges(seg *Segment, _ time.Duration) {
	if seg.Flags&header.TCPFlagAck == 0 || seg.Flags&header.TCPFlagSyn != 0 {
		return
	}
	if !r.known {
		r.known, r.next, r.high = true, seg.Ack, seg.Ack
	}
	if r.next.LessThan(seg.Ack) {
		r.next = seg.Ack
		if r.high.LessThan(r.next) {
			r.high = r.next
		}
	}
	window := int(seg.Window) << r.scale
	if !r.open || window < r.out.Least {
		r.out.Least = window
	}
	r.out.Window, r.out.Most = window, max(r.out.Most, window)
	end := seg.Ack.Add(seqnum.Size(window))
	if !r.open || r.edge.LessThan(end) {
		r.open, r.edge = true, end
	}
	if !seg.TS {
		return
	}
	if n := len(r.edges); n > 0 && r.edges[n-1].ts == seg.TSVal {
		r.edges[n-1].end = r.edge
		return
	}
	if len(r.edges) == maxEdges {
		r.edges = append(r.edges[:0], r.edges[maxEdges/2:]...)
	}
	r.edges = append(r.edges, edge{seg.TSVal, r.edge})
}

// knew returns the edge that a peer knew which echoes a timestamp.
func (r *receiver) knew(seg *Segment) seqnum.Value {
	if !seg.TS {
		return r.edge
	}
	for i := len(r.edges) - 1; i >= 0; i-- {
		if int32(seg.TSEcr-r.edges[i].ts) >= 0 {
			return r.edges[i].end
		}
	}
	if len(r.edges) > 0 {
		return r.edges[0].end
	}
	return r.edge
}

// received notes what the peer sends.
func (r *receiver) received(seg *Segment, _ time.Duration) {
	if seg.Payload == 0 || seg.Flags&header.TCPFlagSyn != 0 {
		return
	}
	end := seg.Seq.Add(seg.Payload)
	if !r.known {
		r.known, r.next, r.high = true, seg.Seq, seg.Seq
	}
	r.out.Packets++
	r.size = max(r.size, seg.Payload)
	switch {
	case end.LessThanEq(r.next):
		r.out.Duplicates++
		return
	case r.next.LessThan(seg.Seq):
		r.out.Beyond++
	case r.next == r.high: // the usual case; of a gap that is closed our acknowledgement tells
		r.next = end
	}
	if r.high.LessThan(end) {
		r.out.Bytes += uint64(r.high.Size(end))
		r.high = end
	}
	r.full = r.open && r.scaled && r.knew(seg).LessThan(r.high.Add(min(r.size, maxSmall)))
}

// maxSmall is the most that a peer is taken to want room for, in bytes: with
// segmentation offload packets of 64 KiB arrive, and its segments are smaller.
// It is what an Ethernet carries.
const maxSmall = 1460

func (r *receiver) sample(s *Sample) {
	r.unread, r.wanting = s.Unread, s.Wanting
}

func (r *receiver) report() ReceiveReport {
	out := r.out
	out.Unread = r.unread
	return out
}

func (r *receiver) restart() {
	r.out = ReceiveReport{Window: r.out.Window, Least: r.out.Window, Most: r.out.Window}
}
