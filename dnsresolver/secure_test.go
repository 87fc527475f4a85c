package dnsresolver

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// authority signs the certificates of the tests' servers, which are for a name
// and an address. They hold also in a bubble, where it is the year 2000.
var authority = sync.OnceValue(func() (a struct {
	roots *x509.CertPool
	cert  tls.Certificate
	pin   string
}) {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "dns.test"},
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		DNSNames: []string{"dns.test"}, IPAddresses: []net.IP{net.ParseIP("192.0.2.1")},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, _ := x509.ParseCertificate(der)
	a.roots = x509.NewCertPool()
	a.roots.AddCert(leaf)
	a.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	a.pin = base64.StdEncoding.EncodeToString(sum[:])
	return a
})

// addSecure adds a server that speaks DNS over TLS, or over HTTPS.
func (n *network) addSecure(proto Proto, h handler) Server {
	s := Server{Addr: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), schemes[proto].port), Proto: proto}
	cfg := &tls.Config{Certificates: []tls.Certificate{authority().cert}, NextProtos: []string{"dot"}}
	n.stream[s.Addr] = func(c net.Conn) {
		tc := tls.Server(unblocked(c), cfg)
		defer tc.Close()
		n.serveStream(s.Addr, h, tc)
	}
	if proto == ProtoHTTPS {
		cfg.NextProtos = nil // package http knows
		n.stream[s.Addr] = func(c net.Conn) { n.serveHTTPS(s.Addr, h, unblocked(c), cfg) }
	}
	return s
}

// serveHTTPS serves DNS over HTTPS on one connection.
func (n *network) serveHTTPS(addr netip.AddrPort, h handler, c net.Conn, cfg *tls.Config) {
	l := &oneListener{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conns <- &closing{Conn: c, closed: func() { l.Close() }}
	server := http.Server{TLSConfig: cfg.Clone(), ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		if r.Method != "POST" || r.URL.Path != defaultDoHPath || r.Header.Get("Content-Type") != mediaType || r.ProtoMajor != 2 {
			n.t.Errorf("%s %s %s of %q", r.Proto, r.Method, r.URL.Path, r.Header.Get("Content-Type"))
		}
		q := parseQuery(n.t, "https", addr, raw)
		n.record(q)
		h(q, func(raw []byte) {
			w.Header().Set("Content-Type", mediaType)
			w.Write(raw)
		})
	})}
	server.ServeTLS(l, "", "")
	server.Close()
}

// unblocked returns c with writes that do not wait for the reader, as those of a
// TCP connection: two ends that write at once would wait for each other.
func unblocked(c net.Conn) net.Conn {
	u := &unblockedConn{Conn: c, out: make(chan []byte, 1000)}
	go func() {
		for b := range u.out {
			if _, err := c.Write(b); err != nil {
				break
			}
		}
		c.Close()
		for range u.out {
		}
	}()
	return u
}

type unblockedConn struct {
	net.Conn
	out chan []byte

	mu     sync.Mutex // held while out is written to, which never takes long
	closed bool
}

func (u *unblockedConn) Write(b []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return 0, net.ErrClosed
	}
	u.out <- bytes.Clone(b)
	return len(b), nil
}

func (u *unblockedConn) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.closed {
		u.closed = true
		close(u.out)
	}
	return nil
}

type oneListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *oneListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *oneListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *oneListener) Addr() net.Addr { return &net.TCPAddr{} }

type closing struct {
	net.Conn
	closed func()
}

func (c *closing) Close() error { defer c.closed(); return c.Conn.Close() }

// secureResolver asks s alone, and trusts the tests' authority.
func secureResolver(n *network, s ...Server) *Resolver {
	return n.resolver(Config{Servers: s, TLS: &tls.Config{RootCAs: authority().roots}})
}

func TestSecureServers(t *testing.T) {
	for _, proto := range []Proto{ProtoTLS, ProtoHTTPS} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			var bad sync.Map
			s := n.addSecure(proto, func(q query, s sender) {
				if len(q.raw)%padBlock != 0 {
					bad.Store(q.name, len(q.raw))
				}
				zone(q, s)
			})
			for name, want := range map[string]string{"": "", "dns.test": "", "other.test": "not other.test"} {
				s.Name = name
				r := secureResolver(n, s)
				for range 3 {
					ans, _, err := timed(r, "dual.test", AF_UNSPEC)
					if want == "" && (err != nil || len(ans.Addrs) != 4) || want != "" && err == nil {
						t.Errorf("%v: %v, %v", s, ans.Addrs, err)
					}
				}
				r.Close()
			}
			bad.Range(func(name, size any) bool {
				t.Errorf("%v: the query for %v has %d bytes, no multiple of %d", proto, name, size, padBlock)
				return true
			})
			for _, q := range n.asked() {
				if q.network == "udp" {
					t.Errorf("%v: asked in the clear", proto)
				}
			}
		})
	}
}

// A key that is pinned is enough, and nothing else is.
func TestSecurePin(t *testing.T) {
	for _, proto := range []Proto{ProtoTLS, ProtoHTTPS} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			s := n.addSecure(proto, zone)
			s.Pin = authority().pin
			if _, _, err := timed(n.resolver(Config{Servers: []Server{s}}), "a4.test", AF_INET); err != nil {
				t.Errorf("%v: %v", proto, err)
			}
			s.Pin = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, pinSize))
			_, _, err := timed(secureResolver(n, s), "a4.test", AF_INET)
			if !errors.Is(err, errPin) {
				t.Errorf("%v: error %v with another key, want %v", proto, err, errPin)
			}
		})
	}
}

// An unknown authority, a server that speaks no TLS, and one that says nothing:
// the lookup fails within its time, and nothing is said in the clear.
func TestSecureFailsClosed(t *testing.T) {
	for _, proto := range []Proto{ProtoTLS, ProtoHTTPS} {
		for what, serve := range map[string]func(net.Conn){
			"no TLS": func(c net.Conn) { io.CopyN(io.Discard, c, 100); c.Write(bytes.Repeat([]byte("SSH-2.0 "), 20)) },
			"mute":   func(c net.Conn) { io.Copy(io.Discard, c) },
			"closes": func(c net.Conn) {},
			"trust":  nil,
		} {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				s := n.addSecure(proto, zone)
				if serve != nil {
					n.stream[s.Addr] = serve
				}
				n.add("192.0.2.1", zone) // would answer in the clear
				_, took, err := timed(n.resolver(Config{Servers: []Server{s}}), "a4.test", AF_INET)
				wantCode(t, err, EAI_AGAIN)
				if took > 10*time.Second {
					t.Errorf("%v, %s: took %v", proto, what, took)
				}
				if got := n.asked(); len(got) != 0 {
					t.Errorf("%v, %s: asked %v", proto, what, got)
				}
			})
		}
	}
}

// What is no answer over HTTPS.
func TestHTTPSMisbehaves(t *testing.T) {
	for what, serve := range map[string]http.HandlerFunc{
		"404": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusNotFound) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://192.0.2.66/", http.StatusFound)
		},
		"a page": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
		"a long story": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			w.Write(make([]byte, 1<<20))
		},
		"a long head": func(w http.ResponseWriter, r *http.Request) {
			raw, _ := io.ReadAll(r.Body)
			q := parseQuery(t, "https", netip.AddrPort{}, raw)
			w.Header().Set("Content-Type", mediaType)
			w.Header().Set("X-Filler", strings.Repeat("x", 2*maxHeader))
			w.Write(message{answer: []rr{a(q.name, "192.0.2.66")}}.pack(q))
		},
		"nonsense": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			w.Write([]byte("x"))
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			s := n.addSecure(ProtoHTTPS, zone)
			cfg := &tls.Config{Certificates: []tls.Certificate{authority().cert}, NextProtos: []string{"http/1.1"}}
			n.stream[s.Addr] = func(c net.Conn) {
				l := &oneListener{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
				l.conns <- &closing{Conn: tls.Server(unblocked(c), cfg), closed: func() { l.Close() }}
				server := http.Server{Handler: serve, ErrorLog: log.New(io.Discard, "", 0)}
				server.Serve(l)
				server.Close()
			}
			_, took, err := timed(secureResolver(n, s), "a4.test", AF_INET)
			if err == nil || took > 10*time.Second {
				t.Errorf("%s: %v after %v", what, err, took)
			}
		})
	}
}

func TestParseSecureServer(t *testing.T) {
	for text, want := range map[string]Server{
		"tls://1.1.1.1":                        {Addr: netip.MustParseAddrPort("1.1.1.1:853"), Proto: ProtoTLS},
		"tls://[2606:4700::1111]:8853#one":     {Addr: netip.MustParseAddrPort("[2606:4700::1111]:8853"), Proto: ProtoTLS, Name: "one"},
		"https://9.9.9.9":                      {Addr: netip.MustParseAddrPort("9.9.9.9:443"), Proto: ProtoHTTPS},
		"https://9.9.9.9:8443/q#dns.quad9.net": {Addr: netip.MustParseAddrPort("9.9.9.9:8443"), Proto: ProtoHTTPS, Path: "/q", Name: "dns.quad9.net"},
		"https://[::1]/dns-query":              {Addr: netip.MustParseAddrPort("[::1]:443"), Proto: ProtoHTTPS, Path: "/dns-query"},
	} {
		got, err := ParseServer(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
		if back, err := ParseServer(got.String()); err != nil || back != got {
			t.Errorf("%s: %q reads as %+v, %v", text, got.String(), back, err)
		}
	}
	for _, text := range []string{"quic://1.1.1.1", "tls://dns.google", "https://", "udp://1.1.1.1#x", "tls://1.1.1.1/x", "https://1.1.1.1/%zz"} {
		if s, err := ParseServer(text); err == nil {
			t.Errorf("%s was taken for %+v", text, s)
		}
	}
	for why, s := range map[string]Server{
		"no use for": {Addr: netip.MustParseAddrPort("192.0.2.1:53"), Name: "x"},
		"SHA-256":    {Addr: netip.MustParseAddrPort("192.0.2.1:853"), Proto: ProtoTLS, Pin: "AAAA"},
	} {
		if _, err := New(Config{Transport: newNetwork(t), Servers: []Server{s}}); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%+v: error %v, want one that says %q", s, err, why)
		}
	}
}
