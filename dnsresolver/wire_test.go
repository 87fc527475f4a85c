package dnsresolver

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/userstack/userstack/testnet"
)

// packetServer reads queries over UDP from a socket on a real stack and hands them,
// with where they came from, to serve, until the test ends.
func packetServer(t *testing.T, pc net.PacketConn, serve func(q query, from net.Addr)) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, udpBuffer)
		for {
			k, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			serve(parseQuery(t, "udp", netip.AddrPort{}, slices.Clone(buf[:k])), from)
		}
	})
	t.Cleanup(func() { pc.Close(); wg.Wait() })
}

// stackResolver returns a resolver on a stack, without a cache, and a socket for its
// server on another.
func stackResolver(t *testing.T) (r *Resolver, far *testnet.Node, pc net.PacketConn) {
	t.Helper()
	near, far := testnet.Pair(t)
	addr := netip.AddrPortFrom(far.Addr4, dnsPort)
	pc, err := far.Host.ListenPacket("udp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	r, err = New(Config{Transport: near.Host, Servers: []Server{{Addr: addr}}, Search: []string{}, Cache: CacheConfig{Off: true},
		Timeout: maxTimeout}) // nobody is asked twice because the machine is slow
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, far, pc
}

// The range of the stack's ephemeral ports (stack/tcp.go, Linux ip_local_port_range).
const firstPort, lastPort = 32768, 60999

// chiSquare compares how often each of equally likely buckets was hit.
func chiSquare(counts []int) (chi float64) {
	total := 0
	for _, n := range counts {
		total += n
	}
	want := float64(total) / float64(len(counts))
	for _, n := range counts {
		chi += (float64(n) - want) * (float64(n) - want) / want
	}
	return chi
}

const buckets = 64

// evenly fails unless the buckets are hit evenly.
func evenly(t *testing.T, hits map[string][buckets]int) {
	t.Helper()
	// A fair source exceeds this once in a million runs (63 degrees of freedom).
	const most = 130
	for what, counts := range hits {
		if chi := chiSquare(counts[:]); chi > most {
			t.Errorf("%s: chi-square %.1f, want at most %d", what, chi, most)
		} else {
			t.Logf("%s: chi-square %.1f", what, chi)
		}
	}
}

// S2: over 10,000 queries on the wire, IDs and ports are spread evenly and one says
// nothing of the other; of the queries that are on their way at a time no two have
// the same port, or the same ID and port.
func TestIDsAndPortsOnTheWire(t *testing.T) {
	const queries, batch = 10_000, 100
	type sent struct {
		q    query
		from net.Addr
	}
	r, _, pc := stackResolver(t)
	arrived := make(chan sent, batch)
	packetServer(t, pc, func(q query, from net.Addr) { arrived <- sent{q, from} })

	var ids, ports, both [buckets]int
	for round := range queries / batch {
		var wg sync.WaitGroup
		for i := range batch {
			wg.Go(func() {
				if _, err := r.Lookup(t.Context(), fmt.Sprintf("h%d.%d.test", i, round), LookupOptions{Family: AF_INET}); err != nil {
					t.Error(err)
				}
			})
		}
		flying, from, times := map[string]sent{}, map[int]string{}, map[string]int{}
		shared := map[string]string{} // names that came from one port
		for len(flying) < batch {     // nobody is answered before, so all are on their way together
			s := <-arrived
			if !strings.HasSuffix(s.q.name, fmt.Sprintf(".%d.test", round)) {
				continue // of a round that is over
			}
			port := s.from.(*net.UDPAddr).Port
			if other, ok := from[port]; ok && other != s.q.name {
				shared[other] = fmt.Sprintf("%s and %s were asked from port %d", other, s.q.name, port)
			}
			times[s.q.name]++
			flying[s.q.name], from[port] = s, s.q.name
			at := (port - firstPort) * buckets / (lastPort - firstPort + 1)
			ids[s.q.id>>10]++
			ports[at]++
			both[(int(s.q.id>>10)+at)%buckets]++
		}
		answer := func(s sent) { pc.WriteTo(message{answer: []rr{a(s.q.name, "192.0.2.1")}}.pack(s.q), s.from) }
		for _, s := range flying {
			answer(s)
		}
		answered := make(chan struct{})
		go func() { wg.Wait(); close(answered) }()
		for open := true; open; {
			select {
			case s := <-arrived: // sent again meanwhile: the machine is slow
				times[s.q.name]++
				answer(s)
			case <-answered:
				open = false
			}
		}
		for first, what := range shared {
			if times[first] < 2 { // or it had given the port up, to ask again from another
				t.Error(what)
			}
		}
	}
	evenly(t, map[string][buckets]int{"IDs": ids, "ports": ports, "IDs against ports": both})
	t.Logf("%.1f bits to guess", 16+math.Log2(lastPort-firstPort+1))
}

// S3: who answers from another port or another address is not heard at all, with the
// right ID and question as well: 1,000 of them neither win nor delay, nor do they
// count against UDP.
func TestRepliesFromElsewhere(t *testing.T) {
	r, far, pc := stackResolver(t)
	var others []net.PacketConn
	for _, addr := range []string{netip.AddrPortFrom(far.Addr4, 54).String(), netip.AddrPortFrom(far.Addr4, 5353).String()} {
		other, err := far.Host.ListenPacket("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		others = append(others, other)
	}
	var mu sync.Mutex
	asked := 0
	packetServer(t, pc, func(q query, from net.Addr) {
		mu.Lock()
		asked++
		mu.Unlock()
		forged := message{answer: []rr{a(q.name, "192.0.2.66")}}.pack(q)
		for i := range 1000 {
			others[i%len(others)].WriteTo(forged, from)
		}
		pc.WriteTo(message{answer: []rr{a(q.name, "192.0.2.1")}}.pack(q), from)
	})
	const lookups, tries = 5, 5
	for try := 1; ; try++ {
		start := time.Now()
		for range lookups {
			got, err := r.LookupNetIP(t.Context(), "ip4", "a4.test")
			if err != nil || !slices.Equal(got, addrs("192.0.2.1")) {
				t.Fatalf("%v, %v", got, err)
			}
		}
		t.Logf("%v for each lookup", time.Since(start)/lookups)
		mu.Lock()
		got := asked
		asked = 0
		mu.Unlock()
		if got == lookups {
			return
		}
		if try == tries { // a retry, or TCP, which the server does not have, would show
			t.Fatalf("%d queries for %d lookups", got, lookups)
		}
		t.Logf("%d queries for %d lookups: the machine is slow", got, lookups)
	}
}
