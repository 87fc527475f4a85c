package dnsresolver

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

const (
	initialRTO = time.Second            // with no history (RFC 6298 section 2.1)
	minRTO     = 250 * time.Millisecond // below it, jitter of a busy server looks like loss

	minPenalty = 5 * time.Second
	maxPenalty = 60 * time.Second

	// noEDNSTime is how long it is remembered that a server chokes on EDNS.
	noEDNSTime = 15 * time.Minute

	// maxPerServer bounds the queries in flight to one server.
	maxPerServer = 128
)

// server is a configured server and what is known of its health.
type server struct {
	Server
	slots chan struct{} // one per query in flight; full at maxPerServer

	streams streams
	web     web

	mu           sync.Mutex
	measured     bool          // srtt and rttvar hold something
	srtt, rttvar time.Duration // RFC 6298
	penalty      time.Duration // length of the last penalty; 0 when healthy
	penaltyEnd   time.Time     // until then the server is asked last
	cookie       []byte        // the server's, nil if it gave none
	noEDNSEnd    time.Time     // until then it is asked without EDNS
}

// keepServer returns the server of old with the same address and protocol, so
// that its history survives a reload, or else a new one.
func keepServer(s Server, old *settings) *server {
	if s.Addr.Port() == 0 {
		s.Addr = netip.AddrPortFrom(s.Addr.Addr(), schemes[s.Proto].port)
	}
	if old != nil {
		for _, have := range old.all() {
			if have.Server == s {
				return have
			}
		}
	}
	return &server{Server: s, slots: make(chan struct{}, maxPerServer)}
}

// rto is how long to wait for an answer before another server is asked too,
// at most limit.
func (s *server) rto(limit time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.measured {
		return min(initialRTO, limit)
	}
	return min(max(s.srtt+4*s.rttvar, minRTO), limit)
}

// sample records that a reply took rtt (RFC 6298 section 2, alpha 1/8 and beta
// 1/4).
func (s *server) sample(rtt time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.measured {
		s.rttvar += ((s.srtt - rtt).Abs() - s.rttvar) / 4
		s.srtt += (rtt - s.srtt) / 8
		return
	}
	s.measured, s.srtt, s.rttvar = true, rtt, rtt/2
}

// healthy ends a penalty: the server gave an answer that could be used.
func (s *server) healthy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.penalty, s.penaltyEnd = 0, time.Time{}
}

// failed puts the server at the end of the order for a time that doubles with
// each failure in a row. Failures during a penalty do not lengthen it: they are
// most often of the same lookup.
func (s *server) failed(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.penaltyEnd) {
		return
	}
	s.penalty = min(max(2*s.penalty, minPenalty), maxPenalty)
	s.penaltyEnd = now.Add(s.penalty)
}

func (s *server) penalised(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.penaltyEnd)
}

func (s *server) edns(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !now.Before(s.noEDNSEnd)
}

// withoutEDNS remembers that the server answers only without EDNS.
func (s *server) withoutEDNS(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noEDNSEnd = now.Add(noEDNSTime)
}

// serverOrder returns the servers of a group in the order to ask them: as configured, or
// from a moving start with rotate, and those in penalty last. A loopback server
// that the stack would look for outside is left out: its datagrams would leave
// by the default route and never come back.
func (r *Resolver) serverOrder(s *settings, g *group, now time.Time) []*server {
	n := len(g.servers)
	start := 0
	if s.options.Rotate && n > 1 {
		start = int(r.rotation.Add(1) % uint32(n))
	}
	order := make([]*server, 0, n)
	var penalised []*server
	for i := range n {
		server := g.servers[(start+i)%n]
		switch {
		case !r.reachable(server):
		case server.penalised(now):
			penalised = append(penalised, server)
		default:
			order = append(order, server)
		}
	}
	return append(order, penalised...)
}

// reachable reports whether a server may be asked at all; see serverOrder.
func (r *Resolver) reachable(s *server) bool {
	addr := s.Addr.Addr()
	if r.cfg.Routes == nil || !addr.IsLoopback() {
		return true
	}
	src, ok := r.cfg.Routes.SourceFor(addr)
	return ok && src.IsLoopback()
}

// jitter returns d changed by up to a quarter either way, so that clients which
// lost packets together do not send again together.
func jitter(d time.Duration) time.Duration {
	return d - d/4 + rand.N(d/2+1)
}
