package sockets_test

import (
	"testing"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/sockets"
)

// pingSocket returns a ping socket (icmp(7)) of a family.
func pingSocket(t *testing.T, h *sockets.Host, f sockets.Family) *sockets.Socket {
	t.Helper()
	p := map[sockets.Family]sockets.Protocol{sockets.AF_INET: sockets.IPPROTO_ICMP, sockets.AF_INET6: sockets.IPPROTO_ICMPV6}[f]
	return mustSocket(t, h, f, sockets.SOCK_DGRAM|sockets.SOCK_NONBLOCK, p)
}

// A ping socket sends echo requests alone, with its port as the identifier, and
// gets its own replies.
func TestPingSocket(t *testing.T) {
	a, b := pair(t)
	watch := rawSocket(t, b, sockets.AF_INET, sockets.IPPROTO_ICMP)
	for _, tc := range []struct {
		f              sockets.Family
		own, to        sockets.Sockaddr
		request, reply byte
	}{
		{sockets.AF_INET, sockets.Inet4{Host: addrA, Port: 777}, sockets.Inet4{Host: addrB}, 8, 0},
		{sockets.AF_INET6, sockets.Inet6{Host: addrA6, Port: 777}, sockets.Inet6{Host: addrB6}, 128, 129},
	} {
		s := pingSocket(t, a, tc.f)
		_, err := s.GetPeerName()
		wantErrno(t, err, sockets.ENOTCONN)
		check(t, s.Bind(tc.own))
		_, err = s.Send(echo(tc.request, 1))
		wantErrno(t, err, sockets.EDESTADDRREQ)
		wantErrno(t, s.Bind(tc.own), sockets.EINVAL)
		if name := must[sockets.Sockaddr](t)(s.GetSockName()); name != tc.own {
			t.Errorf("the name is %v, want %v", name, tc.own)
		}
		wantErrno(t, pingSocket(t, a, tc.f).Bind(tc.own), sockets.EADDRINUSE)
		for _, bad := range [][]byte{echo(tc.reply, 1), {tc.request, 1, 0, 0, 0, 0, 0, 1}, echo(tc.request, 1)[:7], nil} {
			_, err := s.SendTo(bad, tc.to)
			wantErrno(t, err, sockets.EINVAL)
		}
		must[int](t)(s.SendTo(append(echo(tc.request, 9), "data"...), tc.to))
		p, from := receive(t, s)
		if p[0] != tc.reply || p[4] != 777>>8 || p[5] != 777&0xff || string(p[7:]) != "\x09data" || from != tc.to {
			t.Errorf("received %x from %v", p, from)
		}
	}
	if p, _ := receive(t, watch); p[20] != 8 || p[24] != 777>>8 {
		t.Errorf("the peer saw %x", p)
	}
}

// Netstack fails a second connect to one peer, and never gives an identifier
// back that was bound or connected before; Linux does neither.
func TestPingConnect(t *testing.T) {
	a, _ := pair(t)
	s := pingSocket(t, a, sockets.AF_INET)
	own := sockets.Inet4{Host: addrA, Port: 777}
	check(t, s.Bind(own))
	peer := func(port int) sockets.Inet4 { return sockets.Inet4{Host: addrB, Port: port} }
	check(t, s.Connect(peer(0)))
	_, err := s.GetPeerName()
	wantErrno(t, err, sockets.ENOTCONN)
	check(t, s.Connect(peer(9)))
	if p := must[sockets.Sockaddr](t)(s.GetPeerName()); p != peer(9) {
		t.Errorf("the peer is %v", p)
	}
	check(t, s.Connect(peer(9)))
	check(t, s.Connect(sockets.Inet4{Host: addrA}))
	check(t, s.Connect(peer(0)))
	if name := must[sockets.Sockaddr](t)(s.GetSockName()); name != own {
		t.Errorf("the name is %v, want %v", name, own)
	}
	must[int](t)(s.Send(echo(8, 1)))
	if p, from := receive(t, s); p[0] != 0 || from != (sockets.Inet4{Host: addrB}) {
		t.Errorf("received %x from %v", p, from)
	}
	check(t, s.Connect(nil))
	check(t, s.Close())
	again := pingSocket(t, a, sockets.AF_INET)
	check(t, again.Bind(own)) // nothing of the first is left
	check(t, again.Connect(peer(0)))

	fresh := pingSocket(t, a, sockets.AF_INET)
	check(t, fresh.Connect(peer(0)))
	id := must[sockets.Sockaddr](t)(fresh.GetSockName()).(sockets.Inet4)
	if id.Host != addrA || id.Port == 0 {
		t.Errorf("the name is %v", id)
	}
	wantErrno(t, fresh.Bind(own), sockets.EINVAL)
	check(t, fresh.Close())
	check(t, pingSocket(t, a, sockets.AF_INET).Bind(id))

	six := pingSocket(t, a, sockets.AF_INET6)
	wantErrno(t, six.Bind(sockets.Inet6{Host: "::ffff:" + addrA}), sockets.EINVAL)
	wantErrno(t, six.Connect(sockets.Inet6{Host: "::ffff:" + addrB}), sockets.ENETUNREACH)
	_, err = six.SendTo(echo(128, 1), sockets.Inet6{Host: "::ffff:" + addrB})
	wantErrno(t, err, sockets.EINVAL)
}

// A connect that fails leaves a bound ping socket as it was.
func TestPingConnectFails(t *testing.T) {
	st := must[*stack.Stack](t)(stack.New(stack.Config{}))
	h := must[*sockets.Host](t)(sockets.New(sockets.Config{Stack: st}))
	t.Cleanup(func() {
		h.Close()
		st.Close()
	})
	s := pingSocket(t, h, sockets.AF_INET)
	check(t, s.Bind(sockets.Inet4{Port: 777}))
	wantErrno(t, s.Connect(sockets.Inet4{Host: "192.0.2.1"}), sockets.ENETUNREACH)
	must[int](t)(s.SendTo(echo(8, 3), sockets.Inet4{Host: "127.0.0.1"}))
	if p, _ := receive(t, s); p[0] != 0 || p[7] != 3 {
		t.Errorf("received %x", p)
	}
}
