package hostnet

import (
	"net/netip"
	"sync"
	"time"
)

const maxPeers = 1024 // clients of a published UDP port that are remembered

// peers remembers the clients of a published UDP port: the stack may answer them
// wherever they are, and some it knows under another address.
type peers struct {
	mu    sync.Mutex
	known map[netip.AddrPort]peer // by the address that the stack knows
}

type peer struct {
	real netip.AddrPort
	at   netip.Addr // the machine's address that it has sent to
	used time.Time
}

// heard notes a client and returns the address under which the stack knows it.
func (p *peers) heard(u *Uplink, f *flow, from netip.AddrPort, at netip.Addr) netip.AddrPort {
	seen, own := u.asClient(from, f.key.src.Addr())
	if at.IsLinkLocalUnicast() || at.IsMulticast() {
		at = netip.Addr{} // the kernel's choice is right where the address is not
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = map[netip.AddrPort]peer{}
	}
	for !own { // several may have come to one port of the gateway's
		other, taken := p.known[seen]
		if !taken || other.real == from {
			break
		}
		seen = netip.AddrPortFrom(seen.Addr(), seen.Port()%maxPort+1)
	}
	if _, ok := p.known[seen]; !ok && len(p.known) >= maxPeers {
		p.evict()
	}
	p.known[seen] = peer{from, at, time.Now()}
	return seen
}

const maxPort = 65535

// evict forgets the client that has been silent longest. The caller has the lock.
func (p *peers) evict() {
	var oldest netip.AddrPort
	for seen, at := range p.known {
		if !oldest.IsValid() || at.used.Before(p.known[oldest].used) {
			oldest = seen
		}
	}
	delete(p.known, oldest)
}

// find returns the client that the stack knows under an address.
func (p *peers) find(seen netip.AddrPort) (peer, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	client, ok := p.known[seen]
	return client, ok
}
