package dnsresolver

import (
	"net/netip"
	"testing"
	"time"

	"github.com/userstack/userstack/testnet"
)

// stackServer runs a scripted server on a stack, and returns the stack at the other
// end of the wire.
func stackServer(t testing.TB, h handler) (near *testnet.Node, addr netip.AddrPort) {
	t.Helper()
	near, far := testnet.Pair(t)
	addr = netip.AddrPortFrom(far.Addr4, dnsPort)
	pc, err := far.Host.ListenPacket("udp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := far.Host.Listen("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, pc, ln, addr, h)
	return near, addr
}

// The same lookups as TestLookupsOfOneServer, of the same server, over a wire
// between two userspace stacks.
func TestLookupsOverStacks(t *testing.T) {
	near, addr := stackServer(t, zone)
	for _, test := range lookupCases {
		t.Run(test.host, func(t *testing.T) {
			t.Parallel()
			r, err := New(Config{
				Transport: near.Host, Servers: []Server{{Addr: addr}}, Search: []string{},
				Timeout: time.Second, Attempts: 1, FamilyGrace: 100 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			const slack = 5 * time.Second // of a busy machine; glibc hangs for ever on one of these
			test.check(t, r, time.Second+slack)
		})
	}
}

// One question and one answer over two userspace stacks and a wire in memory.
func BenchmarkUncachedStacks(b *testing.B) {
	near, addr := stackServer(b, quickServer)
	r, err := New(Config{Transport: near.Host, Servers: []Server{{Addr: addr}}, Cache: CacheConfig{Off: true}})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.LookupNetIP(b.Context(), "ip4", "www.example.com"); err != nil {
			b.Fatal(err)
		}
	}
}
