package dnsresolver

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
)

// 8,192 entries, the default, take at most 8 MiB, and what an entry is taken to be is
// not far from what it is.
func TestCacheMemory(t *testing.T) {
	const limit = 8 << 20 // bytes
	for what, rep := range map[string]func(i int) reply{
		"one address": func(i int) reply {
			return reply{status: statusData, ttl: time.Hour, addrs: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})}}
		},
		"alias and four addresses": func(i int) reply {
			return reply{status: statusData, ttl: time.Hour, addrs: make([]netip.Addr, 4), names: []string{fmt.Sprintf("edge-%d.network.example.", i)}}
		},
		"nothing":        func(int) reply { return reply{status: statusNXDomain, absent: time.Hour} },
		"1000 addresses": func(int) reply { return reply{status: statusData, ttl: time.Hour, addrs: make([]netip.Addr, 1000)} },
	} {
		t.Run(what, func(t *testing.T) {
			c := newCache(CacheConfig{})
			before := heap()
			now := time.Now()
			for i := range 2 * defaultCacheEntries {
				c.put(cacheKey{name: fmt.Sprintf("host-%d.example.com.", i), typ: wire.TypeA}, rep(i), now)
			}
			used := int(heap()) - int(before)
			entries, counted := c.len(), 0
			for i := range c.shards {
				counted += c.shards[i].bytes
			}
			t.Logf("%d entries, %d bytes each, %.1f MiB; counted as %.1f MiB", entries, used/entries, float64(used)/(1<<20), float64(counted)/(1<<20))
			if used > limit || entries > defaultCacheEntries || counted > defaultCacheBytes {
				t.Errorf("%d entries take %d bytes, counted as %d; want at most %d, %d, %d", entries, used, counted, defaultCacheEntries, limit, defaultCacheBytes)
			}
			if what != "1000 addresses" && entries < defaultCacheEntries*9/10 {
				t.Errorf("%d entries, want nearly %d", entries, defaultCacheEntries)
			}
			runtime.KeepAlive(c)
		})
	}
}

// heap is how many bytes are in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
