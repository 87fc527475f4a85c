package sockets_test

import (
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/stack/sockets"
)

// dnsZone are the records of the tests' DNS server, by name.
var dnsZone = map[string][]dnsmessage.ResourceBody{
	"www.example.test.":    {dnsA("10.77.0.2"), dnsAAAA("fd77::2")},
	"alias.example.test.":  {dnsCNAME("middle.example.test.")},
	"middle.example.test.": {dnsCNAME("www.example.test.")},
	"only4.example.test.":  {dnsA("10.77.0.2")},
	"only6.example.test.":  {dnsAAAA("fd77::2")},
	"dead.example.test.":   {dnsA("10.77.0.1"), dnsA("10.77.0.2")},
	"www.python.org.":      {dnsA("151.101.0.223"), dnsAAAA("2a04:4e42::223")},

	"2.0.77.10.in-addr.arpa.": {dnsPTR("www.example.test."), dnsPTR("b.example.test.")},
	"2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.7.d.f.ip6.arpa.": {dnsPTR("six.example.test.")},
}

func dnsA(addr string) dnsmessage.ResourceBody {
	return &dnsmessage.AResource{A: netip.MustParseAddr(addr).As4()}
}

func dnsAAAA(addr string) dnsmessage.ResourceBody {
	return &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(addr).As16()}
}

func dnsCNAME(name string) dnsmessage.ResourceBody {
	return &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(name)}
}

func dnsPTR(name string) dnsmessage.ResourceBody {
	return &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName(name)}
}

// dnsReply answers from dnsZone. Names below servfail.test fail; below
// silent.test there is no reply.
func dnsReply(query []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	name := strings.ToLower(q.Name.String())
	m.Header.Response, m.Header.RecursionAvailable, m.Additionals = true, true, nil
	_, ok := dnsZone[name]
	switch {
	case strings.HasSuffix(name, ".silent.test."):
		return nil
	case strings.HasSuffix(name, ".servfail.test."):
		m.Header.RCode = dnsmessage.RCodeServerFailure
	case !ok:
		m.Header.RCode = dnsmessage.RCodeNameError
	}
	for owner := q.Name; owner.Length > 0; {
		next := dnsmessage.Name{}
		for _, body := range dnsZone[strings.ToLower(owner.String())] {
			h := dnsmessage.ResourceHeader{Name: owner, Class: dnsmessage.ClassINET, TTL: 60, Type: dnsType(body)}
			if cname, ok := body.(*dnsmessage.CNAMEResource); ok {
				next = cname.CNAME
			}
			if h.Type == q.Type || h.Type == dnsmessage.TypeCNAME {
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: body})
			}
		}
		owner = next
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

func dnsType(body dnsmessage.ResourceBody) dnsmessage.Type {
	switch body.(type) {
	case *dnsmessage.AResource:
		return dnsmessage.TypeA
	case *dnsmessage.AAAAResource:
		return dnsmessage.TypeAAAA
	case *dnsmessage.PTRResource:
		return dnsmessage.TypePTR
	}
	return dnsmessage.TypeCNAME
}

// dnsPair is a pair where b serves DNS and a resolves by it.
func dnsPair(t testing.TB) (a, b *sockets.Host) {
	t.Helper()
	a, b = pair(t)
	pc, err := b.ListenPacket("udp", addrB+":53")
	check(t, err)
	go func() { // ends with b
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := dnsReply(buf[:n]); reply != nil {
				pc.WriteTo(reply, from)
			}
		}
	}()
	r, err := dnsresolver.New(dnsresolver.Config{
		Transport: a, Routes: a.Stack(), Hostname: a.GetHostName,
		Servers: []dnsresolver.Server{{Addr: netip.MustParseAddrPort(addrB + ":53")}},
	})
	check(t, err)
	t.Cleanup(func() { r.Close() })
	a.SetResolver(r)
	return a, b
}
