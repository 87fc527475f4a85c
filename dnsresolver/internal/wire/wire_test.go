package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// reply returns the packed reply to www.test A, and its offset behind the
// question, built by the library.
func reply(t testing.TB, compress bool, records ...string) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("www.test.", dns.TypeA)
	m.Id, m.Response, m.RecursionAvailable, m.Compress = 0x1234, true, true, compress
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		if rr.Header().Rrtype == dns.TypeSOA {
			m.Ns = append(m.Ns, rr)
		} else {
			m.Answer = append(m.Answer, rr)
		}
	}
	m.SetEdns0(1232, false)
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(b []byte) (*Message, error) {
	h, err := ParseHead(b)
	if err != nil {
		return nil, err
	}
	return h.Parse(b)
}

func TestParse(t *testing.T) {
	for _, compress := range []bool{false, true} {
		b := reply(t, compress,
			"www.test. 300 IN CNAME Web.test.", "web.test. 60 IN A 192.0.2.1", "web.test. 60 IN AAAA 2001:db8::1",
			"web.test. 60 IN TXT hello", "web.test. 60 IN PTR name.Test.", "test. 3600 IN SOA ns.test. host.test. 1 2 3 4 30")
		m, err := parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if m.ID != 0x1234 || !m.Response || m.Opcode != 0 || m.Truncated || m.Authoritative || !m.RecursionAvailable ||
			m.AuthenticData || m.RCode != NoError || !m.EDNS || m.Questions != 1 ||
			m.Question != (Question{"www.test.", TypeA, ClassIN}) {
			t.Errorf("head %+v", m)
		}
		want := []Record{
			{Name: "www.test.", Type: TypeCNAME, Class: ClassIN, TTL: 300, Target: "Web.test."},
			{Name: "web.test.", Type: TypeA, Class: ClassIN, TTL: 60, Addr: netip.MustParseAddr("192.0.2.1")},
			{Name: "web.test.", Type: TypeAAAA, Class: ClassIN, TTL: 60, Addr: netip.MustParseAddr("2001:db8::1")},
			{Name: "web.test.", Type: Type(dns.TypeTXT), Class: ClassIN, TTL: 60},
			{Name: "web.test.", Type: TypePTR, Class: ClassIN, TTL: 60, Target: "name.Test."},
		}
		for i := range want {
			if !EqualNames(m.Answer[i].Name, want[i].Name) || !EqualNames(m.Answer[i].Target, want[i].Target) {
				t.Errorf("record %d: %+v", i, m.Answer[i])
			}
			m.Answer[i].Name, m.Answer[i].Target = want[i].Name, want[i].Target // compression may change the case
		}
		if !reflect.DeepEqual(m.Answer, want) {
			t.Errorf("answer %+v", m.Answer)
		}
		if len(m.Authority) != 1 || m.Authority[0].Minimum != 30 || m.Authority[0].TTL != 3600 {
			t.Errorf("authority %+v", m.Authority)
		}
	}
}

// Every prefix of a message is malformed, and none of them panics.
func TestParsePrefixes(t *testing.T) {
	b := reply(t, true, "www.test. 300 IN CNAME web.test.", "web.test. 60 IN A 192.0.2.1", "test. 1 IN SOA ns.test. h.test. 1 2 3 4 5")
	for n := range b {
		if _, err := parse(b[:n]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d of %d bytes: %v", n, len(b), err)
		}
	}
	if _, err := parse(append(b, "behind the last record"...)); err != nil {
		t.Error(err)
	}
}

// The response code of BADVERS lies half in the OPT record.
func TestExtendedRCode(t *testing.T) {
	b := reply(t, false)
	b[len(b)-6] = 1 // upper bits in the first byte of the OPT's TTL
	m, err := parse(b)
	if err != nil || m.RCode != BadVers || m.RCode.String() != "BADVERS" || m.Head.RCode != NoError {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestMalformed(t *testing.T) {
	question := append([]byte("\x03www\x04test\x00"), 0, 1, 0, 1)
	message := func(counts [3]uint16, records ...[]byte) []byte {
		b := []byte{0x12, 0x34, 0x80, 0x80, 0, 1}
		for _, n := range counts {
			b = binary.BigEndian.AppendUint16(b, n)
		}
		return append(append(b, question...), bytes.Join(records, nil)...)
	}
	record := func(owner string, typ byte, data string) []byte {
		b := append([]byte(owner), 0, typ, 0, 1, 0, 0, 0, 60, byte(len(data)>>8), byte(len(data)))
		return append(b, data...)
	}
	one := [3]uint16{1, 0, 0}
	const self = "\xC0\x1A" // the offset of the first record
	deep := func() []byte { // a chain of pointers, each to the one before
		// The first label stands in the data of a record, and a pointer to it
		// in that of each of the next ones.
		b := message([3]uint16{200, 0, 0}, record("\xC0\x0C", 99, "\x01a\x00"))
		target := len(b) - 3
		for range 199 {
			pointer := []byte{0xC0 | byte(target>>8), byte(target)}
			b = append(b, record("\xC0\x0C", 99, string(pointer))...)
			target = len(b) - 2
		}
		binary.BigEndian.PutUint16(b[6:], 201)
		pointer := []byte{0xC0 | byte(target>>8), byte(target)}
		return append(b, record(string(pointer), 1, "\x01\x02\x03\x04")...)
	}
	for name, b := range map[string][]byte{
		"pointer to itself":        message(one, record(self, 1, "1234")),
		"pointer forwards":         message(one, record("\xC0\x30", 1, "1234"), []byte("\x00")),
		"pointer past the end":     message(one, record("\xFF\xFF", 1, "1234")),
		"pointer into the header":  message(one, record("\xC0\x05", 1, "1234")),
		"two pointers in a circle": message([3]uint16{2, 0, 0}, record("\xC0\x28", 1, "1234"), record("\xC0\x1A", 1, "1234")),
		"label and pointer back":   message(one, record("\x01a\xC0\x1A", 1, "1234")),
		"half a pointer":           append(message(one), 0xC0),
		"200 pointers":             deep(),
		"label 0x40":               message(one, record("\x40", 1, "1234")),
		"label 0x80":               message(one, record("\x80", 1, "1234")),
		"name of 256 bytes":        message(one, record(strings.Repeat("\x3F"+strings.Repeat("a", 63), 4)+"\x00", 1, "1234")),
		"no end of name":           append(message(one), "\x03www"...),
		"A of 3 bytes":             message(one, record("\x00", 1, "123")),
		"A of 5 bytes":             message(one, record("\x00", 1, "12345")),
		"A of 0 bytes":             message(one, record("\x00", 1, "")),
		"AAAA of 4 bytes":          message(one, record("\x00", 28, "1234")),
		"CNAME of 0 bytes":         message(one, record("\x00", 5, "")),
		"PTR with a tail":          message(one, record("\x00", 12, "\x00x")),
		"CNAME with a tail":        message(one, record("\x00", 5, "\x00x")),
		"CNAME over its end":       message([3]uint16{2, 0, 0}, record("\x00", 5, "\x03a"), record("\x00", 1, "1234")),
		"SOA without numbers":      message(one, record("\x00", 6, "\x00\x00")),
		"SOA with a tail":          message(one, record("\x00", 6, "\x00\x00"+strings.Repeat("1", 21))),
		"data over the end":        message(one, record("\x00", 99, "1234"))[:12+len(question)+13],
		"record missing":           message([3]uint16{2, 0, 0}, record("\x00", 1, "1234")),
		"counts of 65535":          message([3]uint16{65535, 65535, 65535}, record("\x00", 1, "1234")),
		"too many records":         message([3]uint16{MaxRecords + 1, 0, 0}, bytes.Repeat(record("\x00", 99, ""), MaxRecords+1)),
		"two OPT":                  message([3]uint16{0, 0, 2}, record("\x00", 41, ""), record("\x00", 41, "")),
		"OPT with an owner":        message([3]uint16{0, 0, 1}, record("\x01a\x00", 41, "")),
	} {
		if m, err := parse(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	// The same builders make good messages, too.
	for name, b := range map[string][]byte{
		"owner by pointer":   message(one, record("\xC0\x0C", 1, "1234")),
		"owner by two":       message([3]uint16{2, 0, 0}, record("\x01x\xC0\x0C", 1, "1234"), record("\x01y\xC0\x1A", 1, "1234")),
		"most records":       message([3]uint16{MaxRecords, 0, 0}, bytes.Repeat(record("\x00", 99, ""), MaxRecords)),
		"odd bytes":          message(one, record("\x04a.\x00\xFF\x00", 1, "1234")),
		"A of another class": message(one, bytes.Replace(record("\x00", 1, "123"), []byte{0, 1, 0, 1}, []byte{0, 1, 0, 3}, 1)),
	} {
		if _, err := parse(b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	m, err := parse(message(one, record("\x04a.\x00\xFF\x00", 1, "1234")))
	if err != nil || m.Answer[0].Name != `a\.\000\255.` {
		t.Errorf("odd bytes: %+v, %v", m, err)
	}
}

func TestPack(t *testing.T) {
	b, err := Query{ID: 0xABCD, Name: "www.test", Type: TypeAAAA, UDPSize: 1232}.Pack()
	want := "\xAB\xCD\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x03www\x04test\x00\x00\x1C\x00\x01" +
		"\x00\x00\x29\x04\xD0\x00\x00\x00\x00\x00\x00"
	if err != nil || string(b) != want {
		t.Errorf("% x, %v\nwant % x", b, err, want)
	}
	b, err = Query{Name: `a\.\000.test.`, Type: TypeA, AD: true}.Pack()
	want = "\x00\x00\x01\x20\x00\x01\x00\x00\x00\x00\x00\x00\x03a.\x00\x04test\x00\x00\x01\x00\x01"
	if err != nil || string(b) != want {
		t.Errorf("% x, %v\nwant % x", b, err, want)
	}
	for _, name := range []string{strings.Repeat("a", 64), strings.Repeat("abc.", 64), "a..b"} {
		if b, err := (Query{Name: name, Type: TypeA}).Pack(); err == nil {
			t.Errorf("%q packed as % x", name, b)
		}
	}
}

func TestNames(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"a.test.", "A.TEST.", true}, {".", ".", true}, {"a.", "b.", false}, {"a.", "aa.", false},
		{"@.", "`.", false}, {"[.", "{.", false}, // 0x20 apart, and no letters
	} {
		if EqualNames(test.a, test.b) != test.want {
			t.Errorf("EqualNames(%q, %q) != %v", test.a, test.b, test.want)
		}
	}
	for _, test := range []struct {
		name, domain string
		want         bool
	}{
		{"a.test.", "test.", true}, {"a.test.", "a.test.", true}, {"a.test.", ".", true}, {".", ".", true},
		{"a.test.", "TEST.", true}, {"atest.", "test.", false}, {"test.", "a.test.", false}, {".", "test.", false},
		{`a\.test.`, "test.", false}, {`a\\.test.`, "test.", true},
	} {
		if InDomain(test.name, test.domain) != test.want {
			t.Errorf("InDomain(%q, %q) != %v", test.name, test.domain, test.want)
		}
	}
}

// Whatever the bytes, parsing ends without a panic and within its bounds, and
// what was read can be asked for.
func FuzzParse(f *testing.F) {
	f.Add(reply(f, true, "www.test. 300 IN CNAME web.test.", "web.test. 60 IN A 192.0.2.1", "test. 1 IN SOA ns.test. h.test. 1 2 3 4 5"))
	f.Add(reply(f, false, "www.test. 60 IN AAAA 2001:db8::1", "www.test. 60 IN MX 1 mail.test.", "www.test. 60 IN TXT a"))
	f.Add([]byte("\x12\x34\x80\x80\x00\x01\x00\x01\x00\x00\x00\x00\x03www\x04test\x00\x00\x01\x00\x01\xC0\x1A\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if len(m.Answer)+len(m.Authority) > MaxRecords {
			t.Fatal("too many records")
		}
		for _, rr := range append(m.Answer, m.Authority...) {
			for _, name := range []string{rr.Name, rr.Target} {
				if name == "" {
					continue
				}
				if _, err := (Query{Name: name, Type: TypeA}).Pack(); err != nil {
					t.Fatalf("name %q cannot be packed: %v", name, err)
				}
			}
			if rr.Class == ClassIN && (rr.Type == TypeA && !rr.Addr.Is4() || rr.Type == TypeAAAA && !rr.Addr.Is6()) {
				t.Fatalf("record %+v", rr)
			}
		}
		// The library agrees that the message can be read.
		if err := new(dns.Msg).Unpack(b); err != nil && len(m.Answer) > 0 && allPlain(m) {
			t.Fatalf("the library says %v", err)
		}
	})
}

// allPlain reports whether all records are of types that are read here, so that
// the library has nothing else to complain about.
func allPlain(m *Message) bool {
	for _, rr := range append(m.Answer, m.Authority...) {
		if rr.Class != ClassIN || !slices.Contains([]Type{TypeA, TypeAAAA, TypeCNAME, TypePTR}, rr.Type) {
			return false
		}
	}
	return m.counts[2] == 0 && len(m.Answer) == m.counts[0]
}

func BenchmarkParse(b *testing.B) {
	raw := reply(b, true, "www.test. 300 IN CNAME web.test.", "web.test. 60 IN A 192.0.2.1", "web.test. 60 IN A 192.0.2.2")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}
