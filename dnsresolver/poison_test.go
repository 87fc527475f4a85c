package dnsresolver

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// S4: of what a server says beyond the chain of the name asked for, nothing is
// remembered, wherever in the message it stands.
func TestCachePoison(t *testing.T) {
	const bank, evil = "bank.example", "192.0.2.66"
	for what, poison := range map[string]func(q query) message{
		"answer": func(q query) message { return message{answer: []rr{a(q.name, "192.0.2.1"), a(bank, evil)}} },
		"first":  func(q query) message { return message{answer: []rr{a(bank, evil), a(q.name, "192.0.2.1")}} },
		"additional": func(q query) message {
			return message{answer: []rr{a(q.name, "192.0.2.1")}, extra: []rr{a(bank, evil)}}
		},
		"authority": func(q query) message {
			return message{answer: []rr{a(q.name, "192.0.2.1")}, authority: []rr{a(bank, evil), cname(bank, "a4.test")}}
		},
		"alias of it": func(q query) message {
			return message{answer: []rr{a(q.name, "192.0.2.1"), cname(bank, "evil.test"), a("evil.test", evil)}}
		},
		"target of an alias": func(q query) message { return message{answer: []rr{cname(q.name, bank), a(bank, "192.0.2.1")}} },
		"NXDOMAIN": func(q query) message {
			return message{rcode: rcodeNXDomain, answer: []rr{cname(q.name, bank)}, authority: []rr{soa("example")}}
		},
		"no data": func(q query) message {
			return message{answer: []rr{cname(q.name, bank)}, authority: []rr{soa("example")}}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := caching(t)
			r := n.resolver(Config{Search: []string{}, Servers: []Server{n.add("192.0.2.1", func(q query, s sender) {
				if q.name == bank {
					s.reply(q, message{answer: []rr{a(bank, "192.0.2.7")}})
					return
				}
				s.reply(q, poison(q))
			})}})
			for _, name := range []string{"lure.test", "lure.test"} {
				timed(r, name, AF_INET)
			}
			for _, name := range []string{bank, strings.ToUpper(bank)} {
				ans, _, err := timed(r, name, AF_INET)
				if err != nil || !slices.Equal(ans.Addrs, addrs("192.0.2.7")) {
					t.Errorf("%s: %s is %v, %v", what, name, ans.Addrs, err)
				}
			}
			if got := len(n.asked()); got != 2 {
				t.Errorf("%s: %d questions, want one for each name", what, got)
			}
			if _, _, err := timed(r, "evil.test", AF_INET); err == nil && what == "alias of it" && len(n.asked()) != 3 {
				t.Errorf("%s: evil.test was remembered", what)
			}
		})
	}
}

// S3: 1,000 forgeries for each real answer, in lots that are too small to give UDP
// up for and in one that is not, neither win nor hold an answer up.
func TestForgeriesDelayNothing(t *testing.T) {
	kinds := forgeries()
	var names []string
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, lot := range []int{maxRejects - 1, 1000} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			sent := 0
			s := n.add("192.0.2.1", func(q query, s sender) {
				if q.network == "udp" {
					for range lot {
						s(kinds[names[sent%len(names)]](q))
						sent++
					}
				}
				s.reply(q, message{answer: []rr{a(q.name, "192.0.2.1")}})
			})
			r := n.resolver(Config{Servers: []Server{s}})
			lookups := 0
			for ; sent < 20_000; lookups++ {
				ans, took, err := timed(r, "a4.test", AF_INET)
				if err != nil || took > 0 || !slices.Equal(ans.Addrs, addrs("192.0.2.1")) {
					t.Fatalf("lot of %d: %v after %v, %v", lot, ans.Addrs, took, err)
				}
			}
			overTCP := slices.ContainsFunc(n.asked(), func(q query) bool { return q.network == "tcp" })
			if overTCP != (lot >= maxRejects) {
				t.Errorf("lot of %d: TCP used: %v, in %d lookups", lot, overTCP, lookups)
			}
		})
	}
}
