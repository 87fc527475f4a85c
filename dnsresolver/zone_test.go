package dnsresolver

import (
	"fmt"
	"strings"
)

// zoneData are the names that zone answers for as a well-behaved server does.
var zoneData = map[string][]rr{
	"a4.test":                    {a("", "192.0.2.1")},
	"a6.test":                    {a("", "2001:db8::6")},
	"dual.test":                  {a("", "192.0.2.1"), a("", "192.0.2.2"), a("", "2001:db8::6"), a("", "2001:db8::7")},
	"cn.test":                    {cname("", "cn2.test")},
	"cn2.test":                   {cname("", "dual.test")},
	"loop.test":                  {cname("", "loop2.test")},
	"loop2.test":                 {cname("", "loop.test")},
	"cnonly.test":                {cname("", "nx.test")},
	"under_score.test":           {a("", "192.0.2.9")},
	"host.sub.test":              {a("", "192.0.2.50")},
	"host.s2.test":               {a("", "192.0.2.51")},
	"xn--bcher-kva.test":         {a("", "192.0.2.70")},
	"one.test":                   {a("", "192.0.2.1")},
	"1.2.0.192.in-addr.arpa":     {ptr("", "one.test"), ptr("", "uno.test")},
	"2.2.0.192.in-addr.arpa":     {ptr("", "dual.test")},
	"3.2.0.192.in-addr.arpa":     {cname("", "3.sub.2.0.192.in-addr.arpa")},
	"3.sub.2.0.192.in-addr.arpa": {ptr("", "three.test")},
	"4.2.0.192.in-addr.arpa":     {ptr("", "bad host.test")},
	"5.2.0.192.in-addr.arpa":     {ptr("", "x;rm.test")},
	"txtonly.test":               {{typ: typeTXT, data: []byte("\x01a")}},
	"nodata.s1.test":             {{typ: typeTXT, data: []byte("\x01a")}},
	"nodata.s2.test":             {a("", "192.0.2.60")},
}

// oddities are names whose first label says how the server misbehaves.
var oddities = map[string]handler{
	"drop":    func(query, sender) {},
	"drop6":   only6(nil, "192.0.2.10"),
	"drop4":   only4(nil, "2001:db8::10"),
	"sf":      rcode(rcodeServFail),
	"sf6":     only6(rcode(rcodeServFail), "192.0.2.10"),
	"sf4":     only4(rcode(rcodeServFail), "2001:db8::10"),
	"ref":     rcode(rcodeRefused),
	"ref6":    only6(rcode(rcodeRefused), "192.0.2.10"),
	"notimp":  rcode(rcodeNotImp),
	"ni6":     only6(rcode(rcodeNotImp), "192.0.2.10"),
	"nx6":     only6(rcode(rcodeNXDomain), "192.0.2.10"),
	"nx4":     only4(rcode(rcodeNXDomain), "2001:db8::10"),
	"formerr": rcode(rcodeFormErr),
	"wrongowner": func(q query, s sender) {
		s.reply(q, message{answer: []rr{byType(q, "evil.test", "192.0.2.66", "2001:db8::66")}})
	},
	"unchained": func(q query, s sender) {
		s.reply(q, message{answer: []rr{
			cname("other.test", "tgt.test"), byType(q, "tgt.test", "192.0.2.67", "2001:db8::67"),
		}})
	},
	"rev": func(q query, s sender) {
		s.reply(q, message{answer: []rr{
			byType(q, "tgt.test", "192.0.2.68", "2001:db8::68"), cname(q.name, "tgt.test"),
		}})
	},
	"lame":       func(q query, s sender) { s.reply(q, message{clear: bitRA}) },
	"authnodata": func(q query, s sender) { s.reply(q, message{flags: bitAA, clear: bitRA}) },
	"cnsoa": func(q query, s sender) {
		s.reply(q, message{answer: []rr{cname(q.name, "a4.test")}, authority: []rr{soa("test")}})
	},
	"cnlong": func(q query, s sender) {
		s.reply(q, message{answer: []rr{cname(q.name, "longttl.test")}})
	},
	"longttl": func(q query, s sender) {
		m := message{answer: []rr{byType(q, q.name, "192.0.2.1", "2001:db8::1")}}
		m.answer[0].ttl = 300
		s.reply(q, m)
	},
	"twottls": func(q query, s sender) {
		m := message{answer: []rr{byType(q, q.name, "192.0.2.1", "2001:db8::1")}}
		m.answer[0].ttl = uint32(q.typ) // 1 or 28
		s.reply(q, m)
	},
	"tcphang": func(q query, s sender) {
		if q.network == "udp" {
			s.reply(q, message{flags: bitTC})
		}
	},
	"big": func(q query, s sender) {
		if q.network == "udp" {
			s.reply(q, message{flags: bitTC})
			return
		}
		var m message
		for i := range 400 {
			if q.typ == typeA {
				m.answer = append(m.answer, a(q.name, fmt.Sprintf("10.0.%d.%d", i/250, i%250+1)))
			}
		}
		s.reply(q, m)
	},
	"case": func(q query, s sender) {
		flipped := []byte(strings.ToUpper(string(q.question)))
		m := message{question: append(flipped[:len(flipped)-4], q.question[len(q.question)-4:]...)}
		if q.typ == typeA {
			m.answer = []rr{a(strings.ToUpper(q.name), "192.0.2.90")}
		}
		s.reply(q, m)
	},
	"wrongq": func(q query, s sender) {
		question := append(wireName("wrong.test"), q.question[len(q.question)-4:]...)
		s.reply(q, message{question: question, answer: []rr{a(q.name, "192.0.2.91")}})
	},
}

// zone is a server with the data and the oddities above.
func zone(q query, s sender) {
	first, _, _ := strings.Cut(q.name, ".")
	if h := oddities[first]; h != nil {
		h(q, s)
		return
	}
	var m message
	for name := q.name; ; {
		records, ok := zoneData[name]
		if !ok {
			m.rcode, m.authority = rcodeNXDomain, []rr{soa("test")}
			break
		}
		target := ""
		for _, r := range records {
			r.name, r.ttl = name, 60
			if r.typ == q.typ || r.typ == typeCNAME {
				m.answer = append(m.answer, r)
			}
			if r.typ == typeCNAME {
				target = unwireName(r.data)
			}
		}
		if target == "" || len(m.answer) > 20 {
			break
		}
		name = target
	}
	if len(m.answer) == 0 {
		m.authority = []rr{soa("test")}
	}
	s.reply(q, m)
}

func unwireName(b []byte) string {
	var labels []string
	for b[0] != 0 {
		labels = append(labels, string(b[1:1+b[0]]))
		b = b[1+b[0]:]
	}
	return strings.Join(labels, ".")
}

// rcode replies with a code and nothing else.
func rcode(code int) handler {
	return func(q query, s sender) { s.reply(q, message{rcode: code}) }
}

// only6 misbehaves for AAAA and has an address for A; only4 the other way round.
func only6(odd handler, addr string) handler { return oddFor(typeAAAA, odd, addr) }
func only4(odd handler, addr string) handler { return oddFor(typeA, odd, addr) }

func oddFor(typ uint16, odd handler, addr string) handler {
	return func(q query, s sender) {
		switch {
		case q.typ != typ:
			s.reply(q, message{answer: []rr{a(q.name, addr)}})
		case odd != nil:
			odd(q, s)
		}
	}
}

// byType returns an address record of the type asked for.
func byType(q query, owner, v4, v6 string) rr {
	if q.typ == typeA {
		return a(owner, v4)
	}
	return a(owner, v6)
}
