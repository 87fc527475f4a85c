package sockets_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/sockets"
)

// twoWires returns a host with a wire to the world on each of two interfaces;
// the first has the route.
func twoWires(t *testing.T) (h *sockets.Host, first, second *handWire) {
	t.Helper()
	wires := [2]*channel.Endpoint{channel.New(64, 1500, ""), channel.New(64, 1500, "")}
	prefix := netip.MustParsePrefix
	everything := []netip.Prefix{prefix("0.0.0.0/0"), prefix("::/0")}
	cfg := stack.Config{NICs: []stack.NIC{
		{Name: "first", Link: wires[0], Addrs: []netip.Prefix{prefix(addrA + "/24"), prefix(addrA6 + "/64")}},
		{Name: "second", Link: wires[1], Addrs: []netip.Prefix{prefix("10.88.0.1/24"), prefix("fd88::1/64")}},
	}}
	for _, nic := range []string{"first", "second"} {
		for _, dst := range everything {
			cfg.Routes = append(cfg.Routes, stack.Route{Dst: dst, NIC: nic})
		}
	}
	s := must[*stack.Stack](t)(stack.New(cfg))
	h = must[*sockets.Host](t)(sockets.New(sockets.Config{Stack: s}))
	t.Cleanup(func() {
		h.Close()
		s.Close()
		wires[0].Drain()
		wires[1].Drain()
	})
	return h, &handWire{t, wires[0]}, &handWire{t, wires[1]}
}

// udpOut returns the source of the next UDP packet on the wire.
func (w *handWire) udpOut() netip.Addr {
	w.t.Helper()
	for {
		p := w.sent()
		switch {
		case p[0]>>4 == header.IPv4Version && header.IPv4(p).Protocol() == uint8(header.UDPProtocolNumber):
			return netip.AddrFrom4(header.IPv4(p).SourceAddress().As4())
		case p[0]>>4 == header.IPv6Version && p[6] == uint8(header.UDPProtocolNumber):
			return netip.AddrFrom16(header.IPv6(p).SourceAddress().As16())
		}
	}
}

// I45, V55: IP_UNICAST_IF says which interface datagrams leave by, in network
// byte order. C9, C13: so does the interface of a control message, which goes
// first.
func TestUnicastInterface(t *testing.T) {
	h, first, second := twoWires(t)
	index := func(name string) int {
		ifc, ok := h.Stack().InterfaceByZone(name)
		if !ok {
			t.Fatalf("no interface %q", name)
		}
		return ifc.Index
	}
	for _, tc := range []struct {
		family      sockets.Family
		level, name int
		dst         sockets.Sockaddr
		unspecified netip.Addr
		from        [2]string
	}{
		{sockets.AF_INET, sockets.SOL_IP, sockets.IP_UNICAST_IF, sockets.Inet4{Host: "192.0.2.9", Port: 9},
			netip.IPv4Unspecified(), [2]string{addrA, "10.88.0.1"}},
		{sockets.AF_INET6, sockets.SOL_IPV6, sockets.IPV6_UNICAST_IF, sockets.Inet6{Host: "fd99::9", Port: 9},
			netip.IPv6Unspecified(), [2]string{addrA6, "fd88::1"}},
	} {
		s := mustSocket(t, h, tc.family, sockets.SOCK_DGRAM, 0)
		must[int](t)(s.SendTo([]byte("x"), tc.dst))
		if got := first.udpOut().String(); got != tc.from[0] {
			t.Errorf("as routed: from %s", got)
		}
		wire := binary.BigEndian.AppendUint32(nil, uint32(index("second")))
		check(t, s.SetSockOpt(tc.level, tc.name, wire))
		if got := must[[]byte](t)(s.GetSockOpt(tc.level, tc.name, 4)); string(got) != string(wire) {
			t.Errorf("reads % x, want % x", got, wire)
		}
		must[int](t)(s.SendTo([]byte("x"), tc.dst))
		if got := second.udpOut().String(); got != tc.from[1] {
			t.Errorf("by the second interface: from %s", got)
		}
		back := sockets.ControlPacketInfo(sockets.PacketInfo{Interface: index("first"), Local: tc.unspecified})
		_, err := s.SendMsg(&sockets.Msg{Buffers: [][]byte{{1}}, Addr: tc.dst, Control: []sockets.ControlMessage{back}})
		check(t, err)
		if got := first.udpOut().String(); got != tc.from[0] {
			t.Errorf("by the control message's interface: from %s", got)
		}
		wantErrno(t, s.SetSockOptInt(tc.level, tc.name, index("second")), sockets.EADDRNOTAVAIL) // host byte order
		wantErrno(t, s.SetSockOpt(tc.level, tc.name, append(wire, 0)), sockets.EINVAL)
	}
}

// I8: for a packet to a group or a broadcast address, IP_PKTINFO names the
// interface's own address to answer from, and the destination beside it.
func TestPacketInfoOfBroadcast(t *testing.T) {
	h, w := wired(t)
	s := udpSocket(t, h)
	check(t, s.Bind(sockets.Inet4{Port: 4000}))
	setInts(t, s, sockets.SOL_IP, sockets.IP_PKTINFO)
	for _, dst := range []string{"10.77.0.255", "255.255.255.255", addrA} {
		p := udpTo(4000, 1)
		header.IPv4(p).SetDestinationAddress(addr4(dst))
		header.IPv4(p).SetChecksum(0)
		header.IPv4(p).SetChecksum(^header.IPv4(p).CalculateChecksum())
		w.inject(p)
		info, ok := recvMsg(t, s).Control[0].PacketInfo()
		if !ok || info.Addr != netip.MustParseAddr(dst) || info.Local != netip.MustParseAddr(addrA) {
			t.Errorf("to %s: %+v", dst, info)
		}
	}
}

// Switches of a listener are those of the sockets that it accepts, as on Linux.
func TestMessageOptionsAreInherited(t *testing.T) {
	a, b := pair(t)
	l, addr := listener(t, b, addrB)
	options := []struct{ level, name int }{
		{sockets.SOL_SOCKET, sockets.SO_TIMESTAMP}, {sockets.SOL_IP, sockets.IP_RECVERR}, {sockets.SOL_IP, sockets.IP_RECVTTL},
		{sockets.SOL_TCP, sockets.TCP_INQ}, {sockets.SOL_TCP, sockets.TCP_CORK},
	}
	for _, o := range options {
		check(t, l.SetSockOptInt(o.level, o.name, 1))
	}
	check(t, tcpSocket(t, a).Connect(addr))
	s, _, err := l.Accept()
	check(t, err)
	defer s.Close()
	for _, o := range options {
		if v := must[int](t)(s.GetSockOptInt(o.level, o.name)); v != 1 {
			t.Errorf("option %d of level %d is %d on the accepted socket", o.name, o.level, v)
		}
	}
}
