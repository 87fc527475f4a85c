package sockets_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/nested"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// watched is a connection whose near end is watched. The load of a test moves
// data between the ends until it ends.
type watched struct {
	t         *testing.T
	near, far *sockets.Conn // Nagle's algorithm is off at both
	watch     *sockets.Watch
	moved     atomic.Int64 // bytes that a reader has read
	gate      *gate        // in front of the near end's link
	stacks    []*stack.Stack
}

// hang bounds every wait of these tests.
const hang = time.Minute

// until waits for a condition that the load brings about.
func (w *watched) until(what string, done func() bool) {
	w.t.Helper()
	deadline := time.NewTimer(hang)
	defer deadline.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !done() {
		select {
		case <-look.C:
		case <-deadline.C:
			w.t.Fatalf("waiting for %s:\n%v", what, w.watch.Explain())
		}
	}
}

// pass waits until so many more bytes have been read.
func (w *watched) pass(bytes int64) {
	w.t.Helper()
	end := w.moved.Load() + bytes
	w.until(fmt.Sprintf("%d more bytes", bytes), func() bool { return w.moved.Load() >= end })
}

// flood writes without a pause until the connection ends.
func flood(c net.Conn, chunk int) {
	buf := make([]byte, chunk)
	for {
		if _, err := c.Write(buf); err != nil {
			return
		}
	}
}

// drain reads until the connection ends.
func (w *watched) drain(c net.Conn) {
	buf := make([]byte, 256<<10)
	for {
		n, err := c.Read(buf)
		w.moved.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// load runs what moves the data. It ends when the connection is closed.
func (w *watched) load(parts ...func()) {
	var all sync.WaitGroup
	for _, part := range parts {
		all.Go(part)
	}
	w.t.Cleanup(func() {
		w.reset()
		all.Wait()
	})
}

// reset ends the connection at once, and waits until the stacks have done with
// it: they are closed next, which is not to happen under load.
func (w *watched) reset() {
	w.gate.set(false)
	for _, c := range []*sockets.Conn{w.near, w.far} {
		c.Socket().SetSockOpt(sockets.SOL_SOCKET, sockets.SO_LINGER, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // fails on a closed one
		c.Socket().Close()
	}
	w.until("the end of the connection", func() bool {
		for _, s := range w.stacks {
			for _, ep := range append(s.GVisor().RegisteredEndpoints(), s.GVisor().CleanupEndpoints()...) {
				if e, ok := ep.(*tcp.Endpoint); ok && e.EndpointState() != tcp.StateListen {
					return false
				}
			}
		}
		return true
	})
}

// spin keeps every processor busy until the test ends.
func spin(t *testing.T) {
	var stop atomic.Bool
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for !stop.Load() {
			}
		})
	}
	t.Cleanup(func() { stop.Store(true); all.Wait() })
}

// A gate is a link that can hold back what comes for the stack.
type gate struct {
	nested.Endpoint
	mu   sync.Mutex
	shut bool
	held []func()
}

func newGate(lower gstack.LinkEndpoint) *gate {
	g := new(gate)
	g.Endpoint.Init(lower, g)
	return g
}

// DeliverNetworkPacket implements gstack.NetworkDispatcher.
func (g *gate) DeliverNetworkPacket(proto tcpip.NetworkProtocolNumber, pkt *gstack.PacketBuffer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.shut {
		g.Endpoint.DeliverNetworkPacket(proto, pkt)
		return
	}
	pkt.IncRef()
	g.held = append(g.held, func() {
		g.Endpoint.DeliverNetworkPacket(proto, pkt)
		pkt.DecRef()
	})
}

// set shuts the gate, or opens it and lets through what it has held, in order.
func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	if shut {
		return
	}
	for _, deliver := range g.held {
		deliver()
	}
	g.held = nil
}

// situation is one way to hold a connection back.
type situation struct {
	name     string
	pipe     link.PipeConfig
	impair   *link.ImpairConfig // of the near end
	accepted bool               // the far end connects to the near one
	v6       bool
	near     map[int]int // options of level SOL_SOCKET at the near end
	far      map[int]int // and at the far one
	farMSS   int         // TCP_MAXSEG there

	start     func(w *watched) // begins to move data, and lets the beginning pass
	interval  func(w *watched) // waits until there is enough to judge
	receiving bool             // the near end receives
	want      sockets.Cause
	orPeer    bool                                  // the other process that is short of time is the peer, so that we may have nothing to do
	alone     bool                                  // the verdict has no share of its own
	check     func(e sockets.Explanation) (ok bool) // what has to be true besides, if not nil
}

// delayed is a wire with a round trip of 40 ms.
func delayed(change func(*link.ImpairConfig)) *link.ImpairConfig {
	cfg := &link.ImpairConfig{Seed: 1}
	cfg.In.Delay, cfg.Out.Delay = 20*time.Millisecond, 20*time.Millisecond
	if change != nil {
		change(cfg)
	}
	return cfg
}

var offloading = link.PipeConfig{GSOMaxSize: link.MaxGSOSize}

// watched makes the connection and watches the near end.
func (s *situation) watched(t *testing.T) *watched {
	left, right := link.NewPipe(s.pipe)
	var near gstack.LinkEndpoint = left
	if s.impair != nil {
		near = must[*link.Impair](t)(link.NewImpair(near, *s.impair))
	}
	w := &watched{t: t, gate: newGate(near)}
	a, b := w.host(s, w.gate, addrA, addrA6), w.host(s, right, addrB, addrB6)
	var n, f *sockets.Socket
	if s.accepted {
		f, n = s.connect(t, b, a, addrA, addrA6, s.far, s.near)
	} else {
		n, f = s.connect(t, a, b, addrB, addrB6, s.near, s.far)
	}
	w.near, w.far = must[net.Conn](t)(n.Conn()).(*sockets.Conn), must[net.Conn](t)(f.Conn()).(*sockets.Conn)
	w.watch = must[*sockets.Watch](t)(w.near.Watch())
	t.Cleanup(func() { w.watch.Close() })
	return w
}

// host makes a host, with IPv6 where that is asked for: its MTU is at least 1,280
// bytes.
func (w *watched) host(s *situation, l gstack.LinkEndpoint, v4, v6 string) *sockets.Host {
	w.t.Helper()
	nic := stack.NIC{Link: l, Addrs: []netip.Prefix{netip.MustParsePrefix(v4 + "/24")}}
	if s.v6 {
		nic.Addrs = append(nic.Addrs, netip.MustParsePrefix(v6+"/64"))
	}
	st := must[*stack.Stack](w.t)(stack.New(stack.Config{NICs: []stack.NIC{nic}}))
	w.stacks = append(w.stacks, st)
	h := must[*sockets.Host](w.t)(sockets.New(sockets.Config{Stack: st}))
	w.t.Cleanup(func() { h.Close(); st.Close() })
	return h
}

// connect connects from one host to another with options on either side.
func (s *situation) connect(t *testing.T, from, to *sockets.Host, v4, v6 string, own, others map[int]int) (n, f *sockets.Socket) {
	t.Helper()
	family, name := sockets.AF_INET, sockets.Sockaddr(sockets.Inet4{Host: v4})
	if s.v6 {
		family, name = sockets.AF_INET6, sockets.Inet6{Host: v6}
	}
	l := mustSocket(t, to, family, sockets.SOCK_STREAM, 0)
	if s.farMSS > 0 {
		check(t, l.SetSockOptInt(sockets.SOL_TCP, sockets.TCP_MAXSEG, s.farMSS))
	}
	n = mustSocket(t, from, family, sockets.SOCK_STREAM, 0)
	for opt, v := range others {
		check(t, l.SetSockOptInt(sockets.SOL_SOCKET, opt, v))
	}
	for opt, v := range own {
		check(t, n.SetSockOptInt(sockets.SOL_SOCKET, opt, v))
	}
	check(t, l.Bind(name))
	check(t, l.Listen(1))
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	check(t, n.Connect(must[sockets.Sockaddr](t)(l.GetSockName()), sockets.WithContext(ctx)))
	f, _, err := l.Accept(sockets.WithContext(ctx))
	check(t, err)
	t.Cleanup(func() { f.Close() })
	return n, f
}

// outward begins to send without a pause, and inward to receive; so many bytes pass
// before it counts.
func outward(warm int64) func(w *watched) {
	return func(w *watched) {
		w.load(func() { flood(w.near, 64<<10) }, func() { w.drain(w.far) })
		w.pass(warm)
	}
}

func inward(warm int64) func(w *watched) {
	return func(w *watched) {
		w.load(func() { flood(w.far, 64<<10) }, func() { w.drain(w.near) })
		w.pass(warm)
	}
}

func more(bytes int64) func(w *watched) { return func(w *watched) { w.pass(bytes) } }

// reply has the far end send back what it gets.
func reply(w *watched) { w.load(func() { io.Copy(w.far, struct{ io.Reader }{w.far}) }) }

// ask sends small messages, each after the answer to the one before.
func ask(w *watched) {
	buf := make([]byte, 500)
	for range 10 {
		must[int](w.t)(w.near.Write(buf))
		must[int](w.t)(io.ReadFull(w.near, buf))
	}
}

// late has every acknowledgement come when the sender has given up on it.
func late(w *watched) {
	for range 3 {
		again := w.watch.Explain().Sending.Retransmitted
		w.gate.set(true)
		w.until("a retransmission", func() bool {
			e := w.watch.Explain().Sending
			return e.Retransmitted > again || e.PeerWindow == 0 && e.InFlight == 0 // then there is nothing to repeat
		})
		w.gate.set(false)
		w.pass(100 << 10)
	}
}

// drip has always a few bytes wait, and never many.
func drip(w *watched) {
	w.until("ten segments", func() bool {
		s := w.watch.Explain().Sending
		if s.Unsent == 0 {
			must[int](w.t)(w.near.Write(make([]byte, 10)))
		}
		return s.Segments >= 10
	})
}

var situations = []situation{
	{name: "we wait for answers", pipe: offloading, impair: delayed(nil), start: reply, interval: ask,
		want: sockets.CauseApplication},
	{name: "the peer waits for questions", pipe: offloading, impair: delayed(nil), start: reply, interval: ask,
		receiving: true, want: sockets.CausePeer},
	{name: "the send buffer is small", pipe: offloading, impair: delayed(nil), near: map[int]int{sockets.SO_SNDBUF: 8 << 10},
		start: outward(64 << 10), interval: more(128 << 10), want: sockets.CauseSendBuffer},
	{name: "small segments wait", impair: delayed(nil), start: func(w *watched) {
		check(w.t, w.near.Socket().SetSockOptInt(sockets.SOL_TCP, sockets.TCP_NODELAY, 0))
		w.load(func() { w.drain(w.far) })
	}, interval: drip, want: sockets.CauseNagle},

	{name: "the peer does not read", pipe: offloading, start: func(w *watched) {
		w.load(func() { flood(w.near, 64<<10) })
		w.until("a probe", func() bool { return w.watch.Explain().Sending.WindowProbes >= 1 })
	}, interval: func(w *watched) {
		w.until("a probe", func() bool { return w.watch.Explain().Sending.WindowProbes >= 1 })
	}, want: sockets.CausePeerWindow, check: func(e sockets.Explanation) bool { return e.Sending.PeerWindow == 0 }},
	{name: "the peer's buffer is small", pipe: offloading, impair: delayed(nil), far: map[int]int{sockets.SO_RCVBUF: 16 << 10},
		start: outward(64 << 10), interval: more(128 << 10), want: sockets.CausePeerWindow,
		check: func(e sockets.Explanation) bool { return e.Sending.MaxInFlight <= 64<<10 && e.Sending.Unsent > 0 }},
	{name: "the buffer of who connected to us is small", pipe: offloading, impair: delayed(nil), accepted: true, v6: true,
		far: map[int]int{sockets.SO_RCVBUF: 100 << 10}, start: outward(512 << 10), interval: more(512 << 10),
		want: sockets.CausePeerWindow},
	{name: "we do not read", pipe: offloading, start: func(w *watched) {
		w.load(func() { flood(w.far, 64<<10) })
		w.until("a probe", func() bool { return w.watch.Explain().Receiving.Duplicates >= 1 })
	}, interval: func(w *watched) {
		w.until("a probe", func() bool { return w.watch.Explain().Receiving.Duplicates >= 1 })
	}, receiving: true, want: sockets.CauseApplication,
		check: func(e sockets.Explanation) bool { return e.Receiving.Unread > 0 && e.Receiving.Window == 0 }},
	{name: "our buffer is small", pipe: offloading, impair: delayed(nil), near: map[int]int{sockets.SO_RCVBUF: 16 << 10},
		start: inward(64 << 10), interval: more(128 << 10), receiving: true, want: sockets.CauseOwnWindow},
	{name: "our buffer is small for who connected to us", pipe: offloading, impair: delayed(nil), accepted: true,
		near: map[int]int{sockets.SO_RCVBUF: 100 << 10}, start: inward(512 << 10), interval: more(512 << 10),
		receiving: true, want: sockets.CauseOwnWindow},

	{name: "the path is slow", pipe: offloading, impair: delayed(func(c *link.ImpairConfig) { c.Out.Rate = 20e6 }),
		start: outward(1 << 20), interval: more(2 << 20), want: sockets.CauseCongestion,
		check: func(e sockets.Explanation) bool { return e.Sending.Retransmitted == 0 && e.Path.RTT > e.Path.BaseRTT }},
	{name: "a packet in a hundred is lost", pipe: offloading, impair: delayed(func(c *link.ImpairConfig) { c.Out.Loss = 0.01 }),
		start: outward(256 << 10), interval: more(1 << 20), want: sockets.CauseCongestion,
		check: func(e sockets.Explanation) bool { return e.Sending.Retransmitted > 0 }},
	{name: "a packet in five is lost", pipe: offloading, impair: delayed(func(c *link.ImpairConfig) { c.Out.Loss = 0.2 }),
		start: outward(32 << 10), interval: more(64 << 10), want: sockets.CauseRetransmission,
		check: func(e sockets.Explanation) bool {
			return e.Sending.Timeouts > 0 && e.Sending.Spurious*2 < e.Sending.Retransmitted
		}},
	{name: "a packet in five is lost on the way to us", pipe: offloading,
		impair: delayed(func(c *link.ImpairConfig) { c.In.Loss = 0.2 }),
		start:  inward(32 << 10), interval: more(64 << 10), receiving: true, want: sockets.CauseRetransmission},
	{name: "acknowledgements come late", pipe: offloading, start: outward(1 << 20), interval: late,
		want:  sockets.CauseRetransmission,
		check: func(e sockets.Explanation) bool { return e.Sending.Spurious*2 > e.Sending.Retransmitted }},
	{name: "the path drops large packets", impair: delayed(func(c *link.ImpairConfig) { c.Out.MTU = 1000 }),
		start: func(w *watched) {
			reply(w)
			ask(w)
			w.load(func() { flood(w.near, 64<<10) })
		}, interval: func(w *watched) {
			w.until("timeouts", func() bool { return w.watch.Explain().Sending.Timeouts >= 4 })
		}, want: sockets.CauseMTU, alone: true},
}

// attempts is how many intervals in a row may come out otherwise than they
// should. While a machine has no time for us they do, and do not count, as long
// as that does not last.
const attempts = 10

// starved reports whether others had the processors for most of an interval.
func starved(p sockets.Processors) bool { return p.Missed > float64(p.Cores)/2 }

// judge lets intervals pass until one has the verdict that is wanted.
func (s *situation) judge(w *watched) {
	var e sockets.Explanation
	begun := time.Now()
	for left := attempts; left > 0; {
		if !starved(e.Processors) || time.Since(begun) > hang {
			left--
		}
		w.watch.Restart()
		s.interval(w)
		e = w.watch.Explain()
		got, shares, other := e.Sending.Verdict, e.Sending.Shares, e.Receiving.Shares
		if s.receiving {
			got, shares, other = e.Receiving.Verdict, other, shares
		}
		whole(w.t, e.Interval, shares)
		whole(w.t, e.Interval, other)
		most := s.alone || shares.Of(s.want) > e.Interval/2
		named := got.Cause == s.want || s.orPeer && got.Cause == sockets.CausePeer && e.Processors.Busy()
		if named && got.Reason != "" && most && (s.check == nil || s.check(e)) {
			return
		}
	}
	if starved(e.Processors) {
		w.t.Skipf("processors with time for this process are missing, for a minute: leave the machine alone\n%v", e)
	}
	w.t.Errorf("want %v in one of %d intervals; the last was\n%v", s.want, attempts, e)
}

// whole checks that shares sum up to the interval.
func whole(t *testing.T, interval time.Duration, shares sockets.Shares) {
	t.Helper()
	var sum time.Duration
	for _, share := range shares {
		sum += share.Time
	}
	if sum != interval || interval <= 0 {
		t.Errorf("shares of %v sum up to %v: %v", interval, sum, shares)
	}
}

// TestExplain causes each cause, and has the Watch name it.
func TestExplain(t *testing.T) {
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := s.watched(t)
			s.start(w)
			s.judge(w)
		})
	}
}
