package sockets_test

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// setInts sets options to 1.
func setInts(t testing.TB, s *sockets.Socket, level int, names ...int) {
	t.Helper()
	for _, name := range names {
		check(t, s.SetSockOptInt(level, name, 1))
	}
}

// recvMsg receives with room for anything.
func recvMsg(t testing.TB, s *sockets.Socket, opts ...sockets.CallOption) *sockets.Msg {
	t.Helper()
	return must[*sockets.Msg](t)(s.RecvMsg([][]byte{make([]byte, 2048)}, 1024, append(opts, sockets.Within(patience))...))
}

// kindsOf writes the levels and types of control messages, in order.
func kindsOf(ms []sockets.ControlMessage) string {
	var b strings.Builder
	for _, m := range ms {
		b.WriteString(" " + strconv.Itoa(m.Level) + "," + strconv.Itoa(m.Type))
	}
	return strings.TrimSpace(b.String())
}

// C1 to C4, C7 to C10: what IPv4 packets carry, in the order that Linux 6.18
// gives, whatever the order of asking.
func TestAncillaryIPv4(t *testing.T) {
	a, b := pair(t)
	from, to := udpSocket(t, a), udpSocket(t, b)
	check(t, to.Bind(sockets.Inet4{Host: addrB, Port: 4000}))
	setInts(t, to, sockets.SOL_IP, sockets.IP_RECVORIGDSTADDR, sockets.IP_RECVTOS, sockets.IP_RECVTTL, sockets.IP_PKTINFO)
	setInts(t, to, sockets.SOL_SOCKET, sockets.SO_TIMESTAMP)
	check(t, from.SetSockOptInt(sockets.SOL_IP, sockets.IP_TOS, 0x2e))
	check(t, from.SetSockOptInt(sockets.SOL_IP, sockets.IP_TTL, 7))
	before := time.Now().Add(-time.Second)
	must[int](t)(from.SendTo([]byte("x"), sockets.Inet4{Host: addrB, Port: 4000}))

	m := recvMsg(t, to)
	if got, want := kindsOf(m.Control), "1,29 0,8 0,2 0,1 0,20"; got != want {
		t.Fatalf("control messages %s, want %s", got, want)
	}
	if when, ok := m.Control[0].Time(); !ok || when.Before(before) || when.After(time.Now().Add(time.Second)) {
		t.Errorf("arrived at %v, ok %v", when, ok)
	}
	if p, ok := m.Control[1].PacketInfo(); !ok || p.Interface == 0 || p.Local != netip.MustParseAddr(addrB) || p.Addr != p.Local {
		t.Errorf("IP_PKTINFO %+v %v", p, ok)
	}
	if ttl, _ := m.Control[2].Int(); ttl != 7 || len(m.Control[2].Data) != 4 {
		t.Errorf("IP_TTL % x", m.Control[2].Data)
	}
	if tos, _ := m.Control[3].Int(); tos != 0x2e || len(m.Control[3].Data) != 1 {
		t.Errorf("IP_TOS % x, want one byte", m.Control[3].Data)
	}
	if dst, ok := m.Control[4].OriginalDst(); !ok || dst != (sockets.Inet4{Host: addrB, Port: 4000}) || len(m.Control[4].Data) != 16 {
		t.Errorf("IP_ORIGDSTADDR %v %v", dst, ok)
	}
}

// C13 to C16.
func TestAncillaryIPv6(t *testing.T) {
	a, b := pair(t)
	from := mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	to := mustSocket(t, b, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	check(t, to.Bind(sockets.Inet6{Host: addrB6, Port: 4000}))
	setInts(t, to, sockets.SOL_IPV6, sockets.IPV6_RECVORIGDSTADDR, sockets.IPV6_RECVTCLASS, sockets.IPV6_RECVHOPLIMIT, sockets.IPV6_RECVPKTINFO)
	setInts(t, to, sockets.SOL_SOCKET, sockets.SO_TIMESTAMPNS)
	check(t, from.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_UNICAST_HOPS, 5))
	must[int](t)(from.SendTo([]byte("x"), sockets.Inet6{Host: addrB6, Port: 4000}))

	m := recvMsg(t, to)
	if got, want := kindsOf(m.Control), "1,35 41,50 41,52 41,67 41,74"; got != want {
		t.Fatalf("control messages %s, want %s", got, want)
	}
	if p, ok := m.Control[1].PacketInfo(); !ok || p.Interface == 0 || p.Local != netip.MustParseAddr(addrB6) {
		t.Errorf("IPV6_PKTINFO %+v %v", p, ok)
	}
	if hops, _ := m.Control[2].Int(); hops != 5 {
		t.Errorf("hop limit %d", hops)
	}
	if dst, ok := m.Control[4].OriginalDst(); !ok || dst != (sockets.Inet6{Host: addrB6, Port: 4000}) || len(m.Control[4].Data) != 28 {
		t.Errorf("IPV6_ORIGDSTADDR %v %v", dst, ok)
	}
}

// V33: an AF_INET6 socket gets IPV6_PKTINFO for IPv4 packets too, with a mapped
// address; the other IPv6 messages are for IPv6 packets only, and SOL_IP's for
// IPv4 ones.
func TestAncillaryDualStack(t *testing.T) {
	a, b := pair(t)
	to := mustSocket(t, b, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	check(t, to.Bind(sockets.Inet6{Port: 4000}))
	setInts(t, to, sockets.SOL_IPV6, sockets.IPV6_RECVHOPLIMIT, sockets.IPV6_RECVTCLASS, sockets.IPV6_RECVPKTINFO)
	setInts(t, to, sockets.SOL_IP, sockets.IP_RECVTTL)
	must[int](t)(udpSocket(t, a).SendTo([]byte("x"), sockets.Inet4{Host: addrB, Port: 4000}))

	m := recvMsg(t, to)
	if got, want := kindsOf(m.Control), "41,50 0,2"; got != want {
		t.Fatalf("control messages %s, want %s", got, want)
	}
	if p, _ := m.Control[0].PacketInfo(); p.Local != netip.MustParseAddr("::ffff:"+addrB) {
		t.Errorf("IPV6_PKTINFO of an IPv4 packet: %+v", p)
	}
}

// F4: what does not fit is cut, and MSG_CTRUNC says so (put_cmsg of Linux).
func TestControlRoom(t *testing.T) {
	a, b := pair(t)
	from, to := udpSocket(t, a), udpSocket(t, b)
	check(t, to.Bind(sockets.Inet4{Host: addrB, Port: 4000}))
	setInts(t, to, sockets.SOL_IP, sockets.IP_PKTINFO, sockets.IP_RECVTTL)
	for _, tc := range []struct {
		room, messages, lastData int
		cut                      bool
	}{
		{0, 0, 0, true},
		{15, 0, 0, true},
		{16, 1, 0, true},
		{20, 1, 4, true},
		{32, 1, 12, true},
		{32 + 16, 2, 0, true},
		{32 + 20, 2, 4, false},
		{sockets.ControlLen(12) + sockets.ControlLen(4), 2, 4, false},
	} {
		must[int](t)(from.SendTo([]byte("x"), sockets.Inet4{Host: addrB, Port: 4000}))
		m := must[*sockets.Msg](t)(to.RecvMsg([][]byte{make([]byte, 1)}, tc.room))
		if len(m.Control) != tc.messages || m.Flags&sockets.MSG_CTRUNC != 0 != tc.cut {
			t.Errorf("%d bytes of room: %v, flags %#x", tc.room, m.Control, m.Flags)
		} else if n := len(m.Control); n > 0 && len(m.Control[n-1].Data) != tc.lastData {
			t.Errorf("%d bytes of room: the last message has %d bytes, want %d", tc.room, len(m.Control[n-1].Data), tc.lastData)
		}
	}
}

// T43, S29, S35, S37: the four forms of SO_TIMESTAMP are one state.
func TestTimestampOptions(t *testing.T) {
	a, b := pair(t)
	from, to := udpSocket(t, a), udpSocket(t, b)
	check(t, to.Bind(sockets.Inet4{Host: addrB, Port: 4000}))
	forms := []int{sockets.SO_TIMESTAMP, sockets.SO_TIMESTAMPNS, sockets.SO_TIMESTAMP_NEW, sockets.SO_TIMESTAMPNS_NEW}
	for _, tc := range []struct {
		set, v int
		get    [4]int
		want   string
	}{
		{sockets.SO_TIMESTAMP, 1, [4]int{1, 0, 0, 0}, "1,29"},
		{sockets.SO_TIMESTAMPNS, 1, [4]int{0, 1, 0, 0}, "1,35"},
		{sockets.SO_TIMESTAMP_NEW, 1, [4]int{0, 0, 1, 0}, "1,63"},
		{sockets.SO_TIMESTAMPNS_NEW, 1, [4]int{0, 0, 1, 1}, "1,64"},
		{sockets.SO_TIMESTAMP, 0, [4]int{0, 0, 0, 0}, ""},
	} {
		check(t, to.SetSockOptInt(sockets.SOL_SOCKET, tc.set, tc.v))
		for i, name := range forms {
			if v := must[int](t)(to.GetSockOptInt(sockets.SOL_SOCKET, name)); v != tc.get[i] {
				t.Errorf("after setting %d to %d option %d is %d", tc.set, tc.v, name, v)
			}
		}
		must[int](t)(from.SendTo([]byte("x"), sockets.Inet4{Host: addrB, Port: 4000}))
		if got := kindsOf(recvMsg(t, to).Control); got != tc.want {
			t.Errorf("after setting %d to %d: %s, want %s", tc.set, tc.v, got, tc.want)
		}
	}
	wantErrno(t, to.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_TIMESTAMPING, 1), sockets.EINVAL) // of sending
	check(t, to.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_TIMESTAMPING, 1<<3|1<<4))
	if v := must[[]byte](t)(to.GetSockOpt(sockets.SOL_SOCKET, sockets.SO_TIMESTAMPING, 16)); len(v) != 8 || v[0] != 24 {
		t.Errorf("SO_TIMESTAMPING reads % x", v)
	}
	must[int](t)(from.SendTo([]byte("x"), sockets.Inet4{Host: addrB, Port: 4000}))
	m := recvMsg(t, to)
	if kindsOf(m.Control) != "1,37" || len(m.Control[0].Data) != 48 {
		t.Errorf("SO_TIMESTAMPING gives %v", m.Control)
	}
}

// C20: netstack has no VLAN tags and no states of checksums to tell.
func TestC20PacketAuxdata(t *testing.T) {
	const solPacket, packetAuxdata = 263, 8
	a, _ := pair(t)
	kinds := []*sockets.Socket{udpSocket(t, a)}
	if s, err := a.Socket(sockets.AF_PACKET, sockets.SOCK_DGRAM, 0); err == nil {
		defer s.Close()
		kinds = append(kinds, s)
	}
	for _, s := range kinds {
		wantErrno(t, s.SetSockOptInt(solPacket, packetAuxdata, 1), sockets.ENOPROTOOPT)
	}
}
