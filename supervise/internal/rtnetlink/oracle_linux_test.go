package rtnetlink_test

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"gvisor.dev/gvisor/pkg/tcpip/link/channel"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/supervise/internal/rtnetlink"
	"github.com/userstack/userstack/testnet"
	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/namespace"
)

// A kernelSocket asks the kernel in a namespace.
type kernelSocket struct {
	file *os.File
	port uint32
}

func newKernelSocket(t *testing.T, ns *namespace.Namespace, c rtnetlink.Client) kernelSocket {
	t.Helper()
	file, err := ns.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	fd := int(file.Fd())
	k := kernelSocket{file: file}
	fail := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	fail(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 60})) // only guards against a hang
	fail(unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
	for option, on := range map[int]bool{unix.NETLINK_EXT_ACK: c.ExtAck, unix.NETLINK_CAP_ACK: c.CapAck, unix.NETLINK_GET_STRICT_CHK: c.Strict} {
		if on {
			fail(unix.SetsockoptInt(fd, unix.SOL_NETLINK, option, 1))
		}
	}
	name, err := unix.Getsockname(fd)
	fail(err)
	k.port = name.(*unix.SockaddrNetlink).Pid
	return k
}

// ask returns the replies up to the last, or none where the kernel has none: a request
// that is certainly answered follows.
func (k kernelSocket) ask(t *testing.T, req []byte) []reply {
	t.Helper()
	const mark = 0x777
	fd := int(k.file.Fd())
	end := message(1, ack) // NLMSG_NOOP
	copy(end[8:], u32(mark))
	for _, r := range [][]byte{req, end} {
		if err := unix.Sendto(fd, r, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			t.Fatal(err)
		}
	}
	var out []reply
	b := make([]byte, 1<<16)
	marked, dumping := false, false
	for !marked || dumping {
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range parseAll(t, [][]byte{slices.Clone(b[:n])}) {
			if r.kind == 20 && r.fixed[0] == 10 { // IFA_F_NODAD, which is how tun adds addresses
				r.fixed[2] &^= 2
				r.attrs[8] = strings.Replace(r.attrs[8], "82", "80", 1)
			}
			if r.seq == mark {
				marked = true
				continue
			}
			dumping = r.flags&2 != 0 && r.kind != 3
			out = append(out, r)
		}
	}
	return out
}

// twins are a namespace and a stack with the same addresses and routes.
func twins(t *testing.T) (*namespace.Namespace, *stack.Stack) {
	t.Helper()
	testnet.RequireNamespaces(t)
	addrs := prefixes("10.0.0.2/24", "10.0.0.3/24", "10.5.0.1/32", "fd00::2/64", "fe80::2/64")
	ns, err := namespace.New(namespace.Config{Sysctl: map[string]string{
		"net.ipv6.conf.default.addr_gen_mode": "1", // none: netstack gives tunnels none
		"net.ipv6.conf.default.accept_dad":    "0",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	gw4, gw6 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")
	any4, any6, lab := netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"), netip.MustParsePrefix("172.16.0.0/12")
	dev, err := ns.OpenTUN(tun.Config{Name: "tun0", MTU: 1400, Addrs: addrs,
		Routes: []tun.Route{{Dst: any4, Gateway: gw4}, {Dst: any6, Gateway: gw6}, {Dst: lab}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	s, err := stack.New(stack.Config{
		NICs:   []stack.NIC{{Name: "tun0", Link: channel.New(16, 1400, ""), Addrs: addrs}},
		Routes: []stack.Route{{Dst: any4, Gateway: gw4}, {Dst: any6, Gateway: gw6}, {Dst: lab}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return ns, s
}

var clients = map[string]rtnetlink.Client{
	"lax": {}, "strict": {Strict: true, ExtAck: true}, "capped": {CapAck: true}, "words": {ExtAck: true},
}

// questions are asked of the kernel and of us, by each kind of client.
var questions = map[string][]byte{
	"links":                     message(18, dump, ifinfo(0, 0)),
	"links with ack":            message(18, dump|ack, ifinfo(0, 0)),
	"links by one byte":         message(18, dump, []byte{0}),
	"links without body":        message(18, dump),
	"links by AF_PACKET":        message(18, dump, ifinfo(17, 0)),
	"links of IPv6":             message(18, dump, ifinfo(10, 0)),
	"links of bridges":          message(18, dump, ifinfo(7, 0)),
	"links without statistics":  message(18, dump, ifinfo(0, 0), attr(29, u32(8))),
	"links by index":            message(18, dump, ifinfo(0, 1)),
	"links by master":           message(18, dump, ifinfo(0, 0), attr(10, u32(1))),
	"links by MTU":              message(18, dump, ifinfo(0, 0), attr(4, u32(1))),
	"links, unknown attribute":  message(18, dump, ifinfo(0, 0), attr(200, u32(1))),
	"links, garbage":            message(18, dump, ifinfo(0, 0), []byte{1, 0}),
	"link 1":                    message(18, 0, ifinfo(0, 1)),
	"link 1 with ack":           message(18, ack, ifinfo(0, 1)),
	"link 1 echoed":             message(18, 8, ifinfo(0, 1)),
	"link 0":                    message(18, 0, ifinfo(0, 0)),
	"link 99":                   message(18, 0, ifinfo(0, 99)),
	"link -1":                   message(18, 0, ifinfo(0, ^uint32(0))),
	"link lo":                   message(18, 0, ifinfo(0, 0), attr(3, []byte("lo\x00"))),
	"link nope":                 message(18, 0, ifinfo(0, 0), attr(3, []byte("nope\x00"))),
	"link of a long name":       message(18, 0, ifinfo(0, 0), attr(3, []byte(strings.Repeat("n", 20)))),
	"link lo, alternative":      message(18, 0, ifinfo(0, 0), attr(53, []byte("lo\x00"))),
	"link with a change mask":   message(18, 0, ifinfo(0, 1)[:12], u32(1)),
	"link, short":               message(18, 0, []byte{0, 0, 0, 0}),
	"addresses":                 message(22, dump, ifaddr(0, 0)),
	"addresses of IPv4":         message(22, dump, ifaddr(2, 0)),
	"addresses of IPv6":         message(22, dump, ifaddr(10, 0)),
	"addresses of family 99":    message(22, dump, ifaddr(99, 0)),
	"addresses of lo":           message(22, dump, ifaddr(0, 1)),
	"addresses of lo, IPv4":     message(22, dump, ifaddr(2, 1)),
	"addresses of nobody":       message(22, dump, ifaddr(2, 99)),
	"addresses by one byte":     message(22, dump, []byte{2}),
	"addresses of a length":     message(22, dump, []byte{2, 8, 0, 0}, u32(0)),
	"an address of IPv4":        message(22, 0, ifaddr(2, 0), attr(1, []byte{127, 0, 0, 1})),
	"an address of IPv6":        message(22, 0, ifaddr(10, 0), attr(1, netip.MustParseAddr("fd00::2").AsSlice())),
	"a foreign address":         message(22, 0, ifaddr(10, 0), attr(1, netip.MustParseAddr("fd00::9").AsSlice())),
	"no address":                message(22, 0, ifaddr(10, 0)),
	"routes":                    message(26, dump, rtmsg(0, 0, 0, 0)),
	"routes of IPv4":            message(26, dump, rtmsg(2, 0, 0, 0)),
	"routes of IPv6":            message(26, dump, rtmsg(10, 0, 0, 0)),
	"routes of main":            message(26, dump, rtmsg(2, 0, 254, 0)),
	"routes of local":           message(26, dump, rtmsg(10, 0, 255, 0)),
	"routes of table 1000":      message(26, dump, rtmsg(2, 0, 0, 0), attr(15, u32(1000))),
	"routes of table 1000, all": message(26, dump, rtmsg(0, 0, 0, 0), attr(15, u32(1000))),
	"routes through 2":          message(26, dump, rtmsg(2, 0, 0, 0), attr(4, u32(2))),
	"routes through 99":         message(26, dump, rtmsg(2, 0, 0, 0), attr(4, u32(99))),
	"routes to somewhere":       message(26, dump, rtmsg(2, 0, 0, 0), attr(1, []byte{127, 0, 0, 1})),
	"routes in a cache":         message(26, dump, rtmsg(2, 0, 0, 0x200)),
	"routes announced":          message(26, dump, rtmsg(10, 0, 0, 0x800)),
	"routes with odd flags":     message(26, dump, rtmsg(2, 0, 0, 0x4)),
	"routes of a scope":         message(26, dump, []byte{2, 0, 0, 0, 0, 0, 253, 0}, u32(0)),
	"routes of a protocol":      message(26, dump, []byte{2, 0, 0, 0, 0, 2, 0, 0}, u32(0)),
	"routes of a type":          message(26, dump, []byte{2, 0, 0, 0, 0, 0, 0, 2}, u32(0)),
	"routes by one byte":        message(26, dump, []byte{2}),
	"route on the link":         message(26, 0, dst("10.0.0.9")),
	"route through the gateway": message(26, 0, dst("192.0.2.1")),
	"route without gateway":     message(26, 0, dst("172.16.9.9")),
	"route to itself":           message(26, 0, dst("10.0.0.2")),
	"route to its loopback":     message(26, 0, dst("127.0.0.5")),
	"route to everybody":        message(26, 0, dst("10.0.0.255")),
	"route to a group":          message(26, 0, dst("224.1.2.3")),
	"route on the link, 6":      message(26, 0, dst("fd00::9")),
	"route to the gateway, 6":   message(26, 0, dst("2001:db8::1")),
	"route to itself, 6":        message(26, 0, dst("fd00::2")),
	"route to ::1":              message(26, 0, dst("::1")),
	"route of the table":        message(26, 0, rtmsg(2, 32, 0, 0x2000), attr(1, []byte{10, 0, 0, 9})),
	"route of the table, 6":     message(26, 0, rtmsg(10, 128, 0, 0x2000), attr(1, netip.MustParseAddr("fd00::9").AsSlice())),
	"route from an address":     message(26, 0, []byte{2, 32, 32, 0, 0, 0, 0, 0}, u32(0), attr(1, []byte{192, 0, 2, 1}), attr(2, []byte{10, 0, 0, 3})),
	"route by an interface":     message(26, 0, rtmsg(2, 32, 0, 0), attr(1, []byte{192, 0, 2, 1}), attr(4, u32(2))),
	"route by interface 99":     message(26, 0, rtmsg(2, 32, 0, 0), attr(1, []byte{192, 0, 2, 1}), attr(4, u32(99))),
	"route of no family":        message(26, 0, rtmsg(0, 0, 0, 0)),
	"route with a short dst":    message(26, 0, rtmsg(2, 32, 0, 0), attr(1, []byte{127, 0})),
	"route with a short dst, 6": message(26, 0, rtmsg(10, 128, 0, 0), attr(1, []byte{127, 0})),
	"route without a length":    message(26, 0, rtmsg(2, 0, 0, 0), attr(1, []byte{127, 0, 0, 1})),
	"route with a length":       message(26, 0, rtmsg(2, 24, 0, 0), attr(1, []byte{127, 0, 0, 1})),
	"neighbours of IPv4":        message(30, dump, []byte{2}, make([]byte, 11)),
	"neighbour of nobody":       message(30, 0, []byte{2}, make([]byte, 11)),
	"neighbour of lo":           message(30, 0, []byte{2, 0, 0, 0}, u32(1), u32(0), attr(1, []byte{127, 0, 0, 1})),
	"rules of IPv4":             message(34, dump, []byte{2}, make([]byte, 11)),
	"rules of IPv6":             message(34, dump, []byte{10}, make([]byte, 11)),
	"rules of family 99":        message(34, dump, []byte{99}, make([]byte, 11)),
	"a rule":                    message(34, 0, []byte{2}, make([]byte, 11)),
	"classes of traffic":        message(42, dump, make([]byte, 20)),
	"an unknown request":        message(200, 0, make([]byte, 16)),
	"a request of far off":      message(0x500, dump, make([]byte, 16)),
	"no operation":              message(1, ack),
	"an error":                  message(2, ack),
	"the end":                   message(3, ack),
	"a reserved type":           message(15, ack),
	"too short":                 u32(16),
	"a length too small":        slices.Concat(u32(8), u16(18), u16(1), u32(0), u32(0)),
	"a length too large":        slices.Concat(u32(100), u16(18), u16(1), u32(0), u32(0)),
	"not a request":             slices.Concat(u32(32), u16(18), u16(ack), u32(seq), u32(0), ifinfo(0, 1)),
	"two at once":               slices.Concat(message(18, 0, ifinfo(0, 1)), message(18, 0, ifinfo(0, 99))),
}

// permitted are attributes that may differ or be missing, by kind of message.
var permitted = []struct {
	kind  uint16
	attrs []uint16
	why   string
}{
	{2, []uint16{2, 4 | 0x8000}, "NLMSGERR_ATTR_OFFS and POLICY: where in the request the fault is"},
	{3, []uint16{2, 4 | 0x8000}, "the same"},
	{16, []uint16{26, 12}, "IFLA_AF_SPEC and IFLA_PROTINFO: the kernel's sysctls and statistics"},
	{16, []uint16{7, 23}, "IFLA_STATS: the kernel counts other packets"},
	{16, []uint16{43, 18, 67, 61, 63, 64, 66, 58, 59, 60, 68, 69, 0x8000 | 62, 0x8000 | 65},
		"IFLA_XDP, IFLA_LINKINFO and what newer kernels tell of a device and its driver"},
	{16, []uint16{6}, "IFLA_QDISC: the stack has no queueing discipline"},
	{16, []uint16{16}, "IFLA_OPERSTATE: a TUN device does not know whether it works"},
	{20, []uint16{4}, "IFA_BROADCAST: package tun gives tunnels one, ip(8) does not"},
	{20, []uint16{6}, "IFA_CACHEINFO: when the address was made"},
	{24, []uint16{12}, "RTA_CACHEINFO: use of the kernel's cache"},
	{24, []uint16{25}, "RTA_UID: the socket's owner, of whom routes do not depend here"},
}

func permits(kind, attr uint16) bool {
	return slices.ContainsFunc(permitted, func(p struct {
		kind  uint16
		attrs []uint16
		why   string
	}) bool {
		return p.kind == kind && slices.Contains(p.attrs, attr)
	})
}

// TestLikeTheKernel needs a kernel that answers as Linux 6.18 does, which is what the package imitates.
func TestLikeTheKernel(t *testing.T) {
	if major, minor := release(t); major < 6 || major == 6 && minor < 18 {
		t.Skip("needs Linux 6.18 or later, whose answers are compared")
	}
	ns, s := twins(t)
	for name, client := range clients {
		t.Run(name, func(t *testing.T) {
			k := newKernelSocket(t, ns, client)
			client.PortID = k.port
			for question, req := range questions {
				want, got := k.ask(t, req), parseAll(t, rtnetlink.Answer(s, client, req))
				for _, d := range differences(got, want) {
					t.Errorf("%s: %s", question, d)
				}
			}
		})
	}
}

// release is the kernel's version.
func release(t *testing.T) (major, minor int) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	text := unix.ByteSliceToString(u.Release[:])
	if n, err := fmt.Sscanf(text, "%d.%d", &major, &minor); n != 2 {
		t.Fatalf("release %q: %v", text, err)
	}
	return major, minor
}

func differences(got, want []reply) (out []string) {
	ours, theirs := byName(got), byName(want)
	for name, w := range theirs {
		g, ok := ours[name]
		if !ok {
			out = append(out, "missing: "+name+"\n\t"+w.String())
			continue
		}
		if w.kind == 3 { // whether the last message has NLM_F_DUMP_FILTERED depends on the dump
			g.flags, w.flags = g.flags&^0x20, w.flags&^0x20
		}
		if g.flags != w.flags || g.port != w.port || g.seq != w.seq || string(g.fixed) != string(w.fixed) {
			out = append(out, fmt.Sprintf("%s:\n\t got %v\n\twant %v", name, g, w))
		}
		for kind, v := range w.attrs {
			if have, ok := g.attrs[kind]; (!ok || have != v) && !permits(w.kind, kind) {
				out = append(out, fmt.Sprintf("%s: attribute %d: %q, want %q", name, kind, have, v))
			}
		}
		for kind, v := range g.attrs {
			if _, ok := w.attrs[kind]; !ok {
				out = append(out, fmt.Sprintf("%s: attribute %d: %q, want none", name, kind, v))
			}
		}
	}
	for name, g := range ours {
		if _, ok := theirs[name]; !ok {
			out = append(out, "too much: "+name+"\n\t"+g.String())
		}
	}
	return out
}

// byName gives each reply a name by what it is about.
func byName(rs []reply) map[string]reply {
	out := map[string]reply{}
	for _, r := range rs {
		name := fmt.Sprintf("kind %d ", r.kind)
		switch r.kind {
		case 16:
			name += fmt.Sprintf("link %d", le32(r.fixed[4:]))
		case 20:
			name += "address " + r.attrs[1]
		case 24:
			name += fmt.Sprintf("route %s/%d of table %d through %s", r.attrs[1], r.fixed[1], r.fixed[4], r.attrs[4])
		case 32:
			name += fmt.Sprintf("rule %d %d", r.fixed[0], r.fixed[4])
		default:
			name += fmt.Sprintf("errno %d", r.errno())
		}
		out[name] = r
	}
	return out
}
