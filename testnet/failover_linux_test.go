package testnet_test

import (
	"net/netip"
	"os"
	"syscall"
	"testing"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/testnet"
)

// TestFailover ends, stops and restarts two servers in turn while names are looked up: no lookup notices.
func TestFailover(t *testing.T) {
	t.Parallel()
	coredns(t)
	l := testnet.Namespaces(t)
	dir, _ := realZones(t, l)
	type running struct {
		addr netip.Addr
		p    *os.Process
		stop func()
	}
	servers := []*running{{addr: l.Kernel.Addr4}, {addr: l.Kernel.Addr6}}
	cfg := dnsresolver.Config{Timeout: failoverTimeout, Cache: dnsresolver.CacheConfig{Off: true}}
	for _, s := range servers {
		s.p, s.stop = startCoreDNS(t, l, dir, s.addr)
		cfg.Servers = append(cfg.Servers, dnsresolver.Server{Addr: netip.AddrPortFrom(s.addr, 0)})
	}
	r, _ := realResolver(t, l, cfg)
	load := startLoad(t, r, 8)
	const each = 60 // lookups in each state
	load.expect(each, "both run")
	for _, s := range servers {
		what := s.addr.String()
		s.p.Signal(syscall.SIGKILL)
		load.expect(each, what+" killed")
		s.stop()
		load.expect(each, what+" gone")
		s.p, s.stop = startCoreDNS(t, l, dir, s.addr)
		load.expect(each, what+" restarted")
		s.p.Signal(syscall.SIGSTOP)
		load.expect(each, what+" stopped")
		s.p.Signal(syscall.SIGCONT)
		load.expect(each, what+" continued")
	}
	t.Logf("%d lookups, the slowest took %v", load.done, load.slowest)
}
