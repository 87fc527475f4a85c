package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// request has the flags that say what to ask a web server.
type request struct {
	method string
	header []string
	data   []string
}

func (r *request) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&r.method, "request", "X", "", "the `METHOD`, such as PUT (default GET, or POST with --data)")
	f.StringArrayVarP(&r.header, "header", "H", nil, "a header `FIELD`, as 'Name: value' (repeatable)")
	f.StringArrayVarP(&r.data, "data", "d", nil, "`DATA` to send, or @FILE, or @- for standard input (repeatable, joined by &)")
}

// make returns the request that the flags describe.
func (r *request) make(ctx context.Context, stdin io.Reader, target *url.URL, head bool) (*http.Request, error) {
	method := http.MethodGet
	var body io.Reader
	if r.data != nil {
		method = http.MethodPost
		data, err := r.body(stdin)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data) // known length, and can be sent again after a redirection
	}
	if head {
		method = http.MethodHead
	}
	if r.method != "" {
		method = r.method
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, usage{err}
	}
	req.Header.Set("User-Agent", "userstack/"+versionOf(modulePath))
	if r.data != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, field := range r.header {
		name, value, ok := strings.Cut(field, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, usagef("header field %q is not of the form 'Name: value'", field)
		}
		if value = strings.TrimSpace(value); strings.EqualFold(name, "Host") {
			req.Host = value
		} else {
			req.Header.Set(name, value)
		}
	}
	return req, nil
}

// body joins the data of all flags.
func (r *request) body(stdin io.Reader) ([]byte, error) {
	var parts [][]byte
	for _, d := range r.data {
		name, isFile := strings.CutPrefix(d, "@")
		part, err := []byte(d), error(nil)
		switch {
		case isFile && name == "-":
			part, err = io.ReadAll(stdin)
		case isFile:
			part, err = os.ReadFile(name)
		}
		if err != nil {
			return nil, fmt.Errorf("--data: %w", err)
		}
		parts = append(parts, part)
	}
	return bytes.Join(parts, []byte("&")), nil
}

// security has the flags of TLS.
type security struct {
	cacert   string
	insecure bool
	http1    bool
}

func (s *security) addFlags(f *pflag.FlagSet) {
	f.StringVar(&s.cacert, "cacert", "", "trust the certificates in a PEM `FILE` instead of the system's")
	f.BoolVarP(&s.insecure, "insecure", "k", false, "trust any certificate")
	f.BoolVar(&s.http1, "http1.1", false, "never HTTP/2")
}

// Time limits of a transport.
const (
	connectPatience   = 30 * time.Second // as net/http's own transport
	handshakePatience = 10 * time.Second
)

// transport makes net/http use the network's sockets.
func (s *security) transport(n *network, version ipVersion) (*http.Transport, error) {
	roots, err := s.roots(n)
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, connectPatience)
			defer cancel()
			return n.host.DialContext(ctx, network+string(version), address)
		},
		TLSClientConfig:     &tls.Config{RootCAs: roots, InsecureSkipVerify: s.insecure},
		TLSHandshakeTimeout: handshakePatience,
		ForceAttemptHTTP2:   !s.http1,
		DisableCompression:  true, // what is written is what was sent
	}
	if s.http1 {
		t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	return t, nil
}

// roots are the certificates to trust: the file's, or else the system's; and the demo's own on its networks.
func (s *security) roots(n *network) (*x509.CertPool, error) {
	if s.cacert != "" {
		pem, err := os.ReadFile(s.cacert)
		if err != nil {
			return nil, fmt.Errorf("--cacert: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--cacert: %s: no certificate in it: it should be in PEM form", s.cacert)
		}
		return roots, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil { // a system without any
		roots = x509.NewCertPool()
	}
	if n.servers != nil {
		roots.AddCert(n.servers.cert)
	}
	return roots, nil
}

// traceRequest says on log what happens to a request.
func traceRequest(ctx context.Context, log io.Writer) context.Context {
	start := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(log, "fetch: %9s  %s\n", ms(time.Since(start)), fmt.Sprintf(format, args...))
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) {
			say("connection %s to %s", i.Conn.LocalAddr(), i.Conn.RemoteAddr())
		},
		TLSHandshakeDone: func(s tls.ConnectionState, err error) {
			if err == nil {
				say("%s, %s, protocol %q", tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite), s.NegotiatedProtocol)
			}
		},
		WroteRequest:         func(i httptrace.WroteRequestInfo) { say("request sent") },
		GotFirstResponseByte: func() { say("first byte of the answer") },
	})
}
