package sockets_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// packetSocket returns an AF_PACKET socket of an EtherType.
func packetSocket(t *testing.T, h *sockets.Host, typ sockets.Type, ethertype uint16) *sockets.Socket {
	t.Helper()
	return mustSocket(t, h, sockets.AF_PACKET, typ|sockets.SOCK_NONBLOCK, sockets.Protocol(sockets.Htons(ethertype)))
}

func packetMreq(index, typ, size int) []byte {
	b := binary.LittleEndian.AppendUint16(int32Bytes(index), uint16(typ))
	return append(binary.LittleEndian.AppendUint16(b, uint16(size)), make([]byte, 8)...)
}

// Packets that come and go are seen with what packet(7) says of them; a socket
// of one EtherType sees those that come alone, and one of none sees nothing.
func TestPacketCapture(t *testing.T) {
	a, b := pair(t)
	all := packetSocket(t, a, sockets.SOCK_DGRAM, sockets.ETH_P_ALL)
	ip := packetSocket(t, a, sockets.SOCK_RAW, sockets.ETH_P_IP)
	none := packetSocket(t, a, sockets.SOCK_DGRAM, 0)
	in, out := udpSocket(t, b), udpSocket(t, a)
	check(t, in.Bind(sockets.Inet4{Port: groupPort}))
	must[int](t)(out.SendTo([]byte("out"), sockets.Inet4{Host: addrB, Port: groupPort}))
	_, from := receive(t, in)
	must[int](t)(in.SendTo([]byte("back"), from))
	receive(t, out)
	seen := 0
	see := func(s *sockets.Socket, text string, want sockets.LinkAddr) {
		t.Helper()
		p, from := receive(t, s)
		for seen++; from.(sockets.LinkAddr).Protocol == sockets.ETH_P_IPV6; seen++ {
			p, from = receive(t, s) // the hosts tell of their IPv6 groups when they please
		}
		a := from.(sockets.LinkAddr)
		if p[0] != 0x45 || !bytes.HasSuffix(p, []byte(text)) {
			t.Errorf("saw %q, want an IP packet with %q", p, text)
		}
		if a.Ifindex != want.Ifindex || a.Protocol != want.Protocol || a.PktType != want.PktType || a.HaType != want.HaType || len(a.Addr) > 0 {
			t.Errorf("from %+v, want %+v", a, want)
		}
	}
	see(all, "out", sockets.LinkAddr{Ifindex: 2, Protocol: sockets.ETH_P_IP, PktType: sockets.PACKET_OUTGOING, HaType: sockets.ARPHRD_NONE})
	incoming := sockets.LinkAddr{Ifindex: 2, Protocol: sockets.ETH_P_IP, PktType: sockets.PACKET_HOST, HaType: sockets.ARPHRD_NONE}
	see(all, "back", incoming)
	stats := must[[]byte](t)(all.GetSockOpt(sockets.SOL_PACKET, sockets.PACKET_STATISTICS, 64))
	if n := int(binary.LittleEndian.Uint32(stats)); len(stats) != 8 || n < seen {
		t.Errorf("PACKET_STATISTICS is %x, want %d packets", stats, seen)
	}
	see(ip, "back", incoming)
	nothing(t, ip)
	nothing(t, none)

	check(t, all.SetSockOptInt(sockets.SOL_PACKET, sockets.PACKET_IGNORE_OUTGOING, 1))
	must[int](t)(out.SendTo([]byte("again"), sockets.Inet4{Host: addrB, Port: groupPort}))
	receive(t, in)
	must[int](t)(in.SendTo([]byte("back"), from))
	receive(t, out)
	see(all, "back", incoming)
}

// A full packet socket counts what it drops.
func TestPacketDrops(t *testing.T) {
	h := twoLinkHost(t)
	s, out := packetSocket(t, h, sockets.SOCK_DGRAM, sockets.ETH_P_ALL), packetSocket(t, h, sockets.SOCK_DGRAM, sockets.ETH_P_IP)
	check(t, s.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 2304/2))
	packet := udpPacket("10.77.0.1", "10.77.0.9", 9, "x")
	const sent = 10
	for range sent {
		must[int](t)(out.SendTo(packet, sockets.LinkAddr{Ifindex: d0, Protocol: sockets.ETH_P_IP}))
	}
	stats := must[[]byte](t)(s.GetSockOpt(sockets.SOL_PACKET, sockets.PACKET_STATISTICS, 8))
	got, drops := binary.LittleEndian.Uint32(stats), binary.LittleEndian.Uint32(stats[4:])
	n := uint32(0)
	for ; ; n++ {
		if _, err := s.Recv(100); err != nil {
			break
		}
	}
	if again := must[[]byte](t)(s.GetSockOpt(sockets.SOL_PACKET, sockets.PACKET_STATISTICS, 64)); !bytes.Equal(again, make([]byte, 8)) {
		t.Errorf("PACKET_STATISTICS is %x the second time", again)
	}
	if got != sent || drops == 0 || n != got-drops {
		t.Errorf("%d packets and %d drops of %d sent, and %d received", got, drops, sent, n)
	}
}

// bind(2), getsockname(2) and what packet sockets cannot do, as measured.
func TestPacketNames(t *testing.T) {
	h := twoLinkHost(t)
	s := packetSocket(t, h, sockets.SOCK_DGRAM, sockets.ETH_P_ALL)
	name := func(index int, proto, hatype uint16) {
		t.Helper()
		a := must[sockets.Sockaddr](t)(s.GetSockName()).(sockets.LinkAddr)
		if a.Ifindex != index || a.Protocol != proto || a.HaType != hatype || a.PktType != 0 {
			t.Errorf("the name is %+v, want interface %d, protocol %#x, hardware %d", a, index, proto, hatype)
		}
	}
	name(0, sockets.ETH_P_ALL, 0)
	wantErrno(t, s.Bind(sockets.LinkAddr{Ifindex: 99}), sockets.ENODEV)
	wantErrno(t, s.Bind(sockets.LinkAddr{Ifindex: -1}), sockets.ENODEV)
	wantErrno(t, s.Bind(sockets.Inet4{}), sockets.EINVAL)
	name(0, sockets.ETH_P_ALL, 0)
	check(t, s.Bind(sockets.LinkAddr{Ifindex: d0}))
	name(d0, sockets.ETH_P_ALL, sockets.ARPHRD_NONE)
	check(t, s.Bind(sockets.LinkAddr{Ifindex: d1, Protocol: sockets.ETH_P_IP}))
	name(d1, sockets.ETH_P_IP, sockets.ARPHRD_NONE)
	check(t, s.Bind(sockets.LinkAddr{}))
	name(0, sockets.ETH_P_IP, 0)
	check(t, s.Bind(sockets.LinkAddr{Ifindex: 1}))
	name(1, sockets.ETH_P_IP, sockets.ARPHRD_LOOPBACK)
	_, err := s.GetPeerName()
	wantErrno(t, err, sockets.EOPNOTSUPP)
	wantErrno(t, s.Connect(sockets.LinkAddr{Ifindex: d0}), sockets.EOPNOTSUPP)
	wantErrno(t, s.Connect(nil), sockets.EOPNOTSUPP)
	wantErrno(t, s.Listen(1), sockets.EOPNOTSUPP)
	_, _, err = s.Accept()
	wantErrno(t, err, sockets.EOPNOTSUPP)
	wantErrno(t, s.Shutdown(sockets.SHUT_RDWR), sockets.EOPNOTSUPP)
	for opt, want := range map[int]int{sockets.SO_TYPE: 2, sockets.SO_DOMAIN: 17, sockets.SO_PROTOCOL: 0} {
		if n := must[int](t)(s.GetSockOptInt(sockets.SOL_SOCKET, opt)); n != want {
			t.Errorf("option %d is %d, want %d", opt, n, want)
		}
	}
}

func TestPacketSend(t *testing.T) {
	h := twoLinkHost(t)
	cooked, raw := packetSocket(t, h, sockets.SOCK_DGRAM, 0), packetSocket(t, h, sockets.SOCK_RAW, 0)
	packet := udpPacket("10.77.0.1", "10.77.0.9", 9, "x")
	to := func(index int, proto uint16) sockets.LinkAddr {
		return sockets.LinkAddr{Ifindex: index, Protocol: proto}
	}
	for _, tc := range []struct {
		s    *sockets.Socket
		p    []byte
		to   sockets.Sockaddr
		want sockets.Errno
	}{
		{cooked, packet, nil, sockets.ENXIO},
		{raw, packet, nil, sockets.ENXIO},
		{cooked, packet, to(0, sockets.ETH_P_IP), sockets.ENXIO},
		{cooked, packet, to(99, sockets.ETH_P_IP), sockets.ENXIO},
		{cooked, packet, to(-1, sockets.ETH_P_IP), sockets.ENXIO},
		{cooked, packet, sockets.Inet4{Host: "10.77.0.9"}, sockets.EINVAL},
		{cooked, packet, to(d0, sockets.ETH_P_IP), 0},
		{raw, packet, to(d0, sockets.ETH_P_IP), 0},
		{cooked, []byte("junk"), to(d0, sockets.ETH_P_IP), 0},
		{cooked, nil, to(d0, sockets.ETH_P_IP), sockets.EINVAL},
		{cooked, make([]byte, 1500), to(d0, sockets.ETH_P_IP), 0},
		{cooked, make([]byte, 1501), to(d0, sockets.ETH_P_IP), sockets.EMSGSIZE},
		{raw, make([]byte, 1501), to(d0, sockets.ETH_P_IP), sockets.EMSGSIZE},
	} {
		_, err := tc.s.SendTo(tc.p, tc.to)
		answer(t, err, tc.want)
	}
	check(t, cooked.Bind(to(d0, sockets.ETH_P_IP)))
	must[int](t)(cooked.Send(packet))

	// Everybody hears it but the sender.
	one, two := packetSocket(t, h, sockets.SOCK_DGRAM, sockets.ETH_P_ALL), packetSocket(t, h, sockets.SOCK_DGRAM, sockets.ETH_P_ALL)
	check(t, one.Bind(to(d0, 0)))
	must[int](t)(one.SendMsg(&sockets.Msg{Buffers: [][]byte{packet[:9], packet[9:]}}))
	m := must[*sockets.Msg](t)(two.RecvMsg([][]byte{make([]byte, 99)}, 0))
	if a := m.Addr.(sockets.LinkAddr); a.PktType != sockets.PACKET_OUTGOING || m.N != len(packet) {
		t.Errorf("received %d bytes from %+v", m.N, a)
	}
	nothing(t, one)
}

// Memberships of packet sockets, as measured; TestKernelFramesToOthers shows
// what PACKET_MR_PROMISC does.
func TestPacketMemberships(t *testing.T) {
	h := twoLinkHost(t)
	s := packetSocket(t, h, sockets.SOCK_DGRAM, sockets.ETH_P_ALL)
	for _, tc := range []struct {
		name  int
		value []byte
		want  sockets.Errno
	}{
		{sockets.PACKET_ADD_MEMBERSHIP, packetMreq(d0, sockets.PACKET_MR_PROMISC, 0), 0},
		{sockets.PACKET_ADD_MEMBERSHIP, packetMreq(d0, sockets.PACKET_MR_ALLMULTI, 0), 0},
		{sockets.PACKET_ADD_MEMBERSHIP, packetMreq(d0, sockets.PACKET_MR_MULTICAST, 0), 0},
		{sockets.PACKET_ADD_MEMBERSHIP, packetMreq(d0, sockets.PACKET_MR_MULTICAST, 6), sockets.EINVAL},
		{sockets.PACKET_ADD_MEMBERSHIP, packetMreq(99, sockets.PACKET_MR_PROMISC, 0), sockets.ENODEV},
		{sockets.PACKET_ADD_MEMBERSHIP, packetMreq(0, sockets.PACKET_MR_PROMISC, 0), sockets.ENODEV},
		{sockets.PACKET_ADD_MEMBERSHIP, packetMreq(d0, 5, 0), 0},
		{sockets.PACKET_ADD_MEMBERSHIP, make([]byte, 15), sockets.EINVAL},
		{sockets.PACKET_DROP_MEMBERSHIP, packetMreq(d0, sockets.PACKET_MR_PROMISC, 0), 0},
		{sockets.PACKET_DROP_MEMBERSHIP, packetMreq(d0, sockets.PACKET_MR_PROMISC, 0), 0},
		{sockets.PACKET_DROP_MEMBERSHIP, packetMreq(99, sockets.PACKET_MR_PROMISC, 0), 0},
		{sockets.PACKET_IGNORE_OUTGOING, int32Bytes(2), sockets.EINVAL},
		{sockets.PACKET_IGNORE_OUTGOING, []byte{1}, sockets.EINVAL},
		{sockets.PACKET_STATISTICS, int32Bytes(1), sockets.ENOPROTOOPT},
		{sockets.PACKET_QDISC_BYPASS, int32Bytes(1), 0},
		{sockets.PACKET_RX_RING, make([]byte, 28), sockets.ENOPROTOOPT},
		{sockets.PACKET_AUXDATA, int32Bytes(1), sockets.ENOPROTOOPT},
		{sockets.PACKET_FANOUT, int32Bytes(1), sockets.ENOPROTOOPT},
		{sockets.PACKET_VERSION, int32Bytes(1), sockets.ENOPROTOOPT},
	} {
		answer(t, s.SetSockOpt(sockets.SOL_PACKET, tc.name, tc.value), tc.want)
	}
	if n := must[int](t)(s.GetSockOptInt(sockets.SOL_PACKET, sockets.PACKET_QDISC_BYPASS)); n != 1 {
		t.Errorf("PACKET_QDISC_BYPASS is %d", n)
	}
	wantErrno(t, udpSocket(t, h).SetSockOpt(sockets.SOL_PACKET, sockets.PACKET_ADD_MEMBERSHIP, packetMreq(d0, 1, 0)), sockets.ENOPROTOOPT)
	_, err := s.GetSockOpt(sockets.SOL_IP, sockets.IP_TTL, 4)
	wantErrno(t, err, sockets.ENOPROTOOPT)
	_, err = udpSocket(t, h).GetSockOpt(sockets.SOL_NETLINK, 1, 4)
	wantErrno(t, err, sockets.EOPNOTSUPP)
	for _, level := range []int{sockets.SOL_NETLINK, sockets.SOL_TIPC, sockets.SOL_TLS, sockets.SOL_MPTCP, sockets.SOL_ALG} {
		wantErrno(t, udpSocket(t, h).SetSockOptInt(level, 1, 1), sockets.ENOPROTOOPT)
	}
}
