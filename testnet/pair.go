package testnet

import (
	"net/netip"
	"testing"

	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// maxSegment is the largest segment that crosses the wire of a Pair whole, in bytes: what an IP packet can be.
const maxSegment = 65535

// nicName is the name of every host's interface besides the loopback.
const nicName = "net0"

// Node is a userspace host with one address of each family.
type Node struct {
	Stack *stack.Stack
	Host  *sockets.Host
	// Addr4 and Addr6 are the host's own addresses.
	Addr4, Addr6 netip.Addr
}

// Pair returns two userspace hosts joined by a wire in memory: a is 10.77.0.1 and fd77::1, b is 10.77.0.2 and fd77::2.
// Both end with the test, which fails if a goroutine of theirs outlives them.
//
// Call it from the test's own goroutine.
func Pair(t testing.TB, opts ...Option) (a, b *Node) {
	t.Helper()
	o := prepare(t, opts)
	cfg := link.PipeConfig{MTU: o.mtu, GSOMaxSize: maxSegment}
	if o.noGSO {
		cfg.GSOMaxSize = 0
	}
	packets := newCapture(t)
	left, right := link.NewPipe(cfg)
	// Each end's view is recorded apart: on an impaired wire they differ.
	b = newNode(t, o, packets.wrap(right, "b"), addrs(2))
	a = newNode(t, o, packets.wrap(impaired(t, o, left), "a"), addrs(1))
	return a, b
}

// addrs returns the addresses of the nth host of a network. Both networks are private, so that a packet that got out
// would go nowhere (RFC 1918, RFC 4193).
func addrs(n byte) []netip.Prefix {
	return []netip.Prefix{
		netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, 0, n}), 24),
		netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x77, 15: n}), 64),
	}
}

// impaired puts the impairment asked for in front of a link.
func impaired(t testing.TB, o *options, lower gstack.LinkEndpoint) gstack.LinkEndpoint {
	t.Helper()
	if o.impair == nil {
		return lower
	}
	l, err := link.NewImpair(lower, *o.impair)
	if err != nil {
		t.Fatal("testnet: ", err)
	}
	return l
}

// newNode makes a host on a link, which it owns, and ends it with the test.
func newNode(t testing.TB, o *options, l gstack.LinkEndpoint, addrs []netip.Prefix) *Node {
	t.Helper()
	nic := stack.NIC{Name: nicName, Link: l, Addrs: addrs}
	s, err := stack.New(stack.Config{NICs: []stack.NIC{nic}, TCP: o.tcp, Clock: o.clock})
	if err != nil {
		t.Fatal("testnet: ", err)
	}
	t.Cleanup(func() { s.Close() })
	h, err := sockets.New(sockets.Config{Stack: s})
	if err != nil {
		t.Fatal("testnet: ", err)
	}
	t.Cleanup(func() { h.Close() })
	return &Node{Stack: s, Host: h, Addr4: addrs[0].Addr(), Addr6: addrs[1].Addr()}
}
