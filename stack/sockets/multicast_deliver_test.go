package sockets_test

import (
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/sockets"
)

// group4, group6 and a port that the tests send to.
const (
	group4, group6 = "239.1.2.3", "ff05::77"
	groupPort      = 5001
)

// member returns a UDP socket bound to the group's port that may share it.
func member(t *testing.T, h *sockets.Host, f sockets.Family) *sockets.Socket {
	t.Helper()
	s := mustSocket(t, h, f, sockets.SOCK_DGRAM|sockets.SOCK_NONBLOCK, 0)
	check(t, s.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1))
	if f == sockets.AF_INET {
		check(t, s.Bind(sockets.Inet4{Port: groupPort}))
	} else {
		check(t, s.Bind(sockets.Inet6{Port: groupPort}))
	}
	return s
}

func join4(t *testing.T, s *sockets.Socket, local string) {
	t.Helper()
	check(t, s.SetSockOpt(sockets.SOL_IP, sockets.IP_ADD_MEMBERSHIP, addrs4(group4, local)))
}

func sendGroup(t *testing.T, s *sockets.Socket, text string) {
	t.Helper()
	must[int](t)(s.SendTo([]byte(text), sockets.Inet4{Host: group4, Port: groupPort}))
}

func wantText(t *testing.T, s *sockets.Socket, want string) {
	t.Helper()
	if p, from := receive(t, s); string(p) != want {
		t.Fatalf("received %q from %v, want %q", p, from, want)
	}
}

// Two members on one host and one on another get what a third host's socket
// sends, the sender's own host by the loop.
func TestMulticastDelivery(t *testing.T) {
	a, b := pair(t)
	one, two, far := member(t, a, sockets.AF_INET), member(t, a, sockets.AF_INET), member(t, b, sockets.AF_INET)
	for _, s := range []*sockets.Socket{one, two} {
		join4(t, s, "0.0.0.0")
	}
	join4(t, far, addrB)
	sendGroup(t, udpSocket(t, a), "from a")
	for _, s := range []*sockets.Socket{one, two, far} {
		wantText(t, s, "from a")
	}
	sendGroup(t, udpSocket(t, b), "from b")
	for _, s := range []*sockets.Socket{one, two, far} {
		wantText(t, s, "from b")
	}

	six, far6 := member(t, a, sockets.AF_INET6), member(t, b, sockets.AF_INET6)
	for _, s := range []*sockets.Socket{six, far6} {
		check(t, s.SetSockOpt(sockets.SOL_IPV6, sockets.IPV6_JOIN_GROUP, mreq6(group6, 2)))
	}
	out := mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	must[int](t)(out.SendTo([]byte("hi"), sockets.Inet6{Host: group6, Port: groupPort}))
	wantText(t, six, "hi")
	wantText(t, far6, "hi")
}

// T35: who has not joined hears a group that another has, unless
// IP_MULTICAST_ALL is off, as it is on AF_INET6 at first. Sending to the port
// itself shows that nothing else came.
func TestT35MulticastAll(t *testing.T) {
	a, _ := pair(t)
	joined, bystander := member(t, a, sockets.AF_INET), member(t, a, sockets.AF_INET)
	dual := mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_DGRAM|sockets.SOCK_NONBLOCK, 0)
	check(t, dual.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1))
	check(t, dual.Bind(sockets.Inet6{Port: groupPort}))
	out := udpSocket(t, a)
	check(t, out.SetSockOpt(sockets.SOL_IP, sockets.IP_MULTICAST_IF, addrs4(addrA)))
	join4(t, joined, addrA)
	all := func(s *sockets.Socket, v int) { check(t, s.SetSockOptInt(sockets.SOL_IP, sockets.IP_MULTICAST_ALL, v)) }

	sendGroup(t, out, "one")
	wantText(t, joined, "one")
	wantText(t, bystander, "one")
	nothing(t, dual)
	all(bystander, 0)
	all(dual, 1)
	sendGroup(t, out, "two")
	wantText(t, joined, "two")
	wantText(t, dual, "two")
	nothing(t, bystander)
	join4(t, bystander, addrA)
	sendGroup(t, out, "three")
	wantText(t, bystander, "three")
}

// Source filters (RFC 3678): a sender that is blocked, and one that is not among
// those wanted, are not heard.
func TestSourceFilters(t *testing.T) {
	h := twoLinkHost(t)
	s, watch := member(t, h, sockets.AF_INET), member(t, h, sockets.AF_INET)
	near, other := udpSocket(t, h), udpSocket(t, h)
	for out, addr := range map[*sockets.Socket]string{near: "127.0.0.1", other: "127.0.0.2"} {
		check(t, out.Bind(sockets.Inet4{Host: addr}))
		check(t, out.SetSockOpt(sockets.SOL_IP, sockets.IP_MULTICAST_IF, addrs4("127.0.0.1")))
	}
	join4(t, s, "127.0.0.1")
	join4(t, watch, "127.0.0.1")
	hears := func(what string, wantNear, wantOther bool) {
		t.Helper()
		for out, want := range map[*sockets.Socket]bool{near: wantNear, other: wantOther} {
			sendGroup(t, out, what)
			wantText(t, watch, what)
			if want {
				wantText(t, s, what)
			} else {
				nothing(t, s)
			}
		}
	}
	set := func(name int, v []byte) { t.Helper(); check(t, s.SetSockOpt(sockets.SOL_IP, name, v)) }
	source := func(addr string) []byte { return addrs4(group4, "127.0.0.1", addr) }
	hears("joined", true, true)
	set(sockets.IP_BLOCK_SOURCE, source("127.0.0.2"))
	hears("blocked", true, false)
	set(sockets.IP_UNBLOCK_SOURCE, source("127.0.0.2"))
	hears("unblocked", true, true)
	set(sockets.IP_MSFILTER, msfilter(group4, "127.0.0.1", sockets.MCAST_INCLUDE, "127.0.0.2"))
	hears("filtered", false, true)
	set(sockets.MCAST_JOIN_SOURCE_GROUP, groupReq(1, group4, "127.0.0.1"))
	hears("both wanted", true, true)
	set(sockets.IP_DROP_SOURCE_MEMBERSHIP, source("127.0.0.2"))
	hears("one wanted", true, false)

	senders, include, err := s.SourceFilter(1, netip.MustParseAddr(group4))
	check(t, err)
	if len(senders) != 1 || senders[0].String() != "127.0.0.1" || !include {
		t.Errorf("the filter is %v, include %v", senders, include)
	}
	_, _, err = s.SourceFilter(2, netip.MustParseAddr(group4))
	wantErrno(t, err, sockets.EADDRNOTAVAIL)
	_, _, err = s.SourceFilter(1, netip.MustParseAddr(addrA))
	wantErrno(t, err, sockets.EINVAL)
}

// A membership ends with the socket, and not with one of its duplicates.
func TestLeaveOnClose(t *testing.T) {
	a, _ := pair(t)
	s := member(t, a, sockets.AF_INET)
	join4(t, s, addrA)
	in := func() bool {
		ok, terr := a.Stack().GVisor().IsInGroup(2, tcpip.AddrFrom4([4]byte{239, 1, 2, 3}))
		if terr != nil {
			t.Fatal(terr)
		}
		return ok
	}
	dup := must[*sockets.Socket](t)(s.Dup())
	check(t, s.Close())
	if !in() {
		t.Error("the group was left with the first of two descriptors")
	}
	check(t, dup.Close())
	if in() {
		t.Error("the group was not left when the socket was closed")
	}
}

// T36: the TTL and the loop of IPv4 and of IPv6 multicast are apart, although
// netstack has one of each.
func TestMulticastFamiliesApart(t *testing.T) {
	a, b := pair(t)
	s := mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	check(t, s.SetSockOptInt(sockets.SOL_IP, sockets.IP_MULTICAST_TTL, 7))
	check(t, s.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_MULTICAST_HOPS, 9))
	check(t, s.SetSockOptInt(sockets.SOL_IP, sockets.IP_MULTICAST_LOOP, 0))
	local, far := member(t, a, sockets.AF_INET), member(t, b, sockets.AF_INET)
	local6, far6 := member(t, a, sockets.AF_INET6), member(t, b, sockets.AF_INET6)
	join4(t, local, "0.0.0.0")
	join4(t, far, "0.0.0.0")
	for _, s := range []*sockets.Socket{local6, far6} {
		check(t, s.SetSockOpt(sockets.SOL_IPV6, sockets.IPV6_JOIN_GROUP, mreq6(group6, 2)))
	}
	check(t, far.SetSockOptInt(sockets.SOL_IP, sockets.IP_RECVTTL, 1))
	check(t, far6.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_RECVHOPLIMIT, 1))
	hops := func(s *sockets.Socket) int {
		t.Helper()
		m := must[*sockets.Msg](t)(s.RecvMsg([][]byte{make([]byte, 9)}, 99, sockets.Within(patience)))
		return int(m.Control[0].Data[0])
	}
	must[int](t)(s.SendTo([]byte("4"), sockets.Inet6{Host: "::ffff:" + group4, Port: groupPort}))
	must[int](t)(s.SendTo([]byte("6"), sockets.Inet6{Host: group6, Port: groupPort}))
	if n := hops(far); n != 7 {
		t.Errorf("IPv4 went with a TTL of %d, want 7", n)
	}
	if n := hops(far6); n != 9 {
		t.Errorf("IPv6 went with a hop limit of %d, want 9", n)
	}
	wantText(t, local6, "6")
	nothing(t, local)
	for _, tc := range [][3]int{
		{sockets.SOL_IP, sockets.IP_MULTICAST_TTL, 7}, {sockets.SOL_IPV6, sockets.IPV6_MULTICAST_HOPS, 9},
		{sockets.SOL_IP, sockets.IP_MULTICAST_LOOP, 0}, {sockets.SOL_IPV6, sockets.IPV6_MULTICAST_LOOP, 1},
	} {
		if n := must[int](t)(s.GetSockOptInt(tc[0], tc[1])); n != tc[2] {
			t.Errorf("option %d of level %d is %d, want %d", tc[1], tc[0], n, tc[2])
		}
	}
}

// The loop of a connected socket is the one set last, not the one of the
// connect.
func TestMulticastLoopConnected(t *testing.T) {
	a, b := pair(t)
	local, far := member(t, a, sockets.AF_INET), member(t, b, sockets.AF_INET)
	join4(t, local, "0.0.0.0")
	join4(t, far, "0.0.0.0")
	s := udpSocket(t, a)
	check(t, s.Connect(sockets.Inet4{Host: group4, Port: groupPort}))
	check(t, s.SetSockOptInt(sockets.SOL_IP, sockets.IP_MULTICAST_LOOP, 0))
	must[int](t)(s.Send([]byte("one")))
	wantText(t, far, "one")
	nothing(t, local)
	check(t, s.SetSockOptInt(sockets.SOL_IP, sockets.IP_MULTICAST_LOOP, 1))
	must[int](t)(s.Send([]byte("two")))
	wantText(t, local, "two")
}

// IP_MULTICAST_IF and IPV6_MULTICAST_IF choose the interface, and so the source.
func TestMulticastInterface(t *testing.T) {
	h := twoLinkHost(t)
	for _, tc := range []struct {
		f        sockets.Family
		level    int
		name     int
		value    []byte
		to, from sockets.Sockaddr
	}{
		{sockets.AF_INET, sockets.SOL_IP, sockets.IP_MULTICAST_IF, mreqn("0.0.0.0", "0.0.0.0", d1), sockets.Inet4{Host: group4, Port: groupPort}, sockets.Inet4{Host: "10.78.0.1"}},
		{sockets.AF_INET6, sockets.SOL_IPV6, sockets.IPV6_MULTICAST_IF, int32Bytes(d1), sockets.Inet6{Host: group6, Port: groupPort}, sockets.Inet6{Host: "fd78::1"}},
	} {
		s, in := mustSocket(t, h, tc.f, sockets.SOCK_DGRAM, 0), member(t, h, tc.f)
		check(t, in.SetSockOpt(tc.level, sockets.MCAST_JOIN_GROUP, groupReq(d1, map[sockets.Family]string{sockets.AF_INET: group4, sockets.AF_INET6: group6}[tc.f])))
		check(t, s.SetSockOpt(tc.level, tc.name, tc.value))
		must[int](t)(s.SendTo([]byte("x"), tc.to))
		_, from := receive(t, in)
		switch a := from.(type) {
		case sockets.Inet4:
			a.Port = 0
			from = a
		case sockets.Inet6:
			a.Port = 0
			from = a
		}
		if from != tc.from {
			t.Errorf("from %v, want %v", from, tc.from)
		}
	}
}

func FuzzMulticastRequest(f *testing.F) {
	h := twoLinkHost(f)
	for _, calls := range membershipTables {
		for _, c := range calls {
			f.Add(c.level == sockets.SOL_IPV6, uint8(c.name), c.value)
		}
	}
	f.Fuzz(func(t *testing.T, six bool, name uint8, value []byte) {
		family, level := sockets.AF_INET, sockets.SOL_IP
		if six {
			family, level = sockets.AF_INET6, sockets.SOL_IPV6
		}
		s := mustSocket(t, h, family, sockets.SOCK_DGRAM, 0)
		err := s.SetSockOpt(level, int(name)%50, value)
		again := s.SetSockOpt(level, int(name)%50, value)
		if err != nil && again == nil {
			t.Errorf("option %d of level %d with %x fails first with %v and then does not", name, level, value, err)
		}
		check(t, s.Close())
	})
}

// IPV6_MULTICAST_ALL is on at first, and a filter of each socket.
func TestMulticastAll6(t *testing.T) {
	h := twoLinkHost(t)
	joined, bystander := member(t, h, sockets.AF_INET6), member(t, h, sockets.AF_INET6)
	check(t, joined.SetSockOpt(sockets.SOL_IPV6, sockets.IPV6_JOIN_GROUP, mreq6(group6, d0)))
	out := mustSocket(t, h, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	send := func(text string) {
		t.Helper()
		must[int](t)(out.SendTo([]byte(text), sockets.Inet6{Host: group6, Port: groupPort}))
		wantText(t, joined, text)
	}
	send("one")
	wantText(t, bystander, "one")
	check(t, bystander.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_MULTICAST_ALL, 0))
	send("two")
	nothing(t, bystander)
}

// IPv6 groups need no route; IPv4's do, as on Linux.
func TestMulticastWithoutRoutes(t *testing.T) {
	st := must[*stack.Stack](t)(stack.New(stack.Config{Routes: []stack.Route{}, NICs: []stack.NIC{
		{Link: channel.New(16, 1500, ""), Addrs: []netip.Prefix{netip.MustParsePrefix("10.77.0.1/24"), netip.MustParsePrefix("fd77::1/64")}},
	}}))
	h := must[*sockets.Host](t)(sockets.New(sockets.Config{Stack: st}))
	t.Cleanup(func() {
		h.Close()
		st.Close()
	})
	in := member(t, h, sockets.AF_INET6)
	check(t, in.SetSockOpt(sockets.SOL_IPV6, sockets.IPV6_JOIN_GROUP, mreq6(group6, 0)))
	out := mustSocket(t, h, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	must[int](t)(out.SendTo([]byte("six"), sockets.Inet6{Host: group6, Port: groupPort}))
	wantText(t, in, "six")
	four := udpSocket(t, h)
	wantErrno(t, four.SetSockOpt(sockets.SOL_IP, sockets.IP_ADD_MEMBERSHIP, addrs4(group4, "0.0.0.0")), sockets.ENODEV)
	_, err := four.SendTo([]byte("four"), sockets.Inet4{Host: group4, Port: groupPort})
	wantErrno(t, err, sockets.ENETUNREACH)
}
