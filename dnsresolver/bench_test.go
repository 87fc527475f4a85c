package dnsresolver

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

func benchmarkLookup(b *testing.B, cfg Config, network, host string) {
	b.Helper()
	n := newNetwork(b)
	n.forgets = true
	cfg.Servers = []Server{n.add("192.0.2.1", quickServer)}
	r := n.resolver(cfg)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.LookupNetIP(ctx, network, host); err != nil {
			b.Fatal(err)
		}
	}
}

// quickServer costs little itself.
func quickServer(q query, s sender) {
	raw := append(q.raw[:12+len(q.question):12+len(q.question)], 0xC0, 12, 0, byte(q.typ), 0, 1, 0, 0, 0, 60)
	raw[2], raw[3], raw[7], raw[11] = 0x81, 0x80, 1, 0
	if q.typ == typeA {
		s(append(raw, 0, 4, 192, 0, 2, 1))
		return
	}
	s(append(raw, 0, 16, 0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1))
}

func BenchmarkLiteral(b *testing.B)     { benchmarkLookup(b, Config{}, "ip", "192.0.2.1") }
func BenchmarkLiteralIPv6(b *testing.B) { benchmarkLookup(b, Config{}, "ip", "2001:db8::1") }
func BenchmarkLocalhost(b *testing.B)   { benchmarkLookup(b, Config{}, "ip", "localhost") }

func BenchmarkHosts(b *testing.B) {
	benchmarkLookup(b, Config{Hosts: map[string][]netip.Addr{"h.test": addrs("192.0.2.1")}}, "ip", "h.test")
}

// One question and one answer over an in-memory transport.
func BenchmarkUncached(b *testing.B)     { benchmarkLookup(b, Config{}, "ip4", "www.example.com") }
func BenchmarkUncachedBoth(b *testing.B) { benchmarkLookup(b, Config{}, "ip", "www.example.com") }

// The same over sockets of the kernel.
func BenchmarkUncachedKernel(b *testing.B) {
	r := kernelResolver(b, Config{Servers: []Server{kernelServer(b, quickServer)}, Cache: CacheConfig{Off: true}})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.LookupNetIP(ctx, "ip4", "www.example.com"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseHosts(b *testing.B) {
	var text strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&text, "0.0.0.0 blocked%d.example.com\n", i)
	}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		netdb.ParseHosts([]byte(text.String()))
	}
}

// What a lookup that asks nobody may allocate: the result, and a lookup in
// progress.
func TestAllocations(t *testing.T) {
	r := newNetwork(t).resolver(Config{Hosts: map[string][]netip.Addr{"h.test": addrs("192.0.2.1")}})
	for host, limit := range map[string]float64{"192.0.2.1": 2, "h.test": 3, "localhost": 3} {
		got := testing.AllocsPerRun(100, func() {
			if _, err := r.LookupNetIP(t.Context(), "ip", host); err != nil {
				t.Fatal(err)
			}
		})
		if got > limit {
			t.Errorf("%s: %v allocations, want at most %v", host, got, limit)
		}
	}
}

// benchmarkCached measures lookups that are answered from the cache.
func benchmarkCached(b *testing.B, cfg Config, network, host string) {
	b.Helper()
	n := caching(b)
	n.forgets = true
	cfg.Servers = []Server{n.add("192.0.2.1", zone)}
	r := n.resolver(cfg)
	ctx := b.Context()
	r.LookupNetIP(ctx, network, host)
	before := n.dialed()
	b.ReportAllocs()
	for b.Loop() {
		r.LookupNetIP(ctx, network, host)
	}
	if asked := n.dialed() - before; asked > 1+int(b.Elapsed().Seconds()) {
		b.Errorf("the servers were asked %d times", asked)
	}
}

func BenchmarkCached(b *testing.B)         { benchmarkCached(b, Config{}, "ip4", "a4.test") }
func BenchmarkCachedBoth(b *testing.B)     { benchmarkCached(b, Config{}, "ip", "dual.test") }
func BenchmarkCachedNegative(b *testing.B) { benchmarkCached(b, Config{}, "ip", "nx.test") }

// Both families, sorted by the stack's routes.
func BenchmarkCachedSorted(b *testing.B) {
	benchmarkCached(b, Config{Routes: routes{"0.0.0.0/0": "192.0.2.200", "::/0": "2001:db8::200"}}, "ip", "dual.test")
}

func BenchmarkCachedParallel(b *testing.B) {
	n := caching(b)
	r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", zone)}})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.LookupNetIP(b.Context(), "ip4", "a4.test"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkGetAddrInfoNumeric(b *testing.B) {
	r := newNetwork(b).resolver(Config{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.GetAddrInfo(b.Context(), "192.0.2.1", "80", netdb.Hints{SockType: netdb.SOCK_STREAM}); err != nil {
			b.Fatal(err)
		}
	}
}
