package dnsresolver

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

// cleanName is what a name that came from a server may consist of (CVE-2021-33195).
var cleanName = regexp.MustCompile(`^[A-Za-z0-9._-]*$`)

// asName returns bytes as a name on the wire, cut into labels.
func asName(b []byte) string {
	var name []byte
	for len(b) > 0 && len(name) < 200 {
		n := min(len(b), 1+int(b[0])%maxLabel)
		name = append(append(name, byte(n)), b[:n]...)
		b = b[n:]
	}
	return string(append(name, 0))
}

// naming is a server that puts a name into the records of each type, and into the
// chain of aliases before them for names that begin with "alias".
func naming(target string) handler {
	return func(q query, s sender) {
		var m message
		owner := rr{name: q.name}
		if strings.HasPrefix(q.name, "alias") {
			m.answer = append(m.answer, cname(q.name, ""))
			m.answer[0].data = []byte(target)
		}
		data := map[uint16]string{
			typeA: "\xc0\x00\x02\x01", typeAAAA: strings.Repeat("\x20", 16),
			typeCNAME: target, typePTR: target, uint16(TypeNS): target,
			uint16(TypeMX): "\x00\x0a" + target, uint16(TypeSRV): "\x00\x01\x00\x02\x00\x50" + target,
			uint16(TypeHTTPS): "\x00\x01" + target, uint16(TypeSVCB): "\x00\x01" + target,
		}[q.typ]
		record := rr{typ: q.typ, data: []byte(data), ttl: 60}
		if len(m.answer) == 0 {
			record.name = owner.name
			m.answer = append(m.answer, record)
			s.reply(q, m)
			return
		}
		// The owner is a pointer to the alias's target, behind its own owner and head.
		raw := message{answer: m.answer, counts: &[3]uint16{2, 0, 0}}.pack(q)
		at := len(raw) - len(target)
		rest := record.pack(nil)[1:] // without the root as the owner
		s(append(append(raw, 0xC0|byte(at>>8), byte(at)), rest...))
	}
}

// checkNames asks r everything that gives names, and checks them. It returns how
// many there were.
func checkNames(t *testing.T, r *Resolver) (n int) {
	t.Helper()
	check := func(where string, names ...string) {
		for _, name := range names {
			n++
			if !cleanName.MatchString(name) {
				t.Errorf("%s: name %q", where, name)
			}
		}
	}
	for _, host := range []string{"a.test", "alias.test"} {
		if ans, err := r.Lookup(t.Context(), host, LookupOptions{}); err == nil {
			check("Lookup", append(ans.Aliases, ans.Name)...)
		}
		if ent, err := r.GetHostByNameEx(t.Context(), host); err == nil {
			check("GetHostByNameEx", append(ent.Aliases, ent.Name)...)
		}
		if list, err := r.GetAddrInfo(t.Context(), host, "", netdb.Hints{Flags: netdb.AI_CANONNAME}); err == nil {
			check("GetAddrInfo", list[0].CanonName)
		}
		for _, typ := range []RecordType{TypeA, TypeCNAME, TypeNS, TypePTR, TypeMX, TypeSRV, TypeHTTPS, TypeSVCB} {
			recs, err := r.LookupRecords(t.Context(), host, typ)
			if err != nil {
				continue
			}
			check("LookupRecords", append(recs.Aliases, recs.Name)...)
			for _, rec := range recs.List {
				check("record "+typ.String(), rec.Name, rec.Target)
				if strings.ContainsFunc(rec.Text, func(c rune) bool { return c < ' ' || c >= 0x7f }) {
					t.Errorf("record %v: text %q", typ, rec.Text)
				}
			}
		}
	}
	addr := netip.MustParseAddr("192.0.2.1")
	if names, err := r.LookupAddr(t.Context(), addr); err == nil {
		check("LookupAddr", names...)
	}
	if ent, err := r.GetHostByAddr(t.Context(), addr.String()); err == nil {
		check("GetHostByAddr", append(ent.Aliases, ent.Name)...)
	}
	if host, _, err := r.GetNameInfo(t.Context(), netip.AddrPortFrom(addr, 80), 0); err == nil {
		check("GetNameInfo", host)
	}
	return n
}

// S6: good names are handed out.
func TestNamesAreHandedOut(t *testing.T) {
	n := newNetwork(t)
	r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", naming(string(wireName("x-1.example.test"))))}, Search: []string{}})
	if got := checkNames(t, r); got < 60 {
		t.Errorf("%d names", got)
	}
	recs, err := r.LookupRecords(t.Context(), "alias.test", TypeMX)
	if err != nil || len(recs.List) != 1 || recs.List[0].Name != "x-1.example.test" || recs.List[0].Target != "x-1.example.test" {
		t.Errorf("%+v, %v", recs, err)
	}
	names, err := r.LookupAddr(t.Context(), netip.MustParseAddr("192.0.2.1"))
	if err != nil || !slices.Equal(names, []string{"x-1.example.test"}) {
		t.Errorf("%q, %v", names, err)
	}
}

// FuzzNames: no name that is handed out has a byte that a shell, a page or a log
// could take for something else, whatever names a server gives.
func FuzzNames(f *testing.F) {
	for _, s := range []string{
		"", "www", "a b", "<script>", "x;rm -rf", "a\x00b", "\x1b[31m", "a.b", `a\b`, `"q"`, "_srv", "*", "-a", "\xff\xfe", "a\n", "$(id)", "`id`", "xn--", "%41", "a/b", "a@b",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n := newNetwork(t)
		n.forgets = true
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", naming(asName(b)))}, Search: []string{}, Attempts: 1})
		checkNames(t, r)
	})
}
