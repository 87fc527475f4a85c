package dnsresolver

import (
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TCP servers that accept and then misbehave cost no more than the timeout.
// glibc hangs for ever on the first of these.
func TestTCPMisbehaves(t *testing.T) {
	answer := func(c net.Conn) []byte {
		raw, err := readQuery(c)
		if err != nil {
			return nil
		}
		q := parseQuery(t, "tcp", netip.AddrPort{}, raw)
		return message{answer: []rr{a(q.name, "192.0.2.1")}}.pack(q)
	}
	for _, test := range []struct {
		name   string
		stream func(net.Conn)
		want   EAI // 0: an answer
		took   time.Duration
	}{
		{"mute", func(c net.Conn) { io.Copy(io.Discard, c) }, EAI_AGAIN, 10 * time.Second},
		{"drip", func(c net.Conn) {
			for _, b := range frame(answer(c)) {
				pass(time.Second)
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
			}
		}, EAI_AGAIN, 10 * time.Second},
		{"length lies", func(c net.Conn) {
			b := frame(answer(c))
			b[0] = 0xFF
			c.Write(b)
			io.Copy(io.Discard, c)
		}, EAI_AGAIN, 10 * time.Second},
		{"cut off", func(c net.Conn) {
			b := frame(answer(c))
			c.Write(b[:len(b)-3])
		}, EAI_AGAIN, roundDelay},
		{"empty message", func(c net.Conn) { answer(c); c.Write([]byte{0, 0}) }, EAI_FAIL, roundDelay},
		{"closed", func(c net.Conn) { answer(c) }, EAI_AGAIN, roundDelay},
		{"truncated again", func(c net.Conn) {
			b := answer(c)
			b[2] |= bitTC >> 8
			c.Write(frame(b))
		}, EAI_AGAIN, roundDelay},
		{"malformed", func(c net.Conn) {
			b := answer(c)
			c.Write(frame(b[:len(b)-1]))
		}, EAI_FAIL, roundDelay},
		{"other messages first", func(c net.Conn) {
			b := answer(c)
			other := slices.Clone(b)
			other[0] ^= 1
			c.Write(append(frame(other), frame(b)...))
		}, 0, 0},
		{"a byte at a time", func(c net.Conn) {
			for _, b := range frame(answer(c)) {
				c.Write([]byte{b})
			}
		}, 0, 0},
		{"only other messages", func(c net.Conn) {
			b := answer(c)
			b[0] ^= 1
			for range 2 * maxRejects {
				if _, err := c.Write(frame(b)); err != nil {
					return
				}
			}
		}, EAI_AGAIN, roundDelay},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				s := n.add("192.0.2.1", func(q query, s sender) { s.reply(q, message{flags: bitTC}) })
				n.stream[s.Addr] = test.stream
				r := n.resolver(Config{Servers: []Server{s}})
				_, took, err := timed(r, "a4.test", AF_INET)
				if test.want == 0 {
					if err != nil {
						t.Error(err)
					}
				} else {
					wantCode(t, err, test.want)
				}
				if took < test.took || took > test.took+5*time.Millisecond {
					t.Errorf("took %v, want %v", took, test.took)
				}
				// Time enough is left for a second attempt.
				if got := len(n.asked()); test.want != 0 && got != 2 {
					t.Errorf("asked %d times over UDP, want 2", got)
				}
			})
		})
	}
}

// A connection that is never made ends after tcpConnectTimeout, and another
// server is asked then.
func TestTCPConnectTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		s := n.add("192.0.2.1", func(q query, s sender) { s.reply(q, message{flags: bitTC}) })
		tr := hungTCP{n}
		r, err := New(Config{Transport: tr, Servers: []Server{s, n.add("192.0.2.2", zone)}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		_, took, err := timed(r, "a4.test", AF_INET)
		if err != nil {
			t.Fatal(err)
		}
		about(t, "connect timeout", took, tcpConnectTimeout)

		// The only server, over TCP only: two attempts.
		s.Proto = ProtoTCP
		only, err := New(Config{Transport: tr, Servers: []Server{s}})
		if err != nil {
			t.Fatal(err)
		}
		defer only.Close()
		_, took, err = timed(only, "a4.test", AF_INET)
		wantCode(t, err, EAI_AGAIN)
		about(t, "two connect timeouts", took, 2*tcpConnectTimeout+roundDelay)
	})
}

// hungTCP never completes a TCP handshake.
type hungTCP struct{ n *network }

func (h hungTCP) DialContext(ctx context.Context, nw, address string) (net.Conn, error) {
	if nw == "tcp" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return h.n.DialContext(ctx, nw, address)
}

// use-vc and tcp:// servers never see UDP.
func TestTCPOnly(t *testing.T) {
	for _, conf := range []string{"options use-vc", ""} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			s := n.add("192.0.2.1", zone)
			if conf == "" {
				s.Proto = ProtoTCP
			}
			r := n.resolver(Config{Servers: []Server{s}, ResolvConfText: conf})
			if _, _, err := timed(r, "dual.test", AF_UNSPEC); err != nil {
				t.Fatal(err)
			}
			for _, q := range n.asked() {
				if q.network != "tcp" {
					t.Errorf("asked over %s", q.network)
				}
			}
		})
	}
}
