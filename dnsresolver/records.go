package dnsresolver

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
	"github.com/userstack/userstack/dnsresolver/netdb"
)

// RecordType is a type of DNS record, by its number in IANA's registry.
type RecordType uint16

// Record types that LookupRecords has fields for. Any other can be asked for as
// well.
const (
	TypeA     RecordType = 1
	TypeNS    RecordType = 2
	TypeCNAME RecordType = 5
	TypeSOA   RecordType = 6
	TypePTR   RecordType = 12
	TypeMX    RecordType = 15
	TypeTXT   RecordType = 16
	TypeAAAA  RecordType = 28
	TypeSRV   RecordType = 33
	TypeSVCB  RecordType = 64
	TypeHTTPS RecordType = 65
	TypeCAA   RecordType = 257
)

// ParseRecordType reads a mnemonic such as "MX", in either case, or "TYPE65280"
// (RFC 3597 section 5).
func ParseRecordType(s string) (RecordType, error) {
	t, ok := wire.ParseType(s)
	if !ok {
		return 0, fmt.Errorf("record type %q: unknown", s)
	}
	return RecordType(t), nil
}

// String returns the mnemonic, or TYPEn.
func (t RecordType) String() string { return wire.Type(t).String() }

// Record is a resource record. Fields that its type does not have are zero. Names
// have no final dot, except the root, which is ".".
type Record struct {
	Name string
	Type RecordType
	TTL  time.Duration // that is left, in whole seconds
	Text string        // the data as in a zone file (RFC 1035 section 5.1)

	Addr     netip.Addr // A, AAAA
	Target   string     // CNAME, PTR, NS, MX, SRV, SVCB, HTTPS
	Priority uint16     // MX (the preference), SRV, SVCB, HTTPS: the lowest first
	Weight   uint16     // SRV (RFC 2782)
	Port     uint16     // SRV
	Strings  []string   // TXT
	Params   []Param    // SVCB, HTTPS (RFC 9460)
}

// Param is a parameter of a service binding, such as alpn="h2,h3".
type Param struct{ Key, Value string }

// Records is the result of LookupRecords.
type Records struct {
	// Name is where the records stand: the end of the chain of aliases that
	// begins with the name asked for.
	Name string
	// Aliases are the names that led to Name; see Answer.
	Aliases []string
	// List has at least one record.
	List []Record
	// TTL is how long the answer holds, at most a day.
	TTL time.Duration
	// Authenticated is the AD bit of every reply that was used, with the option
	// trust-ad; without it, false.
	Authenticated bool
}

// LookupRecords asks DNS for the records of one type at name, with the search list.
// The hosts file and the names with a fixed meaning do not matter to it. A name
// that a server puts into an MX, SRV, NS or PTR record is checked; records with one
// that is no host name are left out, and so are CNAME records with a target that may
// not be asked for. Text has what else is in a record with all that is not printable
// escaped. The name itself may have labels that begin
// with an underscore. The error is an *Error: EAI_NONAME when the name does not
// exist, EAI_NODATA when it has no such record.
func (r *Resolver) LookupRecords(ctx context.Context, name string, t RecordType) (Records, error) {
	l := &lookup{r: r, host: name, id: r.lookups.Add(1), start: time.Now()}
	var recs Records
	f := closedFailure
	ascii, ok := netdb.ToASCII(name)
	switch {
	case !ok || !isOwner(ascii):
		f = failure{code: EAI_NONAME}
	case ctx.Err() != nil:
		f = contextFailure(ctx)
	default:
		l.name = ascii
		l.within(ctx, func(ctx context.Context) { recs, f = l.records(ctx, wire.Type(t)) })
	}
	if f.code != 0 {
		err := &Error{Code: f.code, Host: name, Server: f.server, Err: f.err}
		l.trace(Event{Kind: EventDone, Err: err})
		return Records{}, err
	}
	if l.traced() {
		l.trace(Event{Kind: EventDone, Name: recs.Name, TTL: recs.TTL, Note: fmt.Sprintf("%d %v records", len(recs.List), t)})
	}
	return recs, nil
}

// isOwner reports whether records may be asked for at a name: one that fits the
// wire and that can be shown. "." is the root.
func isOwner(name string) bool {
	if name == "." {
		return true
	}
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > netdb.MaxName {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel || strings.ContainsFunc(label, notShown) {
			return false
		}
	}
	return true
}

// isShown reports whether a name from a server may be handed out where it need not
// be a host name.
func isShown(name string) bool { return isOwner(name) && !strings.Contains(name, "*") }

// notShown reports whether c may not stand in a name that is asked for: only
// letters, digits, hyphens and underscores may, and "*" for a wildcard itself.
func notShown(c rune) bool {
	return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '*')
}

const maxLabel = 63 // bytes (RFC 1035 section 2.3.4)

// records asks DNS candidate by candidate.
func (l *lookup) records(ctx context.Context, t wire.Type) (Records, failure) {
	worst, f := statusNXDomain, failure{}
	for _, name := range l.set.candidates(l.name) {
		l.trace(Event{Kind: EventTry, Name: name})
		rep := l.query(ctx, name+".", t)
		st := searchStatus(name, rep.status)
		if st == statusData {
			recs := rep.records(name, t, l.set.options.TrustAD)
			if len(recs.List) > 0 {
				return recs, failure{}
			}
			st = statusNoData // nothing that could be shown
		}
		if st > worst {
			worst, f = st, rep.failure
		}
		if l.set.options.endsSearch(st) {
			break
		}
	}
	return Records{}, f.of(worst)
}

// records returns what a reply says as it may be shown to the caller.
func (rep *reply) records(asked string, t wire.Type, trust bool) Records {
	recs := Records{Name: rep.canonical(asked), Aliases: rep.aliases(asked), TTL: rep.ttl, Authenticated: trust && rep.ad}
	end := asked
	if asked == "" {
		end, recs.Name = ".", "."
	}
	if n := len(rep.names); n > 0 && isShown(rep.names[n-1]) {
		end = bare(rep.names[n-1])
	}
	base := Record{Name: end, Type: RecordType(t), TTL: rep.ttl}
	for _, addr := range rep.addrs {
		rec := base
		rec.Addr, rec.Text = addr, addr.String()
		recs.List = append(recs.List, rec)
	}
	for _, target := range rep.ptrs {
		rec := base
		rec.Target, rec.Text = bare(target), target
		recs.List = append(recs.List, rec)
	}
	for _, d := range rep.data {
		rec := base
		rec.Text, rec.Priority, rec.Weight, rec.Port = d.Text, d.Priority, d.Weight, d.Port
		rec.Target, rec.Strings = bare(d.Target), slices.Clone(d.Strings)
		for _, p := range d.Params {
			rec.Params = append(rec.Params, Param(p))
		}
		recs.List = append(recs.List, rec)
	}
	recs.List = slices.DeleteFunc(recs.List, func(rec Record) bool {
		if rec.Type == TypeCNAME { // may lead to a name such as _dmarc
			return !isShown(rec.Target)
		}
		return rec.Target != "" && rec.Target != "." && !netdb.IsHostname(rec.Target)
	})
	return recs
}

// bare returns an absolute name without its final dot.
func bare(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}
