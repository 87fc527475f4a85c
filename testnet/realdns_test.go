package testnet_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/testnet"
)

// What the tests of our resolver with real DNS servers share: the zones and the certificate that the servers are given,
// the questions they are asked, and a load of lookups.

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// realZones writes zones, a certificate for the kernel's addresses and its key into a directory.
func realZones(t *testing.T, l *testnet.Lab) (dir string, roots *x509.CertPool) {
	t.Helper()
	dir = t.TempDir()
	writeFile(t, dir, "real.zone", zoneFile())
	writeFile(t, dir, "reverse.zone", reverseFile)
	hosts := ""
	for _, addr := range bigAddrs() {
		hosts += addr.String() + " big.real.test\n"
	}
	writeFile(t, dir, "big.hosts", hosts)

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "dns.real.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{l.Kernel.Addr4.AsSlice(), l.Kernel.Addr6.AsSlice()},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	writeFile(t, dir, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
	parsed, err := x509.ParseCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	return dir, roots
}

// sends counts the queries of a resolver by network.
type sends struct {
	mu sync.Mutex
	n  map[string]int
}

func (s *sends) trace(e dnsresolver.Event) {
	if e.Kind == dnsresolver.EventSend {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.n[e.Network]++
	}
}

func (s *sends) count(network string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n[network]
}

// realResolver returns a resolver on our stack that ends with the test.
func realResolver(t *testing.T, l *testnet.Lab, cfg dnsresolver.Config) (*dnsresolver.Resolver, *sends) {
	t.Helper()
	seen := &sends{n: map[string]int{}}
	cfg.Transport, cfg.Routes, cfg.Search, cfg.Trace = l.Host, l.Stack, []string{}, seen.trace
	r, err := dnsresolver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, seen
}

// checkServer asks a server of realZones all there is to know, over each protocol.
func checkServer(t *testing.T, l *testnet.Lab, roots *x509.CertPool, protos ...dnsresolver.Proto) {
	for _, proto := range protos {
		t.Run(proto.String(), func(t *testing.T) {
			r, seen := realResolver(t, l, dnsresolver.Config{
				Servers: []dnsresolver.Server{{Addr: netip.AddrPortFrom(l.Kernel.Addr4, 0), Proto: proto}},
				TLS:     &tls.Config{RootCAs: roots},
			})
			for _, c := range realQuestions {
				got, err := c.ask(t, r)
				if want := c.want; got != want || codeOf(err) != c.code {
					t.Errorf("%s: %.200s, %v; want %.200s, %v", c.name, got, err, want, c.code)
				}
			}
			for _, network := range []string{"udp", "tcp", "tls", "https"} {
				// The 400 records take TCP where UDP was asked for.
				want := network == proto.String() || network == "tcp" && proto == dnsresolver.ProtoUDP
				if got := seen.count(network) > 0; got != want {
					t.Errorf("queries over %s: %v, want %v", network, got, want)
				}
			}
		})
	}
}

func codeOf(err error) dnsresolver.EAI {
	var e *dnsresolver.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code
}

// realQuestions are asked of every server, with what it must answer.
var realQuestions = []struct {
	name string
	ask  func(*testing.T, *dnsresolver.Resolver) (string, error)
	want string
	code dnsresolver.EAI
}{
	{"A and AAAA", lookup("www.real.test", dnsresolver.AF_UNSPEC), "www.real.test [] 192.0.2.10 2001:db8::10", 0},
	{"upper case", lookup("WWW.Real.Test.", dnsresolver.AF_INET), "WWW.Real.Test [] 192.0.2.10", 0},
	{"alias", lookup("alias.real.test", dnsresolver.AF_INET6), "www.real.test [alias.real.test] 2001:db8::10", 0},
	{"no such name", lookup("none.real.test", dnsresolver.AF_UNSPEC), "", dnsresolver.EAI_NONAME},
	{"no such family", lookup("mail.real.test", dnsresolver.AF_INET6), "", dnsresolver.EAI_NODATA},
	{"MX", records("real.test", dnsresolver.TypeMX), "10 mail.real.test.", 0},
	{"no TXT", records("www.real.test", dnsresolver.TypeTXT), "", dnsresolver.EAI_NODATA},
	{"PTR", func(t *testing.T, r *dnsresolver.Resolver) (string, error) {
		names, err := r.LookupAddr(t.Context(), netip.MustParseAddr("192.0.2.10"))
		return strings.Join(names, " "), err
	}, "www.real.test", 0},
	{"400 addresses", lookup("big.real.test", dnsresolver.AF_INET), "big.real.test [] " + joined(bigAddrs()), 0},
}

func joined(list []netip.Addr) string {
	slices.SortFunc(list, netip.Addr.Compare)
	return strings.Trim(fmt.Sprint(list), "[]")
}

func lookup(name string, family dnsresolver.Family) func(*testing.T, *dnsresolver.Resolver) (string, error) {
	return func(t *testing.T, r *dnsresolver.Resolver) (string, error) {
		ans, err := r.Lookup(t.Context(), name, dnsresolver.LookupOptions{Family: family})
		if err != nil {
			return "", err
		}
		return fmt.Sprint(ans.Name, " ", ans.Aliases, " ", joined(ans.Addrs)), nil
	}
}

func records(name string, typ dnsresolver.RecordType) func(*testing.T, *dnsresolver.Resolver) (string, error) {
	return func(t *testing.T, r *dnsresolver.Resolver) (string, error) {
		recs, err := r.LookupRecords(t.Context(), name, typ)
		var texts []string
		for _, rec := range recs.List {
			texts = append(texts, rec.Text)
		}
		return strings.Join(texts, " "), err
	}
}

// load looks one name up again and again, in several goroutines, until the test ends.
type load struct {
	t       *testing.T
	results chan loadResult
	done    int
	slowest time.Duration
}

// What TestFailover's lookups may take is what they are allowed: timeout × attempts.
const (
	failoverTimeout  = 10 * time.Second
	failoverAttempts = 2 // the resolver's default
)

// busySlack is what a machine with other work may take longer.
const busySlack = 5 * time.Second

type loadResult struct {
	err  error
	took time.Duration
}

func startLoad(t *testing.T, r *dnsresolver.Resolver, goroutines int) *load {
	l := &load{t: t, results: make(chan loadResult)}
	end := make(chan struct{})
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for {
				start := time.Now()
				_, err := r.LookupNetIP(t.Context(), "ip4", "www.real.test")
				select {
				case l.results <- loadResult{err, time.Since(start)}:
				case <-end:
					return
				}
			}
		})
	}
	t.Cleanup(func() { close(end); wg.Wait() })
	return l
}

// expect takes the results of the next n lookups, which all must be good and in time.
func (l *load) expect(n int, what string) {
	l.t.Helper()
	for range n {
		r := <-l.results
		if r.err != nil || r.took > failoverTimeout*failoverAttempts+busySlack {
			l.t.Errorf("%s: %v after %v", what, r.err, r.took)
		}
		l.slowest = max(l.slowest, r.took)
	}
	l.done += n
}
