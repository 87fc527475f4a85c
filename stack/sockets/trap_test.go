package sockets_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// Traps that have no test beside the feature that they concern.

// T10: without a loopback interface 127.0.0.1 would leave by the default route,
// and so would the host's own addresses.
func TestT10OwnAddressesStayInside(t *testing.T) {
	left, right := link.NewPipe(link.PipeConfig{})
	t.Cleanup(right.Close)
	s, err := stack.New(stack.Config{
		NICs:   []stack.NIC{{Name: "tun0", Link: left, Addrs: []netip.Prefix{netip.MustParsePrefix(addrA + "/24")}}},
		Routes: []stack.Route{{Dst: netip.MustParsePrefix("0.0.0.0/0"), NIC: "tun0"}},
	})
	check(t, err)
	h, err := sockets.New(sockets.Config{Stack: s})
	check(t, err)
	t.Cleanup(func() { h.Close(); s.Close() })
	for _, own := range []string{"127.0.0.1", "127.5.5.5", addrA} {
		l, addr := listener(t, h, own)
		client := tcpSocket(t, h)
		check(t, client.Connect(addr, sockets.Within(patience)))
		check(t, client.Close())
		check(t, l.Close())
	}
	before := right.Stats()
	check(t, udpSocket(t, h).Connect(sockets.Inet4{Host: addrB, Port: 9}))
	if n := before.Delivered + before.Detached; n != 0 {
		t.Errorf("%d packets for the host itself left it", n)
	}
	s6 := mustSocket(t, h, sockets.AF_INET6, sockets.SOCK_STREAM, 0)
	check(t, s6.Bind(sockets.Inet6{Host: "::1"}))
	check(t, s6.Listen(1))
	check(t, mustSocket(t, h, sockets.AF_INET6, sockets.SOCK_STREAM, 0).Connect(must[sockets.Sockaddr](t)(s6.GetSockName())))
}

// T17: Nagle's algorithm is on, the congestion control CUBIC, and ports are
// Linux's.
func TestT17Defaults(t *testing.T) {
	a, b := pair(t)
	client, _ := connected(t, a, b)
	if v := must[int](t)(client.GetSockOptInt(sockets.SOL_TCP, sockets.TCP_NODELAY)); v != 0 {
		t.Errorf("TCP_NODELAY is %d", v)
	}
	name := must[[]byte](t)(client.GetSockOpt(sockets.SOL_TCP, sockets.TCP_CONGESTION, 16))
	if cc := string(bytes.TrimRight(name, "\x00")); cc != "cubic" {
		t.Errorf("TCP_CONGESTION is %q", cc)
	}
	local := must[sockets.Sockaddr](t)(client.GetSockName()).(sockets.Inet4)
	u := udpSocket(t, a)
	check(t, u.Bind(sockets.Inet4{}))
	for _, port := range []int{local.Port, must[sockets.Sockaddr](t)(u.GetSockName()).(sockets.Inet4).Port} {
		if port < 32768 || port > 60999 {
			t.Errorf("port %d, want one of 32768 to 60999", port)
		}
	}
}

// T19: receiving into an empty buffer takes nothing and does not wait.
func TestT19EmptyBuffer(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	if p := must[[]byte](t)(client.Recv(0)); len(p) != 0 {
		t.Errorf("received %q into nothing", p)
	}
	must[int](t)(server.Send([]byte("kept")))
	awaitReadable(t, client, 4)
	if n := must[int](t)(client.RecvInto(nil)); n != 0 {
		t.Errorf("received %d bytes into nothing", n)
	}
	if p := must[[]byte](t)(client.Recv(9)); string(p) != "kept" {
		t.Errorf("received %q", p)
	}
	from, to := udpSocket(t, a), udpSocket(t, b)
	check(t, to.Bind(sockets.Inet4{Host: addrB, Port: 99}))
	if n, sender, err := to.RecvFromInto(nil); n != 0 || sender != nil || err != nil {
		t.Errorf("%d bytes from %v, %v", n, sender, err)
	}
	must[int](t)(from.SendTo([]byte("kept"), sockets.Inet4{Host: addrB, Port: 99}))
	awaitReadable(t, to, 4)
	must[[]byte](t)(to.Recv(0))
	if p := must[[]byte](t)(to.Recv(9)); string(p) != "kept" {
		t.Errorf("received %q", p)
	}
}

// T24: who is blocked when a socket closes sees that it is closed, not the end of
// the stream; the endpoint is closed once, with the last descriptor.
func TestT24CloseIsNotTheEnd(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	l, _ := listener(t, b, addrB)
	errs := make(chan error, 3)
	go func() { _, err := client.Recv(1); errs <- err }()
	go func() { _, err := client.Read(make([]byte, 1)); errs <- err }()
	go func() { _, _, err := l.Accept(); errs <- err }()
	awaitBlocked(t, "recv", 2)
	awaitBlocked(t, "accept")
	again := must[*sockets.Socket](t)(client.Dup())
	check(t, client.Close())
	check(t, l.Close())
	for range 3 {
		if err := <-errs; !errors.Is(err, sockets.ErrClosed) || !errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
			t.Errorf("a blocked call ended with %v, want ErrClosed", err)
		}
	}
	must[int](t)(again.Send([]byte("open"))) // a descriptor is left
	if p := must[[]byte](t)(server.Recv(9)); string(p) != "open" {
		t.Errorf("received %q", p)
	}
	check(t, client.Close())
	check(t, again.Close())
	if p := must[[]byte](t)(server.Recv(9)); len(p) != 0 {
		t.Errorf("received %q, want the end", p)
	}
}

// T26: netstack's writes may take a part, or nothing, without saying so.
func TestT26WritesAreWhole(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	if n, err := client.Send(nil); n != 0 || err != nil {
		t.Errorf("sending nothing: %d, %v", n, err)
	}
	want := randomBytes(26, 24<<20) // more than any buffer
	got := make(chan []byte, 1)
	go func() { p, _ := server.ReadAll(); got <- p }()
	if n := must[int](t)(client.Send(want[:16<<20])); n != 16<<20 {
		t.Errorf("a blocking socket sent %d bytes", n)
	}
	if n := must[int](t)(client.SendAll(want[16<<20:], sockets.Within(patience))); n != 8<<20 {
		t.Errorf("SendAll sent %d bytes", n)
	}
	check(t, client.Close())
	if p := <-got; !bytes.Equal(p, want) {
		t.Errorf("%d bytes came, want %d, or other ones", len(p), len(want))
	}
}

// T29: net's interfaces keep the errno, tell a local close from the end of the
// stream, and turn Nagle's algorithm off as package net does.
func TestT29NetErrors(t *testing.T) {
	a, b := pair(t)
	_, err := a.DialContext(t.Context(), "tcp", addrB+":1")
	if !errors.Is(err, sockets.ECONNREFUSED) {
		t.Errorf("dialing a closed port: %v", err)
	}
	l := must[net.Listener](t)(b.Listen("tcp", addrB+":0"))
	c := must[net.Conn](t)(a.DialContext(t.Context(), "tcp", l.Addr().String()))
	for _, end := range []net.Conn{c, must[net.Conn](t)(l.Accept())} {
		wantInt(t, end.(*sockets.Conn).Socket(), sockets.SOL_TCP, sockets.TCP_NODELAY, 1)
	}
	errs := make(chan error, 2)
	go func() { _, err := c.Read(make([]byte, 1)); errs <- err }()
	awaitBlocked(t, "recv")
	check(t, c.Close())
	check(t, l.Close())
	go func() { _, err := l.Accept(); errs <- err }()
	for range 2 {
		if err := <-errs; !errors.Is(err, net.ErrClosed) {
			t.Errorf("after a local close: %v, want net.ErrClosed", err)
		}
	}
}

// T32: port 0 is an address that nobody has.
func TestT32PortZero(t *testing.T) {
	a, _ := pair(t)
	u := udpSocket(t, a)
	_, err := u.SendTo([]byte("x"), sockets.Inet4{Host: addrB})
	wantErrno(t, err, sockets.EINVAL)
	check(t, u.Connect(sockets.Inet4{Host: addrB}))
	_, err = u.GetPeerName()
	wantErrno(t, err, sockets.ENOTCONN)
	wantErrno(t, tcpSocket(t, a).Connect(sockets.Inet4{Host: addrB}), sockets.ECONNREFUSED)
}

// T33: a socket may connect to itself; the choice of a free port avoids it.
func TestT33SelfConnect(t *testing.T) {
	a, _ := pair(t)
	s := tcpSocket(t, a)
	check(t, s.Bind(sockets.Inet4{Host: "127.0.0.1", Port: 40000}))
	check(t, s.Connect(sockets.Inet4{Host: "127.0.0.1", Port: 40000}, sockets.Within(patience)))
	must[int](t)(s.Send([]byte("me")))
	if p := must[[]byte](t)(s.Recv(9)); string(p) != "me" {
		t.Errorf("received %q from itself", p)
	}
	if l, p := must[sockets.Sockaddr](t)(s.GetSockName()), must[sockets.Sockaddr](t)(s.GetPeerName()); l != p {
		t.Errorf("%v is connected to %v", l, p)
	}
}

// T38: a new IPv6 address is good at once, as there is no duplicate address
// detection.
func TestT38AddressIsNotTentative(t *testing.T) {
	left, right := link.NewPipe(link.PipeConfig{})
	t.Cleanup(right.Close)
	s, err := stack.New(stack.Config{NICs: []stack.NIC{{Name: "tun0", Link: left}}})
	check(t, err)
	h, err := sockets.New(sockets.Config{Stack: s})
	check(t, err)
	t.Cleanup(func() { h.Close(); s.Close() })
	check(t, s.AddAddress("tun0", netip.MustParsePrefix("2001:db8::7/64")))
	check(t, mustSocket(t, h, sockets.AF_INET6, sockets.SOCK_STREAM, 0).Bind(sockets.Inet6{Host: "2001:db8::7"}))
}

// T40: to an IPV6_V6ONLY socket a mapped address is an unreachable network, and
// the option cannot be set any more once the socket is bound.
func TestT40V6Only(t *testing.T) {
	a, _ := pair(t)
	mapped := sockets.Inet6{Host: "::ffff:" + addrB, Port: 9}
	for _, typ := range []sockets.Type{sockets.SOCK_STREAM, sockets.SOCK_DGRAM} {
		s := mustSocket(t, a, sockets.AF_INET6, typ, 0)
		check(t, s.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_V6ONLY, 1))
		wantErrno(t, s.Connect(mapped), sockets.ENETUNREACH)
		if typ == sockets.SOCK_DGRAM {
			_, err := s.SendTo([]byte("x"), mapped)
			wantErrno(t, err, sockets.ENETUNREACH)
		}
		s = mustSocket(t, a, sockets.AF_INET6, typ, 0) // calls that fail have taken a port for the other
		check(t, s.Bind(sockets.Inet6{}))
		wantErrno(t, s.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_V6ONLY, 0), sockets.EINVAL)
	}
}

// T42: what is lost on our own side is counted.
func TestT42LossIsCounted(t *testing.T) {
	left, right := link.NewPipe(link.PipeConfig{})
	a := newHost(t, left, addrA, addrA6)
	counted, err := stack.New(stack.Config{NICs: []stack.NIC{{Link: right, Addrs: []netip.Prefix{netip.MustParsePrefix(addrB + "/24")}}}})
	check(t, err)
	b, err := sockets.New(sockets.Config{Stack: counted})
	check(t, err)
	t.Cleanup(func() { b.Close(); counted.Close() })
	s := udpSocket(t, b)
	check(t, s.Bind(sockets.Inet4{Host: addrB, Port: 99}))
	check(t, s.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096))
	from := udpSocket(t, a)
	for range 20 {
		must[int](t)(from.SendTo(make([]byte, 100), sockets.Inet4{Host: addrB, Port: 99}))
	}
	const memDrops = 8 // SK_MEMINFO_DROPS
	dropped := func() int {
		info := must[[]byte](t)(s.GetSockOpt(sockets.SOL_SOCKET, sockets.SO_MEMINFO, 36))
		return int(info[4*memDrops])
	}
	for end := time.Now().Add(patience); dropped() == 0; {
		if time.Now().After(end) {
			t.Fatal("nothing is dropped from a buffer of 8 KiB")
		}
	}
	received := 0
	for end := time.Now().Add(patience); dropped()+received < 20 && time.Now().Before(end); {
		if _, err := s.Recv(100, sockets.Within(time.Millisecond)); err == nil {
			received++
		}
	}
	if n := dropped(); n+received != 20 || counted.Stats().UDP.Dropped != uint64(n) {
		t.Errorf("%d datagrams received and %d dropped of 20, the stack counts %d", received, n, counted.Stats().UDP.Dropped)
	}
}
