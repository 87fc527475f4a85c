package sockets_test

import (
	"bytes"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/faketime"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// A snailClock advances by a nanosecond each time it is looked at, so that every
// path is short, however busy the machine, and no timer fires.
type snailClock struct {
	*faketime.ManualClock
	looks atomic.Int64
}

func (c *snailClock) NowMonotonic() tcpip.MonotonicTime {
	return c.ManualClock.NowMonotonic().Add(time.Duration(c.looks.Add(1)))
}

func pathHost(t *testing.T, l gstack.LinkEndpoint, addr string, tuning stack.TCP, clock tcpip.Clock) (*sockets.Host, *stack.Stack) {
	t.Helper()
	s, err := stack.New(stack.Config{TCP: tuning, Clock: clock, NICs: []stack.NIC{{
		Link: l, Addrs: []netip.Prefix{netip.MustParsePrefix(addr + "/24")},
	}}})
	check(t, err)
	h, err := sockets.New(sockets.Config{Stack: s})
	check(t, err)
	t.Cleanup(func() { h.Close(); s.Close() })
	return h, s
}

// sendAllThatFits sends until the connection has no room.
func sendAllThatFits(t *testing.T, s *sockets.Socket) {
	t.Helper()
	for buf := make([]byte, 1<<16); ; {
		if _, err := s.Send(buf, sockets.MSG_DONTWAIT); err != nil {
			wantErrno(t, err, sockets.EAGAIN)
			return
		}
	}
}

// inUse returns the congestion control of the one connection of a stack.
func inUse(t *testing.T, s *stack.Stack) string {
	t.Helper()
	for _, ep := range s.GVisor().RegisteredEndpoints() {
		e, ok := ep.(*tcp.Endpoint)
		if !ok || e.EndpointState() != tcp.StateEstablished {
			continue
		}
		var v tcpip.CongestionControlOption
		if terr := e.GetSockOpt(&v); terr != nil {
			t.Fatal(terr)
		}
		return string(v)
	}
	t.Fatal("there is no connection")
	return ""
}

func named(t *testing.T, s *sockets.Socket) string {
	t.Helper()
	name := must[[]byte](t)(s.GetSockOpt(sockets.SOL_TCP, sockets.TCP_CONGESTION, 16))
	return string(bytes.TrimRight(name, "\x00"))
}

// TestShortPath: bulk on a path of less than a millisecond has Reno, which the
// program does not see, and nothing else has.
func TestShortPath(t *testing.T) {
	for name, tc := range map[string]struct {
		tuning stack.TCP
		delay  time.Duration // of one direction, in real time; 0: none, and a snailClock
		option string        // TCP_CONGESTION, if not empty
		idle   bool          // nothing is sent
		inUse  string
		named  string
	}{
		"short":               {inUse: "reno", named: "cubic"},
		"short, idle":         {idle: true, inUse: "cubic", named: "cubic"},
		"long":                {delay: 5 * time.Millisecond, inUse: "cubic", named: "cubic"},
		"chosen by the stack": {tuning: stack.TCP{CongestionControl: stack.Cubic}, inUse: "cubic", named: "cubic"},
		"Reno by the stack":   {tuning: stack.TCP{CongestionControl: stack.Reno}, inUse: "reno", named: "reno"},
		"chosen by option":    {option: "cubic", inUse: "cubic", named: "cubic"},
		"Reno by option":      {option: "reno", inUse: "reno", named: "reno"},
	} {
		t.Run(name, func(t *testing.T) {
			left, right := link.NewPipe(link.PipeConfig{})
			var near gstack.LinkEndpoint = left
			var clock tcpip.Clock = &snailClock{ManualClock: faketime.NewManualClock()}
			if tc.delay > 0 {
				cfg := link.ImpairConfig{}
				cfg.In.Delay, cfg.Out.Delay = tc.delay, tc.delay
				impaired, err := link.NewImpair(left, cfg)
				check(t, err)
				near, clock = impaired, nil
			}
			a, s := pathHost(t, near, addrA, tc.tuning, clock)
			b, _ := pathHost(t, right, addrB, stack.TCP{}, nil)
			client, _ := connected(t, a, b)
			if tc.option != "" {
				check(t, client.SetSockOpt(sockets.SOL_TCP, sockets.TCP_CONGESTION, []byte(tc.option)))
			}
			if !tc.idle {
				sendAllThatFits(t, client)
			}
			if got := inUse(t, s); got != tc.inUse {
				t.Errorf("the connection has %s, want %s", got, tc.inUse)
			}
			if got := named(t, client); got != tc.named {
				t.Errorf("TCP_CONGESTION is %q, want %q", got, tc.named)
			}
			check(t, client.SetSockOpt(sockets.SOL_TCP, sockets.TCP_CONGESTION, []byte("reno")))
			if got := named(t, client); got != "reno" {
				t.Errorf("TCP_CONGESTION is %q after it was set to reno", got)
			}
		})
	}
}

// receiveBuffer returns the size of that of the one connection of a stack.
func receiveBuffer(t *testing.T, s *stack.Stack) int64 {
	t.Helper()
	for _, ep := range s.GVisor().RegisteredEndpoints() {
		if e, ok := ep.(*tcp.Endpoint); ok && e.EndpointState() == tcp.StateEstablished {
			return e.SocketOptions().GetReceiveBufferSize()
		}
	}
	t.Fatal("there is no connection")
	return 0
}

// A device is a link that does not say how long its queue is.
type device struct {
	gstack.LinkEndpoint
	gstack.GSOEndpoint
}

// TestShortPathWindow: the receive buffer of bulk on a path of less than a
// millisecond becomes 3 MiB and stays so, unless somebody has chosen or the queue
// of the link is long enough for all.
func TestShortPathWindow(t *testing.T) {
	const enough = 3 << 20
	for name, tc := range map[string]struct {
		tuning stack.TCP
		delay  time.Duration
		pipe   bool // the link says how long its queue is, as a device does not
		option int  // SO_RCVBUF, if not 0
		bytes  int
		want   func(size int64) bool
	}{
		"short":               {bytes: 8 << 20, want: func(size int64) bool { return size == enough }},
		"short, a pipe":       {bytes: 8 << 20, pipe: true, want: func(size int64) bool { return size != enough }},
		"short, little":       {bytes: 60 << 10, want: func(size int64) bool { return size == tcp.DefaultReceiveBufferSize }},
		"long":                {bytes: 128 << 10, delay: 5 * time.Millisecond, want: func(size int64) bool { return size != enough }},
		"chosen by option":    {bytes: 8 << 20, option: 1 << 17, want: func(size int64) bool { return size == 1<<18 }},
		"chosen by the stack": {bytes: 8 << 20, tuning: stack.TCP{MaxReceiveBuffer: 2 << 20}, want: func(size int64) bool { return size <= 2<<20 }},
	} {
		t.Run(name, func(t *testing.T) {
			left, right := link.NewPipe(link.PipeConfig{GSOMaxSize: link.MaxGSOSize})
			var near gstack.LinkEndpoint = device{left, left}
			if tc.pipe {
				near = left
			}
			var clock tcpip.Clock = &snailClock{ManualClock: faketime.NewManualClock()}
			if tc.delay > 0 {
				cfg := link.ImpairConfig{}
				cfg.In.Delay, cfg.Out.Delay = tc.delay, tc.delay
				impaired, err := link.NewImpair(left, cfg)
				check(t, err)
				near, clock = impaired, nil
			}
			a, s := pathHost(t, near, addrA, tc.tuning, clock)
			b, _ := pathHost(t, right, addrB, stack.TCP{}, nil)
			client, server := connected(t, a, b)
			if tc.option != 0 {
				check(t, client.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, tc.option))
			}
			done := make(chan error, 1)
			go func() {
				_, err := server.SendAll(make([]byte, tc.bytes))
				done <- err
			}()
			for buf, n := make([]byte, 1<<16), 0; n < tc.bytes; {
				n += must[int](t)(client.RecvInto(buf))
			}
			check(t, <-done)
			if size := receiveBuffer(t, s); !tc.want(size) {
				t.Errorf("the receive buffer has %d bytes", size)
			}
		})
	}
}
