package dnsresolver

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func (r Reply) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v", r.Source)
	if r.NXDomain {
		b.WriteString(" NXDOMAIN")
	}
	for _, rec := range r.Records {
		fmt.Fprintf(&b, "; %s %v %s", rec.Name, rec.Type, rec.Text)
	}
	return b.String()
}

func questionServer(q query, s sender) {
	a := func(name string) rr { return rr{name: name, typ: 1, ttl: 60, data: []byte{192, 0, 2, 9}} }
	var m message
	switch {
	case q.name == "gone.rec.test":
		m = message{rcode: rcodeNXDomain, answer: []rr{cname(q.name, "nowhere.rec.test")}, authority: []rr{soa("rec.test")}}
	case q.name == "under.rec.test":
		m.answer = []rr{cname(q.name, "_odd.rec.test"), a("_odd.rec.test")}
	case q.name == "mixed.rec.test" && q.typ == 1:
		m.answer = []rr{a(q.name)}
	case q.name == "9.2.0.192.in-addr.arpa":
		m.answer = []rr{{name: q.name, typ: 12, ttl: 60, data: []byte(w("with space.rec.test"))}}
	case q.name == "mixed.rec.test":
		m.authority = []rr{soa("rec.test")}
	default:
		recordServer(q, s)
		return
	}
	s.reply(q, m)
}

func TestQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := caching(t)
		r := n.resolver(Config{
			Servers:   []Server{n.add("192.0.2.1", questionServer)},
			Hosts:     map[string][]netip.Addr{"pinned.rec.test": {netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("fe80::7%lo")}},
			HostsText: "10.0.0.8 four.rec.test alias.four\n",
			Search:    []string{"search.test"},
		})
		for _, tc := range []struct {
			name string
			typ  RecordType
			want string
		}{
			{"Mixed.rec.test.", TypeA, "DNS; Mixed.rec.test. A 192.0.2.9"},
			{"Mixed.rec.test", TypeMX, "DNS"},
			{"none.rec.test", TypeA, "DNS NXDOMAIN"},
			{"gone.rec.test", TypeA, "DNS NXDOMAIN; gone.rec.test. CNAME nowhere.rec.test."},
			{"under.rec.test", TypeA, "DNS; under.rec.test. CNAME _odd.rec.test.; _odd.rec.test. A 192.0.2.9"},
			{"mx.rec.test", TypeMX, `DNS; mx.rec.test. MX 20 b.rec.test.; mx.rec.test. MX 10 a.rec.test.; mx.rec.test. MX 5 bad\ host.rec.test.`},
			{"odd.rec.test", 65280, `DNS; odd.rec.test. TYPE65280 \# 2 0102`},
			{"pinned.rec.test", TypeA, "hosts; pinned.rec.test. A 10.0.0.7"},
			{"Pinned.rec.test", TypeAAAA, "hosts; Pinned.rec.test. AAAA fe80::7"},
			{"pinned.rec.test", TypeMX, "DNS NXDOMAIN"},
			{"alias.four", TypeA, "hosts; alias.four. A 10.0.0.8"},
			{"alias.four", TypeAAAA, "hosts"},
			{"localhost", TypeA, "local; localhost. A 127.0.0.1"},
			{"a.localhost", TypeAAAA, "local; a.localhost. AAAA ::1"},
			{"localhost", TypeMX, "local"},
			{"x.invalid", TypeA, "local NXDOMAIN"},
			{"x.onion", TypeTXT, "local NXDOMAIN"},
			{"8.0.0.10.in-addr.arpa.", TypePTR, "hosts; 8.0.0.10.in-addr.arpa. PTR four.rec.test.; 8.0.0.10.in-addr.arpa. PTR alias.four."},
			{"1.0.0.127.in-addr.arpa.", TypePTR, "local; 1.0.0.127.in-addr.arpa. PTR localhost."},
			{"1." + strings.Repeat("0.", 31) + "ip6.arpa.", TypePTR, "local; 1." + strings.Repeat("0.", 31) + "ip6.arpa. PTR localhost."},
			{"1.0.254.169.in-addr.arpa.", TypePTR, "local NXDOMAIN"},
			{"9.2.0.192.in-addr.arpa.", TypePTR, `DNS; 9.2.0.192.in-addr.arpa. PTR with\ space.rec.test.`},
			{"0.10.in-addr.arpa.", TypePTR, "DNS NXDOMAIN"},
		} {
			got, err := r.Question(t.Context(), tc.name, tc.typ)
			if err != nil || got.String() != tc.want {
				t.Errorf("%s %v: %v, %v\nwant %s", tc.name, tc.typ, got, err, tc.want)
			}
		}
		for _, q := range n.asked() {
			if strings.HasSuffix(q.name, "search.test") || strings.HasSuffix(q.name, "invalid") || strings.HasSuffix(q.name, "onion") {
				t.Errorf("%s was asked for", q.name)
			}
		}
		before := len(n.asked())
		if _, err := r.Question(t.Context(), `with\032space.test.`, TypeA); err == nil || err.(*Error).Code != EAI_FAIL || len(n.asked()) != before {
			t.Errorf("a name with a space: %v", err)
		}
		time.Sleep(20 * time.Second)
		if got, err := r.Question(t.Context(), "Mixed.rec.test.", TypeA); err != nil || len(got.Records) != 1 || got.Records[0].TTL != 40*time.Second {
			t.Errorf("20 s later: %+v, %v", got, err)
		}
		r.Close()
		if _, err := r.Question(t.Context(), "mx.rec.test", TypeMX); err == nil || err.(*Error).Code != EAI_CANCELED {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestReverseAddr(t *testing.T) {
	for _, s := range []string{"192.0.2.1", "0.0.0.0", "255.255.255.255", "::1", "2001:db8::fe", "ff02::1"} {
		addr := netip.MustParseAddr(s)
		if got, ok := reverseAddr(strings.ToUpper(reverseName(addr))); !ok || got != addr {
			t.Errorf("%s: %v, %v", reverseName(addr), got, ok)
		}
	}
	for _, s := range []string{"", ".", "in-addr.arpa.", "1.2.3.in-addr.arpa.", "1.2.3.4.5.in-addr.arpa.", "256.0.0.1.in-addr.arpa.", "-1.0.0.1.in-addr.arpa.",
		strings.Repeat("0.", 31) + "ip6.arpa.", strings.Repeat("0.", 31) + "00.ip6.arpa.", strings.Repeat("0.", 31) + "g.ip6.arpa.", "1.0.0.127.in-addr.arpa.test."} {
		if got, ok := reverseAddr(s); ok {
			t.Errorf("%q is taken for %v", s, got)
		}
	}
}
