package dnsresolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// forgeries are messages that are not the reply to q, though they look like it.
// Each has an address that must never be returned.
func forgeries() map[string]func(q query) []byte {
	bad := func(q query) []rr { return []rr{byType(q, q.name, "192.0.2.66", "2001:db8::66")} }
	tail := func(q query) []byte { return q.question[len(q.question)-4:] }
	return map[string]func(q query) []byte{
		"wrong ID": func(q query) []byte {
			return message{id: func(id uint16) uint16 { return id + 1 }, answer: bad(q)}.pack(q)
		},
		"swapped ID": func(q query) []byte {
			return message{id: func(id uint16) uint16 { return ^id }, answer: bad(q)}.pack(q)
		},
		"query":  func(q query) []byte { return message{clear: bitQR, answer: bad(q)}.pack(q) },
		"opcode": func(q query) []byte { return message{flags: 2 << 11, answer: bad(q)}.pack(q) },
		"other name": func(q query) []byte {
			return message{question: append(wireName("b.test"), tail(q)...), answer: bad(q)}.pack(q)
		},
		"longer name": func(q query) []byte {
			return message{question: append(wireName("x."+q.name), tail(q)...), answer: bad(q)}.pack(q)
		},
		"other type": func(q query) []byte {
			return message{question: append(wireName(q.name), 0, 15, 0, 1), answer: bad(q)}.pack(q)
		},
		"other class": func(q query) []byte {
			return message{question: append(wireName(q.name), 0, byte(q.typ), 0, 3), answer: bad(q)}.pack(q)
		},
		"no question":               func(q query) []byte { return message{questions: -1, answer: bad(q)}.pack(q) },
		"NXDOMAIN without question": func(q query) []byte { return message{questions: -1, rcode: rcodeNXDomain}.pack(q) },
		"bare NOERROR":              func(q query) []byte { return message{questions: -1}.pack(q) },
		"two questions": func(q query) []byte {
			return message{questions: 2, question: append(slices.Clone(q.question), q.question...), answer: bad(q)}.pack(q)
		},
		"empty":          func(query) []byte { return []byte{} },
		"one byte":       func(query) []byte { return []byte{0} },
		"half a header":  func(q query) []byte { return message{}.pack(q)[:11] },
		"cut question":   func(q query) []byte { return message{}.pack(q)[:14] },
		"count too high": func(q query) []byte { return message{answer: bad(q), counts: &[3]uint16{9, 0, 0}}.pack(q) },
		"counts 65535":   func(q query) []byte { return message{answer: bad(q), counts: &[3]uint16{65535, 65535, 65535}}.pack(q) },
		"cut answer":     func(q query) []byte { b := message{answer: bad(q)}.pack(q); return b[:len(b)-1] },
		"A of 3 bytes": func(q query) []byte {
			return message{answer: []rr{{name: q.name, typ: q.typ, data: []byte{1, 2, 3}}}}.pack(q)
		},
		"A of 5 bytes": func(q query) []byte {
			return message{answer: []rr{{name: q.name, typ: q.typ, data: make([]byte, 5)}}}.pack(q)
		},
		"A of no bytes": func(q query) []byte { return message{answer: []rr{{name: q.name, typ: q.typ}}}.pack(q) },
		"two OPT":       func(q query) []byte { return message{answer: bad(q), extra: []rr{opt(), opt()}}.pack(q) },
		"pointer to itself": func(q query) []byte {
			b := message{counts: &[3]uint16{1, 0, 0}}.pack(q)
			return append(b, 0xC0, byte(len(b)), 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 66)
		},
		"pointer into the header": func(q query) []byte {
			b := message{counts: &[3]uint16{1, 0, 0}}.pack(q)
			return append(b, 0xC0, 4, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 66)
		},
		"CNAME over its end": func(q query) []byte {
			return message{answer: []rr{{name: q.name, typ: typeCNAME, data: []byte("\x05ab")}, bad(q)[0]}}.pack(q)
		},
		"CNAME short of its end": func(q query) []byte {
			return message{answer: []rr{{name: q.name, typ: typeCNAME, data: append(wireName("x.test"), 0)}, bad(q)[0]}}.pack(q)
		},
		"reserved label": func(q query) []byte {
			return message{answer: []rr{{name: q.name, typ: typeCNAME, data: []byte("\x41a\x00")}}}.pack(q)
		},
		"name of 256 bytes": func(q query) []byte {
			long := strings.Repeat("a23456789012345678901234567890.", 9)
			return message{answer: []rr{cname(q.name, long)}}.pack(q)
		},
	}
}

// Each forgery is dropped, and the real answer that comes after it is used, with
// no delay and from the same query.
func TestForgedRepliesAreDropped(t *testing.T) {
	for name, forge := range forgeries() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				s := n.add("192.0.2.1", func(q query, s sender) {
					s(forge(q))
					s.after(10*time.Millisecond, message{answer: []rr{byType(q, q.name, "192.0.2.1", "2001:db8::1")}}.pack(q))
				})
				var rejected atomic.Int32
				r := n.resolver(Config{Servers: []Server{s}, Trace: func(e Event) {
					if e.Kind == EventReject {
						rejected.Add(1)
					}
				}})
				ans, took, err := timed(r, "a4.test", AF_UNSPEC)
				if err != nil || !slices.Equal(ans.Addrs, addrs("2001:db8::1", "192.0.2.1")) {
					t.Errorf("got %v, %v", ans.Addrs, err)
				}
				about(t, "answer", took, 10*time.Millisecond)
				if got := len(n.asked()); got != 2 {
					t.Errorf("%d queries, want 2", got)
				}
				if rejected.Load() != 2 {
					t.Errorf("%d rejects traced, want 2", rejected.Load())
				}
			})
		})
	}
}

// A flood of forgeries moves the question to TCP, and delays the answer by no
// more than that.
func TestForgeryFloodMovesToTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		s := n.add("192.0.2.1", func(q query, s sender) {
			if q.network == "udp" {
				for i := range 1000 {
					s.reply(q, message{id: func(id uint16) uint16 { return id + uint16(i) + 1 }, answer: []rr{a(q.name, "192.0.2.66")}})
				}
			}
			s.reply(q, message{answer: []rr{a(q.name, "192.0.2.1")}})
		})
		r := n.resolver(Config{Servers: []Server{s}})
		ans, took, err := timed(r, "a4.test", AF_INET)
		if err != nil || !slices.Equal(ans.Addrs, addrs("192.0.2.1")) {
			t.Errorf("got %v, %v", ans, err)
		}
		about(t, "answer", took, 0)
		if q := n.asked(); len(q) != 2 || q[1].network != "tcp" || q[1].id == q[0].id {
			t.Errorf("queries %+v, want one over UDP and one over TCP with another ID", q)
		}
	})
}

// Replies that are odd but true are used.
func TestOddRepliesAreUsed(t *testing.T) {
	good := func(q query) []rr { return []rr{byType(q, q.name, "192.0.2.1", "2001:db8::1")} }
	for name, h := range map[string]handler{
		"upper case": func(q query, s sender) {
			s.reply(q, message{question: append(wireName(strings.ToUpper(q.name)), q.question[len(q.question)-4:]...), answer: good(q)})
		},
		"OPT in answer":  func(q query, s sender) { s.reply(q, message{answer: append([]rr{opt()}, good(q)...)}) },
		"OPT":            func(q query, s sender) { s.reply(q, message{answer: good(q), extra: []rr{opt()}}) },
		"trailing bytes": func(q query, s sender) { s.reply(q, message{answer: good(q), tail: []byte("junk")}) },
		"no RA":          func(q query, s sender) { s.reply(q, message{clear: bitRA, answer: good(q)}) },
		"sent twice":     func(q query, s sender) { s.reply(q, message{answer: good(q)}); s.reply(q, message{answer: good(q)}) },
		"record twice":   func(q query, s sender) { s.reply(q, message{answer: append(good(q), good(q)...)}) },
		"other class": func(q query, s sender) {
			bad := a(q.name, "192.0.2.66")
			bad.class = 3
			s.reply(q, message{answer: append(good(q), bad)})
		},
		"unknown type": func(q query, s sender) {
			s.reply(q, message{answer: append(good(q), rr{name: q.name, typ: 4711, data: []byte("?")})})
		},
		"additional": func(q query, s sender) {
			s.reply(q, message{answer: good(q), extra: []rr{a("bank.example", "192.0.2.66")}})
		},
		"others' records": func(q query, s sender) {
			s.reply(q, message{answer: append(good(q), byType(q, "bank.example", "192.0.2.66", "2001:db8::66"))})
		},
		"over 1232 bytes": func(q query, s sender) { s.reply(q, message{answer: good(q), tail: make([]byte, 3000)}) },
		"over 4096 bytes": func(q query, s sender) {
			if q.network == "udp" {
				s.reply(q, message{answer: []rr{a(q.name, "192.0.2.66")}, tail: make([]byte, 5000)})
				return
			}
			s.reply(q, message{answer: good(q)})
		},
		"records in truncated reply": func(q query, s sender) {
			if q.network == "udp" {
				s.reply(q, message{flags: bitTC, answer: []rr{byType(q, q.name, "192.0.2.66", "2001:db8::66")}})
				return
			}
			s.reply(q, message{answer: good(q)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", h)}})
				ans, took, err := timed(r, "A4.Test", AF_UNSPEC)
				if err != nil || !slices.Equal(ans.Addrs, addrs("2001:db8::1", "192.0.2.1")) {
					t.Errorf("got %v, %v", ans.Addrs, err)
				}
				if ans.Name != "A4.Test" {
					t.Errorf("name %q, want the one asked for", ans.Name)
				}
				about(t, "answer", took, 0)
			})
		})
	}
}

// The packets of one question stay within attempts × servers + 2, and within 16,
// whatever the servers do.
func TestPacketBudget(t *testing.T) {
	for _, name := range []string{"drop.test", "sf.test", "formerr.test", "tcphang.test", "lame.test", "wrongowner.test"} {
		for _, servers := range []int{1, 3, 8} {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				var list []Server
				for i := range servers {
					list = append(list, n.add(fmt.Sprintf("192.0.2.%d", i+1), zone))
				}
				r := n.resolver(Config{Servers: list})
				_, took, err := timed(r, name, AF_INET)
				if err == nil || took > 10*time.Second {
					t.Errorf("%s, %d servers: %v after %v", name, servers, err, took)
				}
				if got, want := len(n.asked()), min(2*servers+2, maxPackets); got > want {
					t.Errorf("%s, %d servers: %d packets, want at most %d", name, servers, got, want)
				}
			})
		}
	}
}

// Queries in flight are bounded, for a server and over all; who waits in vain is
// told that the resolver is busy.
func TestConcurrencyBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", silent)}, Timeout: time.Second, Attempts: 1})
		errs := make(chan error, maxQueries)
		for i := range cap(errs) {
			go func() {
				_, err := r.Lookup(t.Context(), fmt.Sprintf("h%d.test", i), LookupOptions{Family: AF_INET})
				errs <- err
			}()
		}
		synctest.Wait()
		if got := len(n.asked()); got != maxPerServer {
			t.Errorf("%d queries in flight to one server, want %d", got, maxPerServer)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := r.LookupNetIP(ctx, "ip4", "a4.test")
		wantCode(t, err, EAI_AGAIN)
		if !errors.Is(err, ErrBusy) {
			t.Errorf("lookup %d: %v, want ErrBusy", maxQueries+1, err)
		}
		for range cap(errs) {
			wantCode(t, <-errs, EAI_AGAIN)
		}
		synctest.Wait()
		if len(r.slots) != 0 || len(r.current.Load().servers[0].slots) != 0 {
			t.Error("slots not given back")
		}
	})
}

// Without servers, and with loopback servers that the stack would look for
// outside, a lookup fails at once and says why.
func TestNoServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		local := Server{Addr: netip.MustParseAddrPort("127.0.0.53:53")}
		for _, cfg := range []Config{
			{},
			{ResolvConfText: "nameserver nonsense\n"},
			{Servers: []Server{local}, Routes: routes{"0.0.0.0/0": "192.0.2.200"}},
			{Servers: []Server{local}, Routes: routes{}},
		} {
			r := n.resolver(cfg)
			_, took, err := timed(r, "a4.test", AF_UNSPEC)
			wantCode(t, err, EAI_AGAIN)
			if !errors.Is(err, ErrNoServers) {
				t.Errorf("error %v, want ErrNoServers", err)
			}
			about(t, "no servers", took, 0)
		}
		if n.dialed() != 0 {
			t.Errorf("%d sockets opened", n.dialed())
		}
		// With a loopback interface it is an ordinary server.
		n.add("127.0.0.53", zone)
		r := n.resolver(Config{Servers: []Server{local}, Routes: routes{"127.0.0.0/8": "127.0.0.1"}})
		if _, _, err := timed(r, "a4.test", AF_INET); err != nil {
			t.Error(err)
		}
	})
}
