package sockets_test

import (
	"bytes"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// queuedError waits for an error and takes it from the queue.
func queuedError(t *testing.T, s *sockets.Socket, size int) (*sockets.Msg, sockets.ExtendedError) {
	t.Helper()
	waitFor(t, s, sockets.POLLERR)
	m := must[*sockets.Msg](t)(s.RecvMsg([][]byte{make([]byte, size)}, 512, sockets.MSG_ERRQUEUE))
	if m.Flags&sockets.MSG_ERRQUEUE == 0 || len(m.Control) == 0 {
		t.Fatalf("flags %#x, control %v", m.Flags, m.Control)
	}
	e, ok := m.Control[len(m.Control)-1].ExtendedError()
	if !ok {
		t.Fatalf("the last control message is %v", m.Control)
	}
	return m, e
}

// waitFor waits until poll shows one of the events.
func waitFor(t *testing.T, s *sockets.Socket, events sockets.PollEvents) {
	t.Helper()
	d := []sockets.PollDesc{{Sock: s, In: events}}
	if n := must[int](t)(s.Host().Poll(d, patience)); n == 0 || d[0].Out&events == 0 {
		t.Fatalf("poll shows %v, want one of %v", d[0].Out, events)
	}
}

func pollNow(t *testing.T, s *sockets.Socket) sockets.PollEvents {
	t.Helper()
	d := []sockets.PollDesc{{Sock: s, In: sockets.POLLIN | sockets.POLLOUT | sockets.POLLPRI}}
	must[int](t)(s.Host().Poll(d, 0))
	return d[0].Out
}

// T11, F12, C11, O20: an unconnected UDP socket with IP_RECVERR hears of a closed
// port, step by step as Linux 6.18 was seen to do it.
func TestT11ErrorQueue(t *testing.T) {
	a, _ := pair(t)
	s := udpSocket(t, a)
	setInts(t, s, sockets.SOL_IP, sockets.IP_RECVERR, sockets.IP_RECVTTL)
	closed := sockets.Inet4{Host: addrB, Port: 9}
	_, err := s.RecvMsg([][]byte{make([]byte, 9)}, 99, sockets.MSG_ERRQUEUE)
	wantErrno(t, err, sockets.EAGAIN) // never waits

	must[int](t)(s.SendTo([]byte("data1"), closed))
	waitFor(t, s, sockets.POLLERR)
	_, err = s.SendTo([]byte("data2"), closed)
	wantErrno(t, err, sockets.ECONNREFUSED) // the pending error, instead of sending
	if ev := pollNow(t, s); ev != sockets.POLLOUT|sockets.POLLERR {
		t.Errorf("with a queued error poll shows %v", ev)
	}

	m, e := queuedError(t, s, 2)
	if string(m.Buffers[0]) != "da" || m.N != 2 || m.Flags != sockets.MSG_ERRQUEUE|sockets.MSG_TRUNC || m.Addr != sockets.Sockaddr(closed) {
		t.Errorf("%q, %d bytes, flags %#x, address %v", m.Buffers[0], m.N, m.Flags, m.Addr)
	}
	if got := kindsOf(m.Control); got != "0,2 0,11" {
		t.Errorf("control messages %s", got)
	}
	want := sockets.ExtendedError{Errno: sockets.ECONNREFUSED, Origin: sockets.SO_EE_ORIGIN_ICMP, Type: 3, Code: 3, Offender: sockets.Inet4{Host: addrB}}
	if e != want {
		t.Errorf("%+v, want %+v", e, want)
	}
	if v := must[int](t)(s.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_ERROR)); v != 0 {
		t.Errorf("SO_ERROR %d after the queue is empty", v)
	}
	if ev := pollNow(t, s); ev != sockets.POLLOUT {
		t.Errorf("afterwards poll shows %v", ev)
	}
}

// As sock_dequeue_err_skb of Linux has it: taking an error from the queue makes
// the next one pending, and turning IP_RECVERR off empties the queue.
func TestErrorQueueAndSOError(t *testing.T) {
	a, _ := pair(t)
	s := udpSocket(t, a)
	setInts(t, s, sockets.SOL_IP, sockets.IP_RECVERR)
	check(t, s.Connect(sockets.Inet4{Host: addrB, Port: 9}))
	for _, p := range []string{"one", "two"} {
		must[int](t)(s.Send([]byte(p)))
		waitPending(t, s)
	}
	soError := func() int { return must[int](t)(s.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_ERROR)) }
	for _, step := range []struct {
		data  string
		after sockets.Errno
	}{{"one", sockets.ECONNREFUSED}, {"two", 0}} {
		if m, _ := queuedError(t, s, 9); string(m.Buffers[0][:m.N]) != step.data {
			t.Errorf("took %q, want %q", m.Buffers[0][:m.N], step.data)
		}
		if v := soError(); v != int(step.after) {
			t.Errorf("after %q SO_ERROR is %d, want %d", step.data, v, step.after)
		}
	}
	must[int](t)(s.Send([]byte("three")))
	waitFor(t, s, sockets.POLLERR)
	check(t, s.SetSockOptInt(sockets.SOL_IP, sockets.IP_RECVERR, 0))
	_, err := s.RecvMsg([][]byte{make([]byte, 9)}, 99, sockets.MSG_ERRQUEUE)
	wantErrno(t, err, sockets.EAGAIN)
	if soError() != int(sockets.ECONNREFUSED) {
		t.Error("turning IP_RECVERR off has cleared SO_ERROR")
	}
}

// waitPending waits for an error and takes it by receiving.
func waitPending(t *testing.T, s *sockets.Socket) {
	t.Helper()
	_, err := s.Recv(1, sockets.Within(patience))
	wantErrno(t, err, sockets.ECONNREFUSED)
}

// C12: IPv6, and IPv4 on an AF_INET6 socket, which its IP_RECVERR is for.
func TestErrorQueueIPv6(t *testing.T) {
	a, _ := pair(t)
	for _, tc := range []struct {
		level, option int
		dst           sockets.Inet6
		want          sockets.ExtendedError
	}{
		{sockets.SOL_IPV6, sockets.IPV6_RECVERR, sockets.Inet6{Host: addrB6, Port: 9},
			sockets.ExtendedError{Errno: sockets.ECONNREFUSED, Origin: sockets.SO_EE_ORIGIN_ICMP6, Type: 1, Code: 4, Offender: sockets.Inet6{Host: addrB6}}},
		{sockets.SOL_IP, sockets.IP_RECVERR, sockets.Inet6{Host: "::ffff:" + addrB, Port: 9},
			sockets.ExtendedError{Errno: sockets.ECONNREFUSED, Origin: sockets.SO_EE_ORIGIN_ICMP, Type: 3, Code: 3, Offender: sockets.Inet6{Host: "::ffff:" + addrB}}},
	} {
		s := mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
		setInts(t, s, tc.level, tc.option)
		setInts(t, s, sockets.SOL_IPV6, sockets.IPV6_RECVPKTINFO)
		must[int](t)(s.SendTo([]byte("six"), tc.dst))
		m, e := queuedError(t, s, 9)
		if got := kindsOf(m.Control); string(m.Buffers[0][:m.N]) != "six" || m.Addr != sockets.Sockaddr(tc.dst) || got != "41,50 41,25" || e != tc.want {
			t.Errorf("%q to %v: %s %+v, want %+v", m.Buffers[0][:m.N], m.Addr, got, e, tc.want)
		}
	}
}

// S45: SO_SELECT_ERR_QUEUE adds POLLPRI.
func TestSelectErrQueue(t *testing.T) {
	a, _ := pair(t)
	s := udpSocket(t, a)
	setInts(t, s, sockets.SOL_IP, sockets.IP_RECVERR)
	setInts(t, s, sockets.SOL_SOCKET, sockets.SO_SELECT_ERR_QUEUE)
	must[int](t)(s.SendTo([]byte("x"), sockets.Inet4{Host: addrB, Port: 9}))
	waitFor(t, s, sockets.POLLPRI)
	if ev := pollNow(t, s); ev != sockets.POLLOUT|sockets.POLLERR|sockets.POLLPRI {
		t.Errorf("poll shows %v", ev)
	}
}

// T22: what IP_MTU_DISCOVER keeps whole is EMSGSIZE, and the queue has the MTU.
func TestLocalErrorIsQueued(t *testing.T) {
	a, _ := pair(t)
	s := udpSocket(t, a)
	setInts(t, s, sockets.SOL_IP, sockets.IP_RECVERR)
	check(t, s.SetSockOptInt(sockets.SOL_IP, sockets.IP_MTU_DISCOVER, sockets.IP_PMTUDISC_DO))
	dst := sockets.Inet4{Host: addrB, Port: 9}
	check(t, s.Connect(dst))
	_, err := s.Send(make([]byte, 3000))
	wantErrno(t, err, sockets.EMSGSIZE)
	m, e := queuedError(t, s, 9)
	want := sockets.ExtendedError{Errno: sockets.EMSGSIZE, Origin: sockets.SO_EE_ORIGIN_LOCAL, Info: 1500}
	if m.N != 0 || m.Addr != sockets.Sockaddr(dst) || e != want {
		t.Errorf("%d bytes to %v: %+v, want %+v", m.N, m.Addr, e, want)
	}
}

// A ping socket's queue has the quoted message, and no port.
func TestPingErrors(t *testing.T) {
	h, w := wired(t)
	w.answer(func(p []byte) [][]byte { return [][]byte{timeExceeded(p, "10.77.0.2")} })
	s := mustSocket(t, h, sockets.AF_INET, sockets.SOCK_DGRAM, sockets.IPPROTO_ICMP)
	setInts(t, s, sockets.SOL_IP, sockets.IP_RECVERR)
	echo := []byte{8, 0, 0, 0, 0, 0, 0, 5, 'p', 'i', 'n', 'g'}
	must[int](t)(s.SendTo(echo, sockets.Inet4{Host: farAddr}))
	m, e := queuedError(t, s, 64)
	want := sockets.ExtendedError{Errno: sockets.EHOSTUNREACH, Origin: sockets.SO_EE_ORIGIN_ICMP, Type: 11, Offender: sockets.Inet4{Host: "10.77.0.2"}}
	if e != want || m.Addr != sockets.Sockaddr(sockets.Inet4{Host: farAddr}) {
		t.Errorf("%+v for %v, want %+v", e, m.Addr, want)
	}
	if p := m.Buffers[0][:m.N]; m.N < 8 || p[0] != 8 || !bytes.Equal(p[6:8], echo[6:8]) {
		t.Errorf("quoted % x", p)
	}
}

const farAddr, farAddr6 = "10.99.0.2", "fd99::2"

// routed returns a host whose way to farAddr6 leads over a router.
func routed(t *testing.T) *sockets.Host {
	t.Helper()
	left, routerLeft := link.NewPipe(link.PipeConfig{})
	right, routerRight := link.NewPipe(link.PipeConfig{})
	prefix := netip.MustParsePrefix
	newStack := func(c stack.Config) *stack.Stack {
		s := must[*stack.Stack](t)(stack.New(c))
		t.Cleanup(func() { s.Close() })
		return s
	}
	newStack(stack.Config{Forwarding: stack.ForwardAll, NICs: []stack.NIC{
		{Link: routerLeft, Addrs: []netip.Prefix{prefix(addrB6 + "/64")}},
		{Link: routerRight, Addrs: []netip.Prefix{prefix("fd99::1/64")}},
	}})
	host := func(l *link.PipeEnd, addr, via string) *sockets.Host {
		s := newStack(stack.Config{
			NICs:   []stack.NIC{{Link: l, Addrs: []netip.Prefix{prefix(addr + "/64")}}},
			Routes: []stack.Route{{Dst: prefix("::/0"), Gateway: netip.MustParseAddr(via)}},
		})
		h := must[*sockets.Host](t)(sockets.New(sockets.Config{Stack: s}))
		t.Cleanup(func() { h.Close() })
		return h
	}
	host(right, farAddr6, "fd99::1")
	return host(left, addrA6, addrB6)
}

// T11: a traceroute that needs no privilege. Each datagram has one hop more; the
// routers say that the first ones died, the far host that nobody has the port.
func TestT11Traceroute(t *testing.T) {
	h, w := wired(t)
	routers := []string{"10.77.0.2", "192.0.2.1", "198.51.100.7"}
	w.answer(func(p []byte) [][]byte {
		if ttl := int(header.IPv4(p).TTL()); ttl <= len(routers) {
			return [][]byte{timeExceeded(p, routers[ttl-1])}
		}
		return [][]byte{icmp4(farAddr, p, 3, 3, 0)}
	})
	s := udpSocket(t, h)
	setInts(t, s, sockets.SOL_IP, sockets.IP_RECVERR)
	dst := sockets.Inet4{Host: farAddr, Port: 33434}
	for ttl, want := range append(routers, farAddr) {
		check(t, s.SetSockOptInt(sockets.SOL_IP, sockets.IP_TTL, ttl+1))
		must[int](t)(s.SendTo([]byte("probe"), dst))
		m, e := queuedError(t, s, 64)
		if m.Addr != sockets.Sockaddr(dst) || string(m.Buffers[0][:m.N]) != "probe" || e.Offender != sockets.Sockaddr(sockets.Inet4{Host: want}) {
			t.Errorf("hop %d: %q to %v, from %v, want %s", ttl+1, m.Buffers[0][:m.N], m.Addr, e.Offender, want)
		}
		reason := sockets.EHOSTUNREACH
		if ttl == len(routers) {
			reason = sockets.ECONNREFUSED
		}
		if e.Errno != reason {
			t.Errorf("hop %d: %v, want %v", ttl+1, e.Errno, reason)
		}
	}
}

// The same over a router that is a stack itself. Only IPv6: as an IPv4 router
// netstack lets a TTL of 1 pass.
func TestT11TracerouteIPv6(t *testing.T) {
	near := routed(t)
	s := mustSocket(t, near, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	setInts(t, s, sockets.SOL_IPV6, sockets.IPV6_RECVERR)
	dst := sockets.Inet6{Host: farAddr6, Port: 33434}
	for i, want := range []struct {
		offender string
		errno    sockets.Errno
	}{{addrB6, sockets.EHOSTUNREACH}, {farAddr6, sockets.ECONNREFUSED}} {
		check(t, s.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_UNICAST_HOPS, i+1))
		must[int](t)(s.SendTo([]byte("probe"), dst))
		m, e := queuedError(t, s, 64)
		if m.Addr != sockets.Sockaddr(dst) || e.Errno != want.errno || e.Offender != sockets.Sockaddr(sockets.Inet6{Host: want.offender}) {
			t.Errorf("hop %d: %+v for %v, want %+v", i+1, e, m.Addr, want)
		}
	}
}
