package dnsresolver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
)

const (
	pinSize = sha256.Size

	// padBlock is what queries over TLS and HTTPS are padded to a multiple of, in
	// bytes, so that their length says little of the name (RFC 8467 section 4.1).
	padBlock = 128

	mediaType = "application/dns-message" // RFC 8484 section 6
)

var (
	errPin    = errors.New("the server's key is not the pinned one")
	errStatus = errors.New("HTTP status")
	errMedia  = errors.New("not a DNS message")
)

// tlsConfig is how the server of an attempt proves who it is.
func (r *Resolver) tlsConfig(s Server) *tls.Config {
	c := &tls.Config{}
	if r.cfg.TLS != nil {
		c = r.cfg.TLS.Clone()
	}
	c.ServerName = s.serverName()
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	if s.Pin != "" {
		c.InsecureSkipVerify = true // the key itself is compared instead
		c.VerifyConnection = func(state tls.ConnectionState) error {
			sum := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
			if base64.StdEncoding.EncodeToString(sum[:]) != s.Pin {
				return errPin
			}
			return nil
		}
	}
	return c
}

// handshake makes a TLS connection out of conn (RFC 7858 section 3).
func (a *attempt) handshake(ctx context.Context, conn net.Conn) (net.Conn, error) {
	cfg := a.x.l.r.tlsConfig(a.server.Server)
	cfg.NextProtos = []string{"dot"}
	c := tls.Client(conn, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// web is the HTTP client of one server.
type web struct {
	once      sync.Once
	transport *http.Transport
}

func (a *attempt) httpTransport() *http.Transport {
	r, s := a.x.l.r, a.server
	s.web.once.Do(func() {
		s.web.transport = &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return r.dialWeb(ctx, s.Addr.String())
			},
			TLSClientConfig:     r.tlsConfig(s.Server),
			TLSHandshakeTimeout: tcpConnectTimeout,
			ForceAttemptHTTP2:   true,
			DisableCompression:  true,
			IdleConnTimeout:     streamIdle,
			MaxConnsPerHost:     maxStreams,

			MaxResponseHeaderBytes: maxHeader,
		}
	})
	return s.web.transport
}

// dialWeb opens a connection for an HTTP client, which keeps connections, and makes
// them, for longer than the request lasts: Close ends both.
func (r *Resolver) dialWeb(ctx context.Context, addr string) (net.Conn, error) {
	if !r.begin() {
		return nil, net.ErrClosed
	}
	defer r.running.Done()
	ctx, cancel := context.WithTimeoutCause(ctx, tcpConnectTimeout, errTimeout)
	defer cancel()
	defer context.AfterFunc(r.closing, cancel)()
	conn, err := r.cfg.Transport.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &webConn{Conn: conn, closed: make(chan struct{})}
	r.running.Go(func() {
		select {
		case <-r.closing.Done():
			c.Close()
		case <-c.closed:
		}
	})
	return c, nil
}

// webConn tells when it is closed.
type webConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *webConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// askHTTPS posts q to the server (RFC 8484 section 4.1), with the ID 0.
func (a *attempt) askHTTPS(ctx context.Context, q wire.Query) (*wire.Message, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, a.x.l.set.timeout, errTimeout)
	defer cancel()
	q.ID = 0
	packet, err := q.Pack()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.server.url(), bytes.NewReader(packet))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", mediaType)
	req.Header.Set("Accept", mediaType)
	req.Header["User-Agent"] = nil             // says nothing that the server needs
	req.Header["Idempotency-Key"] = []string{} // not sent; a connection that ended when idle costs a new one
	begun := time.Now()
	a.traceSend("https", q, len(packet))
	resp, err := a.httpTransport().RoundTrip(req)
	if err != nil {
		return nil, streamError(ctx, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%w %s", errStatus, resp.Status)
	case resp.Header.Get("Content-Type") != mediaType:
		return nil, fmt.Errorf("%w: %q", errMedia, resp.Header.Get("Content-Type"))
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage+1))
	if err != nil {
		return nil, streamError(ctx, err)
	}
	if len(b) > maxMessage {
		return nil, fmt.Errorf("%w: more than %d bytes", wire.ErrMalformed, maxMessage)
	}
	msg, err := acceptTCP(q, b)
	if errors.Is(err, errReject) {
		a.traceReject("https", q, len(b), err)
		return nil, err
	}
	a.server.sample(time.Since(begun))
	a.traceReply("https", q, msg, len(b), time.Since(begun), err)
	return msg, err
}

const maxHeader = 16 << 10 // bytes of the head of an HTTP reply, which says nothing that we need

const maxMessage = 65535 // bytes of a DNS message (RFC 1035 section 4.2.2)
