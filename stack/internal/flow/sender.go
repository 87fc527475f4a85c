package flow

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
)

// sender is the direction in which we send.
type sender struct {
	known  bool         // una and nxt are
	una    seqnum.Value // the first byte that is not acknowledged
	nxt    seqnum.Value // the byte after the last that was sent
	wnd    int          // bytes that the peer takes from una on, -1 if not known
	scale  uint8
	scaled bool

	origin  seqnum.Value // sequence number of the first byte that the application wrote
	counted bool         // origin is known
	total   uint32       // what the application has written, modulo 2^32
	writing int          // calls of the application
	waiting int          // those that wait for room
	told    Sample
	cut     int // bytes of payload of the largest packet that was full: more waited behind it

	recovery recovery
	clock    rttClock
	pend     [NumSendStates]time.Duration // since the last progress, while something is in flight
	out      SendReport
}

func (s *sender) begin(h Handshake) {
	s.wnd = -1
	s.clock.base = h.RTT
	if h.Seen {
		s.scale, s.scaled = h.SendScale, true
		s.origin, s.counted = h.ISS.Add(1), true
	}
}

// inFlight returns the bytes that are not acknowledged.
func (s *sender) inFlight() int { return int(s.una.Size(s.nxt)) }

// maxUnsent bounds what can wait to be sent, in bytes: more than any send buffer
// holds (the largest SO_SNDBUF is 2^31/2). What is beyond is a misunderstanding.
const maxUnsent = 1 << 30

// unsent returns the bytes that the application has written and that have not
// been sent. It is negative for a moment when the wire is ahead of the count.
func (s *sender) unsent() int {
	if !s.known || !s.counted {
		return 0
	}
	return int(int32(s.total - uint32(s.origin.Size(s.nxt))))
}

func (s *sender) wrote(total uint64) {
	s.total = uint32(total)
	if n := s.unsent(); n < -maxUnsent || n > maxUnsent {
		s.counted = false
	}
}

// state says what holds the sender back.
func (s *sender) state() SendState {
	unsent := s.unsent()
	switch {
	case s.recovery.active:
		return SendRecovery
	case unsent <= 0 && (s.waiting > 0 || s.told.Waits):
		return SendBuffer
	case unsent <= 0 && s.writing > 0:
		return SendWorking
	case unsent <= 0:
		return SendIdle
	case s.wnd == 0:
		return SendClosed
	}
	flight, mss := s.inFlight(), s.mss()
	if room := s.wnd - flight; s.wnd > 0 && s.scaled && (room <= 0 || flight > 0 && room < min(unsent, mss)) {
		return SendWindow // netstack sends a segment or what there is (maybeSendSegment, snd.go)
	}
	switch full := (flight + mss - 1) / mss; {
	case s.told.Nagle && flight > 0 && unsent < mss:
		return SendNagle
	case s.told.Cwnd > 0 && full >= s.told.Cwnd-s.told.Cwnd/8: // the sample is older than what it is held against
		return SendCongestion
	case !s.scaled && flight > 0:
		return SendWindow // what else
	}
	return SendWorking
}

// mss is how much a full packet carries, in bytes. The path's MTU says more than
// the peer may have asked for, and what was sent may be from before it shrank.
func (s *sender) mss() int {
	if s.cut > 0 && s.told.MSS > 0 {
		return min(s.cut, s.told.MSS)
	}
	return max(s.cut, s.told.MSS, 1)
}

func (s *sender) charge(d time.Duration) {
	state := s.state()
	s.out.Time[state] += d
	if s.known && s.inFlight() > 0 && state != SendRecovery && state != SendWindow && state != SendClosed {
		s.pend[state] += d
	}
}

// lost charges to the loss what has been charged to others since the last
// progress.
func (s *sender) lost() {
	for state, d := range s.pend {
		s.out.Time[state] -= d
		s.out.Time[SendRecovery] += d
	}
	s.pend = [NumSendStates]time.Duration{}
}

// sent notes a segment that leaves.
func (s *sender) sent(seg *Segment, now time.Duration) {
	end := seg.Seq.Add(seg.Payload)
	if seg.Flags&header.TCPFlagFin != 0 {
		end = end.Add(1)
	}
	if !s.known {
		s.known, s.una, s.nxt = true, seg.Seq, seg.Seq
	}
	if seg.Payload == 0 {
		if s.nxt.LessThan(end) {
			s.nxt = end
		}
		return
	}
	n, size := seg.packets()
	if seg.Payload == 1 && end.LessThanEq(s.una) { // of what is acknowledged: it asks for the window
		s.out.Probes++
		return
	}
	s.out.Packets++
	s.out.Segments += uint64(n)
	s.out.Payload += uint64(seg.Payload)
	s.cut = max(s.cut, seg.MSS)
	if seg.Seq.LessThan(s.nxt) {
		s.resent(seg, n, size, now)
	}
	if s.nxt.LessThan(end) {
		s.out.Bytes += uint64(s.nxt.Size(end))
		s.nxt = end
		s.clock.start(end, now)
		s.recovery.first(end, size)
	}
	if s.unsent() > 0 {
		s.cut = max(s.cut, size)
	}
	s.out.MaxFlight = max(s.out.MaxFlight, s.inFlight())
}

// resent notes a segment that was sent before.
func (s *sender) resent(seg *Segment, n, size int, now time.Duration) {
	s.out.Retransmitted += uint64(n)
	s.clock.stop()
	if s.recovery.again(seg, n, size, s.nxt, s.una, now) {
		s.lost()
	}
}

// acknowledged notes what a segment says of what we have sent.
func (s *sender) acknowledged(seg *Segment, now time.Duration) {
	if seg.Flags&header.TCPFlagAck == 0 || seg.Flags&header.TCPFlagSyn != 0 {
		return
	}
	if !s.known {
		s.known, s.una, s.nxt = true, seg.Ack, seg.Ack
	}
	if seg.Ack.LessThan(s.una) {
		return // overtaken by a later one
	}
	s.recovery.duplicates(seg)
	s.wnd = int(seg.Window) << s.scale
	if s.nxt.LessThan(seg.Ack) {
		s.nxt = seg.Ack // sent before the Flow began
	}
	if s.una.LessThan(seg.Ack) {
		s.una = seg.Ack
		s.pend = [NumSendStates]time.Duration{}
		s.clock.acknowledge(seg.Ack, now)
		s.recovery.acknowledge(seg, s.clock.least(), now)
	}
}

func (s *sender) sample(told *Sample) { s.told = *told }

func (s *sender) report() SendReport {
	r := s.out
	r.RTT, r.MSS = s.clock.rtt(), s.mss()
	r.Spurious = min(s.recovery.spurious(), r.Retransmitted) // the others were sent before the interval
	r.InFlight, r.Unsent = s.inFlight(), max(s.unsent(), 0)
	r.Window, r.WindowSeen, r.Scaled = max(s.wnd, 0), s.wnd >= 0, s.scaled
	r.Stuck, r.StuckSize, r.Passed = s.recovery.stuck, s.recovery.stuckSize, s.recovery.passed
	return r
}

func (s *sender) restart() {
	s.out = SendReport{MaxFlight: s.inFlight()}
	s.clock.restart()
	s.recovery.restart()
	s.pend = [NumSendStates]time.Duration{}
}
