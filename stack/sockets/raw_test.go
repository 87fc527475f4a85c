package sockets_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// someProtocol is one that nothing implements (RFC 3692).
const someProtocol sockets.Protocol = 254

func rawSocket(t testing.TB, h *sockets.Host, f sockets.Family, p sockets.Protocol) *sockets.Socket {
	t.Helper()
	return mustSocket(t, h, f, sockets.SOCK_RAW|sockets.SOCK_NONBLOCK, p)
}

// echo is an ICMP echo request, of ICMPv6 with type 128; ICMPv4 needs the
// checksum.
func echo(typ, seq byte) []byte {
	p := []byte{typ, 0, 0, 0, 0, 1, 0, seq}
	if typ == 8 {
		binary.BigEndian.PutUint16(p[2:], ^(uint16(typ)<<8 + 1 + uint16(seq)))
	}
	return p
}

// A raw IPv4 socket receives the header, an IPv6 one does not.
func TestRawReceive(t *testing.T) {
	a, b := pair(t)
	out, in := rawSocket(t, a, sockets.AF_INET, someProtocol), rawSocket(t, b, sockets.AF_INET, someProtocol)
	must[int](t)(out.SendTo([]byte("hello"), sockets.Inet4{Host: addrB}))
	p, from := receive(t, in)
	if p[0] != 0x45 || p[9] != byte(someProtocol) || string(p[20:]) != "hello" {
		t.Errorf("received %x", p)
	}
	if want := (sockets.Inet4{Host: addrA}); from != want {
		t.Errorf("from %v, want %v", from, want)
	}
	out6, in6 := rawSocket(t, a, sockets.AF_INET6, someProtocol), rawSocket(t, b, sockets.AF_INET6, someProtocol)
	must[int](t)(out6.SendTo([]byte("hello"), sockets.Inet6{Host: addrB6}))
	if p, from := receive(t, in6); string(p) != "hello" || from != (sockets.Inet6{Host: addrA6}) {
		t.Errorf("received %q from %v", p, from)
	}
	must[int](t)(out.SendTo(nil, sockets.Inet4{Host: addrB}))
	if p, _ := receive(t, in); len(p) != 20 {
		t.Errorf("an empty packet is %x", p)
	}
}

// getsockname and getpeername (measured): the port is the protocol's number, and
// the peer is known only when Connect named a port.
func TestRawNames(t *testing.T) {
	h := twoLinkHost(t)
	s := rawSocket(t, h, sockets.AF_INET, someProtocol)
	name := func(want string) {
		t.Helper()
		if got := must[sockets.Sockaddr](t)(s.GetSockName()); got != (sockets.Inet4{Host: want, Port: 254}) {
			t.Errorf("name %v, want %s", got, want)
		}
	}
	name("0.0.0.0")
	_, err := s.GetPeerName()
	wantErrno(t, err, sockets.ENOTCONN)
	_, err = s.Send([]byte("x"))
	wantErrno(t, err, sockets.EDESTADDRREQ)
	wantErrno(t, s.Bind(sockets.Inet4{Host: "8.8.8.8"}), sockets.EADDRNOTAVAIL)
	check(t, s.Bind(sockets.Inet4{Host: "127.0.0.1", Port: 99}))
	name("127.0.0.1")
	wantErrno(t, s.Bind(sockets.Inet4{Host: "8.8.8.8"}), sockets.EADDRNOTAVAIL)
	name("127.0.0.1")
	check(t, s.Bind(sockets.Inet4{Host: "224.0.0.5"}))
	name("224.0.0.5")
	check(t, s.Bind(sockets.Inet4{Host: "127.0.0.1"}))
	check(t, s.Connect(sockets.Inet4{Host: "127.0.0.2", Port: 7}))
	if p := must[sockets.Sockaddr](t)(s.GetPeerName()); p != (sockets.Inet4{Host: "127.0.0.2", Port: 7}) {
		t.Errorf("peer %v", p)
	}
	wantErrno(t, s.Bind(sockets.Inet4{Host: "127.0.0.1"}), sockets.EINVAL)
	check(t, s.Connect(sockets.Inet4{Host: "127.0.0.3"}))
	name("127.0.0.1")
	_, err = s.GetPeerName()
	wantErrno(t, err, sockets.ENOTCONN)
	check(t, s.Shutdown(sockets.SHUT_WR))
	wantErrno(t, s.Listen(1), sockets.EOPNOTSUPP)
	_, _, err = s.Accept()
	wantErrno(t, err, sockets.EOPNOTSUPP)
	check(t, s.Connect(nil))
	check(t, s.Bind(sockets.Inet4{Host: "10.77.0.1"}))
	name("10.77.0.1")
	if n := must[int](t)(s.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR)); n != 1 {
		t.Errorf("SO_REUSEADDR is %d at first, want 1", n)
	}
}

func TestRawNames6(t *testing.T) {
	h := twoLinkHost(t)
	s := rawSocket(t, h, sockets.AF_INET6, someProtocol)
	for _, tc := range []struct {
		port int
		want sockets.Errno
	}{{77, sockets.EINVAL}, {254, 0}, {0, 0}} {
		_, err := s.SendTo([]byte("abc"), sockets.Inet6{Host: "::1", Port: tc.port})
		answer(t, err, tc.want)
	}
	wantErrno(t, s.Bind(sockets.Inet6{Host: "::ffff:127.0.0.1"}), sockets.EADDRNOTAVAIL)
	_, err := s.SendTo([]byte("x"), sockets.Inet6{Host: "::ffff:127.0.0.1"})
	wantErrno(t, err, sockets.ENETUNREACH)
	check(t, s.Bind(sockets.Inet6{Host: "::1"}))
	if got := must[sockets.Sockaddr](t)(s.GetSockName()); got != (sockets.Inet6{Host: "::1", Port: 254}) {
		t.Errorf("name %v", got)
	}
}

// A connected raw socket hears its peer alone.
func TestRawConnected(t *testing.T) {
	h := twoLinkHost(t)
	s, other := rawSocket(t, h, sockets.AF_INET, someProtocol), rawSocket(t, h, sockets.AF_INET, someProtocol)
	check(t, s.Connect(sockets.Inet4{Host: "127.0.0.2"}))
	must[int](t)(other.SendTo([]byte("a"), sockets.Inet4{Host: "127.0.0.1"}))
	nothing(t, s)
	check(t, other.Bind(sockets.Inet4{Host: "127.0.0.2"}))
	must[int](t)(other.SendTo([]byte("b"), sockets.Inet4{Host: "127.0.0.1"}))
	if p, _ := receive(t, s); p[len(p)-1] != 'b' {
		t.Errorf("received %x", p)
	}
}

// T41: netstack gives raw endpoints every packet that passes; a socket gets what
// was sent to this host.
func TestT41RawDestination(t *testing.T) {
	a, b := pair(t)
	in := rawSocket(t, b, sockets.AF_INET, someProtocol)
	out := rawSocket(t, a, sockets.AF_INET, sockets.IPPROTO_RAW)
	send := func(dst string) {
		t.Helper()
		p := ipv4Header("1.2.3.4", dst, byte(someProtocol))
		must[int](t)(out.SendTo(append(p, dst...), sockets.Inet4{Host: addrB}))
	}
	check(t, out.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_BROADCAST, 1))
	for _, foreign := range []string{"10.99.0.1", "10.77.0.77", "239.1.1.1", "10.99.0.255"} {
		send(foreign)
	}
	for _, own := range []string{addrB, "10.77.0.255", "255.255.255.255", "224.0.0.1"} {
		send(own)
		if p, _ := receive(t, in); string(p[20:]) != own {
			t.Errorf("received what was sent to %s, want %s", p[20:], own)
		}
	}
	nothing(t, in)
}

// IP_HDRINCL and IPPROTO_RAW (raw(7)): a zero source is filled in, another stays.
func TestHeaderIncluded(t *testing.T) {
	a, b := pair(t)
	in := rawSocket(t, b, sockets.AF_INET, someProtocol)
	out := rawSocket(t, a, sockets.AF_INET, sockets.IPPROTO_RAW)
	if n := must[int](t)(out.GetSockOptInt(sockets.SOL_IP, sockets.IP_HDRINCL)); n != 1 {
		t.Errorf("IP_HDRINCL of IPPROTO_RAW is %d", n)
	}
	for _, src := range []string{"1.2.3.4", "0.0.0.0"} {
		h := append(ipv4Header(src, addrB, byte(someProtocol)), "yy"...)
		must[int](t)(out.SendTo(h, sockets.Inet4{Host: addrB}))
		p, from := receive(t, in)
		want := sockets.Inet4{Host: src}
		if src == "0.0.0.0" {
			want.Host = addrA
		}
		if from != want || string(p[20:]) != "yy" || binary.BigEndian.Uint16(p[2:]) != 22 {
			t.Errorf("source %s: received %x from %v", src, p, from)
		}
	}
	for _, tc := range []struct {
		p    []byte
		want sockets.Errno
	}{
		{make([]byte, 8), sockets.EINVAL},
		{append([]byte{0x4f}, make([]byte, 19)...), sockets.EINVAL},
		{append(ipv4Header("0.0.0.0", addrB, 254), make([]byte, 1480)...), 0},
		{append(ipv4Header("0.0.0.0", addrB, 254), make([]byte, 1481)...), sockets.EMSGSIZE},
	} {
		_, err := out.SendTo(tc.p, sockets.Inet4{Host: addrB})
		answer(t, err, tc.want)
	}
	_, err := out.SendTo(ipv4Header("0.0.0.0", "10.77.0.255", 254), sockets.Inet4{Host: "10.77.0.255"})
	wantErrno(t, err, sockets.EACCES)
	s := rawSocket(t, a, sockets.AF_INET, someProtocol)
	check(t, s.SetSockOptInt(sockets.SOL_IP, sockets.IP_HDRINCL, 1))
	receive(t, in) // the packet of 1500 bytes
	must[int](t)(s.SendTo(append(ipv4Header("0.0.0.0", addrB, 254), 'z'), sockets.Inet4{Host: addrB}))
	if p, _ := receive(t, in); string(p[20:]) != "z" {
		t.Errorf("received %x", p)
	}
	udp := udpSocket(t, a)
	wantErrno(t, udp.SetSockOptInt(sockets.SOL_IP, sockets.IP_HDRINCL, 1), sockets.ENOPROTOOPT)
}

// IPV6_HDRINCL, which an IPPROTO_RAW socket has.
func TestHeaderIncluded6(t *testing.T) {
	a, b := pair(t)
	in, out := rawSocket(t, b, sockets.AF_INET6, someProtocol), rawSocket(t, a, sockets.AF_INET6, sockets.IPPROTO_RAW)
	if n := must[int](t)(out.GetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_HDRINCL)); n != 1 {
		t.Errorf("IPV6_HDRINCL of IPPROTO_RAW is %d", n)
	}
	h := append([]byte{0x60, 0, 0, 0, 0, 0, 254, 9}, addrs4("fd99::9", addrB6)...)
	must[int](t)(out.SendTo(append(h, "hello"...), sockets.Inet6{Host: addrB6}))
	if p, from := receive(t, in); string(p) != "hello" || from != (sockets.Inet6{Host: "fd99::9"}) {
		t.Errorf("received %q from %v", p, from)
	}
	_, err := out.SendTo(h[:39], sockets.Inet6{Host: addrB6})
	wantErrno(t, err, sockets.EINVAL)
}

// What is longer than the MTU is sent in fragments, also past netstack's own
// limit, and refused only where Linux does.
func TestRawFragments(t *testing.T) {
	a, b := pair(t)
	out, in := rawSocket(t, a, sockets.AF_INET, someProtocol), rawSocket(t, b, sockets.AF_INET, someProtocol)
	big := bytes.Repeat([]byte("0123456789"), 300)
	eye := packetSocket(t, b, sockets.SOCK_DGRAM, sockets.ETH_P_IP)
	must[int](t)(out.SendTo(big, sockets.Inet4{Host: addrB}))
	if p, _ := receive(t, eye); p[6]>>5 != 1 {
		t.Errorf("the first fragment has the flags %03b, want more fragments alone", p[6]>>5)
	}
	if p, _ := receive(t, in); !bytes.Equal(p[20:], big) {
		t.Errorf("received %d bytes", len(p))
	}
	must[int](t)(out.SendTo(make([]byte, 65515), sockets.Inet4{Host: addrB}))
	_, err := out.SendTo(make([]byte, 65516), sockets.Inet4{Host: addrB})
	wantErrno(t, err, sockets.EMSGSIZE)
	check(t, out.SetSockOptInt(sockets.SOL_IP, sockets.IP_MTU_DISCOVER, sockets.IP_PMTUDISC_DO))
	_, err = out.SendTo(big, sockets.Inet4{Host: addrB})
	wantErrno(t, err, sockets.EMSGSIZE)
	_, err = out.SendTo([]byte("x"), sockets.Inet4{Host: "255.255.255.255"})
	wantErrno(t, err, sockets.EACCES)

	icmp := rawSocket(t, a, sockets.AF_INET6, someProtocol)
	check(t, icmp.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_CHECKSUM, 2))
	in6 := rawSocket(t, b, sockets.AF_INET6, someProtocol)
	check(t, in6.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_CHECKSUM, 2)) // drops what has the wrong one
	must[int](t)(icmp.SendTo([]byte("short message"), sockets.Inet6{Host: addrB6}))
	if p, _ := receive(t, in6); string(p[4:]) != "t message" {
		t.Errorf("received %q", p)
	}
	_, err = icmp.SendTo([]byte("abc"), sockets.Inet6{Host: addrB6})
	wantErrno(t, err, sockets.EINVAL)
}

// TestICMPFilter blocks the reply with the number 2 and then gets that with the
// number 3.
func TestICMPFilter(t *testing.T) {
	a, b := pair(t)
	allBut := func(typ int) []byte {
		block := bytes.Repeat([]byte{0xff}, 32)
		block[typ/8] &^= 1 << (typ % 8)
		return block
	}
	for _, tc := range []struct {
		family         sockets.Family
		proto          sockets.Protocol
		level          int
		to             sockets.Sockaddr
		request, reply byte
		skip           int // bytes of the IP header
		some, none     []byte
	}{
		{sockets.AF_INET, sockets.IPPROTO_ICMP, sockets.SOL_RAW, sockets.Inet4{Host: addrB}, 8, 0, 20, allBut(0)[:4], []byte{0xff}},
		{sockets.AF_INET6, sockets.IPPROTO_ICMPV6, sockets.SOL_ICMPV6, sockets.Inet6{Host: addrB6}, 128, 129, 0, allBut(129), allBut(128)},
	} {
		s := rawSocket(t, a, tc.family, tc.proto)
		check(t, s.SetSockOpt(tc.level, 1, tc.some))
		if v := must[[]byte](t)(s.GetSockOpt(tc.level, 1, 64)); !bytes.Equal(v, tc.some) {
			t.Errorf("the filter is %x, want %x", v, tc.some)
		}
		send := func(seq byte) { must[int](t)(s.SendTo(echo(tc.request, seq), tc.to)) }
		want := func(seq byte) {
			t.Helper()
			if p, from := receive(t, s); p[tc.skip] != tc.reply || p[len(p)-1] != seq || from != tc.to {
				t.Errorf("received %x from %v, want reply %d", p, from, seq)
			}
		}
		send(1)
		want(1)
		watch := rawSocket(t, a, tc.family, tc.proto)
		check(t, s.SetSockOpt(tc.level, 1, tc.none))
		send(2)
		receive(t, watch)
		nothing(t, s)
		check(t, s.SetSockOpt(tc.level, 1, tc.some))
		send(3)
		want(3)
	}
	_, err := rawSocket(t, b, sockets.AF_INET, someProtocol).GetSockOpt(sockets.SOL_RAW, sockets.ICMP_FILTER, 4)
	wantErrno(t, err, sockets.EOPNOTSUPP)
	wantErrno(t, rawSocket(t, b, sockets.AF_INET6, someProtocol).SetSockOpt(sockets.SOL_ICMPV6, sockets.ICMPV6_FILTER, make([]byte, 32)), sockets.EOPNOTSUPP)
	wantErrno(t, udpSocket(t, b).SetSockOpt(sockets.SOL_RAW, sockets.ICMP_FILTER, make([]byte, 4)), sockets.ENOPROTOOPT)
}

// IPV6_CHECKSUM: even, or none; fixed for ICMPv6.
func TestChecksumOption(t *testing.T) {
	h := twoLinkHost(t)
	s := rawSocket(t, h, sockets.AF_INET6, someProtocol)
	for _, tc := range []struct {
		set, want int
		errno     sockets.Errno
	}{{2, 2, 0}, {3, 2, sockets.EINVAL}, {-5, -1, 0}, {0, 0, 0}, {-1, -1, 0}} {
		answer(t, s.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_CHECKSUM, tc.set), tc.errno)
		for _, level := range []int{sockets.SOL_IPV6, sockets.SOL_RAW} {
			if n := must[int](t)(s.GetSockOptInt(level, sockets.IPV6_CHECKSUM)); n != tc.want {
				t.Errorf("after %d: %d, want %d", tc.set, n, tc.want)
			}
		}
	}
	icmp := rawSocket(t, h, sockets.AF_INET6, sockets.IPPROTO_ICMPV6)
	if n := must[int](t)(icmp.GetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_CHECKSUM)); n != 2 {
		t.Errorf("ICMPv6: %d, want 2", n)
	}
	wantErrno(t, icmp.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_CHECKSUM, -1), sockets.EINVAL)
}

// poll(2) of raw and packet sockets is that of other datagram sockets.
func TestPollRaw(t *testing.T) {
	h := twoLinkHost(t)
	raw, eye := rawSocket(t, h, sockets.AF_INET, someProtocol), packetSocket(t, h, sockets.SOCK_DGRAM, sockets.ETH_P_IP)
	poll := func(want sockets.PollEvents) {
		t.Helper()
		d := []sockets.PollDesc{{Sock: raw, In: sockets.POLLIN | sockets.POLLOUT}, {Sock: eye, In: sockets.POLLIN | sockets.POLLOUT}}
		must[int](t)(h.Poll(d, 0))
		for i := range d {
			if d[i].Out != want {
				t.Errorf("socket %d: %v, want %v", i, d[i].Out, want)
			}
		}
	}
	poll(sockets.POLLOUT)
	must[int](t)(raw.SendTo([]byte("x"), sockets.Inet4{Host: "127.0.0.1"}))
	poll(sockets.POLLIN | sockets.POLLOUT)
	receive(t, raw)
	receive(t, eye)
	poll(sockets.POLLOUT)
}
