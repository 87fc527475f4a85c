package sockets_test

import (
	"net/netip"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// C7 to C9, C13 to C15: one send with another TTL, TOS, source and interface; the
// next has the socket's own again.
func TestSendControl(t *testing.T) {
	a, b := pair(t)
	second := netip.MustParsePrefix("10.77.0.9/24")
	check(t, a.Stack().AddAddress(a.Stack().Interfaces()[1].Name, second))
	from, to := udpSocket(t, a), udpSocket(t, b)
	check(t, to.Bind(sockets.Inet4{Host: addrB, Port: 4000}))
	setInts(t, to, sockets.SOL_IP, sockets.IP_RECVTTL, sockets.IP_RECVTOS)
	dst := sockets.Inet4{Host: addrB, Port: 4000}
	info := func(local string) sockets.ControlMessage {
		return sockets.ControlPacketInfo(sockets.PacketInfo{Local: netip.MustParseAddr(local)})
	}
	for _, tc := range []struct {
		control  []sockets.ControlMessage
		ttl, tos int
		from     string
	}{
		{nil, 64, 0, addrA},
		{[]sockets.ControlMessage{sockets.ControlInt(sockets.SOL_IP, sockets.IP_TTL, 3)}, 3, 0, addrA},
		{[]sockets.ControlMessage{sockets.ControlInt(sockets.SOL_IP, sockets.IP_TOS, 0x13)}, 64, 0x13, addrA},
		{[]sockets.ControlMessage{{Level: sockets.SOL_IP, Type: sockets.IP_TOS, Data: []byte{8}}}, 64, 8, addrA},
		{[]sockets.ControlMessage{info("10.77.0.9")}, 64, 0, "10.77.0.9"},
		{[]sockets.ControlMessage{info("10.77.0.9"), sockets.ControlInt(sockets.SOL_IP, sockets.IP_TTL, 9),
			sockets.ControlInt(sockets.SOL_IPV6, sockets.IPV6_HOPLIMIT, 1)}, 9, 0, "10.77.0.9"},
		{nil, 64, 0, addrA},
	} {
		n, err := from.SendMsg(&sockets.Msg{Buffers: [][]byte{[]byte("he"), []byte("llo")}, Control: tc.control, Addr: dst})
		check(t, err)
		m := recvMsg(t, to)
		ttl, _ := m.Control[0].Int()
		tos, _ := m.Control[1].Int()
		if n != 5 || m.N != 5 || string(m.Buffers[0][:5]) != "hello" || ttl != tc.ttl || tos != tc.tos || m.Addr.(sockets.Inet4).Host != tc.from {
			t.Errorf("%v: %d bytes %q, TTL %d, TOS %d, from %v", tc.control, n, m.Buffers[0][:m.N], ttl, tos, m.Addr)
		}
	}
	for _, foreign := range []string{"8.8.8.8", "10.77.0.255", "255.255.255.255"} {
		_, err := from.SendMsg(&sockets.Msg{Control: []sockets.ControlMessage{info(foreign)}, Addr: dst})
		wantErrno(t, err, sockets.ENETUNREACH)
	}
	inside := udpSocket(t, a)
	check(t, inside.Bind(sockets.Inet4{Host: "127.0.0.1", Port: 4000}))
	_, err := from.SendMsg(&sockets.Msg{Control: []sockets.ControlMessage{info("127.0.0.5")}, Addr: sockets.Inet4{Host: "127.0.0.1", Port: 4000}})
	check(t, err)
	if m := recvMsg(t, inside); m.Addr.(sockets.Inet4).Host != "127.0.0.5" {
		t.Errorf("on the loopback: from %v, want 127.0.0.5", m.Addr)
	}
	_, err = from.SendMsg(&sockets.Msg{Addr: dst, Control: []sockets.ControlMessage{
		sockets.ControlPacketInfo(sockets.PacketInfo{Interface: 99}),
	}})
	wantErrno(t, err, sockets.ENODEV)
}

func TestSendControlIPv6(t *testing.T) {
	a, b := pair(t)
	check(t, a.Stack().AddAddress(a.Stack().Interfaces()[1].Name, netip.MustParsePrefix("fd77::9/64")))
	from := mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	to := mustSocket(t, b, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	check(t, to.Bind(sockets.Inet6{Host: addrB6, Port: 4000}))
	setInts(t, to, sockets.SOL_IPV6, sockets.IPV6_RECVHOPLIMIT, sockets.IPV6_RECVTCLASS)
	dst := sockets.Inet6{Host: addrB6, Port: 4000}
	control := []sockets.ControlMessage{
		sockets.ControlPacketInfo(sockets.PacketInfo{Local: netip.MustParseAddr("fd77::9")}),
		sockets.ControlInt(sockets.SOL_IPV6, sockets.IPV6_HOPLIMIT, 200),
		sockets.ControlInt(sockets.SOL_IPV6, sockets.IPV6_TCLASS, 0x44),
	}
	_, err := from.SendMsg(&sockets.Msg{Buffers: [][]byte{[]byte("x")}, Control: control, Addr: dst})
	check(t, err)
	m := recvMsg(t, to)
	hops, _ := m.Control[0].Int()
	class, _ := m.Control[1].Int()
	if hops != 200 || class != 0x44 || m.Addr.(sockets.Inet6).Host != "fd77::9" {
		t.Errorf("hop limit %d, class %#x, from %v", hops, class, m.Addr)
	}

	// V34: as on Linux the option's interface counts, and its address, which may
	// be anyone's, does not.
	foreign := sockets.ControlPacketInfo(sockets.PacketInfo{Local: netip.MustParseAddr("fd99::9")})
	check(t, from.SetSockOpt(sockets.SOL_IPV6, sockets.IPV6_PKTINFO, foreign.Data))
	must[int](t)(from.SendTo([]byte("y"), dst))
	if m := recvMsg(t, to); m.Addr.(sockets.Inet6).Host != addrA6 {
		t.Errorf("from %v with a foreign sticky address", m.Addr)
	}
	nowhere := sockets.ControlPacketInfo(sockets.PacketInfo{Interface: 99, Local: netip.IPv6Unspecified()})
	check(t, from.SetSockOpt(sockets.SOL_IPV6, sockets.IPV6_PKTINFO, nowhere.Data))
	_, err = from.SendTo([]byte("y"), dst)
	wantErrno(t, err, sockets.ENETUNREACH)
	check(t, from.SetSockOpt(sockets.SOL_IPV6, sockets.IPV6_PKTINFO, make([]byte, 20)))
	wantErrno(t, from.SetSockOpt(sockets.SOL_IPV6, sockets.IPV6_PKTINFO, make([]byte, 19)), sockets.EINVAL)
	_, err = from.GetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_PKTINFO)
	wantErrno(t, err, sockets.ENOPROTOOPT)
	_, err = from.SendMsg(&sockets.Msg{Control: []sockets.ControlMessage{foreign}, Addr: dst})
	wantErrno(t, err, sockets.EINVAL)
}

// C21: what Linux refuses is refused, what it skips is skipped.
func TestC21BadControl(t *testing.T) {
	a, _ := pair(t)
	v4 := udpSocket(t, a)
	v6 := mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	number := sockets.ControlInt
	for _, tc := range []struct {
		name string
		v6   bool
		m    sockets.ControlMessage
		want sockets.Errno
	}{
		{"TTL 0", false, number(sockets.SOL_IP, sockets.IP_TTL, 0), sockets.EINVAL},
		{"TTL 256", false, number(sockets.SOL_IP, sockets.IP_TTL, 256), sockets.EINVAL},
		{"TTL of one byte", false, sockets.ControlMessage{Level: sockets.SOL_IP, Type: sockets.IP_TTL, Data: []byte{1}}, sockets.EINVAL},
		{"TOS 256", false, number(sockets.SOL_IP, sockets.IP_TOS, 256), sockets.EINVAL},
		{"TOS of two bytes", false, sockets.ControlMessage{Level: sockets.SOL_IP, Type: sockets.IP_TOS, Data: []byte{1, 0}}, sockets.EINVAL},
		{"short PKTINFO", false, sockets.ControlMessage{Level: sockets.SOL_IP, Type: sockets.IP_PKTINFO, Data: make([]byte, 11)}, sockets.EINVAL},
		{"unknown of SOL_IP", false, number(sockets.SOL_IP, 99, 0), sockets.EINVAL},
		{"unknown of SOL_SOCKET", false, number(sockets.SOL_SOCKET, 99, 0), sockets.EINVAL},
		{"unknown of SOL_UDP", false, number(sockets.SOL_UDP, 99, 0), sockets.EINVAL},
		{"UDP_SEGMENT of four bytes", false, number(sockets.SOL_UDP, sockets.UDP_SEGMENT, 1), sockets.EINVAL},
		{"level 41 on AF_INET", false, number(sockets.SOL_IPV6, 99, 0), 0},
		{"foreign level", false, number(132, 1, 0), 0},
		{"SCM_RIGHTS outside AF_UNIX", false, number(sockets.SOL_SOCKET, sockets.SCM_RIGHTS, 0), 0},
		{"SCM_CREDENTIALS outside AF_UNIX", false, number(sockets.SOL_SOCKET, sockets.SCM_CREDENTIALS, 0), 0},
		{"SO_PRIORITY", false, number(sockets.SOL_SOCKET, sockets.SO_PRIORITY, 1), 0},
		{"SO_MARK", false, number(sockets.SOL_SOCKET, sockets.SO_MARK, 1), sockets.EPERM},
		{"hop limit 256", true, number(sockets.SOL_IPV6, sockets.IPV6_HOPLIMIT, 256), sockets.EINVAL},
		{"hop limit −1", true, number(sockets.SOL_IPV6, sockets.IPV6_HOPLIMIT, -1), 0},
		{"class 256", true, number(sockets.SOL_IPV6, sockets.IPV6_TCLASS, 256), sockets.EINVAL},
		{"unknown of SOL_IPV6", true, number(sockets.SOL_IPV6, 99, 0), sockets.EINVAL},
		{"no such interface", true, sockets.ControlPacketInfo(sockets.PacketInfo{Interface: 99, Local: netip.IPv6Unspecified()}), sockets.ENODEV},
		{"short IPV6_PKTINFO", true, sockets.ControlMessage{Level: sockets.SOL_IPV6, Type: sockets.IPV6_PKTINFO, Data: make([]byte, 19)}, sockets.EINVAL},
		{"level 0 on IPv6", true, number(sockets.SOL_IP, 99, 0), 0},
	} {
		s, dst := v4, sockets.Sockaddr(sockets.Inet4{Host: addrB, Port: 9})
		if tc.v6 {
			s, dst = v6, sockets.Inet6{Host: addrB6, Port: 9}
		}
		_, err := s.SendMsg(&sockets.Msg{Buffers: [][]byte{{1}}, Control: []sockets.ControlMessage{tc.m}, Addr: dst})
		if tc.want == 0 {
			if err != nil {
				t.Errorf("%s: %v", tc.name, err)
			}
			continue
		}
		wantErrno(t, err, tc.want)
	}
}
