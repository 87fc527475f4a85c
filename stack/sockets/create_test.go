package sockets_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/userstack/userstack/dnsresolver/netdb"
	"github.com/userstack/userstack/stack/sockets"
)

// nextFD returns the number that the next socket gets: what it was before, when
// no socket was left open.
func nextFD(t testing.TB, h *sockets.Host) int {
	t.Helper()
	s := must[*sockets.Socket](t)(h.UDP())
	defer s.Close()
	return s.Fileno()
}

// serveAll accepts on l until it is closed.
func serveAll(l *sockets.Socket) {
	for {
		s, _, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer s.Close()
			for {
				p, err := s.Recv(1024)
				if err != nil || len(p) == 0 {
					return
				}
				if _, err := s.SendAll(p); err != nil {
					return
				}
			}
		}()
	}
}

// echoOnce sends a text and wants it back.
func echoOnce(t testing.TB, s *sockets.Socket) {
	t.Helper()
	must[int](t)(s.SendAll([]byte("Hello, world")))
	if p := must[[]byte](t)(s.Recv(1024)); string(p) != "Hello, world" {
		t.Errorf("received %q", p)
	}
}

// A1.8: the addresses are tried in order, the first that answers is taken, and
// the sockets of the others are closed.
func TestCreateConnection(t *testing.T) {
	a, b := dnsPair(t)
	l, addr := listener(t, b, addrB)
	go serveAll(l)
	free := nextFD(t, a)
	s := must[*sockets.Socket](t)(a.CreateConnection(sockets.HostPort{Host: "dead.example.test", Port: addr.Port}, nil))
	defer s.Close()
	if s.Fileno() != free {
		t.Errorf("descriptor %d, want %d: a failed socket is open", s.Fileno(), free)
	}
	if s.Timeout() != sockets.NoTimeout {
		t.Errorf("timeout %v", s.Timeout())
	}
	if peer := must[sockets.Sockaddr](t)(s.GetPeerName()); peer != sockets.Sockaddr(addr) {
		t.Errorf("connected to %v, want %v", peer, addr)
	}
	echoOnce(t, s)
}

// A1.8: timeout, source, and errors.
func TestCreateConnectionOptions(t *testing.T) {
	a, b := dnsPair(t)
	l, addr := listener(t, b, addrB)
	go serveAll(l)
	timeout := patience
	to := sockets.HostPort{Host: "only4.example.test", Port: addr.Port}
	s := must[*sockets.Socket](t)(a.CreateConnection(to, &sockets.ConnectOptions{
		Timeout: &timeout, Source: sockets.Inet4{Host: addrA, Port: 4444},
	}))
	defer s.Close()
	local := must[sockets.Sockaddr](t)(s.GetSockName())
	if s.Timeout() != timeout || local != sockets.Sockaddr(sockets.Inet4{Host: addrA, Port: 4444}) {
		t.Errorf("timeout %v, local address %v", s.Timeout(), local)
	}
	check(t, a.SetDefaultTimeout(patience))
	s = must[*sockets.Socket](t)(a.CreateConnection(to, &sockets.ConnectOptions{Source: sockets.Inet6{}})) // either family
	defer s.Close()
	if s.Timeout() != patience {
		t.Errorf("timeout %v, want the default", s.Timeout())
	}
	check(t, a.SetDefaultTimeout(sockets.NoTimeout))

	free := nextFD(t, a)
	_, err := a.CreateConnection(sockets.HostPort{Host: "nx.example.test", Port: 80}, nil)
	wantGAI(t, err, sockets.EAI_NONAME)
	_, err = a.CreateConnection(sockets.HostPort{Host: addrB, Port: 65536}, nil)
	wantErrno(t, err, sockets.EINVAL)
	_, err = a.CreateConnection(sockets.HostPort{Host: addrB, Port: 9}, nil)
	wantErrno(t, err, sockets.ECONNREFUSED)
	var e *sockets.Error
	if !errors.As(err, &e) || e.Remote != sockets.Sockaddr(sockets.Inet4{Host: addrB, Port: 9}) {
		t.Errorf("error %v is not of the last address", err)
	}
	_, err = a.CreateConnection(to, &sockets.ConnectOptions{Source: sockets.Inet4{Host: "192.0.2.1"}})
	wantErrno(t, err, sockets.EADDRNOTAVAIL)
	bad := -2 * time.Second
	_, err = a.CreateConnection(to, &sockets.ConnectOptions{Timeout: &bad})
	wantErrno(t, err, sockets.EINVAL)
	short := 10 * time.Millisecond
	_, err = a.CreateConnection(sockets.HostPort{Host: "10.77.0.99", Port: 80}, &sockets.ConnectOptions{Timeout: &short})
	if !errors.Is(err, sockets.ErrTimeout) {
		t.Errorf("nobody there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = a.CreateConnectionContext(ctx, sockets.HostPort{Host: "10.77.0.99", Port: 80}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if got := nextFD(t, a); got != free {
		t.Errorf("descriptor %d, want %d: a failed socket is open", got, free)
	}
	a.Close()
	_, err = a.CreateConnection(sockets.HostPort{Host: addrB, Port: 9}, nil)
	if !errors.Is(err, sockets.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// A12.5: what an address with a name stands for.
func TestResolveSockaddr(t *testing.T) {
	a, _ := dnsPair(t)
	for _, test := range []struct{ addr, want sockets.Sockaddr }{
		{sockets.Inet4{Host: "only4.example.test", Port: 80}, sockets.Inet4{Host: addrB, Port: 80}},
		{sockets.Inet4{Host: "127.1"}, sockets.Inet4{Host: "127.0.0.1"}},
		{sockets.Inet4{}, sockets.Inet4{Host: "0.0.0.0"}},
		{sockets.Inet4{Host: "<broadcast>", Port: 7}, sockets.Inet4{Host: "255.255.255.255", Port: 7}},
		{sockets.Inet6{Host: "only6.example.test", Port: 80}, sockets.Inet6{Host: addrB6, Port: 80}},
		{sockets.Inet6{Host: "fe80::1%lo"}, sockets.Inet6{Host: "fe80::1", ScopeID: 1}},
		{sockets.Inet6{Host: "fe80::1", ScopeID: 2}, sockets.Inet6{Host: "fe80::1", ScopeID: 2}},
	} {
		if got, err := a.ResolveSockaddr(t.Context(), test.addr); got != test.want || err != nil {
			t.Errorf("%v: %v, %v, want %v", test.addr, got, err, test.want)
		}
	}
	_, err := a.ResolveSockaddr(t.Context(), sockets.Inet4{Host: "nx.example.test"})
	wantGAI(t, err, sockets.EAI_NONAME)
	_, err = a.ResolveSockaddr(t.Context(), sockets.Inet4{Host: "only6.example.test"})
	wantGAI(t, err, sockets.EAI_NODATA)
	_, err = a.ResolveSockaddr(t.Context(), sockets.Inet4{Host: "*"})
	wantGAI(t, err, sockets.EAI_NONAME)
	_, err = a.ResolveSockaddr(t.Context(), sockets.Inet4{Port: 65536})
	wantErrno(t, err, sockets.EINVAL)
	for _, addr := range []sockets.Sockaddr{nil, otherAddr{}} {
		_, err = a.ResolveSockaddr(t.Context(), addr)
		wantErrno(t, err, sockets.EAFNOSUPPORT)
	}
	// A name in an address of Connect, from the hosts table and without DNS.
	h := configuredHost(t, sockets.Config{Hosts: netdb.ParseHosts([]byte("127.0.0.1 daring.cwi.nl\n"))})
	s := must[*sockets.Socket](t)(h.TCP())
	defer s.Close()
	wantErrno(t, s.Connect(sockets.Inet4{Host: "daring.cwi.nl", Port: 50007}), sockets.ECONNREFUSED)
}

// A15.3: the document's echo server, which listens on the first address that
// getaddrinfo gives for no host and AI_PASSIVE and that works.
func TestEchoServerOverGetAddrInfo(t *testing.T) {
	a, b := pair(t)
	list, err := b.GetAddrInfo("", "50007", &sockets.AddrInfoHints{Type: sockets.SOCK_STREAM, Flags: sockets.AI_PASSIVE})
	check(t, err)
	blocked := mustSocket(t, b, sockets.AF_INET, sockets.SOCK_STREAM, 0) // so that the first address does not work
	check(t, blocked.Bind(sockets.Inet4{Port: 50007}))
	check(t, blocked.Listen(1))
	var l *sockets.Socket
	tried := 0
	for _, e := range list {
		tried++
		s, err := b.Socket(e.Family, e.Type, e.Proto)
		if err != nil {
			continue
		}
		if e.Family == sockets.AF_INET6 {
			check(t, s.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_V6ONLY, 1))
		}
		if err := s.Bind(e.Addr); err != nil {
			s.Close()
			continue
		}
		if err := s.Listen(1); err != nil {
			s.Close()
			continue
		}
		l = s
		break
	}
	if l == nil || tried != 2 {
		t.Fatalf("%d addresses tried of %q", tried, entries(list))
	}
	go serveAll(l)
	s := must[*sockets.Socket](t)(a.CreateConnection(sockets.HostPort{Host: addrB6, Port: 50007}, nil))
	defer s.Close()
	echoOnce(t, s)
}

// A15.4: the document's echo client, which tries every address.
func TestEchoClientOverGetAddrInfo(t *testing.T) {
	a, b := dnsPair(t)
	l, addr := listener(t, b, addrB)
	go serveAll(l)
	list, err := a.GetAddrInfo("dead.example.test", fmt.Sprint(addr.Port), &sockets.AddrInfoHints{Type: sockets.SOCK_STREAM})
	check(t, err)
	var s *sockets.Socket
	for _, e := range list {
		c, err := a.Socket(e.Family, e.Type, e.Proto)
		if err != nil {
			continue
		}
		if err := c.Connect(e.Addr); err != nil {
			c.Close()
			continue
		}
		s = c
		break
	}
	if s == nil {
		t.Fatalf("no address of %q works", entries(list))
	}
	defer s.Close()
	echoOnce(t, s)
}

// A2.2 and A15.9: the address of the first entry is what Connect takes, with a
// type in the hints and without.
func TestConnectToFirstEntry(t *testing.T) {
	a, b := dnsPair(t)
	l, addr := listener(t, b, addrB)
	go serveAll(l)
	for _, hints := range []*sockets.AddrInfoHints{nil, {Type: sockets.SOCK_STREAM}, {Family: sockets.AF_INET, Type: sockets.SOCK_STREAM}} {
		list, err := a.GetAddrInfo("only4.example.test", fmt.Sprint(addr.Port), hints)
		check(t, err)
		s := tcpSocket(t, a)
		check(t, s.Connect(list[0].Addr))
		echoOnce(t, s)
	}
}
