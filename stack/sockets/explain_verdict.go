package sockets

import (
	"fmt"
	"time"

	"github.com/userstack/userstack/stack/internal/flow"
)

// explainer turns what was measured into verdicts.
type explainer struct {
	flow.Report
	e Explanation
}

// Thresholds of the verdicts.
const (
	// A queue stands somewhere when round trips take this many times the
	// shortest: then no window is what limits, but whatever the queue waits for.
	// Delayed acknowledgements and a busy machine double them easily.
	queueFactor = 3

	// A packet is stuck when it was sent again this often: RFC 4821 section 7.7
	// has a prober look at the path's MTU after as many.
	stuckTimes = 3

	// Packets with less data than this are small: an MTU of 1,280 bytes, the
	// least of IPv6 (RFC 8200 section 5), has room for it with timestamps.
	smallMSS = 1280 - 40 - 20 - timestampSize

	// A sender that works wants a processor for this share of the time at least: it may wait for a lock, or for a peer on
	// the same machine.
	workShare = 0.5
)

// sending is the verdict on what we send.
func (x *explainer) sending() Verdict {
	s := &x.Sending
	top := x.e.Sending.Shares.Top()
	switch {
	case top == CauseNone:
		return Verdict{Reason: "nothing was watched yet"}
	case top == CauseRetransmission && s.Stuck >= stuckTimes && s.Passed > 0 && s.StuckSize > s.Passed:
		return x.blackHole()
	case top == CauseProcessor:
		return x.processing(s.Bytes, s.Packets)
	case top == CausePeerWindow && x.closed():
		return x.peerReadsNothing()
	case x.queued() && x.e.Processors.Busy() && (top == CausePeerWindow || top == CauseCongestion || top == CauseSendBuffer):
		return x.processing(s.Bytes, s.Packets)
	}
	switch top {
	case CauseApplication:
		return x.applicationSendsLittle()
	case CauseSendBuffer:
		return x.sendBuffer()
	case CauseNagle:
		return Verdict{top, fmt.Sprintf("segments below %s bytes waited %s for acknowledgements of those before",
			count(x.e.Path.MSS), x.percent(top)), "set TCP_NODELAY, or write in one piece what belongs together"}
	case CausePeerWindow:
		return x.peerWindow()
	case CauseRetransmission:
		return x.retransmission()
	}
	return x.congestion()
}

// percent is the share of the interval that c had of the sending direction.
func (x *explainer) percent(c Cause) string {
	return percent(x.e.Sending.Shares.Of(c), x.Interval)
}

// queued reports whether a queue stands on the path.
func (x *explainer) queued() bool {
	r := x.Sending.RTT
	return r.Samples > 0 && r.Base > 0 && r.Mean > queueFactor*r.Base
}

// standing reports whether a queue, however short, never went away.
func (x *explainer) standing() bool {
	r := x.Sending.RTT
	return r.Samples > 0 && r.Base > 0 && r.Min > r.Base+r.Base/4
}

// held reports whether netstack did not send although the windows had room, and was at no work either. It counts what it
// has sent again twice, and goes on so when a recovery ends (SetPipe in snd.go), until nothing is in flight: then its
// congestion window is fuller than the wire shows.
func (x *explainer) held() bool {
	p := x.e.Processors
	wanted := (p.Used + p.Missed) * float64(x.Interval)
	return p.Used > 0 && wanted < workShare*float64(x.Sending.Time[flow.SendWorking])
}

// closed reports whether the peer's window was closed for most of the time that
// it was full. Where the processors are busy, a peer in the same process may be
// what waits for them: then it has to be nearly all of the interval.
func (x *explainer) closed() bool {
	shut := x.Sending.Time[flow.SendClosed]
	if x.e.Processors.Busy() {
		return shut > x.Interval*9/10
	}
	return shut > x.e.Sending.Shares.Of(CausePeerWindow)/2
}

func (x *explainer) applicationSendsLittle() Verdict {
	v := Verdict{CauseApplication, fmt.Sprintf("the application had nothing to send %s", x.percent(CauseApplication)),
		"write sooner, or more before waiting for an answer"}
	if x.Sending.Bytes == 0 {
		v.Reason, v.Remedy = "the application sent nothing", ""
	} else if x.e.Processors.Busy() {
		v.Reason += fmt.Sprintf(", and the processors were busy: %s", x.e.Processors.words())
	}
	return v
}

func (x *explainer) sendBuffer() Verdict {
	return Verdict{CauseSendBuffer, fmt.Sprintf("the send buffer of %s bytes was full of data in flight %s%s",
		count(x.e.Sending.Buffer), x.percent(CauseSendBuffer), x.allows(x.Sending.MaxFlight)),
		"raise SO_SNDBUF, or do not set it, so that it grows by itself"}
}

func (x *explainer) peerWindow() Verdict {
	if x.queued() {
		return x.pathRate()
	}
	return Verdict{CausePeerWindow, fmt.Sprintf("the peer's receive window of %s bytes was full %s%s",
		count(x.Sending.Window), x.percent(CausePeerWindow), x.allows(x.Sending.Window)),
		"let the peer raise SO_RCVBUF, or not set it, and read sooner"}
}

func (x *explainer) peerReadsNothing() Verdict {
	return Verdict{CausePeerWindow, fmt.Sprintf("the peer's receive window was closed %s: its application does not read",
		percent(x.Sending.Time[flow.SendClosed], x.Interval)), "look at what the peer waits for"}
}

// allows says what a window can carry.
func (x *explainer) allows(window int) string {
	rtt := x.e.Path.RTT
	if rtt <= 0 || window <= 0 {
		return ""
	}
	return fmt.Sprintf("; it allows %s at a round trip of %s", bitrate(rate(uint64(window), rtt)), roundTrip(rtt))
}

func (x *explainer) retransmission() Verdict {
	s := &x.e.Sending
	v := Verdict{CauseRetransmission, fmt.Sprintf("losses held it up %s: %s of %s segments were sent again, after %s timeouts",
		x.percent(CauseRetransmission), count(s.Retransmitted), count(s.Segments), count(s.Timeouts)),
		"look for what loses packets on the path; a queue that is too short does, and so does a bad cable"}
	switch {
	case s.needless():
		v.Reason += fmt.Sprintf("; %s of them needlessly, as packets came late and were not lost", count(s.Spurious))
		v.Remedy = lateRemedy
	case s.Spurious > 0:
		v.Reason += fmt.Sprintf("; %s of them needlessly", count(s.Spurious))
	case x.Sending.Stuck >= stuckTimes:
		v.Reason += "; nothing is acknowledged any more"
		v.Remedy = "see whether the path still works, for packets of this size"
	}
	return v
}

// needless reports whether most of what was sent again need not have been.
func (s *Sending) needless() bool { return s.Spurious*2 > s.Retransmitted }

const lateRemedy = "raise stack.TCP.MinRTO above the delays of the path; where packets overtake each other, use stack.RecoveryRACK"

// congestion is the verdict when the congestion window is what was full.
func (x *explainer) congestion() Verdict {
	s := &x.e.Sending
	if s.Retransmitted == 0 && x.standing() {
		return x.pathRate()
	}
	v := Verdict{CauseCongestion, fmt.Sprintf("the congestion window of %s packets was full %s%s",
		count(s.CongestionWindow), x.percent(CauseCongestion), x.allows(s.CongestionWindow*x.e.Path.MSS)),
		"none: it grows as long as nothing is lost"}
	if x.held() && x.Sending.Time[flow.SendWorking] > x.Sending.Time[flow.SendCongestion] {
		v.Reason = fmt.Sprintf("netstack held back %s, while windows had room and processors time: after a recovery it takes more to be in flight than is",
			x.percent(CauseCongestion))
	}
	if s.Retransmitted > 0 {
		v.Reason += fmt.Sprintf("; losses keep it small: %s of %s segments were sent again, %s of them needlessly",
			count(s.Retransmitted), count(s.Segments), count(s.Spurious))
		v.Remedy = "look for what loses packets on the path, or is too slow for them"
	}
	if s.needless() {
		v.Remedy = lateRemedy
	}
	return v
}

// pathRate is the verdict when a queue stands and the processors are idle.
func (x *explainer) pathRate() Verdict {
	return Verdict{CauseCongestion, fmt.Sprintf("the path carries %s: round trips took %s, and %s without the queue that stands on it",
		bitrate(x.e.Sending.Rate), roundTrip(x.e.Path.RTT), roundTrip(x.e.Path.BaseRTT)),
		"none on this side: the slowest link of the path is full"}
}

func (x *explainer) blackHole() Verdict {
	s := &x.Sending
	return Verdict{CauseMTU, fmt.Sprintf("packets with %s bytes of data vanish, sent %s times, and packets with %s arrive: "+
		"something on the path drops large packets and does not tell", count(s.StuckSize), count(s.Stuck+1), count(s.Passed)),
		"lower the link's MTU, or set TCP_MAXSEG"}
}

// processing is the verdict when a processor's time is the limit. The packets are
// those that the link was handed, or hands up.
func (x *explainer) processing(bytes, packets uint64) Verdict {
	mss, size := x.e.Path.MSS, int(bytes/max(packets, 1))
	each := fmt.Sprintf("%s packets with %s bytes of data on average; %s", count(packets), count(size), x.e.Processors.words())
	switch {
	case size < mss/2:
		return Verdict{CauseProcessor, "a processor's time, spent on packets that are not full: " + each,
			"write more at a time, or leave Nagle's algorithm on (TCP_NODELAY)"}
	case size <= mss && mss < smallMSS && x.e.Path.MTU-mss > x.e.Path.MTU/2:
		return Verdict{CauseMTU, "a processor's time, spent on small packets that the peer asks for: " + each,
			"let the peer offer a larger MSS (TCP_MAXSEG)"}
	case size <= mss && mss < smallMSS:
		return Verdict{CauseMTU, fmt.Sprintf("a processor's time, spent on small packets, for the MTU is %s bytes: %s",
			count(x.e.Path.MTU), each), "raise the MTU of the link and of the path"}
	case size <= mss && x.e.Path.Offload <= x.e.Path.LinkMTU:
		return Verdict{CauseOffload, "a processor's time, spent on single packets, as the link takes no larger ones: " + each,
			"use a link with segmentation offload: package tun's devices, link.PipeConfig.GSOMaxSize"}
	}
	return Verdict{CauseProcessor, "a processor's time: " + each, "a faster machine, or less work for each byte in the application"}
}

// receiving is the verdict on what we receive.
func (x *explainer) receiving() Verdict {
	in, top := &x.e.Receiving, x.e.Receiving.Shares.Top()
	took := percent(in.Shares.Of(top), x.Interval)
	switch {
	case top == CauseNone:
		return Verdict{Reason: "nothing was watched yet"}
	case top == CauseApplication:
		return Verdict{top, fmt.Sprintf("the application did not read: %s bytes wait, and our window was full %s",
			count(in.Unread), took), "read sooner, in a goroutine of its own if need be"}
	case (top == CauseProcessor || top == CauseOwnWindow && x.roomy()) && x.e.Processors.Busy():
		return x.processing(in.Bytes, in.Packets)
	case top == CauseOwnWindow:
		return Verdict{top, fmt.Sprintf("our receive window was full %s, though everything was read; it was %s bytes at the end",
			took, count(in.Window)), "raise SO_RCVBUF, or do not set it, so that it grows by itself (stack.TCP.MaxReceiveBuffer)"}
	case top == CauseRetransmission:
		return Verdict{top, fmt.Sprintf("a part of the stream was missing %s: %s of %s packets came before one that was lost or late",
			took, count(in.Reordered), count(in.Packets)), "look for what loses packets on the path"}
	case in.Bytes == 0:
		return Verdict{Cause: CausePeer, Reason: "the peer sent nothing"}
	}
	v := Verdict{CausePeer, fmt.Sprintf("our window had room %s",
		percent(in.Shares.Of(CausePeer)+in.Shares.Of(CauseProcessor), x.Interval)),
		"ask at the peer: only the sender knows what it waits for"}
	if x.e.Processors.Busy() {
		v.Reason += fmt.Sprintf(", but the processors were busy: %s", x.e.Processors.words())
	}
	return v
}

// roomy reports whether our window allows far more than what comes: then it is
// full for another reason than its size.
func (x *explainer) roomy() bool {
	base := x.e.Path.BaseRTT
	return base > 0 && rate(uint64(x.Receiving.Most), base) > queueFactor*x.e.Receiving.Rate
}

// words says how busy the processors were.
func (p Processors) words() string {
	s := fmt.Sprintf("this process used %.1f of %d cores", p.Used, p.Cores)
	if p.Missed >= leastMissed {
		s += fmt.Sprintf(" and waited for %.1f more", p.Missed)
	}
	return s
}

// leastMissed is the smallest number of cores that is told.
const leastMissed = 0.05

// percent is a share of an interval for people.
func percent(part, whole time.Duration) string {
	if whole <= 0 {
		return "for no time"
	}
	return fmt.Sprintf("for %.0f %% of the time", 100*float64(part)/float64(whole))
}
