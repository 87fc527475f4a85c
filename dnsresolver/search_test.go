package dnsresolver

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func TestCandidates(t *testing.T) {
	long := strings.Repeat("a23456789.", 25) + "ab" // 252 bytes
	for _, test := range []struct {
		host, conf string
		want       string
	}{
		{"a", "search s1 s2", "a.s1 a.s2 a"},
		{"a.b", "search s1 s2", "a.b a.b.s1 a.b.s2"},
		{"a.b.", "search s1 s2", "a.b"},
		{"a.", "search s1 s2", "a"},
		{"a", "", "a"},
		{"a.b", "search s1\noptions ndots:2", "a.b.s1 a.b"},
		{"a.b.c", "search s1\noptions ndots:2", "a.b.c a.b.c.s1"},
		{"a", "search s1\noptions ndots:0", "a a.s1"},
		{"a", "search s1 . s2", "a.s1 a a.s2"},
		{"a.b", "search . s1", "a.b a.b.s1"},
		{"a", "search s1 s1 s1", "a.s1 a"},
		{"a", "search s1\noptions no-tld-query", "a.s1"},
		{"a", "search s1 .\noptions no-tld-query", "a.s1"},
		{"a", "options no-tld-query", "a"},
		{"a.b", "search s1\noptions no-tld-query", "a.b a.b.s1"},
		{long, "search s1", long},
	} {
		r := newNetwork(t).resolver(Config{ResolvConfText: test.conf})
		got := r.current.Load().candidates(test.host)
		if want := strings.Fields(test.want); !slices.Equal(got, want) {
			t.Errorf("%s with %q: %v, want %v", test.host, test.conf, got, want)
		}
	}
}

func TestCandidatesOfConfig(t *testing.T) {
	r := newNetwork(t).resolver(Config{Search: []string{"s1.test.", ".", "s2.test"}})
	got := r.current.Load().candidates("a")
	if want := []string{"a.s1.test", "a", "a.s2.test"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// How each outcome of a candidate leads on, and what the search comes to.
func TestSearch(t *testing.T) {
	// Under these the server fails in the way of the name; hosts exist in s2.
	server := func(q query, s sender) {
		for suffix, code := range map[string]int{".sfz.test": rcodeServFail, ".refz.test": rcodeRefused, ".formz.test": rcodeFormErr} {
			if strings.HasSuffix(q.name, suffix) {
				s.reply(q, message{rcode: code})
				return
			}
		}
		switch {
		case strings.HasSuffix(q.name, ".dropz.test"):
		case !strings.Contains(q.name, "."):
			s.reply(q, message{rcode: rcodeServFail}) // as systemd-resolved does
		default:
			zone(q, s)
		}
	}
	for _, test := range []struct {
		host, conf string
		code       EAI // 0: found as name
		name       string
	}{
		{"host", "search s1.test s2.test", 0, "host.s2.test"},
		{"nodata", "search s1.test s2.test", 0, "nodata.s2.test"}, // musl stops at the first
		{"host", "search sfz.test s2.test", 0, "host.s2.test"},
		{"host", "search refz.test s2.test", 0, "host.s2.test"}, // glibc: NONAME
		{"host", "search formz.test s2.test", 0, "host.s2.test"},
		{"host", "search dropz.test s2.test", EAI_AGAIN, ""}, // Go goes on, glibc says NONAME
		{"nope", "search sfz.test s2.test", EAI_AGAIN, ""},
		{"nope", "search formz.test s2.test", EAI_FAIL, ""},
		{"nope", "search formz.test sfz.test", EAI_AGAIN, ""},
		{"nodata", "search s1.test sub.test", EAI_NODATA, ""},
		{"nope", "search s1.test s2.test", EAI_NONAME, ""},
		{"single", "", EAI_NONAME, ""}, // SERVFAIL for one label means: not here
		{"a4.test", "search s1.test", 0, "a4.test"},
		{"host.sub", "search s1.test test", 0, "host.sub.test"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", server)}, ResolvConfText: test.conf})
			ans, _, err := timed(r, test.host, AF_INET)
			switch {
			case test.code != 0:
				wantCode(t, err, test.code)
			case err != nil || ans.Name != test.name:
				t.Errorf("%s with %q: %q, %v, want %q", test.host, test.conf, ans.Name, err, test.name)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := n.resolver(Config{
			Servers: []Server{n.add("192.0.2.1", server)}, Search: []string{"sfz.test", "s2.test"}, Options: Options{StrictSearch: true},
		})
		_, _, err := timed(r, "host", AF_INET)
		wantCode(t, err, EAI_AGAIN)
	})
}

// ndots:5 and three search domains ask for all four candidates, twice.
func TestSearchQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := n.resolver(Config{
			Servers: []Server{n.add("192.0.2.1", zone)}, Search: []string{"x.test", "y.test", "z.test"}, Ndots: 5,
		})
		ans, _, err := timed(r, "a4.test", AF_UNSPEC)
		if err != nil || ans.Name != "a4.test" || len(n.asked()) != 8 {
			t.Errorf("%v, %v, %d queries", ans, err, len(n.asked()))
		}
	})
}
