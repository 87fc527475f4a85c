package dnsresolver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Lookups against one scripted server, with what other resolvers were measured
// to do in comments where they differ.
var lookupCases = []lookupCase{
	{host: "a4.test", want: "192.0.2.1", asked: 2},
	{host: "a4.test.", want: "192.0.2.1", name: "a4.test"},
	{host: "A4.TEST", want: "192.0.2.1"},
	{host: "a4.test", family: AF_INET, want: "192.0.2.1", asked: 1},
	{host: "a4.test", family: AF_INET6, code: EAI_NODATA, asked: 1},
	{host: "a6.test", want: "2001:db8::6"},
	{host: "dual.test", want: "2001:db8::6 2001:db8::7 192.0.2.1 192.0.2.2"},
	{host: "bücher.test", want: "192.0.2.70", name: "xn--bcher-kva.test"},
	{host: "cn.test", want: "2001:db8::6 2001:db8::7 192.0.2.1 192.0.2.2", name: "dual.test"},
	{host: "under_score.test", want: "192.0.2.9"},
	{host: "nx.test", code: EAI_NONAME},
	{host: "txtonly.test", code: EAI_NODATA},
	{host: "drop6.test", want: "192.0.2.10", within: defaultFamilyGrace}, // glibc 3 s, musl fails
	{host: "drop4.test", want: "2001:db8::10", within: defaultFamilyGrace},
	{host: "sf6.test", want: "192.0.2.10", within: time.Second},   // musl: AGAIN
	{host: "sf4.test", want: "2001:db8::10", within: time.Second}, // glibc: AGAIN if an earlier lookup timed out
	{host: "sf.test", code: EAI_AGAIN, within: time.Second},
	{host: "ref6.test", want: "192.0.2.10", within: time.Second},
	{host: "ni6.test", want: "192.0.2.10", within: time.Second},
	{host: "nx6.test", want: "192.0.2.10"}, // broken load balancers; musl: NONAME
	{host: "nx4.test", want: "2001:db8::10"},
	{host: "ref.test", code: EAI_AGAIN, within: time.Second},
	{host: "notimp.test", code: EAI_AGAIN, within: time.Second},
	{host: "formerr.test", code: EAI_FAIL, within: time.Second}, // glibc: NONAME
	{host: "lame.test", code: EAI_AGAIN, within: time.Second},   // musl: NODATA
	{host: "authnodata.test", code: EAI_NODATA},
	{host: "cnsoa.test", family: AF_INET, code: EAI_NODATA, asked: 1}, // the server said that there is no more
	{host: "case.test", want: "192.0.2.90"},
	{host: "wrongq.test", code: EAI_AGAIN, within: 10 * time.Second}, // musl accepts it
	{host: "wrongowner.test", code: EAI_NODATA},                      // Go, musl and c-ares accept it
	{host: "unchained.test", code: EAI_NODATA},                       // all accept it
	{host: "rev.test", want: "2001:db8::68 192.0.2.68", name: "tgt.test"},
	{host: "loop.test", code: EAI_FAIL},
	{host: "cnonly.test", code: EAI_NONAME},
	{host: "big.test", family: AF_INET, want: "400", asked: 2}, // glibc: 15 queries
	{host: "tcphang.test", code: EAI_AGAIN, within: 10 * time.Second},
	{host: "drop.test", code: EAI_AGAIN, within: 10 * time.Second},
	// Not names: nobody is asked.
	{host: "-lead.test", code: EAI_NONAME, asked: -1},
	{host: "256.1.1.1", code: EAI_NONAME, asked: -1},
	{host: "1.2.3.4.5", code: EAI_NONAME, asked: -1},
	{host: "1.2.3.4.", code: EAI_NONAME, asked: -1},
	{host: "a.0x1f", code: EAI_NONAME, asked: -1},
	{host: "a4.test\x00.evil", code: EAI_NONAME, asked: -1},
	{host: "a4 .test", code: EAI_NONAME, asked: -1},
	{host: "a4..test", code: EAI_NONAME, asked: -1},
	{host: ".", code: EAI_NONAME, asked: -1},
	{host: "", code: EAI_NONAME, asked: -1},
	{host: "b\xfccher.test", code: EAI_NONAME, asked: -1}, // Latin-1
	{host: strings.Repeat("a", 64) + ".test", code: EAI_NONAME, asked: -1},
	{host: "192.0.2.1 x", code: EAI_NONAME, asked: -1},
	{host: "[::1]", code: EAI_NONAME, asked: -1},
	// Names that must not be asked for.
	{host: "localhost", want: "::1 127.0.0.1", asked: -1},
	{host: "LocalHost.", want: "::1 127.0.0.1", name: "localhost", asked: -1},
	{host: "foo.localhost", family: AF_INET, want: "127.0.0.1", asked: -1},
	{host: "foo.onion", code: EAI_NONAME, asked: -1},
	{host: "foo.INVALID.", code: EAI_NONAME, asked: -1},
}

type lookupCase struct {
	host   string
	family Family
	code   EAI // 0: want
	want   string
	name   string // canonical; "": host
	within time.Duration
	asked  int // queries; 0: not checked
}

func TestLookupsOfOneServer(t *testing.T) {
	for _, test := range lookupCases {
		t.Run(test.host, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", zone)}, Search: []string{}})
				test.check(t, r, test.within+time.Millisecond)
				if got := len(n.asked()); test.asked > 0 && got != test.asked || test.asked < 0 && got != 0 {
					t.Errorf("%d queries, want %d", got, max(test.asked, 0))
				}
			})
		})
	}
}

func (c *lookupCase) check(t *testing.T, r *Resolver, limit time.Duration) {
	ans, took, err := timed(r, c.host, c.family)
	if took > limit {
		t.Errorf("took %v, want at most %v", took, limit)
	}
	if c.code != 0 {
		wantCode(t, err, c.code)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if c.want == "400" {
		if len(ans.Addrs) != 400 {
			t.Errorf("%d addresses, want 400", len(ans.Addrs))
		}
	} else if want := addrs(strings.Fields(c.want)...); !slices.Equal(ans.Addrs, want) {
		t.Errorf("addresses %v, want %v", ans.Addrs, want)
	}
	if want := firstNonZero(c.name, c.host); ans.Name != want {
		t.Errorf("name %q, want %q", ans.Name, want)
	}
}

// Where a server gives only an alias, its target is asked for, up to a limit.
func TestAliasFollowUp(t *testing.T) {
	chain := func(length int) handler {
		return func(q query, s sender) {
			i := int(q.name[1] - 'a')
			if i == length {
				s.reply(q, message{answer: []rr{byType(q, q.name, "192.0.2.1", "2001:db8::1")}})
				return
			}
			s.reply(q, message{answer: []rr{cname(q.name, "n"+string(rune('a'+i+1))+".test")}})
		}
	}
	for _, test := range []struct {
		length int
		code   EAI
	}{{0, 0}, {1, 0}, {maxFollowUps, 0}, {maxFollowUps + 1, EAI_FAIL}} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", chain(test.length))}})
			ans, _, err := timed(r, "na.test", AF_INET)
			if test.code != 0 {
				wantCode(t, err, test.code)
				if !errors.Is(err, ErrCNAMELoop) {
					t.Errorf("error %v, want ErrCNAMELoop", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := "n" + string(rune('a'+test.length)) + ".test"; ans.Name != want || len(ans.Aliases) != test.length {
				t.Errorf("name %s, aliases %v, want %s after %d", ans.Name, ans.Aliases, want, test.length)
			}
		})
	}

	// Aliases without end, of every candidate and in both families.
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := n.resolver(Config{Ndots: 5, Servers: []Server{n.add("192.0.2.1", func(q query, s sender) {
			s.reply(q, message{answer: []rr{cname(q.name, fmt.Sprintf("n%d.test", q.id))}})
		})}, Search: []string{"a.test", "b.test", "c.test"}})
		_, _, err := timed(r, "host", AF_UNSPEC)
		wantCode(t, err, EAI_FAIL)
		if got := len(n.asked()); got > 2*4+maxLookupFollowUps {
			t.Errorf("%d queries", got)
		}
	})

	// A circle over several messages.
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", func(q query, s sender) {
			other := map[string]string{"x.test": "y.test", "y.test": "x.test"}[q.name]
			s.reply(q, message{answer: []rr{cname(q.name, other)}})
		})}})
		_, _, err := timed(r, "x.test", AF_UNSPEC)
		wantCode(t, err, EAI_FAIL)
		if !errors.Is(err, ErrCNAMELoop) || len(n.asked()) != 4 {
			t.Errorf("error %v after %d queries", err, len(n.asked()))
		}
	})
}

// A canonical name that is no host name is not shown: such names reach shells.
func TestCanonicalNameIsClean(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", func(q query, s sender) {
			s.reply(q, message{answer: []rr{
				cname(q.name, "$(reboot).test"), cname("$(reboot).test", "<b>.test"), byType(q, "<b>.test", "192.0.2.1", "2001:db8::1"),
			}})
		})}})
		ans, _, err := timed(r, "evil.test", AF_UNSPEC)
		if err != nil || ans.Name != "evil.test" || len(ans.Addrs) != 2 || len(ans.Aliases) != 0 {
			t.Errorf("%+v, %v", ans, err)
		}
	})
}

func TestTTLAndAD(t *testing.T) {
	for _, test := range []struct {
		conf  string
		ttl   uint32
		flags int
		want  time.Duration
		ad    bool
	}{
		{"", 300, 0, time.Minute, false}, // the alias has 60 s
		{"", 10, bitAD, 10 * time.Second, false},
		{"options trust-ad", 10, bitAD, 10 * time.Second, true},
		{"options trust-ad", 0, 0, 0, false},
		{"", 1 << 31, 0, time.Minute, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			r := n.resolver(Config{ResolvConfText: test.conf, Servers: []Server{n.add("192.0.2.1", func(q query, s sender) {
				address := byType(q, "b.test", "192.0.2.1", "2001:db8::1")
				address.ttl = test.ttl
				s.reply(q, message{flags: test.flags, answer: []rr{cname(q.name, "b.test"), address}})
			})}})
			ans, _, err := timed(r, "a.test", AF_UNSPEC)
			if err != nil || ans.TTL != test.want || ans.Authenticated != test.ad {
				t.Errorf("%+v: TTL %v, AD %v, %v", test, ans.TTL, ans.Authenticated, err)
			}
			for _, q := range n.asked() {
				if ad := q.raw[3]&bitAD != 0; ad != (test.conf != "") {
					t.Errorf("AD bit of the query %v", ad)
				}
			}
		})
	}
}

// The TTL is the shortest, over both families and all messages.
func TestShortestTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", func(q query, s sender) {
			if q.name == "swapped.test" {
				m := message{answer: []rr{byType(q, q.name, "192.0.2.1", "2001:db8::1")}}
				m.answer[0].ttl = uint32(typeA + typeAAAA - q.typ) // 28 or 1
				s.reply(q, m)
				return
			}
			zone(q, s)
		})}})
		for host, want := range map[string]time.Duration{
			"longttl.test": 300 * time.Second, "cnlong.test": time.Minute, "twottls.test": time.Second, "swapped.test": time.Second,
		} {
			ans, _, err := timed(r, host, AF_UNSPEC)
			if err != nil || ans.TTL != want {
				t.Errorf("%s: %v, %v, want %v", host, ans.TTL, err, want)
			}
		}
	})
}

// At most maxAddrs addresses are returned, whatever is sent.
func TestManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		s := n.add("192.0.2.1", func(q query, s sender) {
			var m message
			for i := range 4000 {
				r := a("x", "10.0.0.0")
				r.name, r.data = "", []byte{10, 0, byte(i >> 8), byte(i)}
				m.answer = append(m.answer, r)
			}
			raw := m.pack(q)
			// Owners as pointers to the question, so that they fit.
			var b []byte
			b = append(b, raw[:12+len(q.question)]...)
			for _, r := range m.answer {
				b = append(b, 0xC0, 12)
				b = append(b, r.pack(nil)[1:]...)
			}
			s(b)
		})
		s.Proto = ProtoTCP
		r := n.resolver(Config{Servers: []Server{s}})
		ans, _, err := timed(r, "many.test", AF_INET)
		if err != nil || len(ans.Addrs) != maxAddrs {
			t.Errorf("%d addresses, %v", len(ans.Addrs), err)
		}
	})
}

func TestLookupNetIPNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", zone)}})
		for network, want := range map[string]string{
			"ip": "2001:db8::6 2001:db8::7 192.0.2.1 192.0.2.2", "ip4": "192.0.2.1 192.0.2.2", "ip6": "2001:db8::6 2001:db8::7",
		} {
			got, err := r.LookupNetIP(t.Context(), network, "dual.test")
			if err != nil || !slices.Equal(got, addrs(strings.Fields(want)...)) {
				t.Errorf("%s: %v, %v", network, got, err)
			}
		}
		_, err := r.LookupNetIP(t.Context(), "tcp", "dual.test")
		wantCode(t, err, EAI_FAMILY)
		_, err = r.Lookup(t.Context(), "dual.test", LookupOptions{Family: 3})
		wantCode(t, err, EAI_FAMILY)
	})
}

// OrderWire leaves the answer as it came; the other order goes by the routes.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", zone)}, Routes: routes{"0.0.0.0/0": "192.0.2.200"}})
		for order, want := range map[Order]string{
			OrderRFC6724: "192.0.2.1 192.0.2.2 2001:db8::6 2001:db8::7",
			OrderWire:    "2001:db8::6 2001:db8::7 192.0.2.1 192.0.2.2",
		} {
			ans, err := r.Lookup(t.Context(), "dual.test", LookupOptions{Order: order})
			if err != nil || !slices.Equal(ans.Addrs, addrs(strings.Fields(want)...)) {
				t.Errorf("order %d: %v, %v", order, ans.Addrs, err)
			}
		}
	})
}
