package dnsresolver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// The tests of this file run in synctest bubbles: their seconds take no time.

func silent(query, sender) {}

// lookup looks up host and returns how long it took.
func timed(r *Resolver, host string, f Family) (Answer, time.Duration, error) {
	start := time.Now()
	ans, err := r.Lookup(context.Background(), host, LookupOptions{Family: f})
	return ans, time.Since(start), err
}

// about fails the test unless d is at least want and at most 1 ms more.
func about(t *testing.T, what string, d, want time.Duration) {
	t.Helper()
	if d < want || d > want+time.Millisecond {
		t.Errorf("%s: %v, want %v", what, d, want)
	}
}

// A lookup over silent servers ends after timeout × attempts, however many there
// are. glibc takes 28 s for three, Go 30 s.
func TestSilentServersDeadline(t *testing.T) {
	for _, servers := range []int{1, 2, 3, 8} {
		t.Run(fmt.Sprint(servers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				var list []Server
				for i := range servers {
					list = append(list, n.add(fmt.Sprintf("192.0.2.%d", i+1), silent))
				}
				r := n.resolver(Config{Servers: list})
				_, took, err := timed(r, "a4.test", AF_INET)
				wantCode(t, err, EAI_AGAIN)
				if !err.(*Error).Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("error %v is no timeout", err)
				}
				about(t, "all silent", took, 10*time.Second)
				if got, want := len(n.asked()), 2*servers; got > want {
					t.Errorf("%d packets, want at most %d", got, want)
				}
				seen := map[netip.AddrPort]bool{}
				for _, q := range n.asked() {
					seen[q.server] = true
				}
				if len(seen) != servers {
					t.Errorf("asked %d servers of %d", len(seen), servers)
				}
			})
		})
	}
}

// timeout and attempts of resolv.conf set the deadline, and it is shared so that
// every server is asked before it.
func TestShortDeadlineAsksEveryServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		list := []Server{n.add("192.0.2.1", silent), n.add("192.0.2.2", silent), n.add("192.0.2.3", zone)}
		r := n.resolver(Config{Servers: list, ResolvConfText: "options timeout:1 attempts:1"})
		_, took, err := timed(r, "a4.test", AF_INET)
		if err != nil {
			t.Fatal(err)
		}
		if took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// The caller's deadline and cancellation end a lookup at once and free its
// sockets.
func TestContextEndsLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", silent)}})

		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := r.LookupNetIP(ctx, "ip", "a4.test")
		wantCode(t, err, EAI_AGAIN)
		if !errors.Is(err, context.DeadlineExceeded) || !err.(*Error).Timeout() {
			t.Errorf("after the caller's deadline: %v", err)
		}
		about(t, "caller's deadline", time.Since(start), 300*time.Millisecond)

		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(200*time.Millisecond, cancel)
		_, err = r.LookupNetIP(ctx, "ip", "a4.test")
		wantCode(t, err, EAI_CANCELED)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after cancel: %v", err)
		}
		synctest.Wait()
		if c := n.connections(); c != 0 {
			t.Errorf("%d connections left", c)
		}
		_, err = r.LookupNetIP(ctx, "ip", "a4.test")
		wantCode(t, err, EAI_CANCELED)
	})
}

// Close ends the lookups that are running, and later ones fail.
func TestCloseEndsLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", silent)}})
		errs := make(chan error, 100)
		for range cap(errs) {
			go func() {
				_, err := r.LookupNetIP(context.Background(), "ip", "a4.test")
				errs <- err
			}()
		}
		synctest.Wait()
		start := time.Now()
		r.Close()
		for range cap(errs) {
			if err := <-errs; !errors.Is(err, net.ErrClosed) {
				t.Fatalf("error %v, want net.ErrClosed", err)
			}
		}
		about(t, "Close", time.Since(start), 0)
		if c := n.connections(); c != 0 {
			t.Errorf("%d connections left", c)
		}
		for _, host := range []string{"a4.test", "192.0.2.1"} {
			if _, err := r.LookupNetIP(context.Background(), "ip", host); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after Close: %v", host, err)
			}
		}
	})
}

// One dead server beside a good one costs one RTO, once.
func TestDeadServerFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		dead, good := n.add("192.0.2.1", silent), n.add("192.0.2.2", zone)
		r := n.resolver(Config{Servers: []Server{dead, good}})
		_, took, err := timed(r, "a4.test", AF_INET)
		if err != nil {
			t.Fatal(err)
		}
		about(t, "first lookup", took, initialRTO)

		n.forget()
		_, took, err = timed(r, "dual.test", AF_INET)
		if err != nil {
			t.Fatal(err)
		}
		about(t, "second lookup", took, 0)
		for _, q := range n.asked() {
			if q.server == dead.Addr {
				t.Error("the dead server was asked again")
			}
		}

		// After its penalty it is asked first again, and costs another RTO.
		time.Sleep(minPenalty + time.Second)
		_, took, _ = timed(r, "a4.test", AF_INET)
		about(t, "after the penalty", took, initialRTO)
	})
}

// A server that is asked first and slow still wins when its answer comes before
// that of the second.
func TestSlowServerIsStillHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		slow := func(q query, s sender) {
			s.after(1500*time.Millisecond, message{answer: []rr{a(q.name, "192.0.2.93")}}.pack(q))
		}
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", slow), n.add("192.0.2.2", silent)}})
		ans, took, err := timed(r, "slow.test", AF_INET)
		if err != nil || !slices.Equal(ans.Addrs, addrs("192.0.2.93")) {
			t.Fatal(ans, err)
		}
		about(t, "slow server", took, 1500*time.Millisecond)
	})
}

// The answer of one server ends the wait for the others, also when the lookup
// goes on.
func TestAnswerClosesOtherSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", silent), n.add("192.0.2.2", func(q query, s sender) {
			if q.name == "a.test" {
				s.reply(q, message{answer: []rr{cname("a.test", "b.test")}})
			}
		})}})
		go timed(r, "a.test", AF_INET)
		time.Sleep(initialRTO + minRTO/2)
		synctest.Wait()
		if got := n.connections(); got != 1 || len(n.asked()) != 3 {
			t.Errorf("%d sockets open after %d queries, want 1 after 3", got, len(n.asked()))
		}
		r.Close()
	})
}

// The times at which queries go out to one and to two silent servers.
func TestSendTimes(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		servers, attempts int
		// from and to bound each send: rounds after the first have jitter.
		from, to []time.Duration
	}{
		{1, 2, []time.Duration{0, 1000 * ms}, []time.Duration{0, 1000 * ms}},
		{2, 2, []time.Duration{0, 1000 * ms, 2000 * ms, 3500 * ms}, []time.Duration{0, 1000 * ms, 2000 * ms, 4500 * ms}},
		{1, 3, []time.Duration{0, 1000 * ms, 2500 * ms}, []time.Duration{0, 1000 * ms, 3500 * ms}},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			var list []Server
			for i := range test.servers {
				list = append(list, n.add(fmt.Sprintf("192.0.2.%d", i+1), silent))
			}
			r := n.resolver(Config{Servers: list, Attempts: test.attempts})
			start := time.Now()
			timed(r, "a4.test", AF_INET)
			times := n.sent()
			if len(times) != len(test.from) {
				t.Fatalf("%+v: %d packets", test, len(times))
			}
			for i, at := range times {
				if d := at.Sub(start); d < test.from[i] || d > test.to[i] {
					t.Errorf("%d servers, %d attempts: packet %d at %v, want %v to %v",
						test.servers, test.attempts, i, d, test.from[i], test.to[i])
				}
			}
		})
	}
}

// IDs and sockets are never used twice, and no two equal questions wait at one
// server.
func TestFreshIDAndSocketEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		var most atomic.Int32
		h := func(query, sender) { most.Store(max(most.Load(), int32(n.connections()))) }
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", h)}, Attempts: 5})
		timed(r, "a4.test", AF_INET)
		if got := len(n.asked()); got != 5 || n.dialed() != got {
			t.Errorf("%d packets from %d sockets, want 5 from 5", got, n.dialed())
		}
		if most.Load() > 2 { // the old one may close while the new one opens
			t.Errorf("%d sockets open at once", most.Load())
		}
	})
}

// A measured round trip shortens the wait for a server that falls silent.
func TestRTOAdapts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.latency = 20 * time.Millisecond
		flaky := func(q query, s sender) {
			if q.name != "drop.test" {
				zone(q, s)
			}
		}
		good := func(q query, s sender) { s.reply(q, message{answer: []rr{a(q.name, "192.0.2.5")}}) }
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", flaky), n.add("192.0.2.2", good)}})
		for range 10 {
			timed(r, "a4.test", AF_INET)
		}
		_, took, err := timed(r, "drop.test", AF_INET)
		if err != nil {
			t.Fatal(err)
		}
		about(t, "hedged", took, minRTO+n.latency)
	})
}

// Failures that are said aloud lead to the next server at once.
func TestFailoverIsImmediate(t *testing.T) {
	refused := func(q query, s sender) { s(nil) }
	for name, h := range map[string]handler{
		"SERVFAIL":     rcode(rcodeServFail),
		"REFUSED":      rcode(rcodeRefused),
		"NOTIMP":       rcode(rcodeNotImp),
		"FORMERR":      rcode(rcodeFormErr),
		"lame":         oddities["lame"],
		"ICMP refused": refused,
		"other rcode":  rcode(9),
		"two CNAMEs": func(q query, s sender) {
			s.reply(q, message{answer: []rr{cname(q.name, "x.test"), cname(q.name, "y.test")}})
		},
		"header only":    func(q query, s sender) { s.reply(q, message{rcode: rcodeRefused, questions: -1}) },
		"TC, TCP closed": func(q query, s sender) { s.reply(q, message{flags: bitTC}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				bad := n.add("192.0.2.1", h)
				n.stream[bad.Addr] = func(c net.Conn) { readQuery(c) }
				r := n.resolver(Config{Servers: []Server{bad, n.add("192.0.2.2", zone)}})
				_, took, err := timed(r, "a4.test", AF_INET)
				if err != nil {
					t.Fatal(err)
				}
				about(t, "failover", took, 0)
			})
		})
	}
}

// A socket that cannot be opened counts as a server that cannot be reached, and
// when none can the search list is not tried.
func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		bad := n.add("192.0.2.1", silent)
		n.refuse["udp "+bad.Addr.String()] = syscall.EHOSTUNREACH
		r := n.resolver(Config{Servers: []Server{bad}, Search: []string{"s1.test"}, Ndots: 2})
		_, took, err := timed(r, "a.b", AF_UNSPEC)
		wantCode(t, err, EAI_AGAIN)
		if !errors.Is(err, syscall.EHOSTUNREACH) || err.(*Error).Server != bad.Addr {
			t.Errorf("error %v, want EHOSTUNREACH of %v", err, bad)
		}
		about(t, "unreachable", took, roundDelay)
		if n.dialed() != 4 { // A and AAAA, two rounds
			t.Errorf("%d sockets", n.dialed())
		}

		// With a second server that works the first does not matter.
		r = n.resolver(Config{Servers: []Server{bad, n.add("192.0.2.2", zone)}})
		if _, took, err := timed(r, "a4.test", AF_INET); err != nil || took > time.Millisecond {
			t.Error(err, took)
		}
	})
}

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
				time.Sleep(time.Second)
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

// The second family has FamilyGrace after the first, or the whole time.
func TestFamilyGrace(t *testing.T) {
	for _, test := range []struct {
		host  string
		grace time.Duration
		conf  string
		want  time.Duration
		code  EAI
	}{
		{"drop6.test", 0, "", defaultFamilyGrace, 0},
		{"drop4.test", 0, "", defaultFamilyGrace, 0},
		{"drop6.test", 200 * time.Millisecond, "", 200 * time.Millisecond, 0},
		{"drop6.test", -1, "", 10 * time.Second, 0},
		{"drop6.test", 0, "options strict-error", 10 * time.Second, EAI_AGAIN},
		{"drop6.test", 0, "options single-request", 10 * time.Second, 0},
		{"drop6.test", 0, "options no-aaaa", 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			r := n.resolver(Config{
				Servers: []Server{n.add("192.0.2.1", zone)}, FamilyGrace: test.grace, ResolvConfText: test.conf,
			})
			_, took, err := timed(r, test.host, AF_UNSPEC)
			if test.code != 0 {
				wantCode(t, err, test.code)
			} else if err != nil {
				t.Errorf("%+v: %v", test, err)
			}
			about(t, fmt.Sprintf("%+v", test), took, test.want)
			synctest.Wait()
			if c := n.connections(); c != 0 {
				t.Errorf("%d connections left", c)
			}
			// Nothing carries over to the next lookup (glibc's sticky
			// single-request mode).
			if ans, took, err := timed(r, "sf4.test", AF_UNSPEC); test.conf == "" && (err != nil || len(ans.Addrs) != 1 || took > time.Second) {
				t.Errorf("next lookup: %v, %v, %v", ans, err, took)
			}
		})
	}
}

// A lookup of both families over silent servers has at most two goroutines for
// each server and two more.
func TestGoroutineBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		var list []Server
		for i := range maxServers {
			list = append(list, n.add(fmt.Sprintf("192.0.2.%d", i+1), silent))
		}
		r := n.resolver(Config{Servers: list, Attempts: 5})
		before := runtime.NumGoroutine()
		go timed(r, "a4.test", AF_UNSPEC)
		most := 0
		for range 50 {
			time.Sleep(500 * time.Millisecond)
			synctest.Wait()
			most = max(most, runtime.NumGoroutine()-before-1) // without the caller
		}
		if most > 2*maxServers+2 || most < maxServers {
			t.Errorf("%d goroutines, want at most %d", most, 2*maxServers+2)
		}
		time.Sleep(time.Minute)
	})
}

// A and AAAA go out together, each from its own socket; with single-request,
// AAAA only after the answer of A.
func TestFamiliesInParallel(t *testing.T) {
	for conf, want := range map[string]time.Duration{"": 100 * time.Millisecond, "options single-request": 200 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			n.latency = 100 * time.Millisecond
			r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", zone)}, ResolvConfText: conf})
			ans, took, err := timed(r, "dual.test", AF_UNSPEC)
			if err != nil || len(ans.Addrs) != 4 {
				t.Error(ans, err)
			}
			about(t, conf, took, want)
			if n.dialed() != 2 {
				t.Errorf("%d sockets, want 2", n.dialed())
			}
		})
	}
}
