package sockets_test

import (
	"slices"
	"sync"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// A tosTap notes the type of service of what leaves.
type tosTap struct {
	gstack.LinkEndpoint

	mu   sync.Mutex
	seen []int
}

func (l *tosTap) WritePackets(pkts gstack.PacketBufferList) (int, tcpip.Error) {
	l.mu.Lock()
	for _, p := range pkts.AsSlice() {
		tos := uint8(0)
		switch h := p.NetworkHeader().Slice(); p.NetworkProtocolNumber {
		case header.IPv4ProtocolNumber:
			tos, _ = header.IPv4(h).TOS()
		case header.IPv6ProtocolNumber:
			tos, _ = header.IPv6(h).TOS()
		}
		l.seen = append(l.seen, int(tos))
	}
	l.mu.Unlock()
	return l.LinkEndpoint.WritePackets(pkts)
}

// only returns the values seen since the last call, without repetition.
func (l *tosTap) only() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := slices.Compact(slices.Sorted(slices.Values(l.seen)))
	l.seen = nil
	return seen
}

// T36: netstack's TCP has one place for IP_TOS and IPV6_TCLASS.
func TestT36TrafficClass(t *testing.T) {
	left, right := link.NewPipe(link.PipeConfig{})
	tap := &tosTap{LinkEndpoint: left}
	a, b := newHost(t, tap, addrA, addrA6), newHost(t, right, addrB, addrB6)
	for _, tc := range []struct {
		local, remote string
		want          int
	}{
		{"::ffff:" + addrB, "::ffff:" + addrB, 0x10},
		{addrB6, addrB6, 0x20},
	} {
		l := mustSocket(t, b, sockets.AF_INET6, sockets.SOCK_STREAM, 0)
		check(t, l.Bind(sockets.Inet6{Host: tc.local}))
		check(t, l.Listen(1))
		addr := must[sockets.Sockaddr](t)(l.GetSockName())
		c := mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_STREAM, 0)
		setInt(t, c, sockets.SOL_IP, sockets.IP_TOS, 0x10)
		setInt(t, c, sockets.SOL_IPV6, sockets.IPV6_TCLASS, 0x20)
		tap.only()
		check(t, c.Connect(addr))
		if seen := tap.only(); !slices.Equal(seen, []int{tc.want}) {
			t.Errorf("to %s: TOS or class of packets is %v, want %#x", tc.remote, seen, tc.want)
		}
		wantInt(t, c, sockets.SOL_IP, sockets.IP_TOS, 0x10)
		wantInt(t, c, sockets.SOL_IPV6, sockets.IPV6_TCLASS, 0x20)
		must[sockets.Sockaddr](t)(l.GetSockName())
		check(t, c.Close())
		check(t, l.Close())
	}
	u := mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	setInt(t, u, sockets.SOL_IP, sockets.IP_TOS, 0x11)
	setInt(t, u, sockets.SOL_IPV6, sockets.IPV6_TCLASS, 0x21)
	tap.only()
	must[int](t)(u.SendTo([]byte("x"), sockets.Inet6{Host: "::ffff:" + addrB, Port: 9}))
	must[int](t)(u.SendTo([]byte("x"), sockets.Inet6{Host: addrB6, Port: 9}))
	if seen := tap.only(); !slices.Equal(seen, []int{0x11, 0x21}) {
		t.Errorf("UDP sends %#x, want 0x11 and 0x21", seen)
	}
}

func TestTOSSetsPriority(t *testing.T) {
	a, _ := pair(t)
	s := udpSocket(t, a)
	for tos, priority := range map[int]int{1: 0, 4: 0, 8: 2, 0x10: 6, 0x18: 4, 0xff: 4} {
		setInt(t, s, sockets.SOL_IP, sockets.IP_TOS, tos)
		wantInt(t, s, sockets.SOL_SOCKET, sockets.SO_PRIORITY, priority)
	}
}

// As on Linux a socket that is bound to an IPv6 address has IPV6_V6ONLY, what it
// accepts too, and none can change it once it has a port.
func TestV6OnlyFollowsBind(t *testing.T) {
	a, _ := pair(t)
	socket := func() *sockets.Socket { return mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_STREAM, 0) }
	unspecified, mapped, l, c := socket(), socket(), socket(), socket()
	check(t, unspecified.Bind(sockets.Inet6{}))
	check(t, mapped.Bind(sockets.Inet6{Host: "::ffff:127.0.0.1"}))
	check(t, l.Bind(sockets.Inet6{Host: "::1"}))
	check(t, l.Listen(1))
	check(t, c.Connect(must[sockets.Sockaddr](t)(l.GetSockName())))
	s, _, err := l.Accept()
	check(t, err)
	defer s.Close()
	for sock, want := range map[*sockets.Socket]int{unspecified: 0, mapped: 0, c: 0, l: 1, s: 1} {
		wantInt(t, sock, sockets.SOL_IPV6, sockets.IPV6_V6ONLY, want)
		wantErrno(t, sock.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_V6ONLY, 1-want), sockets.EINVAL)
	}
	bound := socket()
	check(t, bound.Bind(sockets.Inet6{Host: "::1"}))
	wantErrno(t, bound.Connect(sockets.Inet6{Host: "::ffff:127.0.0.1", Port: 9}), sockets.ENETUNREACH)
}

// Each value of IPV6_ADDR_PREFERENCES begins anew.
func TestAddrPreferences(t *testing.T) {
	a, _ := pair(t)
	s := mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_STREAM, 0)
	for _, step := range [][2]int{{2, 0x402}, {4, 0x104}, {0, 0x500}, {1, 0x401}, {0x100, 0x500}, {8, 0x500}} {
		setInt(t, s, sockets.SOL_IPV6, sockets.IPV6_ADDR_PREFERENCES, step[0])
		wantInt(t, s, sockets.SOL_IPV6, sockets.IPV6_ADDR_PREFERENCES, step[1])
	}
}
