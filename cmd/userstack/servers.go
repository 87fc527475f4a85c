package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/userstack/userstack/testnet"
)

// A place is where the demo's servers live: the kernel of a namespace, or another userspace stack.
type place struct {
	name         string // for people: "the Linux kernel in namespace …"
	listen       func(network, address string) (net.Listener, error)
	listenPacket func(network, address string) (net.PacketConn, error)
	dial         func(ctx context.Context, network, address string) (net.Conn, error)
}

// Addresses of the demo's network, from the ranges for private use (RFC 1918, RFC 4193): the far end's, and ours.
var (
	farAddrs = []netip.Prefix{netip.MustParsePrefix("10.78.0.1/24"), netip.MustParsePrefix("fd78::1/64")}
	ourAddrs = []netip.Prefix{netip.MustParsePrefix("10.78.0.2/24"), netip.MustParsePrefix("fd78::2/64")}
	// silentAddr answers nothing, for trying timeouts.
	silentAddr = netip.MustParseAddr("10.78.0.99")
)

// demoName is the domain of the demo's names (.test is for this: RFC 2606).
const demoName = "demo.test"

// demoZone is what the demo's DNS server knows.
func demoZone() testnet.Zone {
	both := []netip.Addr{farAddrs[0].Addr(), farAddrs[1].Addr()}
	const serverFailure = 2 // RFC 1035 section 4.1.1
	return testnet.Zone{
		demoName:             {Addrs: both, TXT: []string{"userstack's demo network"}},
		"www." + demoName:    {Addrs: both},
		"ipv4." + demoName:   {Addrs: both[:1]},
		"ipv6." + demoName:   {Addrs: both[1:]},
		"alias." + demoName:  {CNAME: "www." + demoName},
		"silent." + demoName: {Addrs: []netip.Addr{silentAddr}},
		"broken." + demoName: {RCode: serverFailure},
	}
}

// Ports of the services besides the web.
const (
	dnsPort  = 53  // RFC 1035
	echoPort = "7" // RFC 862
)

// servers are the demo's servers: DNS, HTTP, HTTPS, and echo over TCP and UDP.
type servers struct {
	place place
	dns   *testnet.DNSServer
	web   *http.Server
	cert  *x509.Certificate // of the HTTPS server
	echo  echoServer

	wg sync.WaitGroup // web.Serve, twice; Close ends and joins them

	mu    sync.Mutex
	peers []netip.Addr        // who connected to the web server, in order
	conns map[string]net.Conn // open connections to it, by the peer's address and port
}

// serve starts the servers; Close ends them.
func serve(p place) (_ *servers, err error) {
	s := &servers{place: p, conns: map[string]net.Conn{}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("the demo's servers: %w", err), s.Close())
		}
	}()
	if err := s.serveDNS(); err != nil {
		return nil, err
	}
	if err := s.serveWeb(); err != nil {
		return nil, err
	}
	return s, s.echo.serve(p)
}

func (s *servers) serveDNS() error {
	pc, err := s.place.listenPacket("udp", "[::]:53")
	if err != nil {
		return err
	}
	ln, err := s.place.listen("tcp", "[::]:53")
	if err != nil {
		pc.Close()
		return err
	}
	s.dns, err = testnet.NewDNSServer(demoZone(), pc, ln)
	return err
}

func (s *servers) serveWeb() error {
	cert, err := selfSigned()
	if err != nil {
		return err
	}
	s.cert = cert.Leaf
	s.web = &http.Server{
		Handler:   s.pages(),
		ConnState: s.connState,
		// Without "h2" here, Serve would settle for the whole server that there is no HTTP/2.
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}},
		ErrorLog:          log.New(io.Discard, "", 0), // what a client does wrong is the client's to say
		ReadHeaderTimeout: 10 * time.Second,
	}
	plain, err := s.place.listen("tcp", "[::]:80")
	if err != nil {
		return err
	}
	secure, err := s.place.listen("tcp", "[::]:443")
	if err != nil {
		plain.Close()
		return err
	}
	s.wg.Go(func() { s.web.Serve(plain) })
	s.wg.Go(func() { s.web.ServeTLS(secure, "", "") })
	return nil
}

// connState remembers who connects.
func (s *servers) connState(c net.Conn, state http.ConnState) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	peer, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.peers = append(s.peers, peer.Addr().Unmap())
		s.conns[c.RemoteAddr().String()] = c
	case http.StateClosed, http.StateHijacked:
		delete(s.conns, c.RemoteAddr().String())
	}
}

// seen returns who connected to the web server, in order.
func (s *servers) seen() []netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]netip.Addr(nil), s.peers...)
}

// kernelSays is what the kernel at the other end knows of an open connection from a peer to the web server, or "".
func (s *servers) kernelSays(peer net.Addr) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.conns[peer.String()]; c != nil {
		return kernelView(c)
	}
	return ""
}

// Close ends the servers and returns when nothing is being served any more.
func (s *servers) Close() error {
	var errs []error
	if s.dns != nil {
		errs = append(errs, s.dns.Close())
	}
	if s.web != nil {
		errs = append(errs, s.web.Close())
	}
	s.wg.Wait()
	s.echo.Close()
	return errors.Join(errs...)
}

// certLife is how long the certificate of the demo's web server is good for: longer than any demo.
const certLife = 24 * time.Hour

// selfSigned makes a certificate for every name of the demo's zone.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: demoName},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(certLife),
		DNSNames:     []string{demoName, "*." + demoName},
		IPAddresses:  []net.IP{farAddrs[0].Addr().AsSlice(), farAddrs[1].Addr().AsSlice()},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}
