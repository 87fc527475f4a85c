package dnsresolver

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// option returns the data of an EDNS option of a query, nil without it.
func option(q query, code uint16) []byte {
	if !q.edns {
		return nil
	}
	b := q.raw[12+len(q.question)+11:]
	for len(b) >= 4 {
		n := int(binary.BigEndian.Uint16(b[2:]))
		if binary.BigEndian.Uint16(b) == code {
			return b[4 : 4+n]
		}
		b = b[4+n:]
	}
	return nil
}

// withOption returns an OPT record with one option.
func withOption(code uint16, data []byte) rr {
	o := opt()
	o.data = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, code), uint16(len(data)))
	o.data = append(o.data, data...)
	return o
}

// With 0x20 the case of a query is at random, and a reply that does not repeat it
// is not believed: TCP decides.
func TestMixedCase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		const name = "abcdefghijklmnopqrstuvwxyz.test"
		cases, lower := map[string]bool{}, false
		s := n.add("192.0.2.1", func(q query, s sender) {
			m := message{answer: []rr{a(q.name, "192.0.2.1")}}
			if q.network == "udp" {
				cases[string(q.question[:len(q.question)-4])] = true
			}
			if lower && q.network == "udp" {
				m.question, m.answer = []byte(strings.ToLower(string(q.question))), []rr{a(q.name, "203.0.113.66")}
			}
			s.reply(q, m)
		})
		r := n.resolver(Config{Servers: []Server{s}, Options: Options{Mixed0x20: true}})
		for range 20 {
			if _, took, err := timed(r, name, AF_INET); err != nil || took > 0 {
				t.Fatal(took, err)
			}
		}
		if len(cases) < 20 {
			t.Errorf("%d spellings in 20 queries", len(cases))
		}
		lower = true
		ans, _, err := timed(r, name, AF_INET)
		if err != nil || !slices.Equal(ans.Addrs, addrs("192.0.2.1")) {
			t.Errorf("a reply in the wrong case was believed: %v, %v", ans.Addrs, err)
		}
	})
}

// RFC 7873: who does not show our cookie is not believed, once the server has shown
// that it knows them.
func TestCookies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		mode, seen := "old", [][]byte(nil)
		s := n.add("192.0.2.1", func(q query, s sender) {
			m := message{answer: []rr{a(q.name, "192.0.2.1")}}
			c := option(q, 10)
			if q.network == "udp" {
				seen = append(seen, c)
			}
			switch {
			case q.network == "tcp" || mode == "old":
			case mode == "new":
				m.extra = []rr{withOption(10, append(slices.Clone(c[:8]), "server's"...))}
			case mode == "forged":
				m.answer = []rr{a(q.name, "203.0.113.66")}
				m.extra = []rr{withOption(10, []byte("notours!server's"))}
			case mode == "without":
				m.answer = []rr{a(q.name, "203.0.113.66")}
			case mode == "bad": // BADCOOKIE, 23: its upper bits are in the OPT record
				m.rcode, m.answer = 23&0xF, nil
				o := withOption(10, append(slices.Clone(c[:8]), "anothers"...))
				o.ttl = 1 << 24
				m.extra = []rr{o}
			}
			s.reply(q, m)
		})
		r := n.resolver(Config{Servers: []Server{s}, Options: Options{Cookies: true}})
		for _, step := range []struct {
			mode string
			want int // bytes of the cookie sent
		}{{"old", 8}, {"new", 8}, {"new", 16}, {"forged", 16}, {"without", 16}, {"bad", 16}, {"new", 16}} {
			mode, seen = step.mode, nil
			ans, took, err := timed(r, "a4.test", AF_INET)
			if err != nil || took > 0 || !slices.Equal(ans.Addrs, addrs("192.0.2.1")) {
				t.Errorf("%s: %v, %v after %v", mode, ans.Addrs, err, took)
			}
			if len(seen) != 1 || len(seen[0]) != step.want {
				t.Errorf("%s: cookies %x, want one of %d bytes", mode, seen, step.want)
			}
		}
	})
}

// S8: names of the public Internet do not point into private networks, if so
// configured.
func TestNoPrivate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := caching(t)
		mixed := answering(60, "10.0.0.1", "192.0.2.1", "::1", "2001:db8::1", "64:ff9b::a00:1", "::ffff:192.168.1.1")
		inside := answering(60, "172.16.1.1", "fd00::1", "169.254.1.1", "127.1.2.3", "100.64.0.1", "0.0.0.0", "fe80::1", "::")
		serve := func(q query, s sender) {
			if strings.HasPrefix(q.name, "mixed") {
				mixed(q, s)
				return
			}
			inside(q, s)
		}
		r := n.resolver(Config{
			Servers: []Server{n.add("192.0.2.1", serve)}, NoPrivate: true, PrivateDomains: []string{"Home.Test"},
			Groups: []Group{{Domains: []string{"corp.test"}, Servers: []Server{n.add("192.0.2.2", serve)}}},
		})
		ans, _, err := timed(r, "mixed.test", AF_UNSPEC)
		if err != nil || !slices.Equal(ans.Addrs, addrs("2001:db8::1", "192.0.2.1")) {
			t.Errorf("mixed: %v, %v", ans.Addrs, err)
		}
		for range 2 {
			n.forget()
			_, _, err = timed(r, "inside.test", AF_UNSPEC)
			wantCode(t, err, EAI_NODATA)
			if len(n.asked()) == 0 {
				t.Error("that everything was taken out was remembered")
			}
		}
		for _, name := range []string{"inside.home.test", "home.test", "inside.corp.test"} {
			if ans, _, err := timed(r, name, AF_UNSPEC); err != nil || len(ans.Addrs) != 8 {
				t.Errorf("%s: %v, %v", name, ans.Addrs, err)
			}
		}
	})
}
