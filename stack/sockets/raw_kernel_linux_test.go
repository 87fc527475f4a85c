package sockets_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/testnet"
	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/namespace"
)

// kernelSetter makes the sockets of a table in the kernel.
func kernelSetter(t *testing.T, ns *namespace.Namespace) func(optionCall) sockets.Errno {
	made := map[string]*os.File{}
	return func(c optionCall) sockets.Errno {
		f := made[c.on]
		if f == nil {
			family, typ, proto := c.kind()
			var err error
			if f, err = ns.Socket(int(family), int(typ), int(proto)); err != nil {
				t.Logf("no %s socket: %v", c.on, err) // ping sockets need net.ipv4.ping_group_range
				return c.want
			}
			t.Cleanup(func() { f.Close() })
			made[c.on] = f
		}
		return controlFD(t, f, func(fd int) error { return unix.SetsockoptString(fd, c.level, c.name, string(c.value)) })
	}
}

func controlFD(t *testing.T, f *os.File, do func(fd int) error) sockets.Errno {
	t.Helper()
	raw, err := f.SyscallConn()
	check(t, err)
	var failed error
	check(t, raw.Control(func(fd uintptr) { failed = do(int(fd)) }))
	errno, _ := failed.(unix.Errno)
	return sockets.Errno(errno)
}

// twoLinkKernel is twoLinkHost in a namespace.
func twoLinkKernel(t *testing.T) *namespace.Namespace {
	t.Helper()
	testnet.RequireNamespaces(t)
	ns := must[*namespace.Namespace](t)(namespace.New(namespace.Config{}))
	t.Cleanup(func() { ns.Close() })
	for i, name := range []string{"d0", "d1"} {
		cfg := tun.Config{Name: name, Addrs: []netip.Prefix{
			netip.MustParsePrefix(fmt.Sprintf("10.%d.0.1/24", 77+i)), netip.MustParsePrefix(fmt.Sprintf("fd%d::1/64", 77+i)),
		}}
		if i == 0 {
			cfg.Routes = []tun.Route{{Dst: netip.MustParsePrefix("0.0.0.0/0")}, {Dst: netip.MustParsePrefix("::/0")}}
		}
		dev := must[tun.Device](t)(ns.OpenTUN(cfg))
		t.Cleanup(func() { dev.Close() })
	}
	return ns
}

// TestKernelMembershipErrors asks the kernel whether the tables have its
// answers.
func TestKernelMembershipErrors(t *testing.T) {
	ns := twoLinkKernel(t)
	for name, calls := range membershipTables {
		t.Run(name, func(t *testing.T) { runCalls(t, calls, kernelSetter(t, ns)) })
	}
}

// A raw ICMP socket pings the kernel, and a packet socket sees both packets.
func TestKernelAnswersPing(t *testing.T) {
	lab := testnet.Namespaces(t)
	eye := mustSocket(t, lab.Host, sockets.AF_PACKET, sockets.SOCK_DGRAM, sockets.Protocol(sockets.Htons(sockets.ETH_P_ALL)))
	check(t, eye.Bind(sockets.LinkAddr{Ifindex: 2}))
	for _, tc := range []struct {
		f              sockets.Family
		p              sockets.Protocol
		to             sockets.Sockaddr
		request, reply byte
		ethertype      uint16
		raw, packet    int // bytes before the ICMP header
	}{
		{sockets.AF_INET, sockets.IPPROTO_ICMP, sockets.Inet4{Host: "10.77.0.2"}, 8, 0, sockets.ETH_P_IP, 20, 20},
		{sockets.AF_INET6, sockets.IPPROTO_ICMPV6, sockets.Inet6{Host: "fd77::2"}, 128, 129, sockets.ETH_P_IPV6, 0, 40},
	} {
		s := rawSocket(t, lab.Host, tc.f, tc.p)
		must[int](t)(s.SendTo(echo(tc.request, 7), tc.to))
		for {
			p, from := receive(t, s)
			if from == tc.to && p[tc.raw] == tc.reply && p[len(p)-1] == 7 {
				break
			}
		}
		for _, want := range []struct{ typ, pktType byte }{{tc.request, sockets.PACKET_OUTGOING}, {tc.reply, sockets.PACKET_HOST}} {
			for {
				p, from := receive(t, eye)
				a := from.(sockets.LinkAddr)
				if a.Protocol != tc.ethertype || len(p) <= tc.packet || p[tc.packet] != want.typ {
					continue // the kernel talks of its own accord
				}
				if a.PktType != want.pktType || a.Ifindex != 2 || a.HaType != sockets.ARPHRD_NONE {
					t.Errorf("the packet socket saw %x from %+v", p, a)
				}
				break
			}
		}
	}
}

// The kernel does not speak protocol 254 and says so; nor do we.
func TestKernelProtocolUnreachable(t *testing.T) {
	lab := testnet.Namespaces(t)
	icmp := rawSocket(t, lab.Host, sockets.AF_INET, sockets.IPPROTO_ICMP)
	must[int](t)(rawSocket(t, lab.Host, sockets.AF_INET, someProtocol).SendTo([]byte("hello"), sockets.Inet4{Host: "10.77.0.2"}))
	if p, _ := receive(t, icmp); p[20] != 3 || p[21] != 2 {
		t.Errorf("the kernel says %x, want protocol unreachable", p)
	}
	f := must[*os.File](t)(lab.Kernel.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP))
	defer f.Close()
	out := must[*os.File](t)(lab.Kernel.Socket(unix.AF_INET, unix.SOCK_RAW, 47))
	defer out.Close()
	controlFD(t, out, func(fd int) error {
		return unix.Sendto(fd, []byte("hello"), 0, &unix.SockaddrInet4{Addr: [4]byte{10, 77, 0, 1}})
	})
	p := make([]byte, 1500)
	n := must[int](t)(f.Read(p))
	if n < 22 || p[20] != 3 || p[21] != 2 {
		t.Errorf("we say %x, want protocol unreachable", p[:n])
	}
}

// A kernel member hears us, and we hear the kernel.
func TestKernelMulticast(t *testing.T) {
	lab := testnet.Namespaces(t)
	ours := member(t, lab.Host, sockets.AF_INET)
	join4(t, ours, "10.77.0.1")
	pc := must[net.PacketConn](t)(lab.Kernel.ListenPacket("udp4", fmt.Sprint("0.0.0.0:", groupPort)))
	defer pc.Close()
	raw, err := pc.(*net.UDPConn).SyscallConn()
	check(t, err)
	check(t, raw.Control(func(fd uintptr) {
		group, ifc := [4]byte{239, 1, 2, 3}, [4]byte{10, 77, 0, 2}
		err = unix.SetsockoptIPMreq(int(fd), unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreq{Multiaddr: group, Interface: ifc})
		if err == nil {
			err = unix.SetsockoptInet4Addr(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_IF, ifc)
		}
	}))
	check(t, err)
	sendGroup(t, ours, "to the kernel")
	p := make([]byte, 100)
	n, from, err := pc.ReadFrom(p)
	check(t, err)
	if string(p[:n]) != "to the kernel" || from.String() != fmt.Sprint("10.77.0.1:", groupPort) {
		t.Errorf("the kernel got %q from %v", p[:n], from)
	}
	wantText(t, ours, "to the kernel") // the loop
	_, err = pc.WriteTo([]byte("from the kernel"), &net.UDPAddr{IP: net.IPv4(239, 1, 2, 3), Port: groupPort})
	check(t, err)
	wantText(t, ours, "from the kernel")
}

// PACKET_MR_PROMISC shows frames to other hosts, to packet sockets alone.
func TestKernelFramesToOthers(t *testing.T) {
	testnet.RequireNamespaces(t)
	ns := must[*namespace.Namespace](t)(namespace.New(namespace.Config{}))
	t.Cleanup(func() { ns.Close() })
	dev := must[tun.Device](t)(ns.OpenTUN(tun.Config{Name: "tap0", Mode: tun.TAP, Addrs: []netip.Prefix{netip.MustParsePrefix("10.77.0.2/24")}}))
	ether := must[*link.Ethernet](t)(link.NewEthernet(link.EthernetConfig{Config: link.Config{Device: dev}}))
	st := must[*stack.Stack](t)(stack.New(stack.Config{NICs: []stack.NIC{{Name: "eth0", Link: ether, Addrs: []netip.Prefix{netip.MustParsePrefix("10.77.0.1/24")}}}}))
	h := must[*sockets.Host](t)(sockets.New(sockets.Config{Stack: st}))
	t.Cleanup(func() {
		h.Close()
		st.Close()
	})
	eye := mustSocket(t, h, sockets.AF_PACKET, sockets.SOCK_RAW, sockets.Protocol(sockets.Htons(sockets.ETH_P_IP)))
	udp := member(t, h, sockets.AF_INET)
	check(t, eye.Bind(sockets.LinkAddr{Ifindex: 2}))
	own := must[sockets.Sockaddr](t)(eye.GetSockName()).(sockets.LinkAddr)
	if own.HaType != sockets.ARPHRD_ETHER || !bytes.Equal(own.Addr, []byte(ether.LinkAddress())) || own.Protocol != sockets.ETH_P_IP {
		t.Errorf("the socket's name is %+v", own)
	}
	f := must[*os.File](t)(ns.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0))
	defer f.Close()
	send := func(mac net.HardwareAddr, text string) {
		t.Helper()
		frame := append(append([]byte{}, mac...), 2, 2, 2, 2, 2, 2, 8, 0)
		frame = append(frame, udpPacket("10.77.0.2", "10.77.0.1", groupPort, text)...)
		errno := controlFD(t, f, func(fd int) error {
			return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: 2, Halen: 6})
		})
		check(t, errnoOrNil(errno))
	}
	see := func(text string, pktType uint8) {
		t.Helper()
		p, from := receive(t, eye)
		if a := from.(sockets.LinkAddr); !bytes.HasSuffix(p, []byte(text)) || a.PktType != pktType || a.Addr.String() != "02:02:02:02:02:02" {
			t.Fatalf("saw %q from %+v, want %q", p, a, text)
		}
	}
	other := net.HardwareAddr{2, 9, 9, 9, 9, 9}
	promisc := append(int32Bytes(2), sockets.PACKET_MR_PROMISC, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	send(other, "unseen")
	send(own.Addr, "one")
	see("one", sockets.PACKET_HOST)
	wantText(t, udp, "one")
	check(t, eye.SetSockOpt(sockets.SOL_PACKET, sockets.PACKET_ADD_MEMBERSHIP, promisc))
	check(t, eye.SetSockOpt(sockets.SOL_PACKET, sockets.PACKET_ADD_MEMBERSHIP, promisc))
	check(t, eye.SetSockOpt(sockets.SOL_PACKET, sockets.PACKET_DROP_MEMBERSHIP, promisc))
	send(other, "seen")
	see("seen", sockets.PACKET_OTHERHOST)
	send(own.Addr, "two")
	see("two", sockets.PACKET_HOST)
	wantText(t, udp, "two") // and not "seen"
	check(t, eye.SetSockOpt(sockets.SOL_PACKET, sockets.PACKET_DROP_MEMBERSHIP, promisc))
	send(other, "unseen")
	send(own.Addr, "three")
	see("three", sockets.PACKET_HOST)

	// A frame of our own goes out whole.
	out := mustSocket(t, h, sockets.AF_PACKET, sockets.SOCK_RAW, 0)
	in := must[*os.File](t)(ns.Socket(unix.AF_PACKET, unix.SOCK_RAW, int(sockets.Htons(0x88b5)))) // local experimental EtherType
	defer in.Close()
	frame := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 1, 1, 1, 1, 1, 0x88, 0xb5}, "our own frame, long enough"...)
	must[int](t)(out.SendTo(frame, sockets.LinkAddr{Ifindex: 2}))
	p := make([]byte, 1500)
	n := must[int](t)(in.Read(p))
	if !bytes.Equal(p[:n], frame) {
		t.Errorf("the kernel got %x, want %x", p[:n], frame)
	}
}

func errnoOrNil(e sockets.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}
