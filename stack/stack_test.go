package stack_test

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"gvisor.dev/gvisor/pkg/refs"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/userstack/userstack/stack"
)

func TestMain(m *testing.M) {
	refs.SetLeakMode(refs.LeaksPanic)
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			code = 1
		}
	}
	refs.DoLeakCheck()
	os.Exit(code)
}

// A closeCounter is a link that tells how often it was closed.
type closeCounter struct {
	*channel.Endpoint
	closed atomic.Int32
}

func newLink() *closeCounter { return &closeCounter{Endpoint: channel.New(16, 1500, "")} }

func (l *closeCounter) Close() {
	l.closed.Add(1)
	l.Endpoint.Close()
}

var _ gstack.LinkEndpoint = (*closeCounter)(nil)

func prefixes(ss ...string) (out []netip.Prefix) {
	for _, s := range ss {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func newStack(t *testing.T, cfg stack.Config) *stack.Stack {
	t.Helper()
	s, err := stack.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestZeroConfigIsLoopbackHost(t *testing.T) {
	s := newStack(t, stack.Config{})
	ifs := s.Interfaces()
	if len(ifs) != 1 || ifs[0].Name != "lo" || ifs[0].Index != 1 || !ifs[0].Loopback || !ifs[0].Up {
		t.Fatalf("interfaces = %+v, want lo alone", ifs)
	}
	if got, ok := s.SourceFor(netip.MustParseAddr("127.0.0.1")); !ok || got != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("source for 127.0.0.1 = %v, %v", got, ok)
	}
	if _, ok := s.SourceFor(netip.MustParseAddr("192.0.2.1")); ok {
		t.Error("a host with nothing but lo has a route to 192.0.2.1")
	}
}

func TestRoutes(t *testing.T) {
	s := newStack(t, stack.Config{
		NICs: []stack.NIC{
			{Link: newLink(), Addrs: prefixes("10.0.0.2/24", "10.0.0.3/24", "fd00::2/64")},
			{Name: "lab", Link: newLink(), Addrs: prefixes("10.1.0.2/24")},
		},
		Routes: []stack.Route{
			{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.1.0.1")},
			{Dst: netip.MustParsePrefix("10.9.0.0/16")},
		},
	})
	var got []string
	for _, r := range s.Routes() {
		got = append(got, r.String())
	}
	slices.Sort(got)
	want := []string{
		"0.0.0.0/0 via 10.1.0.1 dev lab", "10.0.0.0/24 dev tun0", "10.1.0.0/24 dev lab",
		"10.9.0.0/16 dev tun0", "127.0.0.0/8 dev lo", "::1/128 dev lo", "fd00::/64 dev tun0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("routes:\n got %q\nwant %q", got, want)
	}
	for dst, want := range map[string]string{
		"10.0.0.9": "10.0.0.2", "10.9.1.1": "10.0.0.2", "192.0.2.1": "10.1.0.2", "fd00::9": "fd00::2",
	} {
		if src, ok := s.SourceFor(netip.MustParseAddr(dst)); !ok || src.String() != want {
			t.Errorf("source for %s = %v, %v; want %s", dst, src, ok, want)
		}
	}
	if _, ok := s.SourceFor(netip.MustParseAddr("2001:db8::1")); ok {
		t.Error("there is a route to 2001:db8::1")
	}
}

func TestDefaultRoutes(t *testing.T) {
	addrs := prefixes("10.0.0.2/24")
	def := newStack(t, stack.Config{NICs: []stack.NIC{{Link: newLink(), Addrs: addrs}}})
	if _, ok := def.SourceFor(netip.MustParseAddr("192.0.2.1")); !ok {
		t.Error("nil Routes: no IPv4 default route")
	}
	if _, ok := def.SourceFor(netip.MustParseAddr("2001:db8::1")); ok {
		t.Error("nil Routes: an IPv6 default route without an IPv6 address")
	}
	none := newStack(t, stack.Config{NICs: []stack.NIC{{Link: newLink(), Addrs: addrs}}, Routes: []stack.Route{}})
	if _, ok := none.SourceFor(netip.MustParseAddr("192.0.2.1")); ok {
		t.Error("empty Routes: there is a default route")
	}
}

func TestAddressesComeAndGo(t *testing.T) {
	s := newStack(t, stack.Config{NICs: []stack.NIC{{Link: newLink(), Addrs: prefixes("10.0.0.2/24")}}, Routes: []stack.Route{}})
	before := s.Generation()
	if err := s.AddAddress("tun0", netip.MustParsePrefix("10.5.0.1/24")); err != nil {
		t.Fatal(err)
	}
	if s.Generation() == before {
		t.Error("AddAddress does not change the generation")
	}
	dst := netip.MustParseAddr("10.5.0.9")
	if src, ok := s.SourceFor(dst); !ok || src.String() != "10.5.0.1" {
		t.Errorf("source for %v = %v, %v", dst, src, ok)
	}
	if err := s.RemoveAddress("tun0", netip.MustParseAddr("10.5.0.1")); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.SourceFor(dst); ok {
		t.Errorf("there is still a route to %v", dst)
	}
	if err := s.RemoveAddress("tun0", netip.MustParseAddr("10.5.0.1")); err == nil {
		t.Error("removing an address twice succeeds")
	}
	if err := s.AddAddress("nope", netip.MustParsePrefix("10.5.0.1/24")); err == nil {
		t.Error("adding an address to a NIC that does not exist succeeds")
	}
}

func TestNewRefusesAndClosesLinks(t *testing.T) {
	ok := prefixes("10.0.0.2/24")
	for _, tc := range []struct {
		name string
		cfg  func(l *closeCounter) stack.Config
		want string
	}{
		{"no link", func(l *closeCounter) stack.Config {
			return stack.Config{NICs: []stack.NIC{{Link: l}, {Name: "b"}}}
		}, "has no Link"},
		{"name taken", func(l *closeCounter) stack.Config { return stack.Config{NICs: []stack.NIC{{Name: "lo", Link: l}}} }, "taken"},
		{"long name", func(l *closeCounter) stack.Config {
			return stack.Config{NICs: []stack.NIC{{Name: "sixteen-bytes-xx", Link: l}}}
		}, "1 to 15 bytes"},
		{"zone sign in name", func(l *closeCounter) stack.Config { return stack.Config{NICs: []stack.NIC{{Name: "a%b", Link: l}}} }, "1 to 15 bytes"},
		{"multicast address", func(l *closeCounter) stack.Config {
			return stack.Config{NICs: []stack.NIC{{Link: l, Addrs: prefixes("224.0.0.1/24")}}}
		}, "not a unicast"},
		{"zero prefix", func(l *closeCounter) stack.Config {
			return stack.Config{NICs: []stack.NIC{{Link: l, Addrs: []netip.Prefix{{}}}}}
		}, "not valid"},
		{"same address twice", func(l *closeCounter) stack.Config {
			return stack.Config{NICs: []stack.NIC{{Link: l, Addrs: append(ok, ok...)}}}
		}, "adding address"},
		{"gateway off net", func(l *closeCounter) stack.Config {
			return stack.Config{NICs: []stack.NIC{{Link: l, Addrs: ok}}, Routes: []stack.Route{
				{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.7.0.1")}}}
		}, "holds the gateway"},
		{"gateway of other version", func(l *closeCounter) stack.Config {
			return stack.Config{NICs: []stack.NIC{{Link: l, Addrs: ok}}, Routes: []stack.Route{
				{Dst: netip.MustParsePrefix("::/0"), Gateway: netip.MustParseAddr("10.0.0.1")}}}
		}, "other IP version"},
		{"MTU too small for IPv6", func(l *closeCounter) stack.Config {
			l.SetMTU(1279)
			return stack.Config{NICs: []stack.NIC{{Link: l, Addrs: prefixes("10.0.0.2/24", "fd00::2/64")}}}
		}, "an MTU of 1279"},
		{"route to no NIC", func(l *closeCounter) stack.Config {
			return stack.Config{NICs: []stack.NIC{{Link: l, Addrs: ok}}, Routes: []stack.Route{{Dst: ok[0], NIC: "x"}}}
		}, "no NIC"},
		{"RTO bounds crossed", func(l *closeCounter) stack.Config {
			return stack.Config{NICs: []stack.NIC{{Link: l}}, TCP: stack.TCP{MinRTO: time.Second, MaxRTO: time.Millisecond}}
		}, "MaxRTO"},
		{"tiny buffer", func(l *closeCounter) stack.Config {
			return stack.Config{NICs: []stack.NIC{{Link: l}}, TCP: stack.TCP{MaxSendBuffer: 1}}
		}, "less than 4096"},
		{"unknown reuse", func(l *closeCounter) stack.Config {
			return stack.Config{NICs: []stack.NIC{{Link: l}}, TCP: stack.TCP{TimeWaitReuse: 4}}
		}, "TimeWaitReuse 4"},
		{"ports in reverse", func(l *closeCounter) stack.Config {
			return stack.Config{NICs: []stack.NIC{{Link: l}}, Ports: stack.PortRange{First: 2, Last: 1}}
		}, "from 2 to 1"},
		{"ports from 0", func(l *closeCounter) stack.Config {
			return stack.Config{NICs: []stack.NIC{{Link: l}}, Ports: stack.PortRange{Last: 1}}
		}, "from 0 to 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLink()
			s, err := stack.New(tc.cfg(l))
			if err == nil {
				s.Close()
				t.Fatal("New succeeded")
			}
			if !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "stack: ") {
				t.Errorf("error %q does not say %q", err, tc.want)
			}
			if l.closed.Load() == 0 {
				t.Error("the link was not closed")
			}
		})
	}
}

func TestTCPSettings(t *testing.T) {
	s := newStack(t, stack.Config{TCP: stack.TCP{LossRecovery: stack.RecoveryRACK, MaxRTO: 5 * time.Second}})
	var (
		cc       tcpip.CongestionControlOption
		sack     tcpip.TCPSACKEnabled
		recovery tcpip.TCPRecovery
		maxRTO   tcpip.TCPMaxRTOOption
		retries  tcpip.TCPMaxRetriesOption
		receive  tcpip.TCPReceiveBufferSizeRangeOption
	)
	for _, opt := range []tcpip.GettableTransportProtocolOption{&cc, &sack, &recovery, &maxRTO, &retries, &receive} {
		if err := s.GVisor().TransportProtocolOption(tcp.ProtocolNumber, opt); err != nil {
			t.Fatal(err)
		}
	}
	if cc != "cubic" || !bool(sack) || recovery != tcpip.TCPRACKLossDetection || time.Duration(maxRTO) != 5*time.Second {
		t.Errorf("congestion control %q, SACK %v, recovery %d, MaxRTO %v", cc, sack, recovery, time.Duration(maxRTO))
	}
	// 0.2 + 0.4 + 0.8 + 1.6 + 3.2 s, then 5 s each until 924.6 s are over.
	if retries != 189 {
		t.Errorf("%d retransmissions before giving up, want 189", retries)
	}
	if receive.Max/2 < 6<<20 {
		t.Errorf("the receive window cannot reach 6 MiB: half of %d", receive.Max)
	}
	if first, last := s.GVisor().PortRange(); first != 32768 || last != 60999 {
		t.Errorf("port range %d-%d, want Linux's 32768-60999", first, last)
	}
}

// TestCongestionControl has the stack's be each new connection's.
func TestCongestionControl(t *testing.T) {
	for _, tc := range []struct{ set, want stack.CongestionControl }{
		{"", stack.Cubic}, {stack.Cubic, stack.Cubic}, {stack.Reno, stack.Reno},
	} {
		s := newStack(t, stack.Config{TCP: stack.TCP{CongestionControl: tc.set}})
		ep, terr := s.GVisor().NewEndpoint(tcp.ProtocolNumber, header.IPv4ProtocolNumber, new(waiter.Queue))
		if terr != nil {
			t.Fatal(terr)
		}
		var got tcpip.CongestionControlOption
		if terr := ep.GetSockOpt(&got); terr != nil || string(got) != string(tc.want) {
			t.Errorf("%q makes connections %q, %v", tc.set, got, terr)
		}
		ep.Close()
	}
	if s, err := stack.New(stack.Config{TCP: stack.TCP{CongestionControl: "bbr"}}); err == nil {
		s.Close()
		t.Error("BBR, which netstack does not have, was taken")
	}
}

func TestCloseTwice(t *testing.T) {
	l := newLink()
	s := newStack(t, stack.Config{NICs: []stack.NIC{{Link: l, Addrs: prefixes("10.0.0.2/24")}}})
	s.Close()
	s.Close()
	if l.closed.Load() == 0 {
		t.Error("Close did not close the link")
	}
	select {
	case <-s.Closing():
	default:
		t.Error("Closing is not closed after Close")
	}
}

// A router's links must hand up packets as they lie on a wire.
func TestForwardingWantsWireForm(t *testing.T) {
	for _, f := range []stack.Forwarding{stack.ForwardNone, stack.ForwardAll} {
		l := &coalescer{closeCounter: newLink()}
		newStack(t, stack.Config{NICs: []stack.NIC{{Link: l}}, Forwarding: f})
		if got, want := l.asked, f == stack.ForwardAll; got != want {
			t.Errorf("Forwarding %d: RequireWireForm called: %v", f, got)
		}
	}
}

type coalescer struct {
	*closeCounter
	asked bool
}

func (c *coalescer) RequireWireForm() { c.asked = true }
