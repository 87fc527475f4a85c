// Package wire is the resolver's codec: it turns a question into the bytes of a
// DNS query and the bytes of a reply into records (RFC 1035 section 4, RFC 6891).
//
// It stands between the resolver and github.com/miekg/dns, and is the only
// importer of that library, so that the codec can be replaced in one place. It
// is stricter than the library where a hostile server could gain from laxity:
//
//   - a reply must hold exactly as many records as its header counts say, and
//     at most MaxRecords of them;
//   - compression pointers go strictly backwards and never into the header,
//     which rules out loops by construction;
//   - the data of an A record is 4 bytes and that of an AAAA record 16, and a
//     name inside a record ends where the record ends;
//   - there is at most one OPT record, in whatever section it is found.
//
// Names are absolute, in presentation format with a final dot; bytes that are
// not printable are escaped (\DDD), so equal names are equal strings but for
// the case of ASCII letters (see EqualNames).
package wire

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"

	"github.com/miekg/dns"
)

const (
	// MaxRecords bounds the records of one reply over all sections. A message
	// of 65,535 bytes has room for 5,957 empty ones.
	MaxRecords = 4096
	// MaxMessage is the longest DNS message in bytes (RFC 1035 section 4.2.2:
	// a 16-bit length).
	MaxMessage = 65535

	HeaderLen = 12 // bytes, RFC 1035 section 4.1.1
	// maxName is the longest name on the wire in bytes (RFC 1035 section 3.1).
	maxName = 255
	// questionTail is the type and class behind the name of a question.
	questionTail = 4
	// minRecord is the shortest record in bytes: a one-byte owner, type, class,
	// TTL and data length (RFC 1035 section 4.1.3).
	minRecord = 11
)

// Type is a record type (RFC 1035 section 3.2.2 and the IANA registry).
type Type uint16

// Record types that the resolver asks for or reads.
const (
	TypeA     = Type(dns.TypeA)
	TypeNS    = Type(dns.TypeNS)
	TypeCNAME = Type(dns.TypeCNAME)
	TypeSOA   = Type(dns.TypeSOA)
	TypePTR   = Type(dns.TypePTR)
	TypeAAAA  = Type(dns.TypeAAAA)
	TypeOPT   = Type(dns.TypeOPT)
)

// String returns the mnemonic of t, or TYPEn (RFC 3597).
func (t Type) String() string { return dns.Type(t).String() }

// RCode is a response code, with the upper bits of the OPT record included.
type RCode uint16

// Response codes that the resolver acts on (RFC 1035 section 4.1.1, RFC 6891
// section 9).
const (
	NoError   = RCode(dns.RcodeSuccess)
	FormErr   = RCode(dns.RcodeFormatError)
	ServFail  = RCode(dns.RcodeServerFailure)
	NXDomain  = RCode(dns.RcodeNameError)
	NotImp    = RCode(dns.RcodeNotImplemented)
	Refused   = RCode(dns.RcodeRefused)
	BadVers   = RCode(dns.RcodeBadVers)
	BadCookie = RCode(dns.RcodeBadCookie)
)

// String returns the mnemonic of c, or RCODEn.
func (c RCode) String() string {
	if c == BadVers {
		return "BADVERS" // the library says BADSIG, which shares the number
	}
	if s, ok := dns.RcodeToString[int(c)]; ok {
		return s
	}
	return fmt.Sprintf("RCODE%d", uint16(c))
}

// ClassIN is the Internet class, the only one the resolver uses.
const ClassIN = uint16(dns.ClassINET)

// Question is what a query asks: a name, a type and a class.
type Question struct {
	Name  string
	Type  Type
	Class uint16
}

// Query is a query to be packed.
type Query struct {
	ID   uint16
	Name string // absolute or not; always sent as absolute
	Type Type
	AD   bool // ask for the AD bit in the reply (RFC 6840 section 5.7)
	// UDPSize is the payload size to advertise in an OPT record, in bytes.
	// Zero sends no OPT record.
	UDPSize uint16
	// Pad makes the length of a query with an OPT record a multiple of this (RFC
	// 7830), in bytes. Zero: no padding.
	Pad int
	// Cookie is sent in the OPT record (RFC 7873). Empty: none.
	Cookie []byte
	// Exact says that the reply must repeat Name in its case. Pack ignores it.
	Exact bool
}

// Pack returns the bytes of q. It fails for a name that does not fit the wire:
// over 255 bytes, or with an empty label or one over 63 bytes.
func (q Query) Pack() ([]byte, error) {
	m := dns.Msg{
		MsgHdr: dns.MsgHdr{Id: q.ID, RecursionDesired: true, AuthenticatedData: q.AD},
		Question: []dns.Question{{
			Name: dns.Fqdn(q.Name), Qtype: uint16(q.Type), Qclass: dns.ClassINET,
		}},
	}
	if q.UDPSize != 0 {
		opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
		opt.SetUDPSize(q.UDPSize)
		if len(q.Cookie) > 0 {
			opt.Option = append(opt.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: hex.EncodeToString(q.Cookie)})
		}
		m.Extra = []dns.RR{opt}
	}
	b, err := m.Pack()
	if err != nil {
		return nil, fmt.Errorf("DNS query for %s: %w", q.Name, err)
	}
	if err := q.checkLength(len(b)); err != nil {
		return nil, err
	}
	if q.Pad > 0 && q.UDPSize != 0 {
		return pad(&m, len(b), q.Pad)
	}
	return b, nil
}

// pad packs m with padding, without which it has size bytes.
func pad(m *dns.Msg, size, block int) ([]byte, error) {
	short := (block - (size+optionHeader)%block) % block
	opt := m.IsEdns0()
	opt.Option = append(opt.Option, &dns.EDNS0_PADDING{Padding: make([]byte, short)})
	return m.Pack()
}

const optionHeader = 4 // bytes of an EDNS option's code and length (RFC 6891 section 6.1.2)

// checkLength fails for a name that is too long, given the length of the packed
// query without padding.
func (q Query) checkLength(length int) error {
	// The library does not check the length of the whole name.
	length -= HeaderLen + questionTail
	if q.UDPSize != 0 {
		length -= minRecord
	}
	if len(q.Cookie) > 0 {
		length -= optionHeader + len(q.Cookie)
	}
	if length > maxName {
		return fmt.Errorf("DNS query for %s: name of %d bytes", q.Name, length)
	}
	return nil
}

// Head is the header of a message and its first question.
type Head struct {
	ID                 uint16
	Response           bool // QR
	Opcode             int
	Authoritative      bool  // AA
	Truncated          bool  // TC
	RecursionAvailable bool  // RA
	AuthenticData      bool  // AD
	RCode              RCode // the four bits of the header
	Questions          int   // QDCOUNT
	Question           Question

	counts  [3]int // ANCOUNT, NSCOUNT, ARCOUNT
	records int    // offset of the first record
}

// Record is one resource record. Only the fields of its type are set; the data
// of a type the resolver does not read is skipped unless it is what the message's
// question asks for.
type Record struct {
	Name   string
	Type   Type
	Class  uint16
	TTL    uint32     // seconds, as sent
	Addr   netip.Addr // A, AAAA
	Target string     // CNAME, PTR
	// Minimum is the last field of an SOA record, in seconds (RFC 2308).
	Minimum uint32
	options []byte // OPT: the data
	Data    *Data  // other types, in the answer to a question about them
}

// Message is a parsed message.
type Message struct {
	Head
	Answer    []Record
	Authority []Record
	// RCode includes the upper bits of the OPT record; Head.RCode does not.
	RCode  RCode
	Cookie []byte // of the OPT record, nil without one
	EDNS   bool   // an OPT record was present
}

// Errors of ParseHead and Head.Parse. All of them wrap ErrMalformed.
var (
	ErrMalformed  = errors.New("malformed DNS message")
	errShort      = fmt.Errorf("%w: shorter than it says", ErrMalformed)
	errTooMany    = fmt.Errorf("%w: too many records", ErrMalformed)
	errPointer    = fmt.Errorf("%w: compression pointer not backwards", ErrMalformed)
	errLabel      = fmt.Errorf("%w: reserved label type", ErrMalformed)
	errDataLength = fmt.Errorf("%w: wrong data length", ErrMalformed)
	errTwoOPT     = fmt.Errorf("%w: two OPT records", ErrMalformed)
	errOPTOwner   = fmt.Errorf("%w: OPT record not at the root", ErrMalformed)
)
