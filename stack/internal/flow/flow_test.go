package flow

import (
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
)

// Where the streams of these tests begin: close to where sequence numbers wrap.
const (
	ourISS   seqnum.Value = 0xffff_fff0
	ours                  = ourISS + 1
	theirs   seqnum.Value = 0x7fff_fff8
	mss                   = 1000
	oneScale              = 1 // windows count in units of 2 bytes
)

// story tells a Flow what happens, at times of its own making.
type story struct {
	t   *testing.T
	f   *Flow
	now time.Duration
	sum uint64 // bytes written
	ts  uint32 // of the next segment of either side
}

func tell(t *testing.T) *story {
	s := &story{t: t, ts: 1}
	s.f = newAt(Handshake{Seen: true, ISS: ourISS, SendScale: oneScale, ReceiveScale: oneScale, RTT: 10 * time.Millisecond},
		func() time.Duration { return s.now })
	s.f.Sample(Sample{Cwnd: 10, MSS: mss})
	return s
}

func (s *story) wait(d time.Duration) { s.now += d }

func (s *story) write(n int) {
	s.sum += uint64(n)
	s.f.Wrote(s.sum)
}

// send sends n bytes of ours from an offset of the stream on, and our window.
func (s *story) send(at, n int) {
	s.f.Sent(Segment{Seq: ours.Add(seqnum.Size(at)), Ack: theirs, Flags: header.TCPFlagAck, Window: 0x8000,
		Payload: seqnum.Size(n), TS: true, TSVal: s.ts})
	s.ts++
}

// ack has the peer acknowledge what is before an offset, with a window in bytes.
func (s *story) ack(upTo, window int, edit ...func(*Segment)) {
	seg := Segment{Seq: theirs, Ack: ours.Add(seqnum.Size(upTo)), Flags: header.TCPFlagAck,
		Window: uint16(window >> oneScale), TS: true, TSVal: s.ts, TSEcr: s.ts - 1}
	for _, e := range edit {
		e(&seg)
	}
	s.f.Received(seg)
}

// arrive has the peer send n bytes from an offset on, having seen our
// acknowledgement with a timestamp.
func (s *story) arrive(at, n int, seen uint32) {
	s.f.Received(Segment{Seq: theirs.Add(seqnum.Size(at)), Ack: ours, Flags: header.TCPFlagAck, Window: 0x8000,
		Payload: seqnum.Size(n), TS: true, TSVal: s.ts, TSEcr: seen})
}

// advertise acknowledges what is before an offset of the peer's stream, with a
// window in bytes, and returns its timestamp.
func (s *story) advertise(upTo, window int) uint32 {
	s.ts++
	s.f.Sent(Segment{Seq: ours, Ack: theirs.Add(seqnum.Size(upTo)), Flags: header.TCPFlagAck,
		Window: uint16(window >> oneScale), TS: true, TSVal: s.ts})
	return s.ts
}

// spent checks how long the sending direction was in each state, and that the
// states of both directions sum up to the interval.
func (s *story) spent(want map[SendState]time.Duration) {
	s.t.Helper()
	r := s.report()
	for state, got := range r.Sending.Time {
		if w := want[SendState(state)]; got != w {
			s.t.Errorf("%v in sending state %d, want %v", got, state, w)
		}
	}
}

func (s *story) received(want map[ReceiveState]time.Duration) {
	s.t.Helper()
	r := s.report()
	for state, got := range r.Receiving.Time {
		if w := want[ReceiveState(state)]; got != w {
			s.t.Errorf("%v in receiving state %d, want %v", got, state, w)
		}
	}
}

func (s *story) report() Report {
	s.t.Helper()
	r := s.f.Report()
	var sending, receiving time.Duration
	for _, d := range r.Sending.Time {
		sending += d
	}
	for _, d := range r.Receiving.Time {
		receiving += d
	}
	if sending != r.Interval || receiving != r.Interval || r.Interval != s.now {
		s.t.Errorf("states of %v and %v in an interval of %v, want %v", sending, receiving, r.Interval, s.now)
	}
	return r
}

const ms = time.Millisecond

func TestSendingStates(t *testing.T) {
	for _, c := range []struct {
		name string
		tell func(*story)
		want map[SendState]time.Duration
	}{
		{"nothing is written", func(s *story) { s.wait(5 * ms) }, map[SendState]time.Duration{SendIdle: 5 * ms}},
		{"all that is written is sent", func(s *story) {
			s.send(0, mss)
			s.write(mss)
			s.wait(3 * ms)
			s.ack(mss, 60000)
			s.wait(4 * ms)
		}, map[SendState]time.Duration{SendIdle: 7 * ms}},
		{"the send buffer is full of what is in flight", func(s *story) {
			s.f.WriteBegins()
			s.send(0, 2*mss)
			s.write(2 * mss)
			s.f.WriteWaits()
			s.wait(6 * ms)
			s.f.WriteGoesOn()
			s.f.WriteEnds()
			s.wait(1 * ms)
		}, map[SendState]time.Duration{SendBuffer: 6 * ms, SendIdle: 1 * ms}},
		{"somebody waits for room who began before", func(s *story) {
			s.send(0, 2*mss)
			s.write(2 * mss)
			s.f.Sample(Sample{Cwnd: 10, MSS: mss, Waits: true})
			s.wait(6 * ms)
		}, map[SendState]time.Duration{SendBuffer: 6 * ms}},
		{"the application is in a call", func(s *story) {
			s.f.WriteBegins()
			s.wait(2 * ms)
			s.f.WriteEnds()
		}, map[SendState]time.Duration{SendWorking: 2 * ms}},
		{"the peer's window is full", func(s *story) {
			s.ack(0, 3*mss)
			s.write(9 * mss)
			s.send(0, 3*mss)
			s.wait(8 * ms)
			s.ack(3*mss, 3*mss)
			s.wait(1 * ms)
		}, map[SendState]time.Duration{SendWindow: 8 * ms, SendWorking: 1 * ms}},
		{"the peer's window has no room for a whole segment", func(s *story) {
			s.ack(0, 3*mss+mss/2)
			s.write(9 * mss)
			s.send(0, 3*mss)
			s.wait(8 * ms)
		}, map[SendState]time.Duration{SendWindow: 8 * ms}},
		{"the peer's window is closed", func(s *story) {
			s.write(9 * mss)
			s.send(0, 3*mss)
			s.ack(3*mss, 0)
			s.wait(8 * ms)
			s.send(3*mss-1, 1) // a probe
			s.wait(2 * ms)
		}, map[SendState]time.Duration{SendClosed: 10 * ms}},
		{"the congestion window is full", func(s *story) {
			s.ack(0, 60000)
			s.write(30 * mss)
			s.send(0, 10*mss)
			s.wait(8 * ms)
			s.ack(5*mss, 60000)
			s.wait(1 * ms)
			s.send(10*mss, 5*mss)
			s.wait(1 * ms)
		}, map[SendState]time.Duration{SendCongestion: 9 * ms, SendWorking: 1 * ms}},
		{"Nagle's algorithm", func(s *story) {
			s.ack(0, 60000)
			s.f.Sample(Sample{Cwnd: 10, MSS: mss, Nagle: true})
			s.write(mss + 1)
			s.send(0, mss)
			s.wait(40 * ms)
			s.ack(mss, 60000)
			s.send(mss, 1)
			s.wait(1 * ms)
		}, map[SendState]time.Duration{SendNagle: 40 * ms, SendIdle: 1 * ms}},
		{"a loss that the timer finds", func(s *story) {
			s.ack(0, 60000)
			s.write(30 * mss)
			s.wait(1 * ms)
			s.send(0, 10*mss)
			s.wait(200 * ms)
			s.send(0, mss)
			s.wait(10 * ms)
			s.ack(10*mss, 60000)
			s.wait(1 * ms)
		}, map[SendState]time.Duration{SendRecovery: 210 * ms, SendWorking: 2 * ms}},
		{"a part of what was lost is acknowledged", func(s *story) {
			s.ack(0, 60000)
			s.write(30 * mss)
			s.send(0, 10*mss)
			s.wait(200 * ms)
			s.send(0, mss)
			s.wait(10 * ms)
			s.ack(mss, 60000)
			s.wait(5 * ms)
			s.ack(10*mss, 60000)
			s.wait(1 * ms)
		}, map[SendState]time.Duration{SendRecovery: 215 * ms, SendWorking: 1 * ms}},
		{"the last of an answer is lost", func(s *story) {
			s.ack(0, 60000)
			s.send(0, mss)
			s.write(mss)
			s.wait(200 * ms)
			s.send(0, mss)
			s.wait(10 * ms)
			s.ack(mss, 60000)
		}, map[SendState]time.Duration{SendRecovery: 210 * ms}},
		{"a loss does not take what was before the last progress", func(s *story) {
			s.ack(0, 60000)
			s.write(30 * mss)
			s.send(0, 10*mss)
			s.wait(10 * ms)
			s.ack(mss, 60000)
			s.send(10*mss, mss)
			s.wait(10 * ms)
			s.send(mss, mss)
			s.wait(10 * ms)
			s.ack(11*mss, 60000)
		}, map[SendState]time.Duration{SendCongestion: 10 * ms, SendRecovery: 20 * ms}},
		{"the handshake was not seen", func(s *story) {
			s.f.send.scaled, s.f.send.scale = false, 0
			s.ack(0, 2*mss)
			s.write(30 * mss)
			s.send(0, 5*mss) // more than an unscaled window would allow
			s.wait(1 * ms)
			s.send(5*mss, 5*mss)
			s.wait(3 * ms)
		}, map[SendState]time.Duration{SendWindow: 1 * ms, SendCongestion: 3 * ms}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := tell(t)
			c.tell(s)
			s.spent(c.want)
		})
	}
}

func TestReceivingStates(t *testing.T) {
	for _, c := range []struct {
		name string
		tell func(*story)
		want map[ReceiveState]time.Duration
	}{
		{"the peer sends nothing", func(s *story) { s.wait(5 * ms) }, map[ReceiveState]time.Duration{ReceivePeer: 5 * ms}},
		{"there is room", func(s *story) {
			seen := s.advertise(0, 10*mss)
			s.arrive(0, mss, seen)
			s.wait(5 * ms)
		}, map[ReceiveState]time.Duration{ReceivePeer: 5 * ms}},
		{"the window is full and nothing unread", func(s *story) {
			seen := s.advertise(0, 2*mss)
			s.arrive(0, mss, seen)
			s.wait(1 * ms)
			s.advertise(mss, 2*mss) // which the peer has not seen when it sends
			s.arrive(mss, mss, seen)
			s.advertise(2*mss, 2*mss) // which takes a while to reach the peer
			s.wait(9 * ms)
		}, map[ReceiveState]time.Duration{ReceivePeer: 1 * ms, ReceiveWindow: 9 * ms}},
		{"the peer knows of more room than was when it was filled", func(s *story) {
			s.advertise(0, 2*mss)
			seen := s.advertise(mss, 4*mss)
			s.arrive(mss, mss, seen)
			s.wait(3 * ms)
		}, map[ReceiveState]time.Duration{ReceivePeer: 3 * ms}},
		{"the window is full of what is not read", func(s *story) {
			seen := s.advertise(0, 2*mss)
			s.arrive(0, 2*mss, seen)
			s.f.Sample(Sample{Unread: 2 * mss})
			s.advertise(2*mss, 0)
			s.wait(9 * ms)
		}, map[ReceiveState]time.Duration{ReceiveUnread: 9 * ms}},
		{"a reader has yet to wake up", func(s *story) {
			seen := s.advertise(0, 2*mss)
			s.arrive(0, 2*mss, seen)
			s.f.Sample(Sample{Unread: 2 * mss, Wanting: true})
			s.advertise(2*mss, 0)
			s.wait(9 * ms)
		}, map[ReceiveState]time.Duration{ReceiveWoken: 9 * ms}},
		{"unread, but there is room", func(s *story) {
			seen := s.advertise(0, 20*mss)
			s.arrive(0, mss, seen)
			s.f.Sample(Sample{Unread: mss})
			s.wait(2 * ms)
		}, map[ReceiveState]time.Duration{ReceiveWorking: 2 * ms}},
		{"a gap", func(s *story) {
			seen := s.advertise(0, 20*mss)
			s.arrive(mss, mss, seen)
			s.wait(4 * ms)
			s.arrive(0, mss, seen)
			s.advertise(2*mss, 20*mss)
			s.wait(1 * ms)
		}, map[ReceiveState]time.Duration{ReceiveGap: 4 * ms, ReceivePeer: 1 * ms}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := tell(t)
			c.tell(s)
			s.received(c.want)
		})
	}
}

// TestSpurious has retransmissions that were needed and some that were not.
func TestSpurious(t *testing.T) {
	plain := func(g *Segment) { g.TS = false }
	for _, c := range []struct {
		name string
		tell func(s *story, first, again uint32) // the timestamps of a segment and of its retransmission
		want uint64
	}{
		{"the retransmission is answered", func(s *story, _, again uint32) {
			s.ack(mss, 60000, func(g *Segment) { g.TSEcr = again })
		}, 0},
		{"the original is answered", func(s *story, first, _ uint32) {
			s.ack(mss, 60000, func(g *Segment) { g.TSEcr = first })
		}, 1},
		{"no timestamps, sooner than can be", func(s *story, _, _ uint32) {
			s.wait(3 * ms)
			s.ack(mss, 60000, plain)
		}, 1},
		{"no timestamps, after a round trip", func(s *story, _, _ uint32) {
			s.wait(10 * ms)
			s.ack(mss, 60000, plain)
		}, 0},
		{"the peer had it", func(s *story, _, again uint32) {
			s.ack(mss, 60000, func(g *Segment) {
				g.TSEcr = again
				g.SACK = []header.SACKBlock{{Start: ours, End: ours.Add(mss)}}
			})
		}, 1},
		{"the peer had it, beyond a gap", func(s *story, _, _ uint32) {
			s.ack(0, 60000, func(g *Segment) {
				block := header.SACKBlock{Start: ours.Add(2 * mss), End: ours.Add(3 * mss)}
				g.SACK = []header.SACKBlock{block, {Start: block.Start, End: block.End.Add(mss)}}
			})
		}, 1},
		{"a selective acknowledgement", func(s *story, _, _ uint32) {
			s.ack(0, 60000, func(g *Segment) {
				g.SACK = []header.SACKBlock{{Start: ours.Add(2 * mss), End: ours.Add(3 * mss)}}
			})
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := tell(t)
			s.ack(0, 60000)
			first := s.ts
			s.send(0, mss)
			s.write(mss)
			s.wait(200 * ms)
			again := s.ts
			s.send(0, mss)
			s.wait(1 * ms)
			c.tell(s, first, again)
			r := s.report().Sending
			if r.Retransmitted != 1 || r.Spurious != c.want {
				t.Errorf("%d retransmissions, %d of them not needed; want 1 and %d", r.Retransmitted, r.Spurious, c.want)
			}
			s.f.Restart()
			c.tell(s, first, again) // of what was sent before this interval
			if r := s.f.Report().Sending; r.Spurious != 0 || r.Retransmitted != 0 {
				t.Errorf("another interval has %d and %d", r.Retransmitted, r.Spurious)
			}
		})
	}
}

// TestCounters tells one story and looks at everything that is counted.
func TestCounters(t *testing.T) {
	s := tell(t)
	s.ack(0, 60000)
	s.f.Sent(Segment{Seq: ours, Ack: theirs, Flags: header.TCPFlagAck, Window: 0x8000, Payload: 2*mss + 1, MSS: mss})
	s.write(5 * mss)
	s.wait(12 * ms)
	s.ack(2*mss+1, 50000)
	s.wait(1 * ms)
	r := s.report().Sending
	if r.Packets != 1 || r.Segments != 3 || r.Bytes != 2*mss+1 || r.Payload != r.Bytes || r.MSS != mss {
		t.Errorf("packets %d, segments %d, bytes %d and %d, MSS %d", r.Packets, r.Segments, r.Bytes, r.Payload, r.MSS)
	}
	if want := (RTT{Samples: 1, Min: 12 * ms, Mean: 12 * ms, Max: 12 * ms, Base: 10 * ms}); r.RTT != want {
		t.Errorf("round trips %v, want %v", r.RTT, want)
	}
	if r.InFlight != 0 || r.MaxFlight != 2*mss+1 || r.Unsent != 3*mss-1 || r.Window != 50000 || !r.WindowSeen {
		t.Errorf("in flight %d, at most %d, unsent %d, window %d", r.InFlight, r.MaxFlight, r.Unsent, r.Window)
	}
}

// TestRetransmissionsAreCounted in segments, and no round trip is measured with them (Karn's algorithm).
func TestRetransmissionsAreCounted(t *testing.T) {
	s := tell(t)
	s.ack(0, 60000)
	s.send(0, 3*mss)
	s.write(3 * mss)
	s.wait(200 * ms)
	s.f.Sent(Segment{Seq: ours, Ack: theirs, Flags: header.TCPFlagAck, Window: 0x8000, Payload: 3 * mss, MSS: mss})
	s.wait(10 * ms)
	s.ack(3*mss, 60000)
	if r := s.report().Sending; r.Retransmitted != 3 || r.RTT.Samples != 0 || r.Segments != 4 || r.Packets != 2 {
		t.Errorf("%d retransmissions of %d segments in %d packets, %d round trips", r.Retransmitted, r.Segments, r.Packets, r.RTT.Samples)
	}
}

// TestReceivingCounters has packets that come once, twice and early.
func TestReceivingCounters(t *testing.T) {
	s := tell(t)
	seen := s.advertise(0, 8*mss)
	s.arrive(0, mss, seen)
	s.arrive(0, mss, seen)
	s.advertise(mss, 2*mss)
	s.arrive(2*mss, mss, seen)
	s.advertise(mss, 6*mss)
	r := s.report().Receiving
	if r.Packets != 3 || r.Duplicates != 1 || r.Beyond != 1 || r.Window != 6*mss || r.Least != 2*mss || r.Most != 8*mss {
		t.Errorf("%+v", r)
	}
	s.arrive(mss, 2*mss, seen) // closes the gap, with what has arrived
	s.arrive(5*mss/2, mss, seen)
	if r := s.report().Receiving; r.Bytes != 7*mss/2 {
		t.Errorf("%d bytes, want each of them once", r.Bytes)
	}
	s.f.Restart()
	if r := s.f.Report().Receiving; r.Packets != 0 || r.Duplicates != 0 || r.Beyond != 0 || r.Window != 6*mss || r.Least != 6*mss || r.Most != 6*mss {
		t.Errorf("another interval: %+v", r)
	}
	s.wait(3 * ms)
	if r := s.f.Report(); r.Interval != 3*ms {
		t.Errorf("another interval of %v, want 3ms", r.Interval)
	}
}

// TestBlackHole has a large packet sent again and again after a small one came
// through.
func TestBlackHole(t *testing.T) {
	s := tell(t)
	s.ack(0, 60000)
	s.send(0, 100)
	s.write(100 + 5*mss)
	s.ack(100, 60000)
	for range 4 {
		s.send(100, mss)
		s.wait(200 * ms)
	}
	r := s.report().Sending
	if r.Stuck != 3 || r.StuckSize != mss || r.Passed != 100 {
		t.Errorf("stuck %d times with %d bytes, %d passed", r.Stuck, r.StuckSize, r.Passed)
	}
	s.ack(100+mss, 60000)
	if r := s.f.Report().Sending; r.Stuck != 0 || r.Passed != mss {
		t.Errorf("stuck %d times, %d passed, after it was acknowledged", r.Stuck, r.Passed)
	}
}

// TestMemoryIsBounded has a peer that acknowledges nothing, and one that
// acknowledges what nobody sent.
func TestMemoryIsBounded(t *testing.T) {
	s := tell(t)
	s.ack(0, 60000)
	for i := range 100_000 {
		s.send(i, 1)
		s.send(i, 1)
		s.advertise(0, i)
	}
	if n, m, e := len(s.f.send.recovery.resent), len(s.f.send.recovery.flight), len(s.f.recv.edges); n > maxRecords || m > maxRecords || e > maxEdges {
		t.Errorf("%d retransmissions, %d segments and %d windows are remembered", n, m, e)
	}
	for i := range 1000 {
		s.ack(i<<20, i)
		s.arrive(i<<21, 1<<16, uint32(i))
		s.wait(ms)
	}
	s.report()
}

// TestCallsThatBeganBefore keeps the calls of the application apart that began before the Flow.
func TestCallsThatBeganBefore(t *testing.T) {
	s := tell(t)
	s.f.WriteGoesOn()
	s.f.WriteEnds()
	s.f.WriteBegins()
	s.wait(ms)
	s.spent(map[SendState]time.Duration{SendWorking: ms})
}
