package dnsresolver

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// When the servers fail, an answer that is past its life is better than none, for
// as long as the configuration says; then the servers are left alone for a while.
func TestServeStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := caching(t)
		var serving atomic.Pointer[handler]
		serve := func(h handler) { serving.Store(&h) }
		serve(answering(60, "192.0.2.5"))
		r := n.resolver(Config{
			Servers: []Server{n.add("192.0.2.1", func(q query, s sender) { (*serving.Load())(q, s) })},
			Cache:   CacheConfig{MaxStale: time.Hour}, Attempts: 1,
		})
		check := func(what string, wait time.Duration, want EAI, ttl time.Duration, packets bool) {
			t.Helper()
			pass(wait)
			n.forget()
			ans, took, err := timed(r, "x.test", AF_INET)
			switch {
			case want != 0:
				wantCode(t, err, want)
			case err != nil || ans.TTL != ttl || took > staleWait:
				t.Errorf("%s: TTL %v after %v, %v; want %v", what, ans.TTL, took, err, ttl)
			}
			if got := len(n.asked()) > 0; got != packets {
				t.Errorf("%s: asked the servers: %v, want %v", what, got, packets)
			}
		}
		check("first", 0, 0, time.Minute, true)
		serve(rcode(rcodeRefused))
		check("refused", time.Minute, 0, staleTTL, true)
		check("left alone", 10*time.Second, 0, 20*time.Second, false)
		check("asked again", 20*time.Second, 0, staleTTL, true)
		serve(silent)
		check("silent", staleTTL, 0, staleTTL, true)
		pass(10 * time.Second) // until the question is given up
		serve(answering(60, "192.0.2.5"))
		check("back", staleTTL, 0, time.Minute, true)
		serve(rcode(rcodeRefused))
		check("too old", time.Hour+2*time.Minute, EAI_AGAIN, 0, true)

		serve(answering(60, "192.0.2.5"))
		check("once more", time.Minute, 0, time.Minute, true)
		serve(func(q query, s sender) { s.reply(q, message{rcode: rcodeNXDomain, authority: []rr{soa("test")}}) })
		check("gone", time.Minute, EAI_NONAME, 0, true) // the servers know better
	})
}

// A name in use is asked for again before its answer is too old, and nobody waits
// for that.
func TestPrefetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := caching(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", answering(100, "192.0.2.5"))}, Cache: CacheConfig{Prefetch: true}})
		for _, step := range []struct {
			wait    time.Duration
			packets int
		}{{0, 1}, {50 * time.Second, 1}, {20 * time.Second, 1}, {25 * time.Second, 2}, {time.Minute, 2}, {150 * time.Second, 3}} {
			pass(step.wait)
			ans, took, err := timed(r, "x.test", AF_INET)
			synctest.Wait()
			if got := len(n.asked()); err != nil || took > 0 || got != step.packets {
				t.Errorf("after %v more: %d packets, TTL %v, took %v, %v; want %d", step.wait, got, ans.TTL, took, err, step.packets)
			}
		}
		if got := r.prefetches.Load(); got != 0 {
			t.Errorf("%d prefetches did not end", got)
		}
	})
}
