package dnsresolver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
	"github.com/userstack/userstack/dnsresolver/netdb"
)

// testQuery is what the messages of this file answer.
var testQuery = query{id: 7, name: "q.test", typ: typeA, question: append(wireName("q.test"), 0, 1, 0, 1)}

func parsed(t testing.TB, m message) *wire.Message {
	t.Helper()
	raw := m.pack(testQuery)
	h, err := wire.ParseHead(raw)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := h.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func TestWalk(t *testing.T) {
	links := func(n int) (list []rr) {
		name := "q.test"
		for i := range n {
			next := fmt.Sprintf("c%d.test", i)
			list = append(list, cname(name, next))
			name = next
		}
		return append(list, a(name, "192.0.2.1"))
	}
	for _, test := range []struct {
		name   string
		answer []rr
		rcode  int
		want   string // status, names and addresses
	}{
		{"address", []rr{a("q.test", "192.0.2.1")}, 0, "data [] [192.0.2.1]"},
		{"empty", nil, 0, "nodata [] []"},
		{"NXDOMAIN", nil, rcodeNXDomain, "nx [] []"},
		{"NXDOMAIN with addresses", []rr{a("q.test", "192.0.2.1")}, rcodeNXDomain, "nx [] []"},
		{"NXDOMAIN of an alias", []rr{cname("q.test", "b.test")}, rcodeNXDomain, "nx [b.test.] []"},
		{"alias", []rr{cname("q.test", "b.test"), a("b.test", "192.0.2.1")}, 0, "data [b.test.] [192.0.2.1]"},
		{"backwards", []rr{a("c.test", "192.0.2.1"), cname("b.test", "c.test"), cname("q.test", "b.test")}, 0, "data [b.test. c.test.] [192.0.2.1]"},
		{"case", []rr{cname("Q.Test", "B.test"), a("b.TEST", "192.0.2.1")}, 0, "data [B.test.] [192.0.2.1]"},
		{"alias only", []rr{cname("q.test", "b.test")}, 0, "nodata [b.test.] []"},
		{"alias twice the same", []rr{cname("q.test", "b.test"), cname("q.test", "B.test"), a("b.test", "192.0.2.1")}, 0, "data [b.test.] [192.0.2.1]"},
		{"two aliases", []rr{cname("q.test", "b.test"), cname("q.test", "c.test")}, 0, "malformed"},
		{"address and alias", []rr{a("q.test", "192.0.2.1"), cname("q.test", "b.test"), a("b.test", "192.0.2.66")}, 0, "data [] [192.0.2.1]"},
		{"others' address", []rr{a("evil.test", "192.0.2.66")}, 0, "nodata [] []"},
		{"others' alias", []rr{cname("other.test", "b.test"), a("b.test", "192.0.2.66")}, 0, "nodata [] []"},
		{"address of the middle", []rr{cname("q.test", "b.test"), a("b.test", "192.0.2.1"), a("q2.test", "192.0.2.66")}, 0, "data [b.test.] [192.0.2.1]"},
		{"subdomain", []rr{a("x.q.test", "192.0.2.66")}, 0, "nodata [] []"},
		{"other family", []rr{a("q.test", "2001:db8::1")}, 0, "nodata [] []"},
		{"to itself", []rr{cname("q.test", "q.test")}, 0, "broken [] []"},
		{"circle of two", []rr{cname("q.test", "b.test"), cname("b.test", "Q.test")}, 0, "broken [] []"},
		{"circle of three", []rr{cname("q.test", "b.test"), cname("b.test", "c.test"), cname("c.test", "b.test")}, 0, "broken [] []"},
		{"16 links", links(maxLinks), 0, ""},
		{"17 links", links(maxLinks + 1), 0, "broken [] []"},
		{"1000 links", links(1000), 0, "broken [] []"},
	} {
		w, err := walk(parsed(t, message{answer: test.answer, rcode: test.rcode}), question{"q.test.", wire.TypeA})
		got := fmt.Sprint(map[status]string{
			statusData: "data", statusNoData: "nodata", statusNXDomain: "nx", statusBroken: "broken",
		}[w.status], " ", w.names, " ", w.addrs)
		if errors.Is(err, wire.ErrMalformed) {
			got = "malformed"
		}
		if test.want == "" {
			if len(w.names) != maxLinks || len(w.addrs) != 1 {
				t.Errorf("%s: %s", test.name, got)
			}
			continue
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// The SOA record counts only when it is of a zone that the end of the chain lies
// in.
func TestWalkSOA(t *testing.T) {
	for _, test := range []struct {
		answer []rr
		zone   string
		want   bool
	}{
		{nil, "test", true},
		{nil, "q.test", true},
		{nil, ".", true},
		{nil, "x.q.test", false},
		{nil, "evil", false},
		{nil, "est", false},
		{[]rr{cname("q.test", "b.other")}, "other", true},
		{[]rr{cname("q.test", "b.other")}, "test", false},
	} {
		w, err := walk(parsed(t, message{answer: test.answer, authority: []rr{soa(test.zone)}}), question{"q.test.", wire.TypeA})
		if err != nil || w.soa != test.want {
			t.Errorf("%v, SOA of %s: %v, %v", test.answer, test.zone, w.soa, err)
		}
	}
}

func TestWalkTTL(t *testing.T) {
	for _, test := range []struct {
		alias, address uint32
		want           time.Duration
	}{
		{300, 60, time.Minute}, {30, 60, 30 * time.Second}, {86401, 1 << 31, maxTTL}, {1<<32 - 1, 1<<32 - 1, maxTTL}, {1<<31 - 1, 0, 0},
	} {
		c, addr := cname("q.test", "b.test"), a("b.test", "192.0.2.1")
		c.ttl, addr.ttl = test.alias, test.address
		ignored := a("other.test", "192.0.2.2")
		ignored.ttl = 1
		w, err := walk(parsed(t, message{answer: []rr{c, addr, ignored}}), question{"q.test.", wire.TypeA})
		if err != nil || w.ttl != test.want {
			t.Errorf("TTL %v, want %v", w.ttl, test.want)
		}
	}
}

// FuzzReply feeds the bytes of a server through everything that reads them: the
// accept rules, the codec, the walk. The seeds are the hostile messages of
// TestForgedRepliesAreDropped and some good ones.
func FuzzReply(f *testing.F) {
	for _, forge := range forgeries() {
		f.Add(forge(testQuery))
	}
	for _, m := range []message{
		{answer: []rr{a("q.test", "192.0.2.1")}},
		{answer: []rr{cname("q.test", "b.test"), a("b.test", "192.0.2.1")}, authority: []rr{soa("test")}, extra: []rr{opt()}},
		{rcode: rcodeNXDomain, authority: []rr{soa("test")}},
		{rcode: rcodeServFail, questions: -1},
		{flags: bitTC},
	} {
		f.Add(m.pack(testQuery))
	}
	q := wire.Query{ID: testQuery.id, Name: "q.test.", Type: wire.TypeA}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, accept := range []func(wire.Query, []byte) (*wire.Message, error){acceptUDP, acceptTCP} {
			msg, err := accept(q, raw)
			if (msg == nil) == (err == nil) {
				t.Fatal(msg, err)
			}
			if err != nil {
				continue
			}
			if msg.ID != q.ID || !msg.Response || msg.Opcode != 0 || msg.Truncated {
				t.Fatalf("accepted %+v", msg.Head)
			}
			w, v, err := judge(msg, question{q.Name, q.Type})
			if (v == verdictAnswer) != (err == nil) {
				t.Fatal(v, err)
			}
			checkWalked(t, msg, w)
		}
	})
}

// checkWalked fails unless every address comes from a record at the end of the
// chain.
func checkWalked(t *testing.T, msg *wire.Message, w walked) {
	end := "q.test."
	if len(w.names) > 0 {
		end = w.names[len(w.names)-1]
	}
	if len(w.names) > maxLinks || len(w.addrs) > maxAddrs || (w.status == statusData) != (len(w.addrs) > 0) {
		t.Fatalf("walked %+v", w)
	}
	for _, addr := range w.addrs {
		if !slices.ContainsFunc(msg.Answer, func(r wire.Record) bool {
			return r.Addr == addr && r.Type == wire.TypeA && strings.EqualFold(r.Name, end)
		}) {
			t.Fatalf("address %v is not of %s", addr, end)
		}
	}
	rep := reply{names: w.names}
	for _, name := range append(rep.aliases("q.test"), rep.canonical("q.test")) {
		if !netdb.IsHostname(name) {
			t.Fatalf("name %q", name)
		}
	}
}
