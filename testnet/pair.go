package testnet

import (
	"fmt"
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
)

// maxSegment is the largest segment that crosses the wire of a Pair whole, in bytes: what an IP packet can be.
const maxSegment = 65535

// nicName is the name of every host's interface besides the loopback.
const nicName = "net0"

// Node is a userspace host with one address of each family.
type Node struct {
	Stack *stack.Stack
	// Addr4 and Addr6 are the host's own addresses.
	Addr4, Addr6 netip.Addr
}

// Pair returns two userspace hosts joined by a wire in memory: a is 10.77.0.1 and fd77::1, b is 10.77.0.2 and fd77::2.
// Both end with the test, which fails if a goroutine of theirs outlives them.
//
// Call it from the test's own goroutine.
func Pair(t testing.TB, opts ...Option) (a, b *Node) {
	t.Helper()
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	watchGoroutines(t)
	cfg := link.PipeConfig{MTU: o.mtu, GSOMaxSize: maxSegment}
	if o.noGSO {
		cfg.GSOMaxSize = 0
	}
	left, right := link.NewPipe(cfg)
	b = newNode(t, &o, right, "10.77.0.2/24", "fd77::2/64") // first, so that right is not left open when left fails
	a = newNode(t, &o, impaired(t, &o, left), "10.77.0.1/24", "fd77::1/64")
	return a, b
}

// newNode makes a host on a link, which it owns, and ends it with the test.
func newNode(t testing.TB, o *options, l gstack.LinkEndpoint, addrs ...string) *Node {
	t.Helper()
	nic := stack.NIC{Name: nicName, Link: l}
	for _, a := range addrs {
		nic.Addrs = append(nic.Addrs, netip.MustParsePrefix(a))
	}
	s, err := stack.New(stack.Config{NICs: []stack.NIC{nic}, TCP: o.tcp, Clock: o.clock})
	if err != nil {
		t.Fatal("testnet: ", err)
	}
	t.Cleanup(func() { s.Close() })
	return &Node{Stack: s, Addr4: nic.Addrs[0].Addr(), Addr6: nic.Addrs[1].Addr()}
}

// seedVariable is the environment variable that replaces the seed of every impairment.
const seedVariable = "USERSTACK_SEED"

// impaired puts the impairment asked for in front of a link, and says on failure how to meet the same one again.
func impaired(t testing.TB, o *options, lower gstack.LinkEndpoint) gstack.LinkEndpoint {
	t.Helper()
	if o.impair == nil {
		return lower
	}
	cfg := *o.impair
	if s := os.Getenv(seedVariable); s != "" {
		seed, err := strconv.ParseUint(s, 0, 64)
		if err != nil {
			lower.Close()
			t.Fatalf("testnet: %s: %v", seedVariable, err)
		}
		cfg.Seed = seed
	}
	l, err := link.NewImpair(lower, cfg)
	if err != nil {
		t.Fatal("testnet: ", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("testnet: the impairment's seed was %d; again: %s=%d %s", cfg.Seed, seedVariable, cfg.Seed, again(t))
		}
	})
	return l
}

// again returns the command that runs this test once more and keeps its artifacts.
func again(t testing.TB) string {
	pkg := "."
	if info, ok := debug.ReadBuildInfo(); ok && info.Path != "" {
		pkg = strings.TrimSuffix(info.Path, ".test")
	}
	var parts []string
	for part := range strings.SplitSeq(t.Name(), "/") {
		parts = append(parts, "^"+part+"$")
	}
	return fmt.Sprintf("go test -run '%s' -artifacts %s", strings.Join(parts, "/"), pkg)
}
