package dnsresolver

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

// mdnsNetwork is a network on whose links nobody answers.
type mdnsNetwork struct{ *network }

func (m mdnsNetwork) ListenPacket(string, string) (net.PacketConn, error) {
	m.opened(1)
	return &deafSocket{n: m.network, closed: make(chan struct{})}, nil
}

type deafSocket struct {
	net.PacketConn // panics for what is not implemented
	n              *network
	once           sync.Once
	closed         chan struct{}
}

func (d *deafSocket) WriteTo(b []byte, _ net.Addr) (int, error) { return len(b), nil }

func (d *deafSocket) ReadFrom([]byte) (int, net.Addr, error) {
	<-d.closed
	return 0, nil, net.ErrClosed
}

func (d *deafSocket) Close() error {
	d.once.Do(func() { close(d.closed); d.n.opened(-1) })
	return nil
}

// Whatever is on its way, Close ends it within 100 ms, here at once: lookups return,
// and connections are closed, those too that the HTTP client keeps.
func TestCloseEndsEverything(t *testing.T) {
	for _, proto := range []Proto{ProtoUDP, ProtoTCP, ProtoTLS, ProtoHTTPS} {
		for _, idle := range []bool{false, true} {
			name := proto.String() + " in flight"
			if idle {
				name = proto.String() + " in flight on a connection used before"
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := newNetwork(t)
					over := make(chan struct{})
					defer close(over) // servers hang until then
					serve := func(q query, s sender) {
						if idle && q.name == "a4.test" {
							zone(q, s)
							return
						}
						if q.network == "https" {
							<-over
						}
					}
					s := n.add("192.0.2.1", serve)
					s.Proto = proto
					if proto.secure() {
						s = n.addSecure(proto, serve)
					}
					r := n.resolver(Config{Servers: []Server{s}, TLS: &tls.Config{RootCAs: authority().roots}})
					if idle {
						if _, _, err := timed(r, "a4.test", AF_INET); err != nil {
							t.Fatal(err)
						}
					}
					closesAtOnce(t, n, r, "hang.test")
				})
			})
		}
	}
}

// closesAtOnce closes r while it looks a name up.
func closesAtOnce(t *testing.T, n *network, r *Resolver, name string) {
	t.Helper()
	errs := make(chan error, 3)
	for range cap(errs) {
		go func() {
			_, err := r.Lookup(context.Background(), name, LookupOptions{})
			errs <- err
		}()
	}
	synctest.Wait()
	if n.connections() == 0 {
		t.Error("nothing is on its way")
	}
	start := time.Now()
	r.Close()
	if got := n.connections(); got != 0 || time.Since(start) > 0 {
		t.Errorf("%d connections left, Close took %v", got, time.Since(start))
	}
	for range cap(errs) {
		if err := <-errs; !errors.Is(err, net.ErrClosed) {
			t.Errorf("error %v, want net.ErrClosed", err)
		}
	}
}

func TestCloseEndsMDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r, err := New(Config{Transport: mdnsNetwork{n}, Options: Options{MDNS: true}})
		if err != nil {
			t.Fatal(err)
		}
		closesAtOnce(t, n, r, "printer.local")
	})
}

// A prefetch, for which no lookup waits, and a lookup that got a stale answer while
// its question goes on, end as well.
func TestCloseEndsBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := caching(t)
		serve := answering(100, "192.0.2.5")
		r := n.resolver(Config{
			Servers: []Server{n.add("192.0.2.1", func(q query, s sender) { serve(q, s) })},
			Cache:   CacheConfig{Prefetch: true, MaxStale: time.Hour},
		})
		for _, name := range []string{"fresh.test", "fresh.test", "fresh.test", "stale.test"} {
			timed(r, name, AF_INET)
		}
		serve = silent
		pass(95 * time.Second)
		timed(r, "fresh.test", AF_INET) // asks again in the background
		synctest.Wait()
		if n.connections() == 0 {
			t.Error("no prefetch")
		}
		pass(10 * time.Second)
		if _, took, err := timed(r, "stale.test", AF_INET); err != nil || took != staleWait {
			t.Error(took, err)
		}
		start := time.Now()
		r.Close()
		if got := n.connections(); got != 0 || time.Since(start) > 0 {
			t.Errorf("%d connections left, Close took %v", got, time.Since(start))
		}
		if got := r.prefetches.Load(); got != 0 {
			t.Errorf("%d prefetches left", got)
		}
	})
}

// S7: what is no literal for a zero byte or blank in it is no name either, and
// nobody is asked.
func TestBytesThatAreInNoName(t *testing.T) {
	n := newNetwork(t)
	r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", zone)}, Search: []string{"s1.test"}})
	for _, name := range []string{
		"127.0.0.1\x00", "127.0.0.1\x00.test", "127.0.0.1 x", " 127.0.0.1", "127.0.0.1 ", "127.0.0.1\n", "127.0.0.1\t#", "1.2 .3.4",
		"::1 ", "::1\x00", "fe80::1%\x00", "fe80::1%eth0\x00", "[::1]", "0x7f.1\x00", "a4.test\x00", "a4.test\r\n", "a4 .test", "a4.test;", "a4.test\u00a0",
	} {
		if _, err := r.Lookup(t.Context(), name, LookupOptions{}); err == nil {
			t.Errorf("Lookup took %q", name)
		} else {
			wantCode(t, err, EAI_NONAME)
		}
		if _, err := r.LookupRecords(t.Context(), name, TypeMX); err == nil {
			t.Errorf("LookupRecords took %q", name)
		}
		if ai, err := r.GetAddrInfo(t.Context(), name, "80", netdb.Hints{}); err == nil {
			t.Errorf("GetAddrInfo took %q: %v", name, ai)
		}
		if ent, err := r.GetHostByName(t.Context(), name); err == nil {
			t.Errorf("GetHostByName took %q: %v", name, ent)
		}
	}
	if got := n.dialed(); got != 0 {
		t.Errorf("%d sockets opened", got)
	}
}
