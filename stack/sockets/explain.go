package sockets

import (
	"cmp"
	"slices"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"

	"github.com/userstack/userstack/stack/internal/flow"
)

// A Cause is what holds a direction of a connection back.
type Cause int

// Causes. The comments say when the sending direction is in that state, and the
// receiving one where it can be.
const (
	CauseNone           Cause = iota // there was no interval
	CauseApplication                 // everything written was sent; what arrived was not read, and filled our window
	CauseSendBuffer                  // the application waits for room: SO_SNDBUF is full of what is in flight
	CauseNagle                       // a small segment waits for an acknowledgement (RFC 896)
	CausePeerWindow                  // the peer's receive window is full or closed
	CauseOwnWindow                   // receiving: our window is full, though everything was read
	CauseCongestion                  // the congestion window is full: the path carries no more, or lost something
	CauseRetransmission              // from a loss until all that was sent before is acknowledged; receiving: a part is missing
	CauseProcessor                   // nothing but a processor's time
	CauseOffload                     // a verdict alone: a processor's time, spent on a call to the link for every packet
	CauseMTU                         // a verdict alone: small packets, or packets too large for the path
	CausePeer                        // receiving: nothing on our side; the peer sends no more, or the path brings no more
)

var causeNames = map[Cause]string{
	CauseNone: "nothing", CauseApplication: "application", CauseSendBuffer: "send buffer", CauseNagle: "Nagle's algorithm",
	CausePeerWindow: "peer's receive window", CauseOwnWindow: "our receive window", CauseCongestion: "congestion window",
	CauseRetransmission: "retransmission", CauseProcessor: "processor", CauseOffload: "missing offload", CauseMTU: "MTU",
	CausePeer: "peer or path",
}

// String returns the cause in words.
func (c Cause) String() string { return causeNames[c] }

// Share is how long a direction was held back by something.
type Share struct {
	Cause Cause
	Time  time.Duration
}

// Shares are the states of a direction, the longest first. They sum up to the
// interval. Compare tcpi_busy_time, tcpi_rwnd_limited and tcpi_sndbuf_limited of
// Linux's struct tcp_info (TCP_CHRONO in net/ipv4/tcp_output.c).
type Shares []Share

// Of returns how long c held the direction back.
func (s Shares) Of(c Cause) time.Duration {
	for _, share := range s {
		if share.Cause == c {
			return share.Time
		}
	}
	return 0
}

// Top returns the cause that held the direction back longest.
func (s Shares) Top() Cause {
	if len(s) == 0 || s[0].Time == 0 {
		return CauseNone
	}
	return s[0].Cause
}

// Verdict names one cause, says why, and what would help.
type Verdict struct {
	Cause  Cause
	Reason string // a sentence without its full stop
	Remedy string // the same; empty where nothing is wrong
}

// Explanation says what held a connection back in an interval.
type Explanation struct {
	Interval   time.Duration
	Sending    Sending
	Receiving  Receiving
	Path       PathInfo
	Processors Processors
}

// Verdict returns that of the direction that has carried more; if neither has
// carried anything, of the one that wants to.
func (e Explanation) Verdict() Verdict {
	s, r := e.Sending, e.Receiving
	if r.Bytes > s.Bytes || r.Bytes == s.Bytes && !s.wants() && r.wants() {
		return r.Verdict
	}
	return s.Verdict
}

// wants reports whether there is anything to send.
func (s Sending) wants() bool { return s.Bytes > 0 || s.Unsent > 0 || s.InFlight > 0 }

// wants reports whether anything came, or cannot come for our sake.
func (r Receiving) wants() bool { return r.Bytes > 0 || r.Unread > 0 }

// Sending is the direction from us to the peer.
type Sending struct {
	Verdict Verdict
	Shares  Shares

	Bytes    uint64  // of the stream, each counted once
	Rate     float64 // bits per second of Bytes
	Segments uint64  // with data, as they are on the wire
	Packets  uint64  // that the link was handed; with offload it cuts them into segments

	Retransmitted   uint64 // of Segments
	Spurious        uint64 // of Retransmitted: the peer had them, or was about to (RFC 2883, RFC 3522)
	Timeouts        uint64 // of the retransmission timer
	FastRetransmits uint64
	WindowProbes    uint64 // sent into a closed window

	CongestionWindow int // packets, at the end, as the two below
	Threshold        int // packets: ssthresh; a number beyond any window while nothing has been lost
	PeerWindow       int // bytes that the peer has advertised
	InFlight         int // bytes that are not acknowledged
	MaxInFlight      int // bytes, the most in the interval
	Unsent           int // bytes that the application has written
	Buffer           int // bytes: SO_SNDBUF
}

// Receiving is the direction from the peer to us.
type Receiving struct {
	Verdict Verdict
	Shares  Shares

	Bytes      uint64
	Rate       float64 // bits per second of Bytes
	Packets    uint64  // with data, as the link hands them up; with offload one holds many segments
	Duplicates uint64  // of Packets: nothing in them was new
	Reordered  uint64  // of Packets: they left a gap before them, and so were early, or others are lost

	Window      int // bytes that we have advertised last
	LeastWindow int // bytes, the smallest of the interval
	Unread      int // bytes that the application has not read, at the end
	Buffer      int // bytes: SO_RCVBUF
}

// PathInfo is what is known of the way to the peer.
type PathInfo struct {
	RTT     time.Duration // mean of the interval; 0 if nothing was acknowledged
	BaseRTT time.Duration // the shortest that was seen, that of the handshake included; 0 if none
	SRTT    time.Duration // what netstack takes it for, at least 1 ms
	RTO     time.Duration // the retransmission timeout
	MTU     int           // bytes of an IP packet
	LinkMTU int           // the same, of the interface
	MSS     int           // bytes of data in a full packet: of those that were sent, or else what the MTU allows
	Offload int           // bytes of the largest segment that the link takes whole; 0 for none above the MTU
}

// Processors is how busy they were.
type Processors struct {
	Cores        int           // that this process may use at once: GOMAXPROCS
	Used         float64       // cores that this process used, on average (getrusage(2))
	Missed       float64       // cores that it was ready to use besides, and others had (proc_pid_schedstat(5)); 0 but on Linux
	RunnableWait time.Duration // 99 of 100 goroutines that could run waited no longer (runtime/metrics, /sched/latencies)
}

// busyShare is how much of its cores a process wants that has too little of them.
// What cannot be spread evenly leaves a rest idle.
const busyShare = 0.8

// Busy reports whether this process wanted about as much as the processors have.
func (p Processors) Busy() bool {
	return p.Cores > 0 && p.Used+p.Missed >= busyShare*float64(p.Cores)
}

// Restart begins another interval.
func (w *Watch) Restart() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flow.Restart()
	w.before = w.baseline()
}

// Explain says what held the connection back since the Watch began, or since
// Restart.
func (w *Watch) Explain() Explanation {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.flow.Report()
	now := w.baseline()
	x := explainer{Report: r}
	x.e.Interval = r.Interval
	x.e.Processors = now.work.since(w.before.work, now.at.Sub(w.before.at))
	x.e.Path = w.path(&r)
	x.e.Sending = w.sending(&r)
	x.e.Sending.Timeouts = now.timeouts - w.before.timeouts
	x.e.Sending.FastRetransmits = now.fast - w.before.fast
	x.e.Receiving = w.receiving(&r)
	x.judge()
	return x.e
}

// judge fills in the shares and the verdicts.
func (x *explainer) judge() {
	sent := sendCauses
	if x.held() {
		sent[flow.SendWorking] = CauseCongestion
	}
	x.e.Sending.Shares = shares(sent[:], x.Sending.Time[:])
	causes := receiveCauses
	if x.e.Processors.Busy() {
		causes[flow.ReceiveWoken] = CauseProcessor
	}
	x.e.Receiving.Shares = shares(causes[:], x.Receiving.Time[:])
	x.e.Sending.Verdict = x.sending()
	x.e.Receiving.Verdict = x.receiving()
}

func (w *Watch) path(r *flow.Report) PathInfo {
	p := PathInfo{RTT: r.Sending.RTT.Mean, BaseRTT: r.Sending.RTT.Base, MSS: r.Sending.MSS}
	var info tcpip.TCPInfoOption
	if w.ep.GetSockOpt(&info) == nil {
		p.SRTT, p.RTO = info.RTT, info.RTO
	}
	p.MTU, _ = w.s.d.peerMTU(w.ep)
	p.Offload = w.s.host.stack.Offload(w.nic)
	for _, ifc := range w.s.host.stack.Interfaces() {
		if ifc.Index == w.nic {
			p.LinkMTU = ifc.MTU
		}
	}
	return p
}

func (w *Watch) sending(r *flow.Report) Sending {
	s := r.Sending
	out := Sending{
		Bytes: s.Bytes, Rate: rate(s.Bytes, r.Interval), Segments: s.Segments, Packets: s.Packets,
		Retransmitted: s.Retransmitted, Spurious: s.Spurious, WindowProbes: s.Probes,
		PeerWindow: s.Window, InFlight: s.InFlight, MaxInFlight: s.MaxFlight, Unsent: s.Unsent, Buffer: w.s.d.sendBuffer(),
	}
	var info tcpip.TCPInfoOption
	if w.ep.GetSockOpt(&info) == nil {
		out.CongestionWindow, out.Threshold = int(info.SndCwnd), int(info.SndSsthresh)
	}
	return out
}

func (w *Watch) receiving(r *flow.Report) Receiving {
	in := r.Receiving
	return Receiving{
		Bytes: in.Bytes, Rate: rate(in.Bytes, r.Interval), Packets: in.Packets,
		Duplicates: in.Duplicates, Reordered: in.Beyond,
		Window: in.Window, LeastWindow: in.Least, Unread: in.Unread, Buffer: w.s.d.receiveBuffer(),
	}
}

var sendCauses = [flow.NumSendStates]Cause{
	flow.SendIdle: CauseApplication, flow.SendBuffer: CauseSendBuffer, flow.SendNagle: CauseNagle,
	flow.SendWindow: CausePeerWindow, flow.SendClosed: CausePeerWindow, flow.SendCongestion: CauseCongestion,
	flow.SendRecovery: CauseRetransmission, flow.SendWorking: CauseProcessor,
}

var receiveCauses = [flow.NumReceiveStates]Cause{
	flow.ReceivePeer: CausePeer, flow.ReceiveUnread: CauseApplication, flow.ReceiveWoken: CauseApplication,
	flow.ReceiveWindow: CauseOwnWindow, flow.ReceiveGap: CauseRetransmission, flow.ReceiveWorking: CauseProcessor,
}

// shares adds up the states of each cause.
func shares(causes []Cause, times []time.Duration) (out Shares) {
	sums := map[Cause]time.Duration{}
	for state, t := range times {
		sums[causes[state]] += t
	}
	for c, t := range sums {
		out = append(out, Share{c, t})
	}
	slices.SortFunc(out, func(a, b Share) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(a.Cause, b.Cause))
	})
	return out
}

func rate(bytes uint64, in time.Duration) float64 {
	if in <= 0 {
		return 0
	}
	return float64(bytes) * 8 / in.Seconds()
}
