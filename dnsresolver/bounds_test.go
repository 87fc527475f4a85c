package dnsresolver

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// However many lookups there are, a server has at most four connections, also when
// it is silent on them, and no lookup takes longer than it may.
func TestConnectionBound(t *testing.T) {
	for _, proto := range []Proto{ProtoTCP, ProtoTLS, ProtoHTTPS} {
		t.Run(proto.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				var s Server
				mute := func(c net.Conn) { io.Copy(io.Discard, c) }
				switch proto {
				case ProtoTCP:
					s = streamServer(n, mute)
				case ProtoTLS:
					s = n.addSecure(proto, silent)
				case ProtoHTTPS:
					// HTTP/1.1 has one request at a time on a connection.
					s = n.addSecure(proto, silent)
					cfg := &tls.Config{Certificates: []tls.Certificate{authority().cert}, NextProtos: []string{"http/1.1"}}
					n.stream[s.Addr] = func(c net.Conn) {
						tc := tls.Server(unblocked(c), cfg)
						defer tc.Close()
						mute(tc)
					}
				}
				r := n.resolver(Config{
					Servers: []Server{s}, Timeout: time.Second, Attempts: 2, TLS: &tls.Config{RootCAs: authority().roots},
				})
				errs := make(chan error, 300)
				start := time.Now()
				for i := range cap(errs) {
					go func() {
						_, err := r.Lookup(t.Context(), fmt.Sprintf("h%d.test", i), LookupOptions{Family: AF_INET})
						errs <- err
					}()
				}
				most := 0
				for range 20 {
					synctest.Wait()
					most = max(most, n.connections())
					pass(100 * time.Millisecond)
				}
				for range cap(errs) {
					wantCode(t, <-errs, EAI_AGAIN)
				}
				if most > maxStreams || most == 0 {
					t.Errorf("%d connections at a time, want at most %d", most, maxStreams)
				}
				about(t, "the last lookup", time.Since(start), 2*time.Second)
			})
		})
	}
}

// The largest messages that are possible are read or refused, over each protocol,
// and an answer has at most 1,024 addresses.
func TestHostileSizes(t *testing.T) {
	many := func(count int) []rr {
		var list []rr
		for i := range count {
			list = append(list, rr{name: "q", typ: typeA, ttl: 60, data: []byte{198, 18, byte(i >> 8), byte(i)}})
		}
		return list
	}
	for what, c := range map[string]struct {
		records int
		tail    int
		addrs   int // 0: a failure
	}{
		"3000 records of 18 bytes": {3000, 0, maxAddrs},
		"too many records":         {4097, 0, 0},
		"65,000 bytes of nothing":  {1, 65_000, 1},
	} {
		for _, proto := range []Proto{ProtoUDP, ProtoTCP, ProtoTLS, ProtoHTTPS} {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				serve := func(q query, s sender) {
					if q.network == "udp" {
						s.reply(q, message{flags: bitTC})
						return
					}
					s.reply(q, message{answer: many(c.records), tail: make([]byte, c.tail)})
				}
				s := n.add("192.0.2.1", serve)
				s.Proto = proto
				if proto.secure() {
					s = n.addSecure(proto, serve)
				}
				r := n.resolver(Config{Servers: []Server{s}, TLS: &tls.Config{RootCAs: authority().roots}, Search: []string{}})
				ans, took, err := timed(r, "q", AF_INET)
				if len(ans.Addrs) != c.addrs || (err == nil) != (c.addrs > 0) || took > 10*time.Second {
					t.Errorf("%s over %v: %d addresses after %v, %v; want %d", what, proto, len(ans.Addrs), took, err, c.addrs)
				}
			})
		}
	}
}
