package sockets_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// setInt and wantInt are the calls of most of these tests.
func setInt(t testing.TB, s *sockets.Socket, level, name, v int) {
	t.Helper()
	check(t, s.SetSockOptInt(level, name, v))
}

func wantInt(t testing.TB, s *sockets.Socket, level, name, want int) {
	t.Helper()
	if v := must[int](t)(s.GetSockOptInt(level, name)); v != want {
		t.Errorf("option %d of level %d is %d, want %d", name, level, v, want)
	}
}

func TestRcvLowat(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	setInt(t, client, sockets.SOL_SOCKET, sockets.SO_RCVLOWAT, 10)
	wantInt(t, client, sockets.SOL_SOCKET, sockets.SO_RCVLOWAT, 10)
	got := make(chan []byte, 1)
	go func() {
		p, _ := client.Recv(100)
		got <- p
	}()
	awaitBlocked(t, "Recv")
	must[int](t)(server.Send([]byte("four")))
	awaitBlocked(t, "Recv") // still
	must[int](t)(server.Send([]byte("six...")))
	if p := <-got; string(p) != "foursix..." {
		t.Errorf("received %q, want what makes 10 bytes", p)
	}

	must[int](t)(server.Send([]byte("few")))
	must[[]byte](t)(client.Recv(3, sockets.MSG_PEEK|sockets.MSG_WAITALL)) // they are there
	polled := []sockets.PollDesc{{Sock: client, In: sockets.POLLIN}}
	if n := must[int](t)(a.Poll(polled, 0)); n != 0 {
		t.Errorf("3 bytes make the socket ready: %v", polled[0].Out)
	}
	if p := must[[]byte](t)(client.Recv(2)); string(p) != "fe" {
		t.Errorf("received %q; a smaller buffer wants no more than it holds", p)
	}
	setInt(t, client, sockets.SOL_SOCKET, sockets.SO_RCVLOWAT, 1)
	if n := must[int](t)(a.Poll(polled, 0)); n != 1 {
		t.Error("with the default one byte does not make the socket ready")
	}
	setInt(t, client, sockets.SOL_SOCKET, sockets.SO_RCVLOWAT, 1000)
	check(t, server.Shutdown(sockets.SHUT_WR))
	if n := must[int](t)(a.Poll(polled, patience)); n != 1 {
		t.Error("the end does not make the socket ready")
	}
	if p := must[[]byte](t)(client.Recv(1000)); string(p) != "w" {
		t.Errorf("received %q before the end", p)
	}
}

// routedHost returns a host with a default route through a gateway.
func routedHost(t *testing.T) *sockets.Host {
	left, right := link.NewPipe(link.PipeConfig{})
	sink := mustSocket(t, newHost(t, right, addrB, addrB6), sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	check(t, sink.Bind(sockets.Inet6{Port: 9})) // or errors come back
	s := must[*stack.Stack](t)(stack.New(stack.Config{
		NICs: []stack.NIC{{Link: left, Addrs: []netip.Prefix{netip.MustParsePrefix(addrA + "/24"), netip.MustParsePrefix(addrA6 + "/64")}}},
		Routes: []stack.Route{
			{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr(addrB)},
			{Dst: netip.MustParsePrefix("::/0"), Gateway: netip.MustParseAddr(addrB6)},
		},
	}))
	h := must[*sockets.Host](t)(sockets.New(sockets.Config{Stack: s}))
	t.Cleanup(func() {
		h.Close()
		s.Close()
	})
	return h
}

func TestDontRoute(t *testing.T) {
	h := routedHost(t)
	for _, tc := range []struct {
		family    sockets.Family
		near, far sockets.Sockaddr
	}{
		{sockets.AF_INET, sockets.Inet4{Host: addrB, Port: 9}, sockets.Inet4{Host: "192.0.2.1", Port: 9}},
		{sockets.AF_INET6, sockets.Inet6{Host: addrB6, Port: 9}, sockets.Inet6{Host: "2001:db8::1", Port: 9}},
	} {
		s := mustSocket(t, h, tc.family, sockets.SOCK_DGRAM, 0)
		must[int](t)(s.SendTo([]byte("x"), tc.far))
		setInt(t, s, sockets.SOL_SOCKET, sockets.SO_DONTROUTE, 1)
		_, err := s.SendTo([]byte("x"), tc.far)
		wantErrno(t, err, sockets.ENETUNREACH)
		wantErrno(t, s.Connect(tc.far), sockets.ENETUNREACH)
		must[int](t)(s.SendTo([]byte("x"), tc.near))
		c := mustSocket(t, h, tc.family, sockets.SOCK_STREAM, 0)
		setInt(t, c, sockets.SOL_SOCKET, sockets.SO_DONTROUTE, 1)
		wantErrno(t, c.Connect(tc.far), sockets.ENETUNREACH)
	}
}

func TestFactsOfSockets(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	cookie := func(s *sockets.Socket, name int) string {
		return string(must[[]byte](t)(s.GetSockOpt(sockets.SOL_SOCKET, name, 8)))
	}
	if c := cookie(client, sockets.SO_COOKIE); c != cookie(client, sockets.SO_COOKIE) || c == cookie(server, sockets.SO_COOKIE) {
		t.Error("a cookie is not the socket's own")
	}
	if c := cookie(client, sockets.SO_NETNS_COOKIE); c != cookie(tcpSocket(t, a), sockets.SO_NETNS_COOKIE) ||
		c == cookie(server, sockets.SO_NETNS_COOKIE) {
		t.Error("the cookie of the network namespace is not the Host's")
	}
	name := must[[]byte](t)(client.GetSockOpt(sockets.SOL_SOCKET, sockets.SO_PEERNAME, 16))
	peer := must[sockets.Sockaddr](t)(client.GetPeerName()).(sockets.Inet4)
	want := append([]byte{2, 0, byte(peer.Port >> 8), byte(peer.Port), 10, 77, 0, 2}, make([]byte, 8)...)
	if !bytes.Equal(name, want) {
		t.Errorf("SO_PEERNAME = % x, want % x", name, want)
	}
	_, err := client.GetSockOpt(sockets.SOL_SOCKET, sockets.SO_PEERNAME, 17)
	wantErrno(t, err, sockets.EINVAL) // Linux's check is the other way round

	u := udpSocket(t, b)
	check(t, u.Bind(sockets.Inet4{Host: addrB}))
	must[int](t)(udpSocket(t, a).SendTo(make([]byte, 100), must[sockets.Sockaddr](t)(u.GetSockName())))
	must[[]byte](t)(u.Recv(1, sockets.MSG_PEEK))
	info := must[[]byte](t)(u.GetSockOpt(sockets.SOL_SOCKET, sockets.SO_MEMINFO, 36))
	for i, want := range map[int]uint32{0: 832, 1: 212992, 3: 212992, 8: 0} { // charged, SO_RCVBUF, SO_SNDBUF, drops
		if v := binary.LittleEndian.Uint32(info[4*i:]); v != want {
			t.Errorf("SO_MEMINFO[%d] is %d, want %d", i, v, want)
		}
	}
	wantInt(t, u, sockets.SOL_IP, sockets.IP_PROTOCOL, must[sockets.Sockaddr](t)(u.GetSockName()).(sockets.Inet4).Port)
}

func TestPeerNameOfUnix(t *testing.T) {
	a, _ := pair(t)
	for name, want := range map[string]string{"/tmp/name": "\x01\x00/tmp/name\x00", "\x00abstract": "\x01\x00\x00abstract"} {
		l := mustSocket(t, a, sockets.AF_UNIX, sockets.SOCK_STREAM, 0)
		check(t, l.Bind(sockets.UnixAddr{Name: name}))
		check(t, l.Listen(1))
		c := mustSocket(t, a, sockets.AF_UNIX, sockets.SOCK_STREAM, 0)
		wantErrno(t, second(c.GetSockOpt(sockets.SOL_SOCKET, sockets.SO_PEERNAME, 2)), sockets.ENOTCONN)
		check(t, c.Connect(sockets.UnixAddr{Name: name}))
		s, _, err := l.Accept()
		check(t, err)
		defer s.Close()
		if v := must[[]byte](t)(c.GetSockOpt(sockets.SOL_SOCKET, sockets.SO_PEERNAME, len(want))); string(v) != want {
			t.Errorf("SO_PEERNAME is %q, want %q", v, want)
		}
		if v := must[[]byte](t)(s.GetSockOpt(sockets.SOL_SOCKET, sockets.SO_PEERNAME, 2)); string(v) != "\x01\x00" {
			t.Errorf("SO_PEERNAME of a peer without a name is %q", v)
		}
	}
}

func TestBufferSizes(t *testing.T) {
	a, _ := pair(t)
	u := udpSocket(t, a)
	wantInt(t, u, sockets.SOL_SOCKET, sockets.SO_BUF_LOCK, 0)
	setInt(t, u, sockets.SOL_SOCKET, sockets.SO_RCVBUF, 1<<30)
	wantInt(t, u, sockets.SOL_SOCKET, sockets.SO_RCVBUF, 425984)
	wantInt(t, u, sockets.SOL_SOCKET, sockets.SO_BUF_LOCK, 2)
	setInt(t, u, sockets.SOL_SOCKET, sockets.SO_RCVBUFFORCE, 8<<20)
	wantInt(t, u, sockets.SOL_SOCKET, sockets.SO_RCVBUF, 16<<20)
	setInt(t, u, sockets.SOL_SOCKET, sockets.SO_SNDBUFFORCE, 8<<20)
	wantInt(t, u, sockets.SOL_SOCKET, sockets.SO_SNDBUF, 16<<20)
	wantInt(t, u, sockets.SOL_SOCKET, sockets.SO_BUF_LOCK, 3)
	ops := sockets.EndpointOf(u).SocketOptions()
	if ops.GetReceiveBufferSize() != 16<<20 || ops.GetSendBufferSize() != 16<<20 {
		t.Errorf("netstack has %d and %d", ops.GetReceiveBufferSize(), ops.GetSendBufferSize())
	}
}

func TestBindToIndex(t *testing.T) {
	a, _ := pair(t)
	s := udpSocket(t, a)
	wantInt(t, s, sockets.SOL_SOCKET, sockets.SO_BINDTOIFINDEX, 0)
	setInt(t, s, sockets.SOL_SOCKET, sockets.SO_BINDTOIFINDEX, 1)
	name := must[[]byte](t)(s.GetSockOpt(sockets.SOL_SOCKET, sockets.SO_BINDTODEVICE, 16))
	if string(name) != "lo\x00" {
		t.Errorf("SO_BINDTODEVICE = %q", name)
	}
	_, err := s.GetSockOpt(sockets.SOL_SOCKET, sockets.SO_BINDTODEVICE, 15)
	wantErrno(t, err, sockets.EINVAL)
	check(t, s.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_BINDTODEVICE, []byte("tun0\x00junk")))
	wantInt(t, s, sockets.SOL_SOCKET, sockets.SO_BINDTOIFINDEX, 2)
	wantErrno(t, s.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_BINDTOIFINDEX, 77), sockets.ENODEV)
	wantErrno(t, s.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_BINDTOIFINDEX, -1), sockets.EINVAL)
	wantErrno(t, s.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_BINDTODEVICE, []byte("eth9")), sockets.ENODEV)
	wantInt(t, s, sockets.SOL_SOCKET, sockets.SO_BINDTOIFINDEX, 2)
	check(t, s.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_BINDTODEVICE, nil))
	wantInt(t, s, sockets.SOL_SOCKET, sockets.SO_BINDTOIFINDEX, 0)
}

// T39: what netstack lacks is refused in words, or recorded.
func TestT39Refusals(t *testing.T) {
	a, _ := pair(t)
	s := tcpSocket(t, a)
	for _, tc := range []struct {
		level, name int
		value       []byte
		want        sockets.Errno
	}{
		{sockets.SOL_TCP, sockets.TCP_MD5SIG, make([]byte, 216), sockets.ENOPROTOOPT},
		{sockets.SOL_TCP, sockets.TCP_REPAIR, []byte{1, 0, 0, 0}, sockets.ENOPROTOOPT},
		{sockets.SOL_TCP, sockets.TCP_ULP, []byte("tls"), sockets.ENOENT},
		{sockets.SOL_SOCKET, sockets.SO_ZEROCOPY, []byte{1, 0, 0, 0}, sockets.EOPNOTSUPP},
		{sockets.SOL_SOCKET, sockets.SO_OOBINLINE, []byte{0, 0, 0, 0}, sockets.EOPNOTSUPP},
		{sockets.SOL_SOCKET, sockets.SO_ATTACH_FILTER, []byte{6, 0, 0, 0, 1, 0, 0, 0}, sockets.ENOPROTOOPT},
		{sockets.SOL_SOCKET, sockets.SO_MAX_PACING_RATE, []byte{0, 0, 1, 0}, sockets.ENOPROTOOPT},
		{sockets.SOL_IP, sockets.IP_OPTIONS, []byte{1, 1, 1, 0}, sockets.ENOPROTOOPT},
		{sockets.SOL_IP, sockets.IP_TRANSPARENT, []byte{1, 0, 0, 0}, sockets.ENOPROTOOPT},
	} {
		err := s.SetSockOpt(tc.level, tc.name, tc.value)
		wantErrno(t, err, tc.want)
		label := ""
		for _, row := range sockets.OptionRows() {
			if row.Level == tc.level && row.Name == tc.name {
				label = row.Label
			}
		}
		if !errors.Is(err, sockets.ErrUnsupported) || !bytes.Contains([]byte(err.Error()), []byte(label+" is refused by userstack")) {
			t.Errorf("%v does not say that userstack lacks %s", err, label)
		}
	}
	for _, name := range []int{sockets.TCP_QUICKACK, sockets.TCP_FASTOPEN, sockets.TCP_NOTSENT_LOWAT} {
		setInt(t, s, sockets.SOL_TCP, name, 1)
		wantInt(t, s, sockets.SOL_TCP, name, 1)
	}
}
