package sockets_test

import (
	"errors"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// T6: netstack's Listen(0) accepts nobody; on Linux it accepts one.
func TestT6BacklogZeroAccepts(t *testing.T) {
	a, b := pair(t)
	l := tcpSocket(t, b)
	check(t, l.Bind(sockets.Inet4{Host: addrB}))
	check(t, l.Listen(-3))
	check(t, tcpSocket(t, a).Connect(must[sockets.Sockaddr](t)(l.GetSockName())))
	s, _, err := l.Accept(sockets.Within(patience))
	check(t, err)
	check(t, s.Close())
}

// T5: shutdown(SHUT_RD) on a listener must end listening, reset who waits, and
// leave the port for another listen.
func TestT5ShutdownListener(t *testing.T) {
	a, b := pair(t)
	l, addr := listener(t, b, addrB)
	client := tcpSocket(t, a)
	check(t, client.Connect(addr))
	check(t, l.Shutdown(sockets.SHUT_WR)) // no effect
	if v := must[int](t)(l.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_ACCEPTCONN)); v != 1 {
		t.Error("SO_ACCEPTCONN is 0 after SHUT_WR")
	}
	check(t, l.Shutdown(sockets.SHUT_RD))
	_, _, err := l.Accept()
	wantErrno(t, err, sockets.EINVAL)
	if v := must[int](t)(l.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_ACCEPTCONN)); v != 0 {
		t.Error("SO_ACCEPTCONN is 1 after SHUT_RD")
	}
	_, err = client.Recv(1)
	wantErrno(t, err, sockets.ECONNRESET)
	wantErrno(t, tcpSocket(t, a).Connect(addr), sockets.ECONNREFUSED)
	check(t, l.Listen(1))
	check(t, tcpSocket(t, a).Connect(addr))
}

// A blocked Accept must see the shutdown.
func TestShutdownWakesAccept(t *testing.T) {
	_, b := pair(t)
	l, _ := listener(t, b, addrB)
	errs := make(chan error, 1)
	go func() {
		_, _, err := l.Accept()
		errs <- err
	}()
	awaitBlocked(t, "accept")
	check(t, l.Shutdown(sockets.SHUT_RD))
	wantErrno(t, <-errs, sockets.EINVAL)
}

// T12: a listen that fails moves netstack's endpoint to CLOSED.
func TestT12FailedListenKeepsBinding(t *testing.T) {
	_, b := pair(t)
	first, second := tcpSocket(t, b), tcpSocket(t, b)
	for _, s := range []*sockets.Socket{first, second} {
		check(t, s.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1))
	}
	check(t, first.Bind(sockets.Inet4{Host: addrB}))
	addr := must[sockets.Sockaddr](t)(first.GetSockName())
	check(t, second.Bind(addr))
	check(t, first.Listen(1))
	wantErrno(t, second.Listen(1), sockets.EADDRINUSE)
	if got := must[sockets.Sockaddr](t)(second.GetSockName()); got != addr {
		t.Errorf("after the failed listen the socket is bound to %v, want %v", got, addr)
	}
	check(t, first.Close())
	check(t, second.Listen(1))
}

// T13: netstack refuses a backlog smaller than the queue.
func TestT13BacklogShrinks(t *testing.T) {
	a, b := pair(t)
	l, addr := listener(t, b, addrB)
	for range 4 {
		check(t, tcpSocket(t, a).Connect(addr))
	}
	check(t, l.Listen(0))
	for range 4 {
		s, _, err := l.Accept(sockets.Within(patience))
		check(t, err)
		check(t, s.Close())
	}
}

func TestListenRefusals(t *testing.T) {
	a, b := pair(t)
	wantErrno(t, udpSocket(t, a).Listen(1), sockets.EOPNOTSUPP)
	_, _, err := udpSocket(t, a).Accept()
	wantErrno(t, err, sockets.EOPNOTSUPP)
	client, _ := connected(t, a, b)
	wantErrno(t, client.Listen(1), sockets.EINVAL)
	_, _, err = tcpSocket(t, a).Accept()
	wantErrno(t, err, sockets.EINVAL)

	l, addr := listener(t, b, addrB)
	l.SetBlocking(false)
	_, _, err = l.Accept()
	wantErrno(t, err, sockets.EAGAIN)
	wantErrno(t, tcpSocket(t, b).Bind(addr), sockets.EADDRINUSE)
	if _, _, err := l.Accept(sockets.Within(time.Millisecond)); !errors.Is(err, sockets.ErrTimeout) {
		t.Errorf("accept within 1 ms: %v, want ErrTimeout", err)
	}
	if got := must[sockets.Sockaddr](t)(l.GetSockName()); got != addr {
		t.Errorf("the listener's name is %v, want %v", got, addr)
	}
}

func TestAcceptInherits(t *testing.T) {
	a, b := pair(t)
	check(t, b.SetDefaultTimeout(5*time.Second))
	l := tcpSocket(t, b)
	for _, o := range []struct{ level, name, value int }{
		{sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1},
		{sockets.SOL_TCP, sockets.TCP_KEEPIDLE, 77},
		{sockets.SOL_TCP, sockets.TCP_NODELAY, 1},
		{sockets.SOL_IP, sockets.IP_TTL, 33},
	} {
		check(t, l.SetSockOptInt(o.level, o.name, o.value))
		defer func() {
			check(t, tcpSocket(t, a).Connect(must[sockets.Sockaddr](t)(l.GetSockName())))
			s, _, err := l.Accept()
			check(t, err)
			defer s.Close()
			if v := must[int](t)(s.GetSockOptInt(o.level, o.name)); v != o.value {
				t.Errorf("option %d/%d of the accepted socket is %d, want %d", o.level, o.name, v, o.value)
			}
			if s.Timeout() != 5*time.Second {
				t.Errorf("timeout %v, want the host's default", s.Timeout())
			}
		}()
	}
	check(t, l.Bind(sockets.Inet4{Host: addrB}))
	check(t, l.Listen(8))
}

func TestBind(t *testing.T) {
	a, _ := pair(t)
	s := tcpSocket(t, a)
	if name := must[sockets.Sockaddr](t)(s.GetSockName()); name != (sockets.Inet4{Host: "0.0.0.0"}) {
		t.Errorf("an unbound socket's name is %v", name)
	}
	check(t, s.Bind(sockets.Inet4{Host: addrA}))
	wantErrno(t, s.Bind(sockets.Inet4{Host: addrA}), sockets.EINVAL)
	wantErrno(t, tcpSocket(t, a).Bind(sockets.Inet4{Host: "8.8.8.8"}), sockets.EADDRNOTAVAIL)
	wantErrno(t, tcpSocket(t, a).Bind(sockets.Inet6{}), sockets.EAFNOSUPPORT)
	wantErrno(t, tcpSocket(t, a).Bind(nil), sockets.EAFNOSUPPORT)
	wantErrno(t, tcpSocket(t, a).Bind(sockets.Inet4{Port: -1}), sockets.EINVAL)

	six := mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_STREAM, 0)
	check(t, six.Bind(sockets.Inet6{}))
	name := must[sockets.Sockaddr](t)(six.GetSockName()).(sockets.Inet6)
	if name.Host != "::" || name.Port == 0 {
		t.Errorf("bound to %v, want [::] and a port", name)
	}
	wantErrno(t, six.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_V6ONLY, 1), sockets.EINVAL) // T40
	wantErrno(t, mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_STREAM, 0).
		Bind(sockets.Inet6{Host: "fe80::1%nope"}), sockets.ENODEV)
}

// T14: an IPv4 peer of an AF_INET6 socket has a mapped address.
func TestT14MappedPeer(t *testing.T) {
	a, b := pair(t)
	l := mustSocket(t, b, sockets.AF_INET6, sockets.SOCK_STREAM, 0)
	check(t, l.Bind(sockets.Inet6{}))
	check(t, l.Listen(1))
	port := must[sockets.Sockaddr](t)(l.GetSockName()).(sockets.Inet6).Port
	check(t, tcpSocket(t, a).Connect(sockets.Inet4{Host: addrB, Port: port}))
	s, peer, err := l.Accept()
	check(t, err)
	defer s.Close()
	if p := peer.(sockets.Inet6); p.Host != "::ffff:"+addrA {
		t.Errorf("peer %v, want a mapped address", p)
	}
	six := mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_STREAM, 0)
	check(t, six.Connect(sockets.Inet6{Host: "::ffff:" + addrB, Port: port}))
	only := mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_STREAM, 0)
	check(t, only.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_V6ONLY, 1))
	wantErrno(t, only.Connect(sockets.Inet6{Host: "::ffff:" + addrB, Port: port}), sockets.ENETUNREACH)
}
