package sockets

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// paths are the path MTUs that ICMP told of (RFC 1191, RFC 8201).
type paths struct {
	any atomic.Bool // something was ever learned

	mu    sync.Mutex
	known map[netip.Addr]pathMTU
}

type pathMTU struct {
	mtu   int
	until time.Time
}

const (
	pathMTUAge = 10 * time.Minute // Linux's net.ipv4.route.mtu_expires
	maxPaths   = 4096             // what strangers can make us remember
	minPathMTU = 552              // Linux's net.ipv4.route.min_pmtu
)

// learn remembers the MTU of the path to an address, as an ICMP message said.
func (p *paths) learn(addr netip.Addr, mtu int, now time.Time) {
	least := minPathMTU
	if addr.Is6() {
		least = leastMTU
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || len(p.known) >= maxPaths {
		p.known = map[netip.Addr]pathMTU{} // Linux forgets the oldest
	}
	p.known[addr] = pathMTU{max(mtu, least), now.Add(pathMTUAge)}
	p.any.Store(true)
}

// mtu returns what was learned about the path to an address, 0 for nothing.
func (p *paths) mtu(addr netip.Addr, now time.Time) int {
	if !p.any.Load() {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.known[addr]
	if !ok || now.After(known.until) {
		delete(p.known, addr)
		return 0
	}
	return known.mtu
}
