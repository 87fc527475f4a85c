package testnet

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Zone maps domain names to what a DNSServer knows of them. Case and a final dot do not matter. A name that is absent
// does not exist (NXDOMAIN); a name with no record of the type asked for gives an empty answer (NODATA).
type Zone map[string]Records

// Records are the resource records of one name. The zero value is a name that exists and has none.
type Records struct {
	Addrs []netip.Addr  // A and AAAA
	CNAME string        // the name that this one stands for; the answer goes on there, as far as the zone knows it
	TXT   []string      // one record each, of at most 255 bytes
	TTL   time.Duration // of every record, rounded to seconds; zero is defaultTTL
	RCode int           // answers every question with this code instead: 2 is SERVFAIL, 5 REFUSED (RFC 1035 section 4.1.1)
}

const (
	defaultTTL   = time.Minute
	maxCNAMEs    = 16   // a chain of more is cut: a loop
	plainUDPSize = 512  // bytes of a UDP answer without EDNS: RFC 1035 section 2.3.4
	serverUDP    = 1232 // bytes of a UDP answer that this server offers: what fits into an IPv6 packet of 1280
)

// canonical returns the form of a name that a Zone is looked up by.
func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) + "." }

// checked copies the zone under canonical names, and refuses what could not be sent.
func (z Zone) checked() (Zone, error) {
	out := Zone{}
	for name, r := range z {
		if _, err := dnsmessage.NewName(canonical(name)); err != nil {
			return nil, fmt.Errorf("testnet: zone: %q: %w", name, err)
		}
		for _, txt := range r.TXT {
			if len(txt) > 255 {
				return nil, fmt.Errorf("testnet: zone: %q: a TXT string of %d bytes, more than 255", name, len(txt))
			}
		}
		if r.CNAME != "" {
			if _, err := dnsmessage.NewName(canonical(r.CNAME)); err != nil {
				return nil, fmt.Errorf("testnet: zone: CNAME %q of %q: %w", r.CNAME, name, err)
			}
		}
		if r.TTL == 0 {
			r.TTL = defaultTTL
		}
		out[canonical(name)] = r
	}
	return out, nil
}

var errNotQuery = errors.New("not a query")

// answer returns the reply to a query, and the question. A reply longer than the client takes over UDP is emptied and
// marked truncated, so that the client asks again over TCP; what is no query gets no reply.
func (z Zone) answer(query []byte, udp bool) ([]byte, dnsmessage.Question, error) {
	var q dnsmessage.Message
	if err := q.Unpack(query); err != nil {
		return nil, dnsmessage.Question{}, err
	}
	if q.Response || len(q.Questions) != 1 {
		return nil, dnsmessage.Question{}, errNotQuery
	}
	question := q.Questions[0]
	r := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: q.ID, Response: true, OpCode: q.OpCode, Authoritative: true,
			RecursionDesired: q.RecursionDesired, RecursionAvailable: true,
		},
		Questions: q.Questions,
	}
	limit := plainUDPSize
	for _, a := range q.Additionals {
		if a.Header.Type == dnsmessage.TypeOPT { // EDNS (RFC 6891): the class is the client's size
			limit = min(max(plainUDPSize, int(a.Header.Class)), serverUDP)
			var h dnsmessage.ResourceHeader
			if err := h.SetEDNS0(serverUDP, dnsmessage.RCodeSuccess, false); err != nil {
				return nil, question, err
			}
			r.Additionals = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{}}}
		}
	}
	if q.OpCode != 0 {
		r.RCode = dnsmessage.RCodeNotImplemented
	} else {
		r.RCode, r.Answers = z.lookup(question)
	}
	if len(r.Answers) == 0 {
		r.Authorities = []dnsmessage.Resource{startOfAuthority()}
	}
	packed, err := r.Pack()
	if udp && len(packed) > limit {
		r.Truncated, r.Answers = true, nil
		packed, err = r.Pack()
	}
	return packed, question, err
}

// lookup follows CNAMEs from the question's name to records of its type.
func (z Zone) lookup(q dnsmessage.Question) (dnsmessage.RCode, []dnsmessage.Resource) {
	var answers []dnsmessage.Resource
	name := q.Name
	for range maxCNAMEs {
		r, ok := z[canonical(name.String())]
		if !ok && len(answers) == 0 {
			return dnsmessage.RCodeNameError, nil
		}
		if r.RCode != 0 {
			return dnsmessage.RCode(r.RCode), nil
		}
		if r.CNAME == "" || q.Type == dnsmessage.TypeCNAME {
			return dnsmessage.RCodeSuccess, append(answers, r.ofType(q.Type, name)...)
		}
		target := dnsmessage.MustNewName(canonical(r.CNAME)) // checked
		answers = append(answers, resource(name, r.TTL, &dnsmessage.CNAMEResource{CNAME: target}))
		name = target
	}
	return dnsmessage.RCodeServerFailure, nil
}

// ofType returns the records of one type, owned by name.
func (r Records) ofType(typ dnsmessage.Type, name dnsmessage.Name) (out []dnsmessage.Resource) {
	add := func(body dnsmessage.ResourceBody) { out = append(out, resource(name, r.TTL, body)) }
	for _, a := range r.Addrs {
		switch {
		case typ == dnsmessage.TypeA && a.Is4():
			add(&dnsmessage.AResource{A: a.As4()})
		case typ == dnsmessage.TypeAAAA && a.Is6():
			add(&dnsmessage.AAAAResource{AAAA: a.As16()})
		}
	}
	if typ == dnsmessage.TypeTXT {
		for _, txt := range r.TXT {
			add(&dnsmessage.TXTResource{TXT: []string{txt}})
		}
	}
	if typ == dnsmessage.TypeCNAME && r.CNAME != "" {
		add(&dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(canonical(r.CNAME))})
	}
	return out
}

func resource(name dnsmessage.Name, ttl time.Duration, body dnsmessage.ResourceBody) dnsmessage.Resource {
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{
			Name: name, Class: dnsmessage.ClassINET, TTL: uint32(ttl.Round(time.Second) / time.Second),
		},
		Body: body,
	}
}

// startOfAuthority goes with every empty answer: its least field is how long a resolver may remember that there is
// nothing (RFC 2308 section 5).
func startOfAuthority() dnsmessage.Resource {
	root := dnsmessage.MustNewName(".")
	return resource(root, defaultTTL, &dnsmessage.SOAResource{
		NS: root, MBox: root, Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, MinTTL: uint32(defaultTTL / time.Second),
	})
}
