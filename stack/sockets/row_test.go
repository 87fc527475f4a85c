package sockets_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// Rows of the documents that no feature's own test covers whole.

// A4.1, A4.2: the default timeout is that of sockets made later, accepted ones
// among them.
func TestDefaultTimeout(t *testing.T) {
	a, b := pair(t)
	if d := b.DefaultTimeout(); d != sockets.NoTimeout {
		t.Errorf("the default timeout is %v at first", d)
	}
	l, addr := listener(t, b, addrB)
	check(t, b.SetDefaultTimeout(30*time.Millisecond))
	check(t, tcpSocket(t, a).Connect(addr))
	s, _, err := l.Accept()
	check(t, err)
	defer s.Close()
	for name, s := range map[string]*sockets.Socket{"accepted": s, "new": tcpSocket(t, b), "datagram": udpSocket(t, b)} {
		if s.Timeout() != 30*time.Millisecond {
			t.Errorf("%s socket: timeout %v", name, s.Timeout())
		}
	}
	if l.Timeout() != sockets.NoTimeout {
		t.Errorf("a socket made before has the timeout %v", l.Timeout())
	}
	if _, err := s.Recv(1); !errors.Is(err, sockets.ErrTimeout) {
		t.Errorf("the accepted socket: %v", err)
	}
	nonblocking := mustSocket(t, b, sockets.AF_INET, sockets.SOCK_STREAM|sockets.SOCK_NONBLOCK, 0)
	if nonblocking.Timeout() != 0 {
		t.Errorf("SOCK_NONBLOCK: timeout %v", nonblocking.Timeout())
	}
	for _, bad := range []time.Duration{-2, -time.Hour} {
		wantErrno(t, b.SetDefaultTimeout(bad), sockets.EINVAL)
	}
	check(t, b.SetDefaultTimeout(0))
	check(t, b.SetDefaultTimeout(sockets.NoTimeout))
	if !b.HasIPv6() {
		t.Error("no IPv6")
	}
}

// A4.4: the servers of the standard library are the SocketServer of the
// documents.
func TestServersRunOnAListener(t *testing.T) {
	a, b := pair(t)
	s := tcpSocket(t, b)
	check(t, s.Bind(sockets.Inet4{Port: 80}))
	check(t, s.Listen(sockets.DefaultBacklog))
	l := must[net.Listener](t)(s.Listener())
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Method) })}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	transport := &http.Transport{DialContext: a.DialContext}
	resp, err := (&http.Client{Transport: transport}).Get("http://" + addrB + "/")
	check(t, err)
	if body := must[[]byte](t)(io.ReadAll(resp.Body)); string(body) != "GET" {
		t.Errorf("answer %q", body)
	}
	check(t, resp.Body.Close())
	transport.CloseIdleConnections()
	check(t, server.Close())
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

// A5.1: datagram sockets may be bound to broadcast and multicast addresses, a
// port of 0 takes a free one, one in use is refused, a name is looked up.
func TestBindAddresses(t *testing.T) {
	h := known(t)
	for _, host := range []string{"", "<broadcast>", "10.77.0.255", "224.0.0.251", "localhost", addrA} {
		s := udpSocket(t, h)
		check(t, s.Bind(sockets.Inet4{Host: host}))
		if name := must[sockets.Sockaddr](t)(s.GetSockName()).(sockets.Inet4); name.Port == 0 {
			t.Errorf("bound to %v", name)
		}
	}
	first := tcpSocket(t, h)
	check(t, first.Bind(sockets.Inet4{Host: "localhost"}))
	addr := must[sockets.Sockaddr](t)(first.GetSockName())
	check(t, first.Listen(1))
	wantErrno(t, tcpSocket(t, h).Bind(addr), sockets.EADDRINUSE)
	six := mustSocket(t, h, sockets.AF_INET6, sockets.SOCK_STREAM, 0)
	wantErrno(t, six.Bind(sockets.Inet4{}), sockets.EAFNOSUPPORT)
	var gai *sockets.GAIError
	if err := six.Bind(sockets.Inet6{Host: "<broadcast>"}); !errors.As(err, &gai) && !errors.Is(err, sockets.EAFNOSUPPORT) {
		t.Errorf("an IPv6 broadcast: %v", err)
	}
	if err := udpSocket(t, h).Bind(sockets.Inet4{Host: "nobody.invalid"}); !errors.As(err, &gai) {
		t.Errorf("a name that is not there: %v", err)
	}
}

// A5.5, A5.6: what connect_ex returns.
func TestConnectEx(t *testing.T) {
	h := known(t)
	l, addr := listener(t, h, addrA)
	s := tcpSocket(t, h)
	s.SetBlocking(false)
	errno, err := s.ConnectEx(addr)
	check(t, err)
	if errno != sockets.EINPROGRESS {
		t.Errorf("non-blocking: %v", errno)
	}
	for end := time.Now().Add(patience); errno != sockets.EISCONN; {
		if errno, err = s.ConnectEx(addr); err != nil || time.Now().After(end) {
			t.Fatalf("%v, %v", errno, err)
		}
	}
	check(t, l.Close())
	for name, want := range map[sockets.Sockaddr]sockets.Errno{
		sockets.Inet4{Host: addrA, Port: 1}:       sockets.ECONNREFUSED,
		sockets.Inet4{Host: "localhost", Port: 1}: sockets.ECONNREFUSED,
		sockets.Inet4{Host: "255.255.255.255"}:    sockets.ENETUNREACH,
	} {
		if errno, err := tcpSocket(t, h).ConnectEx(name); errno != want || err != nil {
			t.Errorf("%v: %v, %v, want %v", name, errno, err, want)
		}
	}
	var gai *sockets.GAIError
	if errno, err := tcpSocket(t, h).ConnectEx(sockets.Inet4{Host: "nobody.invalid", Port: 1}); errno != 0 || !errors.As(err, &gai) {
		t.Errorf("a name that is not there: %v, %v", errno, err)
	}
	closed := tcpSocket(t, h)
	check(t, closed.Close())
	if errno, err := closed.ConnectEx(addr); errno != 0 && errno != sockets.EBADF || errno == 0 && !errors.Is(err, sockets.ErrClosed) {
		t.Errorf("a closed socket: %v, %v", errno, err)
	}
}

// A5.5: the default peer of a datagram socket filters senders and may change.
func TestConnectedDatagrams(t *testing.T) {
	a, b := pair(t)
	s, one, two := udpSocket(t, b), udpSocket(t, a), udpSocket(t, a)
	check(t, s.Bind(sockets.Inet4{Host: addrB, Port: 1000}))
	check(t, one.Bind(sockets.Inet4{Host: addrA, Port: 1001}))
	check(t, two.Bind(sockets.Inet4{Host: addrA, Port: 1002}))
	to := sockets.Inet4{Host: addrB, Port: 1000}
	for _, peer := range []int{1002, 1001} {
		check(t, s.Connect(sockets.Inet4{Host: addrA, Port: peer}))
		must[int](t)(one.SendTo([]byte("one"), to))
		must[int](t)(two.SendTo([]byte("two"), to))
		_, from, err := s.RecvFrom(9)
		check(t, err)
		if from != sockets.Sockaddr(sockets.Inet4{Host: addrA, Port: peer}) {
			t.Errorf("connected to port %d, received from %v", peer, from)
		}
		if p, err := s.Recv(9, sockets.Within(20*time.Millisecond)); !errors.Is(err, sockets.ErrTimeout) {
			t.Errorf("then received %q, %v", p, err)
		}
	}
	must[int](t)(s.SendTo([]byte("elsewhere"), sockets.Inet4{Host: addrA, Port: 1002})) // allowed
	if p := must[[]byte](t)(two.Recv(20)); string(p) != "elsewhere" {
		t.Errorf("received %q", p)
	}
}

// A5.7, A5.8: names.
func TestNamesOfSockets(t *testing.T) {
	a, b := pair(t)
	for f, want := range map[sockets.Family]sockets.Sockaddr{
		sockets.AF_INET: sockets.Inet4{Host: "0.0.0.0"}, sockets.AF_INET6: sockets.Inet6{Host: "::"},
	} {
		for _, typ := range []sockets.Type{sockets.SOCK_STREAM, sockets.SOCK_DGRAM} {
			s := mustSocket(t, a, f, typ, 0)
			if name := must[sockets.Sockaddr](t)(s.GetSockName()); name != want {
				t.Errorf("an unbound socket's name is %v", name)
			}
			_, err := s.GetPeerName()
			wantErrno(t, err, sockets.ENOTCONN)
		}
	}
	client, server := connected(t, a, b)
	if c, s := must[sockets.Sockaddr](t)(client.GetSockName()), must[sockets.Sockaddr](t)(server.GetPeerName()); c != s {
		t.Errorf("the client is %v, to the server %v", c, s)
	}
	connecting := tcpSocket(t, a)
	connecting.SetBlocking(false)
	wantErrno(t, connecting.Connect(sockets.Inet4{Host: "10.77.0.99", Port: 1}), sockets.EINPROGRESS)
	_, err := connecting.GetPeerName()
	wantErrno(t, err, sockets.ENOTCONN)
	check(t, client.Close())
	_, err = client.GetPeerName()
	wantErrno(t, err, sockets.EBADF)
	_, err = client.GetSockName()
	wantErrno(t, err, sockets.EBADF)
}

// A5.11: shutdown, again and after the end.
func TestShutdownStates(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	for _, how := range []sockets.How{-1, 3, 99} {
		wantErrno(t, client.Shutdown(how), sockets.EINVAL)
	}
	check(t, client.Shutdown(sockets.SHUT_WR))
	check(t, client.Shutdown(sockets.SHUT_WR))
	_, err := client.Send([]byte("x"))
	wantErrno(t, err, sockets.EPIPE)
	must[int](t)(server.Send([]byte("late")))
	awaitReadable(t, client, 4)
	check(t, client.Shutdown(sockets.SHUT_RD))
	if p := must[[]byte](t)(client.Recv(9)); string(p) != "late" {
		t.Errorf("queued before SHUT_RD: %q", p)
	}
	if p := must[[]byte](t)(client.Recv(9)); len(p) != 0 {
		t.Errorf("received %q, want the end", p)
	}
	check(t, server.Shutdown(sockets.SHUT_WR))
	for end := time.Now().Add(patience); client.Shutdown(sockets.SHUT_WR) == nil; {
		if time.Now().After(end) {
			t.Fatal("shutdown succeeds after both sides have closed")
		}
	}
	wantErrno(t, client.Shutdown(sockets.SHUT_RDWR), sockets.ENOTCONN)
	check(t, client.Close())
	wantErrno(t, client.Shutdown(sockets.SHUT_RD), sockets.EBADF)
}

// A5.12: what is queued is sent, unread data resets, a second close does nothing.
func TestClose(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	want := randomBytes(5, 300_000)
	must[int](t)(client.SendAll(want))
	check(t, client.Close())
	check(t, client.Close())
	if got := must[[]byte](t)(server.ReadAll()); len(got) != len(want) {
		t.Errorf("read %d bytes of %d", len(got), len(want))
	}
	client, server = connected(t, a, b)
	must[int](t)(server.Send([]byte("unread")))
	awaitReadable(t, client, 6)
	check(t, client.Close())
	_, err := server.Recv(1)
	wantErrno(t, err, sockets.ECONNRESET)
	for name, call := range map[string]func() error{
		"bind":       func() error { return client.Bind(sockets.Inet4{}) },
		"listen":     func() error { return client.Listen(1) },
		"accept":     func() error { _, _, err := client.Accept(); return err },
		"connect":    func() error { return client.Connect(sockets.Inet4{Host: addrB, Port: 1}) },
		"disconnect": func() error { return client.Connect(nil) },
		"send":       func() error { return second(client.Send([]byte("x"))) },
		"sendto":     func() error { return second(client.SendTo([]byte("x"), sockets.Inet4{Host: addrB, Port: 1})) },
		"recv":       func() error { return second(client.Recv(1)) },
		"dup":        func() error { return second(client.Dup()) },
		"getsockopt": func() error { return second(client.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_TYPE)) },
		"setsockopt": func() error { return client.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1) },
	} {
		if err := call(); !errors.Is(err, sockets.EBADF) || !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s on a closed socket: %v", name, err)
		}
	}
	if client.Fileno() != -1 || client.Family() != sockets.AF_INET || client.Type() != sockets.SOCK_STREAM || client.Proto() != 0 {
		t.Error("a closed socket forgets what it was, or has a number")
	}
}

// E27: what running out of ports is called depends on the call.
func TestPortsRunOut(t *testing.T) {
	a, b := pair(t)
	_, addr := listener(t, b, addrB)
	one := 40000<<16 | 40000
	for _, typ := range []sockets.Type{sockets.SOCK_STREAM, sockets.SOCK_DGRAM} {
		s := mustSocket(t, a, sockets.AF_INET, typ, 0)
		check(t, s.Bind(sockets.Inet4{Port: 40000}))
		other := mustSocket(t, a, sockets.AF_INET, typ, 0)
		check(t, other.SetSockOptInt(sockets.SOL_IP, sockets.IP_LOCAL_PORT_RANGE, one))
		wantErrno(t, other.Bind(sockets.Inet4{}), sockets.EADDRINUSE)
		if typ == sockets.SOCK_STREAM {
			wantErrno(t, other.Connect(addr), sockets.EADDRNOTAVAIL)
			continue
		}
		wantErrno(t, other.Connect(addr), sockets.EAGAIN)
		_, err := other.SendTo([]byte("x"), addr)
		wantErrno(t, err, sockets.EAGAIN)
	}
}
