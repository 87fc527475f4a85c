package dnsforward

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/userstack/userstack/dnsresolver"
)

// A carrier is what a query came over.
type carrier int

const (
	overUDP carrier = iota
	overTCP
)

// Sizes of messages over UDP, in bytes.
const (
	plainSize = 512  // without EDNS (RFC 1035 section 4.2.1)
	mostSize  = 1232 // fits every path of IPv6; see the DNS flag day 2020
)

// answer returns the reply to a query, nil where there is none to be made.
func (s *Server) answer(query []byte, over carrier) []byte {
	const headerLen, response = 12, 0x80
	if len(query) < headerLen || query[2]&response != 0 {
		return nil // a reply to this could go on for ever
	}
	var req dns.Msg
	m := new(dns.Msg)
	if err := req.Unpack(query); err != nil {
		m.Id = uint16(query[0])<<8 | uint16(query[1])
		m.Response, m.Opcode, m.Rcode = true, int(query[2]>>3&0xf), dns.RcodeFormatError
		return pack(m, plainSize)
	}
	m.SetReply(&req) // which repeats the ID, RD, CD and the question
	m.RecursionAvailable = true
	size := plainSize
	opts := edns(&req)
	if len(opts) > 0 {
		size = min(max(plainSize, int(opts[0].UDPSize())), mostSize)
		m.SetEdns0(mostSize, false)
	}
	if over == overTCP {
		size = dns.MaxMsgSize
	}
	if m.Rcode = refusal(&req, opts); m.Rcode == dns.RcodeSuccess && !s.fill(m, &req, opts) {
		return nil
	}
	return pack(m, size)
}

// pack makes the bytes of a message, with the TC bit if it has to leave out some.
func pack(m *dns.Msg, size int) []byte {
	m.Compress = true
	m.Truncate(size)
	b, err := m.Pack()
	if err != nil {
		m.Answer, m.Rcode = nil, dns.RcodeServerFailure
		if b, err = m.Pack(); err != nil {
			return nil
		}
	}
	return b
}

// edns returns the OPT records of a message, of which there may be one.
func edns(m *dns.Msg) (opts []*dns.OPT) {
	for _, rr := range m.Extra {
		if opt, ok := rr.(*dns.OPT); ok {
			opts = append(opts, opt)
		}
	}
	return opts
}

// refusal says why a query is not answered, or RcodeSuccess.
func refusal(req *dns.Msg, opts []*dns.OPT) int {
	switch {
	case req.Opcode != dns.OpcodeQuery:
		return dns.RcodeNotImplemented
	case len(req.Question) != 1 || len(opts) > 1:
		return dns.RcodeFormatError
	case len(opts) == 1 && opts[0].Version() != 0:
		return dns.RcodeBadVers
	case req.Question[0].Qclass != dns.ClassINET:
		return dns.RcodeRefused
	}
	const firstMeta, lastMeta = 128, 255 // RFC 6895 section 3.1
	switch t := req.Question[0].Qtype; {
	case t == dns.TypeAXFR || t == dns.TypeIXFR:
		return dns.RcodeRefused
	case t == dns.TypeANY:
		return dns.RcodeSuccess
	case t == dns.TypeNone || t == dns.TypeOPT || firstMeta <= t && t <= lastMeta:
		return dns.RcodeNotImplemented
	}
	return dns.RcodeSuccess
}

// fill asks the Resolver. It returns false when the server closes.
func (s *Server) fill(m, req *dns.Msg, opts []*dns.OPT) bool {
	q := req.Question[0]
	if q.Qtype == dns.TypeANY { // RFC 8482 section 4.2
		m.Answer = []dns.RR{&dns.HINFO{Hdr: header(q.Name, dns.TypeHINFO, time.Hour), Cpu: "RFC8482"}}
		return true
	}
	reply, err := s.resolver.Question(s.ctx, q.Name, dnsresolver.RecordType(q.Qtype))
	if s.ctx.Err() != nil {
		return false
	}
	if err == nil {
		m.Answer, err = records(q.Name, reply.Records)
	}
	if err != nil {
		m.Rcode = dns.RcodeServerFailure
		return true
	}
	// A client that knows nothing of AD does not get it (RFC 6840 section 5.8).
	knows := req.AuthenticatedData || len(opts) > 0 && opts[0].Do()
	m.AuthenticatedData = knows && reply.Authenticated
	if reply.NXDomain {
		m.Rcode = dns.RcodeNameError
	}
	return true
}

func header(owner string, t uint16, ttl time.Duration) dns.RR_Header {
	return dns.RR_Header{Name: owner, Rrtype: t, Class: dns.ClassINET, Ttl: uint32(ttl / time.Second)}
}

var errRecord = errors.New("a record cannot be passed on")

// records puts records on the wire's terms. The first owner is the name as the client
// wrote it.
func records(asked string, list []dnsresolver.Record) ([]dns.RR, error) {
	out := make([]dns.RR, 0, len(list))
	for i, rec := range list {
		owner := rec.Name
		if i == 0 || strings.EqualFold(owner, asked) {
			owner = asked
		}
		h := header(owner, uint16(rec.Type), rec.TTL)
		switch rec.Type {
		case dnsresolver.TypeA:
			out = append(out, &dns.A{Hdr: h, A: rec.Addr.AsSlice()})
		case dnsresolver.TypeAAAA:
			out = append(out, &dns.AAAA{Hdr: h, AAAA: rec.Addr.AsSlice()})
		case dnsresolver.TypeCNAME:
			out = append(out, &dns.CNAME{Hdr: h, Target: rec.Text})
		case dnsresolver.TypePTR:
			out = append(out, &dns.PTR{Hdr: h, Ptr: rec.Text})
		default:
			rr, err := dns.NewRR(fmt.Sprintf(". 0 IN %s %s", typeName(uint16(rec.Type)), rec.Text))
			if err != nil || rr == nil {
				return nil, fmt.Errorf("%w: %v: %v", errRecord, rec.Type, err)
			}
			h.Rdlength = rr.Header().Rdlength
			*rr.Header() = h
			out = append(out, rr)
		}
	}
	return out, nil
}

// typeName is how NewRR reads a type: those without a mnemonic by number.
func typeName(t uint16) string {
	if name, ok := dns.TypeToString[t]; ok {
		return name
	}
	return fmt.Sprintf("TYPE%d", t)
}
