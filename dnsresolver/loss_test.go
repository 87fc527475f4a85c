package dnsresolver

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Over a link that loses packets, at 20 ms, nearly all lookups are answered in
// time, and no answer is ever wrong.
func TestLossyLink(t *testing.T) {
	const lookups, within = 2000, 5 * time.Second
	for _, test := range []struct {
		loss     float64 // of each direction
		servers  int
		answered float64 // share, at least
	}{
		{0.1, 1, 0.995},
		{0.1, 2, 0.995},
		{0.2, 3, 0.995},
	} {
		const seed = 1
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, seed))
			n := newNetwork(t)
			n.latency = 20 * time.Millisecond
			var mu sync.Mutex
			lossy := func(q query, s sender) {
				mu.Lock()
				there, back := rng.Float64(), rng.Float64()
				mu.Unlock()
				if min(there, back) >= test.loss {
					zone(q, s)
				}
			}
			var list []Server
			for _, addr := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}[:test.servers] {
				list = append(list, n.add(addr, lossy))
			}
			r := n.resolver(Config{Servers: list})
			answered := 0
			for range lookups {
				ans, took, err := timed(r, "a4.test", AF_INET)
				if err == nil && took <= within {
					answered++
				}
				if err == nil && ans.Addrs[0] != addrs("192.0.2.1")[0] {
					t.Fatal(ans)
				}
			}
			share := float64(answered) / lookups
			t.Logf("%d servers, %.0f %% loss each way: %.2f %% answered within %v", test.servers, 100*test.loss, 100*share, within)
			if share < test.answered {
				t.Errorf("%.2f %%, want %.2f %% (seed %d)", 100*share, 100*test.answered, seed)
			}
		})
	}
}
