package dnsforward

import (
	"net"
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/userstack/userstack/dnsresolver"
)

// FuzzAnswer: whatever comes, the reply, if there is one, is for it and fits; another
// codec than ours can read its beginning.
func FuzzAnswer(f *testing.F) {
	add := func(change func(*dns.Msg)) {
		m := question("www.hosts.test.", dns.TypeA)
		change(m)
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, true)
		f.Add(b, false)
	}
	add(func(*dns.Msg) {})
	add(func(m *dns.Msg) { m.SetEdns0(4096, true) })
	add(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypePTR; m.Question[0].Name = "1.0.0.10.in-addr.arpa." })
	add(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeANY })
	add(func(m *dns.Msg) { m.Question[0].Name = `a\.dotted.label.test.` })
	add(func(m *dns.Msg) { m.SetUpdate("hosts.test.") })
	r, err := dnsresolver.New(dnsresolver.Config{Transport: &net.Dialer{}, Servers: []dnsresolver.Server{}, HostsText: "10.0.0.1 www.hosts.test\n"})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { r.Close() })
	s, err := New(Config{Resolver: r})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	f.Fuzz(func(t *testing.T, query []byte, tcp bool) {
		over, most := overUDP, mostSize
		if tcp {
			over, most = overTCP, dns.MaxMsgSize
		}
		reply := s.answer(query, over)
		if reply == nil {
			return
		}
		if len(reply) > most || len(reply) < 12 || reply[0] != query[0] || reply[1] != query[1] {
			t.Fatalf("% x\nis answered with\n% x", query, reply)
		}
		var p dnsmessage.Parser
		h, err := p.Start(reply)
		if err != nil || !h.Response {
			t.Errorf("%v, %v", h, err)
		}
		// dnsmessage reads no name with a dot in a label.
		if err := new(dns.Msg).Unpack(reply); err != nil {
			t.Errorf("the reply: %v", err)
		}
	})
}
