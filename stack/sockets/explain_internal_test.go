package sockets

import (
	"strings"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/internal/flow"
)

// evidence is what a verdict is given.
type evidence struct {
	send    [flow.NumSendStates]time.Duration
	receive [flow.NumReceiveStates]time.Duration
	rtt     flow.RTT
	wires   func(*flow.Report)
	e       Explanation
}

const (
	beat     = time.Millisecond
	testRate = 1e6 // bytes a second
)

// calm and busy are processors with nothing to do and without a moment's rest.
var calm, busy = Processors{Cores: 2, Used: 0.1}, Processors{Cores: 2, Used: 1, Missed: 0.9}

// explained judges evidence of an interval of a second.
func explained(v evidence) Explanation {
	x := explainer{Report: flow.Report{Interval: time.Second}, e: v.e}
	x.Sending.Time, x.Receiving.Time, x.Sending.RTT = v.send, v.receive, v.rtt
	x.Sending.Bytes, x.Sending.Packets, x.Receiving.Bytes, x.Receiving.Packets = testRate, 700, testRate, 700
	x.Sending.Window, x.Sending.MaxFlight = 60_000, 40_000
	if v.wires != nil {
		v.wires(&x.Report)
	}
	x.e.Interval, x.e.Sending.Bytes, x.e.Receiving.Bytes = time.Second, x.Sending.Bytes, x.Receiving.Bytes
	x.e.Sending.Packets, x.e.Receiving.Packets = x.Sending.Packets, x.Receiving.Packets
	x.e.Sending.Rate, x.e.Receiving.Rate = 8*testRate, 8*testRate
	x.e.Path.RTT, x.e.Path.BaseRTT = v.rtt.Mean, v.rtt.Base
	if x.e.Path.MSS == 0 {
		x.e.Path.MSS, x.e.Path.MTU, x.e.Path.LinkMTU, x.e.Path.Offload = 1448, 1500, 1500, 65535
	}
	x.judge()
	return x.e
}

func sends(state flow.SendState) (t [flow.NumSendStates]time.Duration) {
	t[flow.SendIdle] = 300 * beat
	t[state] += 700 * beat
	return t
}

func receives(state flow.ReceiveState) (t [flow.NumReceiveStates]time.Duration) {
	t[flow.ReceivePeer] = 300 * beat
	t[state] += 700 * beat
	return t
}

var (
	idlePath = flow.RTT{Samples: 10, Min: 100 * beat, Mean: 110 * beat, Max: 150 * beat, Base: 100 * beat}
	fullPath = flow.RTT{Samples: 10, Min: 200 * beat, Mean: 350 * beat, Max: 500 * beat, Base: 100 * beat}
)

func TestSendingVerdicts(t *testing.T) {
	tcp := func(set func(*Explanation)) (e Explanation) {
		e.Processors = calm
		set(&e)
		return e
	}
	at := func(p Processors) Explanation { return Explanation{Processors: p} }
	path := func(mss, mtu, offload int) Explanation {
		return Explanation{Processors: busy, Path: PathInfo{MSS: mss, MTU: mtu, LinkMTU: mtu, Offload: offload}}
	}
	for _, c := range []struct {
		name   string
		v      evidence
		want   Cause
		reason string // a part of it
		remedy string
	}{
		{"nothing to send", evidence{send: sends(flow.SendIdle), e: at(calm)}, CauseApplication, "nothing to send for 100 %", "write sooner"},
		{"nothing sent", evidence{send: sends(flow.SendIdle), e: at(calm), wires: func(r *flow.Report) { r.Sending.Bytes = 0 }},
			CauseApplication, "sent nothing", ""},
		{"nothing to send, busy", evidence{send: sends(flow.SendIdle), e: at(busy)}, CauseApplication, "the processors were busy", ""},
		{"send buffer", evidence{send: sends(flow.SendBuffer), rtt: idlePath,
			e: tcp(func(e *Explanation) { e.Sending.Buffer = 45_000 })}, CauseSendBuffer, "buffer of 45,000 bytes was full of data in flight for 70 %", "SO_SNDBUF"},
		{"Nagle", evidence{send: sends(flow.SendNagle), e: at(calm)}, CauseNagle, "below 1,448 bytes waited for 70 %", "TCP_NODELAY"},
		{"window", evidence{send: sends(flow.SendWindow), rtt: idlePath, e: at(calm)}, CausePeerWindow,
			"60,000 bytes was full for 70 % of the time; it allows 4.36 Mbit/s at a round trip of 110ms", "SO_RCVBUF"},
		{"window of a busy process", evidence{send: sends(flow.SendWindow), rtt: idlePath, e: at(busy)}, CausePeerWindow, "60,000", ""},
		{"window, and a queue", evidence{send: sends(flow.SendWindow), rtt: fullPath, e: at(calm)}, CauseCongestion,
			"the path carries 8 Mbit/s: round trips took 350ms, and 100ms", "none"},
		{"window, and a queue for a processor", evidence{send: sends(flow.SendWindow), rtt: fullPath, e: at(busy)}, CauseProcessor, "1.0 of 2 cores and waited for 0.9 more", "faster"},
		{"closed", evidence{send: sends(flow.SendClosed), e: at(calm)}, CausePeerWindow, "closed for 70 % of the time: its application", "the peer"},
		{"closed, and busy", evidence{send: sends(flow.SendClosed), rtt: fullPath, e: at(busy)}, CauseProcessor, "", ""},
		{"congestion", evidence{send: sends(flow.SendCongestion), rtt: idlePath,
			e: tcp(func(e *Explanation) { e.Sending.CongestionWindow = 10 })}, CauseCongestion,
			"of 10 packets was full for 70 % of the time; it allows 1.05 Mbit/s", "it grows"},
		{"congestion after losses", evidence{send: sends(flow.SendCongestion), rtt: fullPath,
			e: tcp(func(e *Explanation) { e.Sending.Retransmitted, e.Sending.Segments = 7, 900 })}, CauseCongestion,
			"losses keep it small: 7 of 900", "loses packets"},
		{"congestion, and a queue", evidence{send: sends(flow.SendCongestion), rtt: fullPath, e: at(calm)}, CauseCongestion,
			"the path carries 8 Mbit/s", "none"},
		{"loss", evidence{send: sends(flow.SendRecovery), e: tcp(func(e *Explanation) {
			e.Sending.Retransmitted, e.Sending.Segments, e.Sending.Timeouts = 7, 900, 3
		})}, CauseRetransmission, "for 70 % of the time: 7 of 900 segments were sent again, after 3 timeouts", "loses packets"},
		{"needless", evidence{send: sends(flow.SendRecovery), e: tcp(func(e *Explanation) {
			e.Sending.Retransmitted, e.Sending.Spurious = 7, 4
		})}, CauseRetransmission, "4 of them needlessly, as packets came late", "MinRTO"},
		{"partly needless", evidence{send: sends(flow.SendRecovery), e: tcp(func(e *Explanation) {
			e.Sending.Retransmitted, e.Sending.Spurious = 7, 2
		})}, CauseRetransmission, "2 of them needlessly", "loses packets"},
		{"cut off", evidence{send: sends(flow.SendRecovery), e: at(calm), wires: func(r *flow.Report) {
			r.Sending.Stuck, r.Sending.StuckSize = 5, 1448
		}}, CauseRetransmission, "nothing is acknowledged", "whether the path"},
		{"black hole", evidence{send: sends(flow.SendRecovery), e: at(calm), wires: func(r *flow.Report) {
			r.Sending.Stuck, r.Sending.StuckSize, r.Sending.Passed = 3, 1448, 500
		}}, CauseMTU, "1,448 bytes of data vanish, sent 4 times, and packets with 500 arrive", "TCP_MAXSEG"},
		{"congestion after needless retransmissions", evidence{send: sends(flow.SendCongestion), e: tcp(func(e *Explanation) {
			e.Sending.Retransmitted, e.Sending.Spurious = 7, 5
		})}, CauseCongestion, "5 of them needlessly", "MinRTO"},
		{"congestion, and a queue that comes and goes", evidence{send: sends(flow.SendCongestion), e: at(calm),
			rtt: flow.RTT{Samples: 10, Min: 100 * beat, Mean: 200 * beat, Max: 400 * beat, Base: 100 * beat}}, CauseCongestion,
			"packets was full for 70 %", "it grows"},
		{"held", evidence{send: sends(flow.SendWorking), e: at(calm)}, CauseCongestion, "netstack held back for 70 %", "none"},
		{"held, and processors that are not known", evidence{send: sends(flow.SendWorking), e: at(Processors{Cores: 2})}, CauseProcessor, "", ""},
		{"one processor of many", evidence{send: sends(flow.SendWorking), e: at(Processors{Cores: 64, Used: 0.3, Missed: 0.1})}, CauseProcessor, "", ""},
		{"processor", evidence{send: sends(flow.SendWorking), e: path(1448, 1500, 1400)}, CauseOffload, "700 packets with 1,428 bytes", "offload"},
		{"processor, with offload", evidence{send: sends(flow.SendWorking), e: path(1448, 1500, 65535), wires: func(r *flow.Report) {
			r.Sending.Packets = 20
		}}, CauseProcessor, "20 packets with 50,000 bytes", "faster"},
		{"processor, small writes", evidence{send: sends(flow.SendWorking), e: path(1448, 1500, 0), wires: func(r *flow.Report) {
			r.Sending.Packets = 10_000
		}}, CauseProcessor, "not full", "write more"},
		{"processor, small MTU", evidence{send: sends(flow.SendWorking), e: path(524, 576, 0), wires: func(r *flow.Report) {
			r.Sending.Packets = 2000
		}}, CauseMTU, "the MTU is 576 bytes", "raise the MTU"},
		{"processor, small MSS", evidence{send: sends(flow.SendWorking), e: path(524, 1500, 0), wires: func(r *flow.Report) {
			r.Sending.Packets = 2000
		}}, CauseMTU, "the peer asks for", "TCP_MAXSEG"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := explained(c.v).Sending.Verdict
			if v.Cause != c.want || !strings.Contains(v.Reason, c.reason) || !strings.Contains(v.Remedy, c.remedy) {
				t.Errorf("%v: %s\nhelps: %s\nwant %v: %s; %s", v.Cause, v.Reason, v.Remedy, c.want, c.reason, c.remedy)
			}
		})
	}
	if v := (&explainer{}).sending(); v.Cause != CauseNone || v.Reason == "" {
		t.Errorf("of nothing: %+v", v)
	}
}

func TestReceivingVerdicts(t *testing.T) {
	window := func(most int) func(*flow.Report) { return func(r *flow.Report) { r.Receiving.Most = most } }
	for _, c := range []struct {
		name   string
		v      evidence
		want   Cause
		reason string
		remedy string
	}{
		{"the peer", evidence{receive: receives(flow.ReceivePeer), e: Explanation{Processors: calm}}, CausePeer, "had room for 100 %", "the peer"},
		{"the peer, busy", evidence{receive: receives(flow.ReceivePeer), e: Explanation{Processors: busy}}, CausePeer, "the processors were busy", ""},
		{"the peer is silent", evidence{receive: receives(flow.ReceivePeer), wires: func(r *flow.Report) { r.Receiving.Bytes = 0 }},
			CausePeer, "sent nothing", ""},
		{"unread", evidence{receive: receives(flow.ReceiveUnread), e: Explanation{Processors: calm, Receiving: Receiving{Unread: 5000}}},
			CauseApplication, "5,000 bytes wait, and our window was full for 70 %", "read sooner"},
		{"a poller that does not read", evidence{receive: receives(flow.ReceiveWoken), e: Explanation{Processors: calm}}, CauseApplication, "", ""},
		{"a reader that does not wake up", evidence{receive: receives(flow.ReceiveWoken), e: Explanation{Processors: busy}}, CauseProcessor, "", ""},
		{"window", evidence{receive: receives(flow.ReceiveWindow), rtt: idlePath, e: Explanation{Processors: busy}, wires: window(100_000)},
			CauseOwnWindow, "full for 70 %", "SO_RCVBUF"},
		{"a window that is large enough", evidence{receive: receives(flow.ReceiveWindow), rtt: idlePath, e: Explanation{Processors: busy}, wires: window(1_000_000)},
			CauseProcessor, "", ""},
		{"a window that is large enough, and nobody busy", evidence{receive: receives(flow.ReceiveWindow), rtt: idlePath, wires: window(1_000_000)},
			CauseOwnWindow, "", ""},
		{"a gap", evidence{receive: receives(flow.ReceiveGap), e: Explanation{Receiving: Receiving{Reordered: 9}}}, CauseRetransmission,
			"missing for 70 % of the time: 9 of 700 packets", "loses"},
		{"processor", evidence{receive: receives(flow.ReceiveWorking), e: Explanation{Processors: busy}}, CauseProcessor, "", "faster"},
		{"unread, but there is room and time", evidence{receive: receives(flow.ReceiveWorking), e: Explanation{Processors: calm}}, CausePeer, "had room for 100 %", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.v.wires == nil {
				c.v.wires = func(r *flow.Report) { r.Receiving.Packets = 700 }
			}
			if c.want == CauseProcessor {
				wires := c.v.wires
				c.v.wires = func(r *flow.Report) { wires(r); r.Receiving.Packets = 20 }
			}
			v := explained(c.v).Receiving.Verdict
			if v.Cause != c.want || !strings.Contains(v.Reason, c.reason) || !strings.Contains(v.Remedy, c.remedy) {
				t.Errorf("%v: %s\nhelps: %s\nwant %v: %s; %s", v.Cause, v.Reason, v.Remedy, c.want, c.reason, c.remedy)
			}
		})
	}
	if v := (&explainer{}).receiving(); v.Cause != CauseNone || v.Reason == "" {
		t.Errorf("of nothing: %+v", v)
	}
}

// TestBusy: four fifths of the cores are busy, whether they were had or only wanted.
func TestBusy(t *testing.T) {
	for _, c := range []struct {
		p    Processors
		want bool
	}{
		{Processors{}, false}, {Processors{Cores: 2, Used: 1.5}, false}, {Processors{Cores: 2, Used: 1.6}, true},
		{Processors{Cores: 2, Used: 0.6, Missed: 1}, true}, {Processors{Cores: 4, Used: 1.6}, false},
	} {
		if got := c.p.Busy(); got != c.want {
			t.Errorf("%+v: %v", c.p, got)
		}
	}
}

// TestCausesHaveNames: a new cause wants a name.
func TestCausesHaveNames(t *testing.T) {
	for c := CauseNone; c <= CausePeer; c++ {
		if c.String() == "" {
			t.Errorf("cause %d has no name", c)
		}
	}
}

func TestExplanationVerdict(t *testing.T) {
	sending, receiving := Verdict{Cause: CauseNagle}, Verdict{Cause: CausePeer}
	for _, c := range []struct {
		name string
		s    Sending
		r    Receiving
		want Verdict
	}{
		{"more is sent", Sending{Bytes: 2}, Receiving{Bytes: 1}, sending},
		{"more comes", Sending{Bytes: 1, Unsent: 5}, Receiving{Bytes: 2}, receiving},
		{"nothing can be sent", Sending{Unsent: 1}, Receiving{Unread: 1}, sending},
		{"nothing is read", Sending{}, Receiving{Unread: 1}, receiving},
		{"nothing at all", Sending{}, Receiving{}, sending},
	} {
		c.s.Verdict, c.r.Verdict = sending, receiving
		if v := (Explanation{Sending: c.s, Receiving: c.r}).Verdict(); v != c.want {
			t.Errorf("%s: %v", c.name, v)
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(uint64(1234567)), "1,234,567"}, {count(-1), "0"},
		{bitrate(0), "0 bit/s"}, {bitrate(1500), "1.5 kbit/s"}, {bitrate(5.2e6), "5.2 Mbit/s"}, {bitrate(37e9), "37 Gbit/s"},
		{bytesText(10), "10 bytes"}, {bytesText(1500), "1.5 kB"}, {bytesText(3e6), "3 MB"}, {bytesText(2e9), "2 GB"},
		{roundTrip(0), "unknown"}, {roundTrip(1234), "1µs"}, {roundTrip(12345 * time.Microsecond), "12.3ms"}, {roundTrip(1234 * beat), "1.23s"},
		{percent(1, 0), "for no time"}, {percent(1, 4), "for 25 % of the time"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
