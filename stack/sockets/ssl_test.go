package sockets_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/userstack/userstack/dnsresolver/netdb"
	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// A testCA issues certificates.
type testCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

// The names of the documents' SSL example.
var (
	verisign = pkix.RDNSequence{
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 6}, Value: "US"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 8}, Value: "California"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 7}, Value: "Mountain View"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "VeriSign, Inc."}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: "Production Services"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: "Terms of use at www.verisign.com/rpa (c)00"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "www.verisign.com"}},
	}
	verisignCA = pkix.RDNSequence{
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "VeriSign Trust Network"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: "VeriSign, Inc."}},
	}
)

func newCA(t testing.TB) *testCA {
	t.Helper()
	ca := &testCA{pool: x509.NewCertPool()}
	cert := ca.issue(t, verisignCA, true)
	ca.pool.AddCert(cert.Leaf)
	return ca
}

// issue makes a certificate with exactly the subject given.
func (ca *testCA) issue(t testing.TB, subject pkix.RDNSequence, isCA bool, ips ...net.IP) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	raw, err := asn1.Marshal(subject)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), RawSubject: raw, DNSNames: []string{"www.verisign.com"}, IPAddresses: ips,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: isCA, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if isCA {
		ca.cert, ca.key = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	check(t, err)
	leaf, err := x509.ParseCertificate(der)
	check(t, err)
	if isCA {
		ca.cert = leaf
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// sslServer returns a host that knows www.verisign.com and a server there, which
// does with each connection what serve does. The server ends with the test.
func sslServer(t testing.TB, cfg *tls.Config, serve func(*tls.Conn)) (client *sockets.Host) {
	t.Helper()
	left, right := link.NewPipe(link.PipeConfig{})
	server := newHost(t, right, addrB, addrB6)
	s, err := stack.New(stack.Config{NICs: []stack.NIC{{Link: left, Addrs: []netip.Prefix{netip.MustParsePrefix(addrA + "/24")}}}})
	check(t, err)
	hosts := netdb.HostsFromMap(map[string][]netip.Addr{
		"www.verisign.com": {netip.MustParseAddr(addrB)}, "other.example": {netip.MustParseAddr(addrB)},
	})
	client, err = sockets.New(sockets.Config{Stack: s, Hosts: hosts})
	check(t, err)
	l, err := server.Listen("tcp", addrB+":443")
	check(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(tls.Server(c, cfg))
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		client.Close()
		<-done
		s.Close()
	})
	return client
}

// dial connects a socket of h to a name.
func dial(t testing.TB, h *sockets.Host, host string) *sockets.Socket {
	t.Helper()
	s := tcpSocket(t, h)
	check(t, s.Connect(sockets.Inet4{Host: host, Port: 443}))
	return s
}

// A15.5: the documents' SSL example, against a server and a CA of our own.
func TestDocumentedSSL(t *testing.T) {
	ca := newCA(t)
	request := make(chan string, 1)
	h := sslServer(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, verisign, false)}}, func(c *tls.Conn) {
		buf := make([]byte, 1000)
		n, _ := c.Read(buf)
		request <- string(buf[:n])
		fmt.Fprint(c, "HTTP/1.0 200 OK\r\n\r\nhello")
		c.CloseWrite()
	})
	s := dial(t, h, "www.verisign.com")
	o, err := h.SSL(s, &sockets.SSLOptions{RootCAs: ca.pool})
	check(t, err)
	if want := "/C=US/ST=California/L=Mountain View/O=VeriSign, Inc./OU=Production Services/OU=Terms of use at www.verisign.com/rpa (c)00/CN=www.verisign.com"; o.Server() != want {
		t.Errorf("server %q, want %q", o.Server(), want)
	}
	if want := "/O=VeriSign Trust Network/OU=VeriSign, Inc."; o.Issuer() != want {
		t.Errorf("issuer %q, want %q", o.Issuer(), want)
	}
	const get = "GET / HTTP/1.0\r\nHost: www.verisign.com\r\n\r\n"
	if n := must[int](t)(o.Write([]byte(get))); n != len(get) {
		t.Errorf("wrote %d bytes", n)
	}
	if got := <-request; got != get {
		t.Errorf("the server read %q", got)
	}
	if data := must[[]byte](t)(o.ReadAll()); string(data) != "HTTP/1.0 200 OK\r\n\r\nhello" {
		t.Errorf("read %q", data)
	}
	if _, err := o.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
	if o.DescType() != sockets.PR_DESC_LAYERED || o.ConnectionState().Version < tls.VersionTLS12 {
		t.Errorf("desc_type %d, version %#x", o.DescType(), o.ConnectionState().Version)
	}
	check(t, o.Close())
	_, err = o.Write([]byte("x"))
	wantErrno(t, err, sockets.EPIPE)
	check(t, o.Close())
	if s.Fileno() == -1 { // the socket is closed apart
		t.Error("closing the SSL object closed the socket")
	}
	check(t, s.Close())
}

func TestSSLVerifies(t *testing.T) {
	ca := newCA(t)
	h := sslServer(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, verisign, false, net.ParseIP(addrB))}}, func(c *tls.Conn) {
		io.Copy(c, c)
	})
	roots := sockets.SSLOptions{RootCAs: ca.pool}
	for _, tc := range []struct {
		name, host string
		o          sockets.SSLOptions
		ok         bool
	}{
		{"the name connected to", "www.verisign.com", roots, true},
		{"the address connected to", addrB, roots, true},
		{"another name", "other.example", roots, false},
		{"another name, told the right one", "other.example", sockets.SSLOptions{RootCAs: ca.pool, ServerName: "www.verisign.com"}, true},
		{"another name, in the configuration", "other.example", sockets.SSLOptions{Config: &tls.Config{RootCAs: ca.pool, ServerName: "www.verisign.com"}}, true},
		{"the system's roots", "www.verisign.com", sockets.SSLOptions{}, false},
		{"no roots", "www.verisign.com", sockets.SSLOptions{RootCAs: x509.NewCertPool()}, false},
		{"not verified", "other.example", sockets.SSLOptions{RootCAs: x509.NewCertPool(), InsecureSkipVerify: true}, true},
	} {
		s := dial(t, h, tc.host)
		o, err := h.SSL(s, &tc.o)
		if tc.ok {
			check(t, err)
			must[int](t)(o.Write([]byte("echo")))
			if p := must[[]byte](t)(o.ReadN(4)); string(p) != "echo" {
				t.Errorf("%s: read %q", tc.name, p)
			}
			check(t, o.Close())
		} else {
			var invalid *tls.CertificateVerificationError
			if !errors.As(err, &invalid) {
				t.Errorf("%s: %v", tc.name, err)
			}
			wantErrno(t, err, sockets.EPROTO)
		}
		check(t, s.Close())
	}
	s := dial(t, h, "www.verisign.com")
	if _, err := h.SSL(s, nil); err == nil {
		t.Error("no options, and no verification")
	}
	udp := udpSocket(t, h)
	_, err := h.SSL(udp, nil)
	wantErrno(t, err, sockets.EOPNOTSUPP)
	_, err = h.SSL(tcpSocket(t, h), nil)
	wantErrno(t, err, sockets.ENOTCONN)
	s = dial(t, h, "www.verisign.com")
	s.SetBlocking(false)
	_, err = h.SSL(s, &roots)
	wantErrno(t, err, sockets.EINVAL)
	s.SetBlocking(true)
	for _, o := range []sockets.SSLOptions{{KeyFile: "key.pem"}, {CertFile: "cert.pem"}, {KeyFile: "nowhere/key.pem", CertFile: "nowhere/cert.pem"}} {
		_, err = h.SSL(s, &o)
		wantErrno(t, err, sockets.EINVAL)
	}
	check(t, s.Close())
	_, err = h.SSL(s, &roots)
	wantErrno(t, err, sockets.EBADF)
}

// The client's key and certificate come from PEM files.
func TestSSLClientCertificate(t *testing.T) {
	ca := newCA(t)
	mine := ca.issue(t, pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "client"}}}, false)
	key, err := x509.MarshalECPrivateKey(mine.PrivateKey.(*ecdsa.PrivateKey))
	check(t, err)
	dir := t.TempDir()
	o := sockets.SSLOptions{RootCAs: ca.pool, KeyFile: filepath.Join(dir, "key.pem"), CertFile: filepath.Join(dir, "cert.pem")}
	check(t, os.WriteFile(o.KeyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key}), 0o600))
	check(t, os.WriteFile(o.CertFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: mine.Leaf.Raw}), 0o600))
	h := sslServer(t, &tls.Config{
		Certificates: []tls.Certificate{ca.issue(t, verisign, false)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool,
	}, func(c *tls.Conn) {
		if c.Handshake() == nil {
			fmt.Fprint(c, c.ConnectionState().PeerCertificates[0].Subject)
			c.CloseWrite()
		}
	})
	ssl, err := h.SSL(dial(t, h, "www.verisign.com"), &o)
	check(t, err)
	if p := must[[]byte](t)(ssl.ReadAll()); string(p) != "CN=client" {
		t.Errorf("the server saw %q", p)
	}
	// The files go before what Config has.
	other := ca.issue(t, pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "other"}}}, false)
	o.Config = &tls.Config{Certificates: []tls.Certificate{other},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &other, nil }}
	ssl, err = h.SSL(dial(t, h, "www.verisign.com"), &o)
	check(t, err)
	if p := must[[]byte](t)(ssl.ReadAll()); string(p) != "CN=client" {
		t.Errorf("the server saw %q beside a Config", p)
	}
}

// What time cuts off goes on with the next call, in both directions.
func TestSSLTimeoutsLoseNothing(t *testing.T) {
	ca := newCA(t)
	received, start := make(chan []byte, 1), make(chan struct{})
	h := sslServer(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, verisign, false)}}, func(c *tls.Conn) {
		fmt.Fprint(c, "half ")
		<-start
		p, _ := io.ReadAll(c)
		received <- p
		fmt.Fprint(c, "and half")
		c.CloseWrite()
	})
	s := dial(t, h, "www.verisign.com")
	o, err := h.SSL(s, &sockets.SSLOptions{RootCAs: ca.pool})
	check(t, err)
	check(t, s.SetTimeout(20*time.Millisecond))
	for range 3 {
		if p, err := o.ReadN(13); !errors.Is(err, sockets.ErrTimeout) {
			t.Fatalf("%q, %v, want ErrTimeout", p, err)
		}
	}
	s.SetBlocking(false)
	_, err = o.ReadN(13)
	wantErrno(t, err, sockets.EAGAIN)
	want, sent := randomBytes(11, 16<<20), 0
	for err = error(nil); err == nil; {
		var n int
		n, err = o.Write(want[sent:min(len(want), sent+100_000)])
		sent += n
	}
	wantErrno(t, err, sockets.EAGAIN)
	check(t, s.SetTimeout(20*time.Millisecond))
	n, err := o.Write(want[sent:])
	if sent += n; !errors.Is(err, sockets.ErrTimeout) {
		t.Fatalf("a write over a full connection: %d, %v", n, err)
	}
	s.SetBlocking(true)
	close(start)
	if n := must[int](t)(o.Write(want[sent:])); n != len(want)-sent {
		t.Errorf("wrote %d bytes of the rest", n)
	}
	check(t, o.Close())
	if got := <-received; !bytes.Equal(got, want) {
		t.Errorf("%d bytes came, want %d, or other ones", len(got), len(want))
	}
	if p := must[[]byte](t)(o.ReadN(13)); string(p) != "half and half" {
		t.Errorf("read %q", p)
	}
	if p := must[[]byte](t)(o.ReadAll()); len(p) != 0 {
		t.Errorf("then %q", p)
	}
	_, err = o.ReadN(-1)
	wantErrno(t, err, sockets.EINVAL)
}

// Reading works while a Write waits for a peer that does not read.
func TestSSLReadsWhileItWrites(t *testing.T) {
	ca := newCA(t)
	want := randomBytes(12, 1<<20)
	got, received := make(chan struct{}), make(chan int64, 1)
	h := sslServer(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, verisign, false)}}, func(c *tls.Conn) {
		c.Write(want)
		<-got
		n, _ := io.Copy(io.Discard, c)
		received <- n
		c.CloseWrite()
	})
	s := dial(t, h, "www.verisign.com")
	o, err := h.SSL(s, &sockets.SSLOptions{RootCAs: ca.pool})
	check(t, err)
	const size = 48 << 20 // more than all buffers on the way hold
	errs := make(chan error, 1)
	go func() {
		_, err := o.Write(make([]byte, size))
		errs <- errors.Join(err, o.Close())
	}()
	awaitBlocked(t, "SendAll") // the server does not read
	p := must[[]byte](t)(o.ReadN(len(want)))
	close(got)
	if !bytes.Equal(p, want) {
		t.Errorf("%d bytes came, want %d, or other ones", len(p), len(want))
	}
	check(t, <-errs)
	if n := <-received; n != size {
		t.Errorf("%d of %d bytes arrived", n, size)
	}
}

// A connection that ends without close_notify was cut off.
func TestSSLTruncation(t *testing.T) {
	ca := newCA(t)
	h := sslServer(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, verisign, false)}}, func(c *tls.Conn) {
		fmt.Fprint(c, "all of")
		c.NetConn().Close()
	})
	o, err := h.SSL(dial(t, h, "www.verisign.com"), &sockets.SSLOptions{RootCAs: ca.pool})
	check(t, err)
	if _, err = o.ReadAll(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("ReadAll: %v, want io.ErrUnexpectedEOF", err)
	}
	if p := must[[]byte](t)(o.ReadN(6)); string(p) != "all of" {
		t.Errorf("what came is %q", p)
	}
}

// A peer that speaks no TLS, and one that says nothing.
func TestSSLHandshakeFails(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	must[int](t)(server.Send([]byte("220 mail.example ESMTP\r\n")))
	_, err := a.SSL(client, nil)
	wantErrno(t, err, sockets.EPROTO)
	client, _ = connected(t, a, b)
	check(t, client.SetTimeout(20*time.Millisecond))
	if _, err = a.SSL(client, nil); !errors.Is(err, sockets.ErrTimeout) {
		t.Errorf("a silent peer: %v", err)
	}
	client, server = connected(t, a, b)
	check(t, server.Close())
	if _, err = a.SSL(client, nil); err == nil {
		t.Error("a peer that is gone made a handshake")
	}
}

// The names are those that OpenSSL prints, as long as they hold no '/' and no '+'.
func TestNamesAgainstOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("needs openssl in PATH: ", err)
	}
	bmp := asn1.RawValue{Tag: 30, Bytes: []byte{0x01, 0x0d, 0, 'z'}}
	ca := newCA(t)
	for _, subject := range []pkix.RDNSequence{
		verisignCA,
		{{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "Žluťoučký kůň=1"}}},
		{{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: bmp}}},
		{{{Type: asn1.ObjectIdentifier{1, 2, 3, 4, 5}, Value: "unknown"}}},
		{{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "a@b.example"}},
			{{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}, Value: "example"}},
			{{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: "uid"}},
			{{Type: asn1.ObjectIdentifier{2, 5, 4, 4}, Value: "sn"}}, {{Type: asn1.ObjectIdentifier{2, 5, 4, 5}, Value: "123"}},
			{{Type: asn1.ObjectIdentifier{2, 5, 4, 9}, Value: "street"}}, {{Type: asn1.ObjectIdentifier{2, 5, 4, 12}, Value: "t"}},
			{{Type: asn1.ObjectIdentifier{2, 5, 4, 15}, Value: "b"}}, {{Type: asn1.ObjectIdentifier{2, 5, 4, 17}, Value: "p"}},
			{{Type: asn1.ObjectIdentifier{2, 5, 4, 42}, Value: "g"}}, {{Type: asn1.ObjectIdentifier{2, 5, 4, 46}, Value: "q"}},
			{{Type: asn1.ObjectIdentifier{2, 5, 4, 97}, Value: "o"}}, {{Type: asn1.ObjectIdentifier{2, 5, 4, 65}, Value: "ps"}},
			{{Type: asn1.ObjectIdentifier{2, 5, 4, 43}, Value: "i"}}, {{Type: asn1.ObjectIdentifier{2, 5, 4, 44}, Value: "j"}},
			{{Type: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 60, 2, 1, 3}, Value: "CZ"}},
			{{Type: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 60, 2, 1, 2}, Value: "x"}},
			{{Type: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 60, 2, 1, 1}, Value: "y"}},
			{{Type: asn1.ObjectIdentifier{2, 5, 4, 41}, Value: "n"}}, {{Type: asn1.ObjectIdentifier{2, 5, 4, 13}, Value: "d"}},
			{{Type: asn1.ObjectIdentifier{2, 5, 4, 16}, Value: "pa"}}, {{Type: asn1.ObjectIdentifier{2, 5, 4, 18}, Value: "pb"}},
			{{Type: asn1.ObjectIdentifier{2, 5, 4, 20}, Value: "tel"}}, {{Type: asn1.ObjectIdentifier{2, 5, 4, 45}, Value: "u"}},
			{{Type: asn1.ObjectIdentifier{2, 5, 4, 72}, Value: "r"}}, {{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 2}, Value: "un"}}},
	} {
		cert := ca.issue(t, subject, false)
		h := sslServer(t, &tls.Config{Certificates: []tls.Certificate{cert}}, func(c *tls.Conn) { c.Handshake() })
		o, err := h.SSL(dial(t, h, "www.verisign.com"), &sockets.SSLOptions{RootCAs: ca.pool})
		check(t, err)
		cmd := exec.CommandContext(t.Context(), openssl, "x509", "-noout", "-subject", "-nameopt", "compat")
		cmd.Stdin = bytes.NewReader(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Leaf.Raw}))
		out, err := cmd.Output()
		check(t, err)
		want := strings.TrimSpace(strings.TrimPrefix(string(out), "subject="))
		if o.Server() != want {
			t.Errorf("%q, OpenSSL has %q", o.Server(), want)
		}
	}
}
