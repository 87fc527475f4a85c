package dnsresolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
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

// pass lets d of the bubble's time pass.
func pass(d time.Duration) { <-time.After(d) }

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
				if got, want := len(n.asked()), min(2*servers+extraPackets, maxPackets); got > want {
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
		pass(minPenalty + time.Second)
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
		pass(initialRTO + minRTO/2)
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
		{
			1, 2,
			[]time.Duration{0, 1000 * ms, 2500 * ms, 5500 * ms},
			[]time.Duration{0, 1000 * ms, 3500 * ms, 8500 * ms},
		},
		{
			2, 2, // the last two share what is left of the 10 s
			[]time.Duration{0, 1000 * ms, 2000 * ms, 3500 * ms, 5000 * ms, 6000 * ms},
			[]time.Duration{0, 1000 * ms, 2000 * ms, 4500 * ms, 6500 * ms, 9000 * ms},
		},
		{
			1, 1, // of 5 s
			[]time.Duration{0, 1000 * ms, 2500 * ms},
			[]time.Duration{0, 1000 * ms, 3500 * ms},
		},
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

// A failure that comes late, or at the end of a round, does not hurry a wait for
// another server.
func TestFailureWhileAnotherIsWaitedFor(t *testing.T) {
	late := func(q query, s sender) { s.after(1200*time.Millisecond, message{rcode: rcodeRefused}.pack(q)) }
	refused := rcode(rcodeRefused)
	for name, servers := range map[string][]handler{
		"late":         {late, silent, silent},
		"end of round": {silent, refused},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			var list []Server
			for i, h := range servers {
				list = append(list, n.add(fmt.Sprintf("192.0.2.%d", i+1), h))
			}
			r := n.resolver(Config{Servers: list})
			start := time.Now()
			timed(r, "a4.test", AF_INET)
			for i, at := range n.sent()[:3] {
				about(t, fmt.Sprint(name, ", packet ", i), at.Sub(start), time.Duration(i)*time.Second)
			}
		})
	}
}

// What counts against a server, and what ends it.
func TestPenaltyOfLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", zone)}})
		s := r.current.Load().servers[0]
		for _, test := range []struct {
			host string
			want bool
		}{
			{"a4.test", false}, {"sf.test", true}, {"nx.test", false}, {"lame.test", true}, {"txtonly.test", false}, {"formerr.test", false},
		} {
			timed(r, test.host, AF_INET)
			if got := s.penalised(time.Now()); got != test.want {
				t.Errorf("after %s: penalty %v", test.host, got)
			}
		}
	})
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
		if got := len(n.asked()); got != 5+extraPackets || n.dialed() != got {
			t.Errorf("%d packets from %d sockets, want %d from as many", got, n.dialed(), 5+extraPackets)
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
