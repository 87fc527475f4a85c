package sockets_test

import (
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/userstack/userstack/stack/sockets"
)

// probe sends a datagram and returns it as it was on the wire.
func (w *handWire) probe(s *sockets.Socket, dst sockets.Inet4) []byte {
	w.t.Helper()
	w.ep.Drain()
	must[int](w.t)(s.SendTo([]byte("probe"), dst))
	for {
		if p := w.sent(); p[0]>>4 == header.IPv4Version && header.IPv4(p).Protocol() == uint8(header.UDPProtocolNumber) {
			return p
		}
	}
}

func takeSOError(t *testing.T, s *sockets.Socket) sockets.Errno {
	t.Helper()
	return sockets.Errno(must[int](t)(s.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_ERROR)))
}

// T11: without IP_RECVERR a connected UDP socket hears of the errors that Linux
// calls hard, and an unconnected one of none (udp_err).
func TestT11HardErrors(t *testing.T) {
	h, w := wired(t)
	dst := sockets.Inet4{Host: farAddr, Port: 4000}
	for _, tc := range []struct {
		typ, code uint8
		want      sockets.Errno
	}{
		{3, 0, 0}, {3, 1, 0}, {3, 2, sockets.ENOPROTOOPT}, {3, 3, sockets.ECONNREFUSED}, {3, 5, 0},
		{3, 6, sockets.ENETUNREACH}, {3, 7, sockets.EHOSTDOWN}, {3, 8, sockets.ENONET}, {3, 9, sockets.ENETUNREACH},
		{3, 10, sockets.EHOSTUNREACH}, {3, 11, 0}, {3, 12, 0}, {3, 13, sockets.EHOSTUNREACH}, {3, 15, sockets.EHOSTUNREACH},
		{4, 0, 0}, {5, 0, 0}, {11, 0, 0}, {12, 0, sockets.EPROTO},
	} {
		s := udpSocket(t, h)
		w.inject(icmp4("192.0.2.1", w.probe(s, dst), tc.typ, tc.code, 0))
		if got := takeSOError(t, s); got != 0 {
			t.Errorf("type %d code %d: an unconnected socket hears %v", tc.typ, tc.code, got)
		}
		check(t, s.Connect(dst))
		w.inject(icmp4("192.0.2.1", w.probe(s, dst), tc.typ, tc.code, 0))
		if ev := pollNow(t, s); ev&sockets.POLLERR != 0 != (tc.want != 0) {
			t.Errorf("type %d code %d: poll shows %v", tc.typ, tc.code, ev)
		}
		if got := takeSOError(t, s); got != tc.want {
			t.Errorf("type %d code %d: a connected socket hears %v, want %v", tc.typ, tc.code, got, tc.want)
		}
		if got := takeSOError(t, s); got != 0 {
			t.Errorf("type %d code %d: SO_ERROR tells it twice", tc.typ, tc.code)
		}
		must[int](t)(s.Send([]byte("and goes on")))
		check(t, s.Close())
	}
}

// T11: messages that are forged carelessly, or are for someone else, change
// nothing.
func TestT11BadMessages(t *testing.T) {
	h, w := wired(t)
	s := udpSocket(t, h)
	setInts(t, s, sockets.SOL_IP, sockets.IP_RECVERR)
	about := w.probe(s, sockets.Inet4{Host: farAddr, Port: 4000})
	good := icmp4("192.0.2.1", about, 3, 3, 0)
	change := func(at int, to byte) []byte {
		p := append([]byte(nil), good...)
		p[at] = to
		return p
	}
	quoting := func(mangle func(ip header.IPv4, udp header.UDP)) []byte {
		p := append([]byte(nil), about...)
		mangle(header.IPv4(p), header.UDP(p[header.IPv4MinimumSize:]))
		q := icmp4("192.0.2.1", p, 3, 3, 0)
		header.IPv4(q).SetDestinationAddress(addr4(addrA))
		header.IPv4(q).SetChecksum(0)
		header.IPv4(q).SetChecksum(^header.IPv4(q).CalculateChecksum())
		return q
	}
	elsewhere := append([]byte(nil), good...)
	header.IPv4(elsewhere).SetDestinationAddress(addr4("10.77.0.200"))
	header.IPv4(elsewhere).SetChecksum(0)
	header.IPv4(elsewhere).SetChecksum(^header.IPv4(elsewhere).CalculateChecksum())
	for name, p := range map[string][]byte{
		"wrong checksum":     change(22, good[22]^1),
		"from a group":       icmp4("224.0.0.1", about, 3, 3, 0),
		"to another host":    elsewhere,
		"about another host": quoting(func(ip header.IPv4, _ header.UDP) { ip.SetSourceAddress(addr4("10.77.0.200")) }),
		"about another port": quoting(func(_ header.IPv4, u header.UDP) { u.SetSourcePort(u.SourcePort() ^ 1) }),
		"about port 0":       quoting(func(_ header.IPv4, u header.UDP) { u.SetSourcePort(0) }),
		"about TCP":          quoting(func(ip header.IPv4, _ header.UDP) { ip[9] = 6 }),
		"about a fragment":   quoting(func(ip header.IPv4, _ header.UDP) { ip[7] = 9 }),
		"too short":          icmp4("192.0.2.1", about[:27], 3, 3, 0),
		"no error":           icmp4("192.0.2.1", about, 0, 0, 0),
		"an unassigned type": icmp4("192.0.2.1", about, 77, 0, 0),
		"nothing but header": icmp4("192.0.2.1", about[:20], 3, 3, 0),
	} {
		w.inject(p)
		if ev := pollNow(t, s); ev != sockets.POLLOUT {
			t.Errorf("%s: poll shows %v", name, ev)
			takeSOError(t, s)
		}
	}
	w.inject(good)
	if ev := pollNow(t, s); ev&sockets.POLLERR == 0 {
		t.Errorf("the good message: poll shows %v", ev)
	}
	check(t, s.Close())
	w.inject(good) // for nobody now
}

// T11: the queue holds no more than SO_RCVBUF, charged like datagrams; what does
// not fit still sets SO_ERROR.
func TestT11QueueIsBounded(t *testing.T) {
	h, w := wired(t)
	s := udpSocket(t, h)
	setInts(t, s, sockets.SOL_IP, sockets.IP_RECVERR)
	check(t, s.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 10000)) // 20000 with the doubling
	p := icmp4("192.0.2.1", w.probe(s, sockets.Inet4{Host: farAddr, Port: 4000}), 3, 1, 0)
	for range 100_000 {
		w.inject(p)
	}
	n := 0
	for ; ; n++ {
		if _, err := s.RecvMsg([][]byte{make([]byte, 1)}, 0, sockets.MSG_ERRQUEUE); err != nil {
			wantErrno(t, err, sockets.EAGAIN)
			break
		}
	}
	if want := 20000 / 832; n != want { // 832 bytes for a small one, as for datagrams
		t.Errorf("%d errors were queued, want %d", n, want)
	}
	w.inject(p)
	if got := takeSOError(t, s); got != sockets.EHOSTUNREACH {
		t.Errorf("SO_ERROR %v", got)
	}
}

// T22: what routers say of the path's MTU is learned, for the destination and
// not below Linux's bounds, and IP_MTU tells it.
func TestT22LearnedMTU(t *testing.T) {
	h, w := wired(t)
	dst := sockets.Inet4{Host: farAddr, Port: 4000}
	s := udpSocket(t, h)
	check(t, s.Connect(dst))
	mtu := func() int { return must[int](t)(s.GetSockOptInt(sockets.SOL_IP, sockets.IP_MTU)) }
	if mtu() != 1500 {
		t.Fatalf("IP_MTU %d at first", mtu())
	}
	about := w.probe(s, dst)
	for _, tc := range []struct {
		told uint32
		want int
	}{{1400, 1400}, {100, 552}, {0, 552}, {9000, 1500}} {
		w.inject(icmp4("192.0.2.1", about, 3, 4, tc.told))
		if mtu() != tc.want {
			t.Errorf("told %d: IP_MTU %d, want %d", tc.told, mtu(), tc.want)
		}
		if got := takeSOError(t, s); got != sockets.EMSGSIZE {
			t.Errorf("told %d: SO_ERROR %v, want EMSGSIZE, as Linux", tc.told, got)
		}
	}
	w.inject(icmp4("192.0.2.1", about, 3, 4, 1300))
	takeSOError(t, s)
	check(t, s.SetSockOptInt(sockets.SOL_IP, sockets.IP_MTU_DISCOVER, sockets.IP_PMTUDISC_DO))
	_, err := s.Send(make([]byte, 1300-28+1))
	wantErrno(t, err, sockets.EMSGSIZE)
	must[int](t)(s.Send(make([]byte, 1300-28)))
}

// With IP_RECVERR a connect that ICMP ends says who ended it.
func TestConnectErrorIsQueued(t *testing.T) {
	h, w := wired(t)
	w.answer(func(p []byte) [][]byte { return [][]byte{icmp4("192.0.2.1", p, 3, 13, 0)} })
	s := tcpSocket(t, h)
	setInts(t, s, sockets.SOL_IP, sockets.IP_RECVERR)
	dst := sockets.Inet4{Host: farAddr, Port: 80}
	wantErrno(t, s.Connect(dst), sockets.EHOSTUNREACH)
	m, e := queuedError(t, s, 99)
	if m.Addr != sockets.Sockaddr(dst) || e.Errno != sockets.EHOSTUNREACH || e.Offender != sockets.Sockaddr(sockets.Inet4{Host: "192.0.2.1"}) {
		t.Errorf("%+v for %v", e, m.Addr)
	}
}

// A connection with IP_RECVERR has an ICMP error pending, where without it poll
// does not show one (T30); the connection goes on, and the queue is empty, as
// tcp_v4_err of Linux has it.
func TestRecvErrOfConnection(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	setInts(t, client, sockets.SOL_IP, sockets.IP_RECVERR)
	unreachable(t, b, header.ICMPv4HostUnreachable, must[sockets.Sockaddr](t)(client.GetSockName()), must[sockets.Sockaddr](t)(client.GetPeerName()))
	waitFor(t, client, sockets.POLLERR)
	barrier(t, b, a, addrA) // netstack has had its turn as well
	_, err := client.RecvMsg([][]byte{make([]byte, 9)}, 99, sockets.MSG_ERRQUEUE)
	wantErrno(t, err, sockets.EAGAIN)
	_, err = client.Recv(1)
	wantErrno(t, err, sockets.EHOSTUNREACH)
	if got := takeSOError(t, client); got != 0 {
		t.Errorf("SO_ERROR tells %v again", got)
	}
	must[int](t)(client.Send([]byte("alive")))
	if got := recvString(t, server); got != "alive" {
		t.Errorf("received %q", got)
	}
}

// icmp6 is icmp4 for IPv6.
func icmp6(src string, about []byte, typ, code uint8, field uint32) []byte {
	m := make([]byte, 8, 8+len(about))
	m[0], m[1] = typ, code
	m[4], m[5], m[6], m[7] = byte(field>>24), byte(field>>16), byte(field>>8), byte(field)
	m = append(m, about...)
	from, to := addr6(src), header.IPv6(about).SourceAddress()
	sum := header.PseudoHeaderChecksum(header.ICMPv6ProtocolNumber, from, to, uint16(len(m)))
	header.ICMPv6(m).SetChecksum(^checksum.Checksum(m, sum))
	p := make([]byte, header.IPv6MinimumSize, header.IPv6MinimumSize+len(m))
	header.IPv6(p).Encode(&header.IPv6Fields{
		PayloadLength: uint16(len(m)), TransportProtocol: header.ICMPv6ProtocolNumber, HopLimit: 61, SrcAddr: from, DstAddr: to,
	})
	return append(p, m...)
}

// T22, V21: the same for IPv6, where IPV6_MTU_DISCOVER's default has senders told
// only with IPV6_RECVERR or when connected.
func TestT22LearnedMTUIPv6(t *testing.T) {
	h, w := wired(t)
	dst := sockets.Inet6{Host: farAddr6, Port: 4000}
	s := mustSocket(t, h, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	setInts(t, s, sockets.SOL_IPV6, sockets.IPV6_RECVERR)
	check(t, s.Connect(dst))
	must[int](t)(s.Send([]byte("probe")))
	about := w.sent()
	for about[6] != uint8(header.UDPProtocolNumber) {
		about = w.sent()
	}
	w.inject(icmp6("fd98::1", about, 2, 0, 1400))
	if mtu := must[int](t)(s.GetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_MTU)); mtu != 1400 {
		t.Errorf("IPV6_MTU %d", mtu)
	}
	m, e := queuedError(t, s, 99)
	want := sockets.ExtendedError{Errno: sockets.EMSGSIZE, Origin: sockets.SO_EE_ORIGIN_ICMP6, Type: 2, Info: 1400, Offender: sockets.Inet6{Host: "fd98::1"}}
	if e != want || string(m.Buffers[0][:m.N]) != "probe" {
		t.Errorf("%+v about %q, want %+v", e, m.Buffers[0][:m.N], want)
	}
}
