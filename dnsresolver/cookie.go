package dnsresolver

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
)

// DNS cookies (RFC 7873): a server that knows them repeats 8 bytes of ours in each
// reply, which a forger off the path cannot, and wants 8 to 32 bytes of its own in
// each query.

const (
	clientCookie    = 8 // bytes
	minServerCookie = 8
	maxServerCookie = 32
)

// errCookie is a reply that does not show the cookie it must: over TCP it will.
var errCookie = errors.New("no cookie, or not ours")

// cookieFor is what a query to s carries: our cookie, and the server's if it gave
// one.
func (r *Resolver) cookieFor(s *server) []byte {
	mac := hmac.New(sha256.New, r.cookieSecret[:])
	mac.Write([]byte(s.Addr.String()))
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(mac.Sum(nil)[:clientCookie], s.cookie...)
}

// checkCookie looks at the cookie of a reply, remembers the server's part, and
// reports whether the reply can be believed.
func (s *server) checkCookie(sent []byte, msg *wire.Message) error {
	if sent == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch n := len(msg.Cookie); {
	case n == 0 && s.cookie == nil:
		return nil // knows no cookies
	case n < clientCookie+minServerCookie, n > clientCookie+maxServerCookie, !bytes.Equal(msg.Cookie[:clientCookie], sent[:clientCookie]):
		return errCookie
	}
	s.cookie = bytes.Clone(msg.Cookie[clientCookie:])
	return nil
}
