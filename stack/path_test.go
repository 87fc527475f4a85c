package stack_test

import (
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack"
)

func TestPathTo(t *testing.T) {
	s := newStack(t, stack.Config{
		NICs: []stack.NIC{
			{Link: newLink(), Addrs: prefixes("10.0.0.2/24", "fd00::2/64")},
			{Link: newLink(), Addrs: prefixes("10.1.0.2/24", "fe80::2/64")},
		},
		Routes: []stack.Route{
			{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.0.0.1")},
			{Dst: netip.MustParsePrefix("10.9.0.0/16"), NIC: "tun1"},
		},
	})
	addr := netip.MustParseAddr
	var none netip.Addr
	for _, tc := range []struct {
		nic      int
		src, dst string
		want     stack.Path
		ok       bool
	}{
		{0, "", "10.0.0.9", stack.Path{Interface: 2, Source: addr("10.0.0.2")}, true},
		{0, "", "192.0.2.1", stack.Path{Interface: 2, Source: addr("10.0.0.2"), Gateway: addr("10.0.0.1")}, true},
		{0, "", "::ffff:192.0.2.1", stack.Path{Interface: 2, Source: addr("10.0.0.2"), Gateway: addr("10.0.0.1")}, true},
		{0, "", "10.9.0.1", stack.Path{Interface: 3, Source: addr("10.1.0.2")}, true},
		{0, "10.0.0.2", "192.0.2.1", stack.Path{Interface: 2, Source: addr("10.0.0.2"), Gateway: addr("10.0.0.1")}, true},
		{0, "203.0.113.1", "192.0.2.1", stack.Path{}, false},
		{0, "10.0.0.2", "fd00::9", stack.Path{}, false},
		{3, "", "192.0.2.1", stack.Path{}, false},
		{3, "", "10.9.0.1", stack.Path{Interface: 3, Source: addr("10.1.0.2")}, true},
		{99, "", "10.0.0.9", stack.Path{}, false},
		{0, "", "10.0.0.2", stack.Path{Interface: 1, Source: addr("10.0.0.2"), Local: true}, true},
		{0, "", "127.0.0.5", stack.Path{Interface: 1, Source: addr("127.0.0.5"), Local: true}, true},
		{0, "", "10.0.0.255", stack.Path{Interface: 2, Source: addr("10.0.0.2"), Broadcast: true}, true},
		{0, "", "fd00::9", stack.Path{Interface: 2, Source: addr("fd00::2")}, true},
		{0, "", "::1", stack.Path{Interface: 1, Source: addr("::1"), Local: true}, true},
		{0, "", "2001:db8::1", stack.Path{}, false},
		{0, "", "fe80::9%tun1", stack.Path{Interface: 3, Source: addr("fe80::2")}, true},
		{2, "", "fe80::9%tun1", stack.Path{}, false},
		{0, "", "fe80::9%none", stack.Path{}, false},
	} {
		src := none
		if tc.src != "" {
			src = addr(tc.src)
		}
		got, ok := s.PathTo(tc.nic, src, addr(tc.dst))
		if got != tc.want || ok != tc.ok {
			t.Errorf("path by NIC %d from %v to %s:\n got %+v, %v\nwant %+v, %v", tc.nic, src, tc.dst, got, ok, tc.want, tc.ok)
		}
	}
	if _, ok := s.PathTo(0, none, none); ok {
		t.Error("there is a path to no address")
	}
}

func TestInterfaceFacts(t *testing.T) {
	const mac = tcpip.LinkAddress("\x02\x00\x00\x00\x00\x09")
	s := newStack(t, stack.Config{NICs: []stack.NIC{
		{Link: newLink(), Addrs: prefixes("10.0.0.2/24")},
		{Link: channel.New(16, 1500, mac), Addrs: prefixes("10.1.0.2/24")},
	}})
	ifs := s.Interfaces()
	for i, want := range []struct {
		flags, queue int
		broadcast    string
	}{
		{0x49, 1000, "invalid IP"}, // as Linux 6.18 shows lo, a TUN and a TAP
		{0x10d1, 500, "invalid IP"},
		{0x1043, 1000, "10.1.0.255"},
	} {
		if got := ifs[i].Flags(); got != want.flags {
			t.Errorf("flags of %s: %#x, want %#x", ifs[i].Name, got, want.flags)
		}
		if got := ifs[i].QueueLen(); got != want.queue {
			t.Errorf("queue of %s: %d, want %d", ifs[i].Name, got, want.queue)
		}
		if got := ifs[i].Broadcast(netip.MustParsePrefix("10.1.0.2/24")).String(); got != want.broadcast {
			t.Errorf("broadcast address of %s: %s, want %s", ifs[i].Name, got, want.broadcast)
		}
	}
	for network, want := range map[string]string{
		"10.0.0.0/30": "10.0.0.3", "10.0.0.0/31": "invalid IP", "10.0.0.1/32": "invalid IP", "fd00::/64": "invalid IP", "0.0.0.0/0": "255.255.255.255",
	} {
		if got := ifs[2].Broadcast(netip.MustParsePrefix(network)).String(); got != want {
			t.Errorf("broadcast address of %s: %s, want %s", network, got, want)
		}
	}
}

func TestTraffic(t *testing.T) {
	link := newLink()
	s := newStack(t, stack.Config{NICs: []stack.NIC{{Link: link, Addrs: prefixes("10.0.0.2/24")}}})
	const size = 20
	pkt := gstack.NewPacketBuffer(gstack.PacketBufferOptions{Payload: buffer.MakeWithData(make([]byte, size))})
	defer pkt.DecRef()
	link.InjectInbound(header.IPv4ProtocolNumber, pkt)
	want := stack.Traffic{ReceivedPackets: 1, ReceivedBytes: size}
	if got := s.Interfaces()[1].Traffic; got != want {
		t.Errorf("after one packet of %d bytes: %+v, want %+v", size, got, want)
	}
}
