package sockets

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

// SSLOptions say how SSL meets the server. The zero value verifies it against
// the operating system's roots and the name given to Connect.
type SSLOptions struct {
	KeyFile, CertFile  string         // the client's key and certificate chain, PEM; both or neither
	ServerName         string         // "" is the name given to Connect, or else the peer's address
	RootCAs            *x509.CertPool // nil is the operating system's
	InsecureSkipVerify bool           // accept any certificate
	Config             *tls.Config    // the rest; what is set above goes before it. Nil is Go's defaults
}

// SSLObject is TLS on a connected Socket: the SSL object of Python 2.5. It does
// not own the Socket, which is closed apart, and its calls wait as the Socket
// does. Reads and writes may be concurrent; nothing is lost when they run out of
// time or would block.
type SSLObject struct {
	conn *tls.Conn
	pipe *sslPipe
	cert *x509.Certificate // the server's

	closed atomic.Bool // Close has been called

	reading sync.Mutex
	held    []byte // what ReadN and ReadAll have of more that they want
}

var _ io.ReadWriteCloser = (*SSLObject)(nil)

// SSL makes TLS's handshake with the server at the other end of s. Unlike
// Python's it verifies the server's certificate, unless told not to. The
// socket's timeout holds for each wait of the handshake.
//
// Errors: EINVAL when the socket is non-blocking, or for one of KeyFile and
// CertFile without the other; ENOTCONN, EOPNOTSUPP unless it is SOCK_STREAM;
// ErrTimeout; EPROTO for what TLS itself refuses, wrapping the error of
// crypto/tls, such as *tls.CertificateVerificationError.
func (h *Host) SSL(s *Socket, o *SSLOptions) (*SSLObject, error) {
	if o == nil {
		o = &SSLOptions{}
	}
	switch {
	case s.dead():
		return nil, s.error("ssl", ErrClosed)
	case s.d.typ != SOCK_STREAM:
		return nil, &Error{Op: "ssl", Num: EOPNOTSUPP, Msg: "TLS needs a stream"}
	case !s.Blocking():
		return nil, &Error{Op: "ssl", Num: EINVAL, Msg: "a handshake must wait: set the socket non-blocking afterwards"}
	}
	if _, err := s.GetPeerName(); err != nil {
		return nil, &Error{Op: "ssl", Num: ENOTCONN}
	}
	cfg, err := s.tlsConfig(o)
	if err != nil {
		return nil, err
	}
	pipe := &sslPipe{s: s}
	conn := tls.Client(pipe, cfg)
	if err := conn.Handshake(); err != nil {
		return nil, s.sslError("ssl", err)
	}
	if err := pipe.flush(); err != nil {
		return nil, s.sslError("ssl", err)
	}
	return &SSLObject{conn: conn, pipe: pipe, cert: conn.ConnectionState().PeerCertificates[0]}, nil
}

func (s *Socket) tlsConfig(o *SSLOptions) (*tls.Config, error) {
	cfg := o.Config.Clone()
	if cfg == nil {
		cfg = &tls.Config{}
	}
	cfg.ServerName = cmp.Or(o.ServerName, cfg.ServerName, s.serverName())
	cfg.InsecureSkipVerify = cfg.InsecureSkipVerify || o.InsecureSkipVerify
	if o.RootCAs != nil {
		cfg.RootCAs = o.RootCAs
	}
	if (o.KeyFile == "") != (o.CertFile == "") {
		return nil, &Error{Op: "ssl", Num: EINVAL, Msg: "a key and a certificate go together"}
	}
	if o.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, &Error{Op: "ssl", Num: EINVAL, Err: err}
		}
		cfg.Certificates, cfg.GetClientCertificate = []tls.Certificate{pair}, nil
	}
	return cfg, nil
}

// serverName returns what the server's certificate must be for.
func (s *Socket) serverName() string {
	if name := s.d.unusual().peerName.Load(); name != nil {
		ascii, _ := netdb.ToASCII(*name) // it has been looked up, so it is fit
		return ascii
	}
	if s.d.family != AF_INET && s.d.family != AF_INET6 {
		return "" // crypto/tls says what is missing
	}
	peer, _ := s.remoteAddr()
	return peer.Addr().Unmap().WithZone("").String()
}

// sslError turns an error of crypto/tls into an *Error: the socket's own where
// the cause is there.
func (s *Socket) sslError(op string, err error) error {
	var own *Error
	switch {
	case err == nil || err == io.EOF:
		return err
	case errors.As(err, &own):
		return &Error{Op: op, Num: own.Num, Err: own.Err}
	}
	return &Error{Op: op, Num: EPROTO, Err: err}
}

// Server returns the server's name in its certificate, in OpenSSL's one-line
// form: "/C=NL/O=CWI/CN=daring.cwi.nl", in the certificate's order. Bytes outside
// printable ASCII are \xHH; a '/' in a value stays as it is, so decide nothing by
// this form. ConnectionState has the certificate.
func (o *SSLObject) Server() string { return oneLineName(o.cert.RawSubject) }

// Issuer returns the name of who issued the server's certificate, as Server
// does.
func (o *SSLObject) Issuer() string { return oneLineName(o.cert.RawIssuer) }

// DescType returns PR_DESC_LAYERED.
func (o *SSLObject) DescType() DescType { return PR_DESC_LAYERED }

// ConnectionState tells what the handshake agreed on.
func (o *SSLObject) ConnectionState() tls.ConnectionState { return o.conn.ConnectionState() }

// Close tells the peer that no more will be sent. It leaves the Socket open.
func (o *SSLObject) Close() error {
	o.closed.Store(true)
	if err := o.conn.CloseWrite(); err != nil {
		return o.pipe.s.sslError("close", err)
	}
	return o.pipe.s.sslError("close", o.pipe.flush())
}

// An sslPipe is the net.Conn under a *tls.Conn: the Socket in whatever mode it
// is. To crypto/tls a write that is cut off is the end of the connection, so what
// a write cannot send at once is kept, and the next call sends it.
type sslPipe struct {
	s   *Socket
	eof atomic.Bool // the stream has ended: before close_notify, if crypto/tls had to ask

	mu   sync.Mutex
	rest []byte // encrypted and not yet sent
}

// Read implements net.Conn.
func (p *sslPipe) Read(b []byte) (int, error) {
	n, err := p.s.Read(b)
	if err == io.EOF {
		p.eof.Store(true)
	}
	return n, err
}

// Write implements net.Conn. It takes all of b unless the socket fails for good.
func (p *sslPipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, b...)
	if err := p.flushLocked(); err != nil && !passing(err) {
		return 0, err
	}
	return len(b), nil
}

func (p *sslPipe) flush() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.flushLocked()
}

// tryFlush is flush for who must not wait for a writer, nor for the peer, which
// may be waiting to be read.
func (p *sslPipe) tryFlush() error {
	if !p.mu.TryLock() {
		return nil
	}
	defer p.mu.Unlock()
	return p.flushLocked(MSG_DONTWAIT)
}

func (p *sslPipe) flushLocked(opts ...CallOption) error {
	if len(p.rest) == 0 {
		return nil
	}
	n, err := p.s.SendAll(p.rest, opts...)
	p.rest = p.rest[:copy(p.rest, p.rest[n:])]
	return err
}

// passing reports whether the socket may be able to go on later.
func passing(err error) bool { return errors.Is(err, EAGAIN) || errors.Is(err, ErrTimeout) }

// Close implements net.Conn. The Socket is not ours to close.
func (p *sslPipe) Close() error { return nil }

// LocalAddr and RemoteAddr implement net.Conn.
func (p *sslPipe) LocalAddr() net.Addr  { a, _ := p.s.GetSockName(); return a }
func (p *sslPipe) RemoteAddr() net.Addr { a, _ := p.s.GetPeerName(); return a }

// SetDeadline and the others implement net.Conn: crypto/tls sets them when it
// closes, where the socket's timeout does as well.
func (p *sslPipe) SetDeadline(time.Time) error      { return nil }
func (p *sslPipe) SetReadDeadline(time.Time) error  { return nil }
func (p *sslPipe) SetWriteDeadline(time.Time) error { return nil }
