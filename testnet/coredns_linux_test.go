package testnet_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/internal/needs"
	"github.com/userstack/userstack/testnet"
)

// corednsModule is the directory of the module that CoreDNS is built from.
const corednsModule = "coredns"

// buildCoreDNS builds it once and leaves the program in Go's build cache.
var buildCoreDNS = sync.OnceValues(func() (string, error) {
	build := func(args ...string) (string, error) {
		cmd := exec.Command("go", args...)
		cmd.Dir = corednsModule
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			os.Stderr.WriteString(said.String())
		}
		return strings.TrimSpace(string(out)), err
	}
	if _, err := build("mod", "download"); err != nil {
		return "", err // no network
	}
	return build("tool", "-n", "coredns")
})

// coredns returns the path of the program. Where its modules cannot be had, the test skips; with coredns in
// USERSTACK_REQUIRE it fails.
func coredns(t *testing.T) string {
	t.Helper()
	path, err := buildCoreDNS()
	if err != nil {
		err = fmt.Errorf("the modules of testnet/%s are missing: %w", corednsModule, err)
	}
	needs.Have(t, "coredns", err)
	return path
}

var corednsReady = regexp.MustCompile(`^(CoreDNS-\S+)`)

// corefile is CoreDNS's configuration: the zones of realZones over all protocols, and misbehaviour in zones of its own.
const corefile = `
(zones) {
	bind ADDR
	errors
	file DIR/real.zone real.test
	file DIR/reverse.zone 2.0.192.in-addr.arpa
}
.:53 {
	import zones
}
tls://.:853 {
	import zones
	tls DIR/cert.pem DIR/key.pem
}
https://.:443 {
	import zones
	tls DIR/cert.pem DIR/key.pem
}
drop.test:53 {
	bind ADDR
	erratic {
		drop 2
		delay 0
		truncate 0
	}
}
delay.test:53 {
	bind ADDR
	erratic {
		drop 0
		delay 2 30ms
		truncate 0
	}
}
truncate.test:53 {
	bind ADDR
	erratic {
		drop 0
		delay 0
		truncate 1
	}
}
many.test:53 {
	bind ADDR
	template IN A {
MANY
	}
}
cached.test:53 {
	bind ADDR
	cache 30
	template IN A {
		answer "{{ .Name }} 30 IN A 192.0.2.30"
	}
}
`

// startCoreDNS runs it on an address of the kernel's side.
func startCoreDNS(t *testing.T, l *testnet.Lab, dir string, addr netip.Addr) (p *os.Process, stop func()) {
	t.Helper()
	many := ""
	for _, a := range bigAddrs() {
		many += "\t\tanswer \"{{ .Name }} 60 IN A " + a.String() + "\"\n"
	}
	name := "Corefile-" + strings.ReplaceAll(addr.String(), ":", "_")
	writeFile(t, dir, name, strings.NewReplacer("ADDR", addr.String(), "DIR", dir, "MANY", many).Replace(corefile))
	m, p, stop := startProgram(t, l.Kernel, corednsReady, coredns(t), "-conf", dir+"/"+name)
	t.Log(m[1])
	return p, stop
}

// TestCoreDNS resolves by CoreDNS over UDP, TCP, TLS and HTTPS.
func TestCoreDNS(t *testing.T) {
	t.Parallel()
	coredns(t)
	l := testnet.Namespaces(t)
	dir, roots := realZones(t, l)
	startCoreDNS(t, l, dir, l.Kernel.Addr4)
	checkServer(t, l, roots, dnsresolver.ProtoUDP, dnsresolver.ProtoTCP, dnsresolver.ProtoTLS, dnsresolver.ProtoHTTPS)

	server := dnsresolver.Server{Addr: netip.AddrPortFrom(l.Kernel.Addr4, 0)}
	for _, c := range []struct {
		name, addr string
		within     time.Duration // of three lookups
	}{
		{"x.drop.test", "192.0.2.53", 3 * time.Second},
		{"x.delay.test", "192.0.2.53", time.Second},
		{"x.truncate.test", "192.0.2.53", time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, seen := realResolver(t, l, dnsresolver.Config{Servers: []dnsresolver.Server{server}, Cache: dnsresolver.CacheConfig{Off: true}})
			took := c.within + busySlack + 1
			for try := 0; try < 3 && took > c.within+busySlack; try++ { // a machine that is busier still gets another try
				start := time.Now()
				for range 3 {
					addrs, err := r.LookupNetIP(t.Context(), "ip4", c.name)
					if err != nil || len(addrs) != 1 || addrs[0].String() != c.addr {
						t.Errorf("%v, %v; want %s", addrs, err, c.addr)
					}
				}
				took = time.Since(start)
			}
			if took > c.within+busySlack {
				t.Errorf("took %v, want at most %v", took, c.within)
			}
			if tcp := seen.count("tcp") > 0; tcp != strings.HasPrefix(c.name, "x.truncate") {
				t.Errorf("TCP used: %v", tcp)
			}
		})
	}
	r, seen := realResolver(t, l, dnsresolver.Config{Servers: []dnsresolver.Server{server}})
	addrs, err := r.LookupNetIP(t.Context(), "ip4", "x.many.test")
	if err != nil || len(addrs) != len(bigAddrs()) || seen.count("tcp") == 0 {
		t.Errorf("template: %d addresses, %v, TCP %d times", len(addrs), err, seen.count("tcp"))
	}
}

// TestCoreDNSCountsDown watches a life run down, in our memory and in that of a server.
func TestCoreDNSCountsDown(t *testing.T) {
	t.Parallel()
	coredns(t)
	l := testnet.Namespaces(t)
	dir, _ := realZones(t, l)
	startCoreDNS(t, l, dir, l.Kernel.Addr4)
	const full = 30 * time.Second
	servers := []dnsresolver.Server{{Addr: netip.AddrPortFrom(l.Kernel.Addr4, 0)}}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for what, cfg := range map[string]dnsresolver.Config{
		"ours":       {Servers: servers},
		"the server": {Servers: servers, Cache: dnsresolver.CacheConfig{Off: true}},
	} {
		t.Run(what, func(t *testing.T) {
			r, seen := realResolver(t, l, cfg)
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			last, lookups := full, 0
			for last > full-2*time.Second {
				ans, err := r.Lookup(ctx, "x.cached.test", dnsresolver.LookupOptions{Family: dnsresolver.AF_INET})
				if err != nil || ans.TTL > last {
					t.Fatalf("TTL %v after %v, %v", ans.TTL, last, err)
				}
				last = ans.TTL
				lookups++
				<-tick.C
			}
			const most = 4 // queries for one lookup, if the server is slow
			if got := seen.count("udp"); what == "ours" && got > most || what != "ours" && got < lookups {
				t.Errorf("asked %d times for %d lookups", got, lookups)
			}
		})
	}
}
