package dnsresolver

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// recordData are records of many types at names of the zone "rec.test", as they
// stand on the wire.
var recordData = map[string]struct {
	typ  RecordType
	data []string
}{
	"mx.rec.test":     {TypeMX, []string{"\x00\x14" + w("b.rec.test"), "\x00\x0a" + w("a.rec.test"), "\x00\x05" + w("bad host.rec.test")}},
	"nullmx.rec.test": {TypeMX, []string{"\x00\x00\x00"}},
	"txt.rec.test":    {TypeTXT, []string{"\x03one\x04 two", "\x00"}},
	"ns.rec.test":     {TypeNS, []string{w("ns1.rec.test"), w("ns2.rec.test")}},
	"cname.rec.test":  {TypeCNAME, []string{w("txt.rec.test")}},
	"_x._tcp.rec.test": {TypeSRV, []string{
		"\x00\x01\x00\x00\x00\x50" + w("last.rec.test"), "\x00\x00\x00\x03\x00\x51" + w("heavy.rec.test"), "\x00\x00\x00\x00\x00\x52" + w("light.rec.test"),
	}},
	"https.rec.test": {TypeHTTPS, []string{"\x00\x01\x00\x00\x01\x00\x03\x02h2\x00\x04\x00\x04\xc0\x00\x02\x01"}},
	"caa.rec.test":   {TypeCAA, []string{"\x00\x05issueca.test"}},
	"soa.rec.test":   {TypeSOA, []string{w("ns1.rec.test") + w("hostmaster.rec.test") + strings.Repeat("\x00\x00\x00\x09", 5)}},
	"odd.rec.test":   {65280, []string{"\x01\x02"}},
	"cut.rec.test":   {TypeMX, []string{"\x00"}},
}

// w is a name on the wire.
func w(name string) string { return string(wireName(name)) }

func recordServer(q query, s sender) {
	if q.name == "alias.rec.test" {
		s.reply(q, message{answer: []rr{cname(q.name, "mx.rec.test"), {name: "mx.rec.test", typ: uint16(TypeMX), ttl: 60, data: []byte(recordData["mx.rec.test"].data[1])}}})
		return
	}
	rec, ok := recordData[q.name]
	var m message
	switch {
	case !ok:
		m.rcode, m.authority = rcodeNXDomain, []rr{soa("rec.test")}
	case uint16(rec.typ) != q.typ:
		m.authority = []rr{soa("rec.test")}
	}
	for _, d := range rec.data {
		if uint16(rec.typ) == q.typ {
			m.answer = append(m.answer, rr{name: q.name, typ: uint16(rec.typ), ttl: 60, data: []byte(d)})
		}
	}
	s.reply(q, m)
}

func TestLookupRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := caching(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", recordServer)}})
		for name, want := range map[string]string{
			"mx.rec.test":      "20 b.rec.test.; 10 a.rec.test.", // and not the bad host
			"alias.rec.test":   "10 a.rec.test.",
			"nullmx.rec.test":  "0 .",
			"txt.rec.test":     `"one" " two"; ""`,
			"ns.rec.test":      "ns1.rec.test.; ns2.rec.test.",
			"cname.rec.test":   "txt.rec.test.",
			"_x._tcp.rec.test": "1 0 80 last.rec.test.; 0 3 81 heavy.rec.test.; 0 0 82 light.rec.test.",
			"https.rec.test":   `1 . alpn="h2" ipv4hint="192.0.2.1"`,
			"caa.rec.test":     `0 issue "ca.test"`,
			"soa.rec.test":     "ns1.rec.test. hostmaster.rec.test. 9 9 9 9 9",
			"odd.rec.test":     `\# 2 0102`,
		} {
			typ := recordData[name].typ
			if name == "alias.rec.test" {
				typ = TypeMX
			}
			for range 2 { // the second time from the cache
				recs, err := r.LookupRecords(t.Context(), name, typ)
				var texts []string
				for _, rec := range recs.List {
					texts = append(texts, rec.Text)
					if rec.Type != typ || rec.TTL != time.Minute {
						t.Errorf("%s: type %v, TTL %v", name, rec.Type, rec.TTL)
					}
				}
				if got := strings.Join(texts, "; "); err != nil || got != want {
					t.Errorf("%s: %s, %v; want %s", name, got, err, want)
				}
			}
			if got := len(n.asked()); got != 1 {
				t.Errorf("%s: %d packets, want 1", name, got)
			}
			n.forget()
		}
		recs, err := r.LookupRecords(t.Context(), "alias.rec.test", TypeMX)
		if err != nil || recs.Name != "mx.rec.test" || !slices.Equal(recs.Aliases, []string{"alias.rec.test"}) || recs.List[0].Name != "mx.rec.test" {
			t.Errorf("the alias: %+v, %v", recs, err)
		}
		recs, err = r.LookupRecords(t.Context(), "https.rec.test", TypeHTTPS)
		if err != nil || !slices.Equal(recs.List[0].Params, []Param{{"alpn", "h2"}, {"ipv4hint", "192.0.2.1"}}) || recs.List[0].Priority != 1 {
			t.Errorf("HTTPS: %+v, %v", recs, err)
		}
		for name, code := range map[string]EAI{
			"none.rec.test": EAI_NONAME, "txt.rec.test": EAI_NODATA, "cut.rec.test": EAI_AGAIN,
			"": EAI_NONAME, "a b": EAI_NONAME, "a..b": EAI_NONAME, strings.Repeat("a", 64): EAI_NONAME, "x\x00": EAI_NONAME,
		} {
			_, err := r.LookupRecords(t.Context(), name, TypeMX)
			wantCode(t, err, code)
		}
	})
}

func TestNetResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		both := func(q query, s sender) {
			if strings.HasSuffix(q.name, "rec.test") {
				recordServer(q, s)
				return
			}
			zone(q, s)
		}
		v := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", both)}}).Net()
		ctx := t.Context()
		if mx, err := v.LookupMX(ctx, "mx.rec.test"); err != nil || len(mx) != 2 || *mx[0] != (net.MX{Host: "a.rec.test.", Pref: 10}) {
			t.Errorf("MX: %v, %v", mx, err)
		}
		if ns, err := v.LookupNS(ctx, "ns.rec.test"); err != nil || len(ns) != 2 || ns[0].Host != "ns1.rec.test." {
			t.Errorf("NS: %v, %v", ns, err)
		}
		if txt, err := v.LookupTXT(ctx, "txt.rec.test"); err != nil || !slices.Equal(txt, []string{"one two", ""}) {
			t.Errorf("TXT: %q, %v", txt, err)
		}
		if name, err := v.LookupCNAME(ctx, "cn.test"); err != nil || name != "dual.test." {
			t.Errorf("CNAME: %s, %v", name, err)
		}
		first := map[string]int{}
		for range 200 {
			name, srv, err := v.LookupSRV(ctx, "x", "tcp", "rec.test")
			if err != nil || name != "_x._tcp.rec.test." || len(srv) != 3 || srv[2].Target != "last.rec.test." {
				t.Fatalf("SRV: %s, %v, %v", name, srv, err)
			}
			first[srv[0].Target]++
		}
		if heavy, light := first["heavy.rec.test."], first["light.rec.test."]; heavy < 2*light || light == 0 {
			t.Errorf("SRV: weight 3 was first %d times, weight 0 %d times", heavy, light)
		}
		if hosts, err := v.LookupHost(ctx, "a4.test"); err != nil || !slices.Equal(hosts, []string{"192.0.2.1"}) {
			t.Errorf("hosts: %v, %v", hosts, err)
		}
		if ips, err := v.LookupIPAddr(ctx, "a6.test"); err != nil || ips[0].String() != "2001:db8::6" {
			t.Errorf("IP addresses: %v, %v", ips, err)
		}
		if ips, err := v.LookupIP(ctx, "ip4", "dual.test"); err != nil || len(ips) != 2 {
			t.Errorf("IPs: %v, %v", ips, err)
		}
		for service, want := range map[string]int{"https": 443, "8080": 8080} {
			if port, err := v.LookupPort(ctx, "tcp", service); err != nil || port != want {
				t.Errorf("port %s: %d, %v", service, port, err)
			}
		}
		var dnsErr *net.DNSError
		for _, err := range []error{
			func() error { _, err := v.LookupHost(ctx, "nx.test"); return err }(),
			func() error { _, err := v.LookupMX(ctx, "nx.test"); return err }(),
			func() error { _, err := v.LookupPort(ctx, "tcp", "no-such-service"); return err }(),
		} {
			if !errors.As(err, &dnsErr) || !dnsErr.IsNotFound {
				t.Errorf("error %#v, want a *net.DNSError that says not found", err)
			}
		}
		if _, err := v.LookupAddr(ctx, "nonsense"); err == nil {
			t.Error("no error for an address that is none")
		}
	})
}

// The strings of a TXT record are its bytes; only Text has them escaped.
func TestTXTStringsAreRaw(t *testing.T) {
	n := newNetwork(t)
	r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", func(q query, s sender) {
		s.reply(q, message{answer: []rr{{name: q.name, typ: q.typ, ttl: 60, data: []byte("\x05a\"b\\\x00\x00\x02\xc3\xa4")}}})
	})}})
	recs, err := r.LookupRecords(t.Context(), "a4.test", TypeTXT)
	if err != nil || !slices.Equal(recs.List[0].Strings, []string{"a\"b\\\x00", "", "ä"}) || recs.List[0].Text != `"a\"b\\\000" "" "\195\164"` {
		t.Errorf("%+v, %v", recs.List, err)
	}
	list, err := r.Net().LookupTXT(t.Context(), "a4.test")
	if err != nil || !slices.Equal(list, []string{"a\"b\\\x00ä"}) {
		t.Errorf("%q, %v", list, err)
	}
	if recs, err := r.Net().LookupNS(t.Context(), "."); err == nil {
		t.Errorf("a TXT record as NS: %v", recs)
	}
}
