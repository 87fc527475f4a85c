package testnet

import (
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// FuzzAnswer: whatever comes, the server does not fall, and what it says is an answer to the question, of a size that
// the client can take.
func FuzzAnswer(f *testing.F) {
	zone, err := Zone{
		"a.test":     {Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}},
		"alias.test": {CNAME: "a.test"},
		"loop.test":  {CNAME: "loop.test"},
		"txt.test":   {TXT: []string{"text", ""}},
	}.checked()
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"a.test.", "ALIAS.test.", "loop.test.", "txt.test.", "none.test."} {
		for _, typ := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeTXT, dnsmessage.TypeALL} {
			query := dnsmessage.Message{
				Header:    dnsmessage.Header{ID: 1, RecursionDesired: true},
				Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: typ, Class: dnsmessage.ClassINET}},
			}
			packed, err := query.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(packed, true)
		}
	}
	f.Fuzz(func(t *testing.T, query []byte, udp bool) {
		answer, question, err := zone.answer(query, udp)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(answer); err != nil {
			t.Fatalf("the answer does not parse: %v", err)
		}
		if !m.Response || len(m.Questions) != 1 || m.Questions[0] != question || m.ID != uint16(query[0])<<8|uint16(query[1]) {
			t.Errorf("not an answer to %v: %v", question.GoString(), m.GoString())
		}
		if udp && len(answer) > serverUDP {
			t.Errorf("an answer of %d bytes over UDP", len(answer))
		}
	})
}
