package dnsresolver

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A server that does not know EDNS is asked again without, in the same lookup,
// and from then on for a while.
func TestEDNSFallback(t *testing.T) {
	for _, code := range []int{rcodeFormErr, rcodeNotImp, rcodeServFail, rcodeBadVers} {
		t.Run(fmt.Sprint("rcode ", code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				s := n.add("192.0.2.1", func(q query, s sender) {
					switch {
					case q.edns && code == rcodeBadVers:
						o := opt()
						o.ttl = 1 << 24
						s.reply(q, message{extra: []rr{o}})
					case q.edns:
						s.reply(q, message{rcode: code})
					default:
						s.reply(q, message{answer: []rr{a(q.name, "192.0.2.1")}})
					}
				})
				r := n.resolver(Config{Servers: []Server{s}})
				edns := func() (list []bool) {
					for _, q := range n.asked() {
						list = append(list, q.edns)
					}
					n.forget()
					return list
				}
				lookup := func() {
					t.Helper()
					if _, took, err := timed(r, "a4.test", AF_INET); err != nil || took > time.Millisecond {
						t.Error(err, took)
					}
				}
				lookup()
				if got := edns(); !slices.Equal(got, []bool{true, false}) {
					t.Errorf("first lookup with EDNS: %v", got)
				}
				lookup()
				if got := edns(); !slices.Equal(got, []bool{false}) {
					t.Errorf("second lookup with EDNS: %v", got)
				}
				pass(noEDNSTime + time.Second)
				lookup()
				if got := edns(); !slices.Equal(got, []bool{true, false}) {
					t.Errorf("later lookup with EDNS: %v", got)
				}
			})
		})
	}
}

// A SERVFAIL of a server that knows EDNS is not taken for trouble with it, and a
// failure with and without EDNS is not remembered as such.
func TestEDNSFallbackOnlyWhenItHelps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		s := n.add("192.0.2.1", func(q query, s sender) { s.reply(q, message{rcode: rcodeServFail, extra: []rr{opt()}}) })
		r := n.resolver(Config{Servers: []Server{s}, Attempts: 1})
		_, _, err := timed(r, "sf.test", AF_INET)
		wantCode(t, err, EAI_AGAIN)
		if got := len(n.asked()); got != 1 {
			t.Errorf("%d queries, want 1", got)
		}

		n = newNetwork(t)
		s = n.add("192.0.2.1", zone)
		r = n.resolver(Config{Servers: []Server{s}})
		_, _, err = timed(r, "formerr.test", AF_INET)
		wantCode(t, err, EAI_FAIL)
		var with, without int
		for _, q := range n.asked() {
			if q.edns {
				with++
			} else {
				without++
			}
		}
		if with != 1 || without != 2 { // the second round knows
			t.Errorf("%d queries with EDNS and %d without, want 1 and 2", with, without)
		}
		n.forget()
		timed(r, "a4.test", AF_INET)
		if q := n.asked(); len(q) != 1 || !q[0].edns {
			t.Error("EDNS given up for a server that fails without it as well")
		}
		r = n.resolver(Config{Servers: []Server{s}, Options: Options{NoEDNS0: true}})
		n.forget()
		timed(r, "a4.test", AF_INET)
		if q := n.asked(); len(q) != 1 || q[0].edns {
			t.Error("EDNS sent in spite of NoEDNS0")
		}
	})
}
