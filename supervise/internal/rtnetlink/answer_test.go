package rtnetlink_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/link/channel"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/supervise/internal/rtnetlink"
)

const port = 4711

func ask(t testing.TB, s *stack.Stack, c rtnetlink.Client, req []byte) []reply {
	t.Helper()
	c.PortID = port
	rs := parseAll(t, rtnetlink.Answer(s, c, req))
	for _, r := range rs {
		if r.seq != seq || r.port != port {
			t.Errorf("a reply has the number %#x and the port %d, want %#x and %d", r.seq, r.port, seq, port)
		}
	}
	return rs
}

// The rows are what Linux 6.18 says of devices that are like these.
func TestLinks(t *testing.T) {
	rs := ask(t, newStack(t), rtnetlink.Client{}, message(18, dump, ifinfo(0, 0)))
	if len(rs) != 4 || rs[3].kind != 3 || rs[3].errno() != 0 {
		t.Fatalf("got %v, want three links and the end", rs)
	}
	for i, want := range []struct {
		fixed, name, mtu, queue, address, broadcast, state string
	}{
		{"0000040301000000490001000000 0000", "6c6f00", "00000100", "e8030000", "000000000000", "000000000000", "00"},
		{"0000feff02000000d11001000000 0000", "74756e3000", "78050000", "f4010000", "", "", "06"},
		{"0000010003000000431001000000 0000", "6574683000", "dc050000", "e8030000", "020000000009", "ffffffffffff", "06"},
	} {
		r := rs[i]
		got := fmt.Sprintf("%x %s %s %s %s %s %s", r.fixed, r.attrs[3], r.attrs[4], r.attrs[13], r.attrs[1], r.attrs[2], r.attrs[16])
		exp := strings.Join([]string{strings.ReplaceAll(want.fixed, " ", ""), want.name, want.mtu, want.queue, want.address, want.broadcast, want.state}, " ")
		if got != exp {
			t.Errorf("link %d:\n got %s\nwant %s", i+1, got, exp)
		}
		if _, has := r.attrs[1]; has != (want.address != "") {
			t.Errorf("link %d: IFLA_ADDRESS is there: %v", i+1, has)
		}
	}
}

// An Ethernet has broadcasts, and a link-local address that netstack made.
func TestAddresses(t *testing.T) {
	var got []string
	for _, r := range ask(t, newStack(t), rtnetlink.Client{Strict: true}, message(22, dump, ifaddr(0, 3))) {
		if r.kind == 20 {
			got = append(got, fmt.Sprintf("%x %s %s %s %s", r.fixed, r.attrs[1], r.attrs[2], r.attrs[4], r.attrs[8]))
		}
		if r.flags != 0x22 {
			t.Errorf("flags %#x, want NLM_F_MULTI and NLM_F_DUMP_FILTERED", r.flags)
		}
	}
	want := []string{
		"0218800003000000 c0a80702 c0a80702 c0a807ff 80000000",
		"0a4080fd03000000 fe80000000000000" + "000000fffe000009   80000000",
	}
	if !slices.Equal(got, want) {
		t.Errorf("addresses of eth0:\n got %q\nwant %q", got, want)
	}
}

// The route that is told is the route that the stack takes.
func TestRouteIsTheStacks(t *testing.T) {
	s := newStack(t)
	for _, to := range []string{"10.0.0.9", "192.0.2.1", "172.20.1.1", "192.168.7.9", "fd00::9", "2001:db8::1", "10.0.0.2", "127.0.0.1", "::1"} {
		p, ok := s.PathTo(0, netip.Addr{}, netip.MustParseAddr(to))
		if !ok {
			t.Fatalf("the stack has no path to %s", to)
		}
		rs := ask(t, s, rtnetlink.Client{}, message(26, 0, dst(to)))
		if len(rs) != 1 || rs[0].kind != 24 {
			t.Fatalf("%s: %v", to, rs)
		}
		gateway := ""
		if p.Gateway.IsValid() {
			gateway = fmt.Sprintf("%x", p.Gateway.AsSlice())
		}
		got := [3]string{rs[0].attrs[7], rs[0].attrs[5], rs[0].attrs[4]}
		want := [3]string{fmt.Sprintf("%x", p.Source.AsSlice()), gateway, fmt.Sprintf("%x", u32(uint32(p.Interface)))}
		if got != want {
			t.Errorf("to %s: source, gateway, interface are %q, want %q", to, got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := newStack(t)
	lo := ifinfo(0, 1)
	for _, tc := range []struct {
		name  string
		req   []byte
		errno int
	}{
		{"set a link", message(16, ack, lo), 1},
		{"set a link, dump", message(19, dump, lo), 1},
		{"remove a link", message(17, ack, lo), 1},
		{"add an address", message(20, ack, ifaddr(2, 1)), 1},
		{"remove a route", message(25, 0, rtmsg(2, 0, 0, 0)), 1},
		{"add a neighbour", message(28, 0, make([]byte, 12)), 1},
		{"add a rule", message(32, 0, make([]byte, 12)), 1},
		{"unknown group", message(200, 0, lo), 95},
		{"statistics", message(94, 0, lo), 95},
		{"statistics of all", message(94, dump, lo), 95},
		{"multicast addresses", message(58, dump, lo), 95},
		{"nowhere", message(26, 0, rtmsg(2, 32, 0, 0), attr(1, []byte{240, 1, 1, 1}), attr(4, u32(1))), 101},
		{"by way of", message(26, 0, rtmsg(2, 32, 0, 0), attr(1, []byte{192, 0, 2, 1}), attr(3, u32(2))), 113},
	} {
		rs := ask(t, s, rtnetlink.Client{}, tc.req)
		if len(rs) != 1 || rs[0].kind != 2 || rs[0].errno() != tc.errno {
			t.Errorf("%s: got %v, want errno %d", tc.name, rs, tc.errno)
		}
	}
}

// A dump of many routes comes in datagrams that fit the buffers of programs, and a
// second dump in the same datagram is not made.
func TestDatagrams(t *testing.T) {
	cfg := stack.Config{NICs: []stack.NIC{{Link: channel.New(1, 1500, ""), Addrs: prefixes("10.0.0.2/24")}}}
	const routes = 500
	for i := range routes {
		dst := netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)}), 32)
		cfg.Routes = append(cfg.Routes, stack.Route{Dst: dst})
	}
	s, err := stack.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	request := message(26, dump, rtmsg(2, 0, 254, 0))
	replies := rtnetlink.Answer(s, rtnetlink.Client{Strict: true}, slices.Concat(request, request))
	seen, errnos := 0, []int{}
	for _, d := range replies {
		if len(d) > 3776 {
			t.Errorf("a datagram has %d bytes, more than NLMSG_GOODSIZE", len(d))
		}
		for _, r := range parseAll(t, [][]byte{d}) {
			if r.kind == 24 {
				seen++
			} else {
				errnos = append(errnos, r.errno())
			}
		}
	}
	if want := routes + 1; seen != want || !slices.Equal(errnos, []int{0, 16}) { // 1 is the connected route
		t.Errorf("got %d routes and the errnos %v, want %d and the end, then EBUSY", seen, errnos, want)
	}
	if most := (routes+1)*52/3500 + 3; len(replies) > most { // 52 bytes each, the end, EBUSY
		t.Errorf("%d datagrams, want at most %d: they are not filled", len(replies), most)
	}
}

// A flood of requests in one datagram makes no more than a receive buffer.
func TestBound(t *testing.T) {
	s := newStack(t)
	flood := slices.Repeat(message(18, 0, ifinfo(0, 1)), 2000)
	size := 0
	for _, d := range rtnetlink.Answer(s, rtnetlink.Client{}, flood) {
		size += len(d)
	}
	if size < 100_000 || size > 250_000 {
		t.Errorf("%d bytes of replies, want about those of a receive buffer", size)
	}
}
