// Package flow accounts for the time of a TCP connection: what held its two
// directions back, moment by moment.
//
//	f := flow.New(flow.Handshake{})
//	f.Sent(segment)      // by the link, as segments pass
//	f.Received(segment)
//	f.WriteBegins()      // by the socket, as the application calls
//	f.Sample(flow.Sample{Cwnd: 10})
//	report := f.Report() // since New, or since Restart
//
// # How it works
//
// It is Linux's TCP_CHRONO (net/ipv4/tcp_output.c, tcp_chrono_start; busy_time,
// rwnd_limited and sndbuf_limited of tcp(7)'s TCP_INFO) with more states. Each
// event first charges the time since the one before to the state that the
// direction was in, then changes what is known, so that the states of a direction
// sum up to the interval.
//
// What is sent is read off the wire exactly: bytes in flight against the window
// that the peer has advertised, and against the bytes that the application has
// written. Who has data to send and room in the window, and does not send, waits
// for the congestion window or for a processor; the window that Sample told last
// decides which. A retransmission takes with it the time for which nothing had
// been acknowledged before: the wait for the timer is the loss's.
//
// Of what is received only our side is known exactly. The peer is held back by
// our window when what arrives ends at the window's edge, as the peer knew it
// then: the acknowledgement that it had seen last is the one whose timestamp it
// echoes (RFC 7323 section 3).
//
// # Limits
//
// Where the peer does not do timestamps it is taken to know every
// acknowledgement at once, and the same goes for those of one millisecond, the
// clock of netstack's timestamps; so windows that limit a peer which is nearer
// than that are missed, unless they close. A Flow that begins in the middle of a
// connection learns the state from the first segments that pass.
package flow

import (
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
)

// Segment is what a Flow wants to know of a TCP segment.
type Segment struct {
	Seq, Ack seqnum.Value
	Flags    header.TCPFlags
	Window   uint16             // as in the header, not scaled
	Payload  seqnum.Size        // bytes
	MSS      int                // bytes of payload of each packet that it will be cut into; 0 if it is one already
	TS       bool               // it has timestamps
	TSVal    uint32             // its own
	TSEcr    uint32             // the one that it echoes
	SACK     []header.SACKBlock // not kept
}

// packets returns how many packets carry the segment on the wire, and the size
// in bytes of the payload of the largest.
func (s *Segment) packets() (n, size int) {
	if s.MSS <= 0 || int(s.Payload) <= s.MSS {
		return 1, int(s.Payload)
	}
	return (int(s.Payload) + s.MSS - 1) / s.MSS, s.MSS
}

// Handshake is what was agreed when the connection was made. The zero value is
// one that nobody has seen.
type Handshake struct {
	Seen         bool
	ISS          seqnum.Value // of our side
	SendScale    uint8        // shift of the windows that the peer advertises
	ReceiveScale uint8        // and of those that we do
	RTT          time.Duration
}

// Sample is what only the endpoint knows, and has to be asked for now and then.
type Sample struct {
	Cwnd    int  // packets
	MSS     int  // bytes of payload of a full packet
	Nagle   bool // small segments wait for acknowledgements
	Waits   bool // somebody waits for room to write
	Unread  int  // bytes that have arrived and not been read
	Wanting bool // somebody waits for something to read
}

// A Flow is one connection. Its methods may be called from any goroutine.
type Flow struct {
	now func() time.Duration // since the Flow was made

	mu   sync.Mutex
	last time.Duration // of the last event
	from time.Duration // where the interval begins
	send sender
	recv receiver
}

// New returns a Flow whose interval begins now.
func New(h Handshake) *Flow {
	start := time.Now()
	return newAt(h, func() time.Duration { return time.Since(start) })
}

func newAt(h Handshake, now func() time.Duration) *Flow {
	f := &Flow{now: now}
	f.last, f.from = now(), now()
	f.send.begin(h)
	f.recv.begin(h)
	return f
}

// event charges the time since the last event, and then lets change happen.
func (f *Flow) event(change func(now time.Duration)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	f.charge(now)
	change(now)
}

func (f *Flow) charge(now time.Duration) {
	if d := now - f.last; d > 0 {
		f.send.charge(d)
		f.recv.charge(d)
		f.last = now
	}
}

// Sent notes a segment that leaves.
func (f *Flow) Sent(s Segment) {
	f.event(func(now time.Duration) {
		f.send.sent(&s, now)
		f.recv.acknowledges(&s, now)
	})
}

// Received notes a segment that arrives intact.
func (f *Flow) Received(s Segment) {
	f.event(func(now time.Duration) {
		f.send.acknowledged(&s, now)
		f.recv.received(&s, now)
	})
}

// WriteBegins and WriteEnds bracket a call of the application that sends.
func (f *Flow) WriteBegins() { f.event(func(time.Duration) { f.send.writing++ }) }

// WriteEnds ends what WriteBegins began. A call that began before the Flow did
// may end in it.
func (f *Flow) WriteEnds() {
	f.event(func(time.Duration) { f.send.writing = max(f.send.writing-1, 0) })
}

// WriteWaits and WriteGoesOn bracket a wait of such a call for room.
func (f *Flow) WriteWaits() { f.event(func(time.Duration) { f.send.waiting++ }) }

// WriteGoesOn ends what WriteWaits began.
func (f *Flow) WriteGoesOn() {
	f.event(func(time.Duration) { f.send.waiting = max(f.send.waiting-1, 0) })
}

// Wrote tells how many bytes the connection has taken from the application since
// it was made.
func (f *Flow) Wrote(total uint64) {
	f.event(func(time.Duration) { f.send.wrote(total) })
}

// Sample tells what the endpoint says.
func (f *Flow) Sample(s Sample) {
	f.event(func(time.Duration) {
		f.send.sample(&s)
		f.recv.sample(&s)
	})
}

// Report returns what happened since Restart, or since New.
func (f *Flow) Report() Report {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	f.charge(now)
	return Report{Interval: now - f.from, Sending: f.send.report(), Receiving: f.recv.report()}
}

// Restart begins another interval.
func (f *Flow) Restart() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	f.charge(now)
	f.from = now
	f.send.restart()
	f.recv.restart()
}
