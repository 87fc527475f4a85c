package hostnet

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/testnet"
	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/namespace"
)

// The test binary runs once more inside a network namespace whose network is
// known: the machine has two addresses, 10.77.0.2 and 10.77.0.3; there is a router, 10.77.0.1, with a smaller MTU behind it, a second, 10.99.0.2,
// and a host, 10.88.0.2, beyond. (Netstack's routers pass on IPv4 packets with a
// time to live of 1, so that the second is who finds them.) There it makes an uplink and asks for everything that goes wrong on a
// network; its answers are lines that TestWorld compares.
const insideEnv = "HOSTNET_TEST_INSIDE"

const routerMTU = 1280 // bytes; the way to the router has 1,500

func TestWorld(t *testing.T) {
	testnet.RequireNamespaces(t)
	ns := world(t)
	for _, row := range []struct{ name, pingGroups, want string }{
		{"raw sockets for pings", "1 0", worldAnswers},
		// By now the kernel knows the path's MTU, and says so itself.
		{"ping sockets", "0 0", strings.Replace(worldAnswers, "EMSGSIZE says 10.77.0.1", "EMSGSIZE says 10.0.2.2", 1)},
	} {
		t.Run(row.name, func(t *testing.T) {
			setting := ns.Command("sh", "-c", "echo '"+row.pingGroups+"' >/proc/sys/net/ipv4/ping_group_range")
			if out, err := setting.CombinedOutput(); err != nil {
				t.Skipf("ping_group_range of a namespace cannot be set, which takes Linux 5.8 and a writable /proc/sys: %v: %s", err, out)
			}
			cmd := ns.Command(os.Args[0], "-test.run=^$")
			cmd.Env = append(os.Environ(), insideEnv+"=1")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			got, want := strings.Split(strings.TrimSpace(string(out)), "\n"), strings.Split(strings.TrimSpace(row.want), "\n")
			for i, line := range want {
				if i >= len(got) || got[i] != line {
					t.Errorf("the %dth of the answers\n%s\nshould be\n%s", i+1, out, line)
				}
			}
		})
	}
}

const worldAnswers = `
ping 10.88.0.2: an answer, time to live 62
ping 10.88.0.2 with time to live 1: EHOSTUNREACH says 10.0.2.2
ping 10.88.0.2 with time to live 2: EHOSTUNREACH says 10.99.0.2
ping fd88::2: an answer, time to live 62
ping fd88::2 with time to live 2: EHOSTUNREACH says fd77::1
ping 10.0.2.2: an answer, time to live 64
datagram to 10.88.0.2 port 9: ECONNREFUSED says 10.88.0.2
datagram to 10.88.0.2 port 9 with time to live 2: EHOSTUNREACH says 10.99.0.2
datagram to fd88::2 port 9: ECONNREFUSED says fd88::2
datagram of 1400 bytes to 10.88.0.2 port 9, whole: EMSGSIZE says 10.77.0.1, MTU 1280
datagram to 192.0.2.1 port 9: ENETUNREACH says 10.0.2.2
datagram to 2001:db8::1 port 9: ENETUNREACH says fd00::2
connect to 10.88.0.2 port 9: ECONNREFUSED
connect to 10.77.0.2 port 9: EHOSTUNREACH
connect to 10.77.0.3 port 9: EHOSTUNREACH
connect to fd88::2 port 9: ECONNREFUSED
connect to 192.0.2.1 port 9: ENETUNREACH
connect to 2001:db8::1 port 9: ENETUNREACH
`

// world returns a namespace with a network.
func world(t *testing.T) *namespace.Namespace {
	t.Helper()
	prefixes := func(list ...string) (p []netip.Prefix) {
		for _, s := range list {
			p = append(p, netip.MustParsePrefix(s))
		}
		return p
	}
	ns, err := namespace.New(namespace.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	dev, err := ns.OpenTUN(tun.Config{Addrs: prefixes("10.77.0.2/24", "10.77.0.3/24", "fd77::2/64"), Routes: []tun.Route{
		{Dst: netip.MustParsePrefix("10.88.0.0/24"), Gateway: netip.MustParseAddr("10.77.0.1")},
		{Dst: netip.MustParsePrefix("fd88::/64"), Gateway: netip.MustParseAddr("fd77::1")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	wire, err := link.New(link.Config{Device: dev})
	if err != nil {
		t.Fatal(err)
	}
	a, b := link.NewPipe(link.PipeConfig{MTU: routerMTU})
	c, d := link.NewPipe(link.PipeConfig{MTU: routerMTU})
	route := func(dst, gateway string) stack.Route {
		return stack.Route{Dst: netip.MustParsePrefix(dst), Gateway: netip.MustParseAddr(gateway)}
	}
	for _, cfg := range []stack.Config{
		{Forwarding: stack.ForwardAll, Routes: []stack.Route{route("10.88.0.0/24", "10.99.0.2"), route("fd88::/64", "fd99::2")},
			NICs: []stack.NIC{
				{Name: "near", Link: wire, Addrs: prefixes("10.77.0.1/24", "fd77::1/64")},
				{Name: "far", Link: a, Addrs: prefixes("10.99.0.1/24", "fd99::1/64")},
			}},
		{Forwarding: stack.ForwardAll, Routes: []stack.Route{route("0.0.0.0/0", "10.99.0.1"), route("::/0", "fd99::1")},
			NICs: []stack.NIC{
				{Name: "near", Link: b, Addrs: prefixes("10.99.0.2/24", "fd99::2/64")},
				{Name: "far", Link: c, Addrs: prefixes("10.88.0.1/24", "fd88::1/64")},
			}},
		{NICs: []stack.NIC{{Link: d, Addrs: prefixes("10.88.0.2/24", "fd88::2/64")}}},
	} {
		s, err := stack.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
	}
	return ns
}

// inside is what the test binary does in the namespace.
func inside() int {
	u, err := New(Config{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	s, err := stack.New(stack.Config{NICs: []stack.NIC{{Link: u.Link(), Addrs: u.Addrs()}}})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer s.Close()
	h, err := sockets.New(sockets.Config{Stack: s})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer h.Close()
	for _, p := range []probe{
		{to: "10.88.0.2"}, {to: "10.88.0.2", ttl: 1}, {to: "10.88.0.2", ttl: 2}, {to: "fd88::2"}, {to: "fd88::2", ttl: 2},
		{to: "10.0.2.2"},
	} {
		fmt.Printf("ping %v: %v\n", p, p.ping(h))
	}
	for _, p := range []probe{
		{to: "10.88.0.2", port: 9}, {to: "10.88.0.2", port: 9, ttl: 2}, {to: "fd88::2", port: 9},
		{to: "10.88.0.2", port: 9, size: 1400}, {to: "192.0.2.1", port: 9}, {to: "2001:db8::1", port: 9},
	} {
		fmt.Printf("datagram %v: %v\n", p, p.datagram(h))
	}
	for _, p := range []probe{
		{to: "10.88.0.2", port: 9}, {to: "10.77.0.2", port: 9}, {to: "10.77.0.3", port: 9}, {to: "fd88::2", port: 9},
		{to: "192.0.2.1", port: 9}, {to: "2001:db8::1", port: 9},
	} {
		fmt.Printf("connect %v: %v\n", p, p.connect(h))
	}
	return 0
}

// A probe is something that is sent.
type probe struct {
	to        string
	port, ttl int
	size      int // of one that is not to be fragmented
}

func (p probe) String() string {
	s := p.to
	if p.port != 0 {
		s = fmt.Sprintf("to %s port %d", p.to, p.port)
	}
	if p.size != 0 {
		s = fmt.Sprintf("of %d bytes %s, whole", p.size, s)
	}
	if p.ttl != 0 {
		s += fmt.Sprintf(" with time to live %d", p.ttl)
	}
	return s
}

func (p probe) v6() bool { return strings.Contains(p.to, ":") }

func (p probe) addr() sockets.Sockaddr {
	if p.v6() {
		return sockets.Inet6{Host: p.to, Port: p.port}
	}
	return sockets.Inet4{Host: p.to, Port: p.port}
}

// socket returns a socket that reports errors.
func (p probe) socket(h *sockets.Host, typ sockets.Type, proto4, proto6 sockets.Protocol) (*sockets.Socket, error) {
	family, proto := sockets.AF_INET, proto4
	if p.v6() {
		family, proto = sockets.AF_INET6, proto6
	}
	s, err := h.Socket(family, typ, proto)
	if err != nil {
		return nil, err
	}
	if p.v6() {
		err = errors.Join(s.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_RECVERR, 1),
			s.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_RECVHOPLIMIT, 1))
	} else {
		err = errors.Join(s.SetSockOptInt(sockets.SOL_IP, sockets.IP_RECVERR, 1),
			s.SetSockOptInt(sockets.SOL_IP, sockets.IP_RECVTTL, 1))
	}
	if p.ttl != 0 && p.v6() {
		err = errors.Join(err, s.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_UNICAST_HOPS, p.ttl))
	} else if p.ttl != 0 {
		err = errors.Join(err, s.SetSockOptInt(sockets.SOL_IP, sockets.IP_TTL, p.ttl))
	}
	if p.size != 0 {
		err = errors.Join(err, s.SetSockOptInt(sockets.SOL_IP, sockets.IP_MTU_DISCOVER, sockets.IP_PMTUDISC_DO))
	}
	return s, err
}

func (p probe) ping(h *sockets.Host) string {
	s, err := p.socket(h, sockets.SOCK_DGRAM, sockets.IPPROTO_ICMP, sockets.IPPROTO_ICMPV6)
	if err != nil {
		return err.Error()
	}
	defer s.Close()
	request := []byte{8, 0, 0, 0, 0, 0, 0, 1, 'p', 'i', 'n', 'g'}
	if p.v6() {
		request[0] = 128
	}
	return p.exchange(s, request)
}

func (p probe) datagram(h *sockets.Host) string {
	s, err := p.socket(h, sockets.SOCK_DGRAM, 0, 0)
	if err != nil {
		return err.Error()
	}
	defer s.Close()
	return p.exchange(s, bytes.Repeat([]byte("x"), max(p.size, 10)))
}

// exchange sends something and says what comes back.
func (p probe) exchange(s *sockets.Socket, request []byte) string {
	if _, err := s.SendTo(request, p.addr()); err != nil {
		return err.Error()
	}
	b := make([]byte, 2000)
	m, err := s.RecvMsg([][]byte{b}, 512, sockets.Within(patience))
	if err == nil {
		ttl, _ := m.Control[0].Int()
		if !bytes.Equal(b[8:m.N], request[8:]) {
			return fmt.Sprintf("another answer, %x", b[:m.N])
		}
		return fmt.Sprintf("an answer, time to live %d", ttl)
	}
	m, qerr := s.RecvMsg([][]byte{b}, 512, sockets.MSG_ERRQUEUE, sockets.MSG_DONTWAIT)
	if qerr != nil {
		return err.Error()
	}
	for _, c := range m.Control {
		if e, ok := c.ExtendedError(); ok {
			return e.Errno.Name() + " says " + said(e)
		}
	}
	return "an error without a reason"
}

func said(e sockets.ExtendedError) (s string) {
	switch a := e.Offender.(type) {
	case sockets.Inet4:
		s = a.Host
	case sockets.Inet6:
		s = a.Host
	}
	if e.Info != 0 {
		s += fmt.Sprintf(", MTU %d", e.Info)
	}
	return s
}

func (p probe) connect(h *sockets.Host) string {
	s, err := p.socket(h, sockets.SOCK_STREAM, 0, 0)
	if err != nil {
		return err.Error()
	}
	defer s.Close()
	err = s.Connect(p.addr(), sockets.Within(patience))
	var errno sockets.Errno
	if errors.As(err, &errno) {
		return errno.Name()
	}
	return fmt.Sprint(err)
}
