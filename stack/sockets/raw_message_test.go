package sockets_test

import (
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/userstack/userstack/stack/sockets"
)

// Raw sockets: each that could have sent the packet hears of it, with what
// follows the IP header (raw_err).
func TestRawErrors(t *testing.T) {
	const gre = 47
	h, w := wired(t)
	raw := func() *sockets.Socket { return mustSocket(t, h, sockets.AF_INET, sockets.SOCK_RAW, gre) }
	wanting, connected, stranger := raw(), raw(), raw()
	setInts(t, wanting, sockets.SOL_IP, sockets.IP_RECVERR)
	check(t, connected.Connect(sockets.Inet4{Host: farAddr}))
	setInts(t, stranger, sockets.SOL_IP, sockets.IP_RECVERR)
	check(t, stranger.Connect(sockets.Inet4{Host: "192.0.2.77"}))
	must[int](t)(wanting.SendTo([]byte("12345678payload"), sockets.Inet4{Host: farAddr}))
	about := w.sent()
	for header.IPv4(about).Protocol() != gre {
		about = w.sent()
	}
	w.inject(icmp4("192.0.2.1", about, 3, 2, 0))
	m, e := queuedError(t, wanting, 99)
	want := sockets.ExtendedError{Errno: sockets.ENOPROTOOPT, Origin: sockets.SO_EE_ORIGIN_ICMP, Type: 3, Code: 2, Offender: sockets.Inet4{Host: "192.0.2.1"}}
	if e != want || m.Addr != sockets.Sockaddr(sockets.Inet4{Host: farAddr}) || string(m.Buffers[0][:m.N]) != "12345678payload" {
		t.Errorf("%+v about %q to %v", e, m.Buffers[0][:m.N], m.Addr)
	}
	if got := takeSOError(t, connected); got != sockets.ENOPROTOOPT {
		t.Errorf("the connected socket hears %v", got)
	}
	if ev := pollNow(t, stranger); ev&sockets.POLLERR != 0 {
		t.Error("a socket with another peer hears of it")
	}
}

// C7 and C9 on raw sockets: with IPv4 only, where netstack has no checksum to
// make.
func TestRawSendControl(t *testing.T) {
	const gre = 47
	h, w := wired(t)
	check(t, h.Stack().AddAddress(h.Stack().Interfaces()[1].Name, netip.MustParsePrefix("10.77.0.9/24")))
	s := mustSocket(t, h, sockets.AF_INET, sockets.SOCK_RAW, gre)
	check(t, s.Connect(sockets.Inet4{Host: farAddr}))
	control := []sockets.ControlMessage{
		sockets.ControlInt(sockets.SOL_IP, sockets.IP_TOS, 8),
		sockets.ControlPacketInfo(sockets.PacketInfo{Local: netip.MustParseAddr("10.77.0.9")}),
	}
	n, err := s.SendMsg(&sockets.Msg{Buffers: [][]byte{[]byte("raw")}, Control: control})
	check(t, err)
	p := w.sent()
	for header.IPv4(p).Protocol() != gre {
		p = w.sent()
	}
	tos, _ := header.IPv4(p).TOS()
	if n != 3 || tos != 8 || header.IPv4(p).SourceAddress() != addr4("10.77.0.9") || string(p[20:]) != "raw" {
		t.Errorf("sent %d bytes, % x", n, p)
	}

	six := mustSocket(t, h, sockets.AF_INET6, sockets.SOCK_RAW, gre)
	_, err = six.SendMsg(&sockets.Msg{Buffers: [][]byte{{1}}, Addr: sockets.Inet6{Host: farAddr6},
		Control: []sockets.ControlMessage{sockets.ControlInt(sockets.SOL_IPV6, sockets.IPV6_TCLASS, 8)}})
	wantErrno(t, err, sockets.EOPNOTSUPP)
}
