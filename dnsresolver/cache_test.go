package dnsresolver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
)

// caching returns a network whose resolvers remember answers.
func caching(t testing.TB) *network {
	n := newNetwork(t)
	n.caching = true
	return n
}

// answering returns a server that answers everything with records of a life in
// seconds.
func answering(ttl uint32, list ...string) handler {
	return func(q query, s sender) {
		var m message
		for _, addr := range list {
			if r := a(q.name, addr); r.typ == q.typ {
				r.ttl = ttl
				m.answer = append(m.answer, r)
			}
		}
		if len(m.answer) == 0 {
			m.authority = []rr{soa("test")}
		}
		s.reply(q, m)
	}
}

// An answer is remembered for its life and no longer, and says how much is left.
func TestCacheTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := caching(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", answering(10, "192.0.2.5"))}})
		for _, step := range []struct {
			wait    time.Duration
			ttl     time.Duration
			packets int
		}{
			{0, 10 * time.Second, 1},
			{4 * time.Second, 6 * time.Second, 1},
			{5500 * time.Millisecond, time.Second, 1},
			{500 * time.Millisecond, 10 * time.Second, 2},
		} {
			pass(step.wait)
			ans, _, err := timed(r, "A4.Test", AF_INET)
			if err != nil || ans.TTL != step.ttl || len(n.asked()) != step.packets {
				t.Errorf("after %v more: TTL %v, %d packets, %v; want %v, %d", step.wait, ans.TTL, len(n.asked()), err, step.ttl, step.packets)
			}
		}
		r.FlushCache("test")
		if _, _, err := timed(r, "a4.test", AF_INET); err != nil || len(n.asked()) != 3 {
			t.Errorf("%d packets after a flush, %v; want 3", len(n.asked()), err)
		}
		r.FlushCache("other")
		if _, _, err := timed(r, "a4.test", AF_INET); err != nil || len(n.asked()) != 3 {
			t.Errorf("%d packets after a flush of another name, %v; want 3", len(n.asked()), err)
		}
	})
}

// What must not be kept is asked for again: answers of no life, that there is
// nothing without an SOA record to say for how long.
func TestCacheKeepsNot(t *testing.T) {
	for name, h := range map[string]handler{
		"TTL 0":            answering(0, "192.0.2.5"),
		"NXDOMAIN, no SOA": rcode(rcodeNXDomain),
		"no data, no SOA":  func(q query, s sender) { s.reply(q, message{}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := caching(t)
				r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", h)}})
				timed(r, "x.test", AF_INET)
				first := len(n.asked())
				if first == 0 {
					t.Fatal("nothing was asked")
				}
				timed(r, "x.test", AF_INET)
				if got := len(n.asked()); got != 2*first {
					t.Errorf("%d packets for two lookups, want %d", got, 2*first)
				}
			})
		})
	}
}

// NXDOMAIN holds for all types of a name, no data for one; both as long as the
// SOA record says.
func TestCacheNegative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := caching(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", zone)}})
		for _, family := range []Family{AF_INET, AF_INET6, AF_UNSPEC} {
			_, _, err := timed(r, "nx.test", family)
			wantCode(t, err, EAI_NONAME)
		}
		if got := len(n.asked()); got != 1 {
			t.Errorf("%d packets for a name that does not exist, want 1", got)
		}
		n.forget()
		for range 2 {
			_, _, err := timed(r, "a4.test", AF_INET6)
			wantCode(t, err, EAI_NODATA)
		}
		if _, _, err := timed(r, "a4.test", AF_INET); err != nil {
			t.Error(err)
		}
		if got := len(n.asked()); got != 2 {
			t.Errorf("%d packets for both types of a name, want 2", got)
		}
		n.forget()
		pass(time.Hour)
		timed(r, "nx.test", AF_INET)
		if got := len(n.asked()); got != 1 {
			t.Errorf("%d packets after an hour, want 1", got)
		}
	})
}

// RFC 8020, when asked for.
func TestCacheNXDomainCut(t *testing.T) {
	for _, cut := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := caching(t)
			r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", zone)}, Cache: CacheConfig{NXDomainCut: cut}})
			timed(r, "nx.test", AF_INET)
			_, _, err := timed(r, "www.nx.test", AF_INET)
			wantCode(t, err, EAI_NONAME)
			if got, want := len(n.asked()), map[bool]int{false: 2, true: 1}[cut]; got != want {
				t.Errorf("cut %v: %d packets, want %d", cut, got, want)
			}
		})
	}
}

// A failure is remembered for a second, then two, four and at most thirty; an
// answer ends that (RFC 9520).
func TestCacheFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := caching(t)
		healed := false
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", func(q query, s sender) {
			if healed {
				zone(q, s)
				return
			}
			s.reply(q, message{rcode: rcodeRefused})
		})}, Attempts: 1})
		for _, remembered := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			n.forget()
			_, _, err := timed(r, "a4.test", AF_INET)
			wantCode(t, err, EAI_AGAIN)
			asked := len(n.asked())
			pass(remembered*time.Second - time.Millisecond)
			_, took, err := timed(r, "a4.test", AF_INET)
			wantCode(t, err, EAI_AGAIN)
			if got := len(n.asked()); got != asked || asked == 0 || took > 0 {
				t.Errorf("remembered for less than %d s: %d packets, then %d", remembered, asked, got)
			}
			pass(time.Millisecond)
		}
		healed = true
		if _, _, err := timed(r, "a4.test", AF_INET); err != nil {
			t.Error(err)
		}
	})
}

// Lookups of one name at the same time ask once; one that is given up does not
// take the answer from the others, and the last one that is ends the question.
func TestSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := caching(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", func(q query, s sender) {
			if q.name == "slow.test" {
				return
			}
			zone(q, func(raw []byte) { s.after(500*time.Millisecond, raw) })
		})}})
		leader, giveUp := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := r.LookupNetIP(leader, "ip4", "a4.test")
			if !errors.Is(err, context.Canceled) {
				t.Errorf("who gave up: %v", err)
			}
		})
		synctest.Wait()
		for range 100 {
			wg.Go(func() {
				got, err := r.LookupNetIP(t.Context(), "ip4", "a4.test")
				if err != nil || !slices.Equal(got, addrs("192.0.2.1")) {
					t.Errorf("%v, %v", got, err)
				}
			})
		}
		synctest.Wait()
		giveUp()
		wg.Wait()
		if got := len(n.asked()); got != 1 {
			t.Errorf("%d packets for 101 lookups, want 1", got)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		r.LookupNetIP(ctx, "ip4", "slow.test")
		synctest.Wait()
		if got := n.connections(); got != 0 || len(r.flights.open) != 0 {
			t.Errorf("%d sockets and %d questions open that nobody waits for", got, len(r.flights.open))
		}
	})
}

// The addresses of a remembered answer take turns at being first.
func TestCacheRotates(t *testing.T) {
	for _, still := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := caching(t)
			list := []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}
			r := n.resolver(Config{Servers: []Server{n.add("192.0.2.9", answering(60, list...))}, Cache: CacheConfig{NoRotate: still}})
			first := map[string]int{}
			for range 1 + 30 {
				ans, _, err := timed(r, "x.test", AF_INET)
				if err != nil || len(ans.Addrs) != 3 {
					t.Fatal(ans, err)
				}
				first[ans.Addrs[0].String()]++
			}
			if still != (first[list[0]] == 31) || !still && (first[list[1]] != 10 || first[list[2]] != 10) {
				t.Errorf("NoRotate %v: first were %v", still, first)
			}
		})
	}
}

// The cache stays within its bounds, and what is used stays in it.
func TestCacheBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(CacheConfig{Entries: 640, Bytes: 1 << 20})
		now := time.Now()
		popular := cacheKey{name: "popular.test", typ: wire.TypeA}
		rep := reply{status: statusData, ttl: time.Hour, addrs: addrs("192.0.2.1")}
		c.put(popular, rep, now)
		for i := range 20_000 {
			c.put(cacheKey{name: fmt.Sprintf("h%d.test", i), typ: wire.TypeA}, rep, now)
			if c.get(popular, now) == nil {
				t.Fatalf("what is used all the time was forgotten after %d others", i)
			}
		}
		if got := c.len(); got > 640 || got < 600 {
			t.Errorf("%d entries, want about 640", got)
		}
		rep.addrs = slices.Repeat(rep.addrs, 1000)
		for i := range 1000 {
			c.put(cacheKey{name: fmt.Sprintf("big%d.test", i), typ: wire.TypeA}, rep, now)
		}
		bytes := 0
		for i := range c.shards {
			bytes += c.shards[i].bytes
		}
		// A shard holds one entry whatever its size.
		if limit := 1<<20 + cacheShards*rep.size(); bytes > limit {
			t.Errorf("%d bytes, want at most %d", bytes, limit)
		}
	})
}

// Who gets an answer may change it.
func TestCacheHandsOutCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := caching(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", zone)}})
		for range 3 {
			ans, _, err := timed(r, "cn.test", AF_INET)
			if err != nil || ans.Name != "dual.test" || !slices.Equal(ans.Aliases, []string{"cn.test", "cn2.test"}) || ans.Addrs[0].String() == "0.0.0.0" {
				t.Fatal(ans, err)
			}
			clear(ans.Aliases)
			for i := range ans.Addrs {
				ans.Addrs[i] = addrs("0.0.0.0")[0]
			}
		}
	})
}
