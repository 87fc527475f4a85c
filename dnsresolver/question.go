package dnsresolver

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
	"github.com/userstack/userstack/dnsresolver/netdb"
)

// Reply is what there is to say to a question of DNS.
type Reply struct {
	// NXDomain: the name that the aliases lead to does not exist.
	NXDomain bool
	// Records are the aliases in the order of the chain that begins with the name
	// asked for, as records of TypeCNAME, and then those asked for, at its end. Their
	// names are absolute, with a final dot, and as the servers wrote them.
	Records []Record
	// Authenticated is the AD bit of every reply that was used, with the option
	// trust-ad; without it, false.
	Authenticated bool
	// Source is where the answer came from: SourceHosts, SourceLocal or SourceDNS.
	Source Source
}

// Question answers a question of DNS, for those who pass answers on: package
// dnsforward. The name is absolute, with a final dot or without; there is no search
// list. Addresses and names of addresses are taken from Config.Hosts and the hosts
// file where those have them, and names with a fixed meaning (localhost, .invalid,
// .onion) are not asked for, but otherwise nothing is left out or sorted. That there
// is no such name or record is an answer. The error is an *Error: EAI_FAIL for a name
// that is not asked for, such as one with spaces.
func (r *Resolver) Question(ctx context.Context, name string, t RecordType) (Reply, error) {
	l := &lookup{r: r, host: name, id: r.lookups.Add(1), start: time.Now()}
	owner := strings.TrimSuffix(name, ".") + "."
	fail := func(f failure) (Reply, error) {
		err := &Error{Code: f.code, Host: name, Server: f.server, Err: f.err}
		l.trace(Event{Kind: EventDone, Err: err})
		return Reply{}, err
	}
	switch {
	case !isOwner(owner):
		return fail(failure{code: EAI_FAIL})
	case ctx.Err() != nil:
		return fail(contextFailure(ctx))
	case r.closed.Load():
		return fail(closedFailure)
	}
	out, known := r.questionLocal(owner, t)
	if !known {
		var rep reply
		if !l.within(ctx, func(ctx context.Context) { rep = l.query(ctx, owner, wire.Type(t)) }) {
			return fail(closedFailure)
		}
		if rep.status.failed() {
			return fail(rep.failure)
		}
		out = rep.asReply(owner, t, r.settings(time.Now()).options.TrustAD)
	}
	if l.traced() {
		l.trace(Event{Kind: EventDone, Name: name, Records: len(out.Records), Note: out.Source.String()})
	}
	return out, nil
}

// questionLocal answers what takes no DNS.
func (r *Resolver) questionLocal(owner string, t RecordType) (reply Reply, known bool) {
	if t == TypePTR {
		return r.namesLocal(owner)
	}
	key := netdb.FoldName(bare(owner))
	family := map[RecordType]Family{TypeA: AF_INET, TypeAAAA: AF_INET6}[t]
	if e := r.hostsEntry(key); e != nil && family != AF_UNSPEC {
		ans, ok := e.Answer(LookupOptions{Family: family})
		if ok || !r.cfg.Options.HostsFallthrough && !netdb.IsLocalhost(key) {
			return Reply{Records: addressRecords(owner, t, ans.Addrs, 0), Source: SourceHosts}, true
		}
	}
	ans, code, special := netdb.AnswerSpecial(key, family)
	if !special {
		return Reply{Source: SourceDNS}, family == AF_INET6 && r.settings(time.Now()).options.NoAAAA
	}
	reply = Reply{NXDomain: code != 0, Source: SourceLocal}
	if family != AF_UNSPEC {
		reply.Records = addressRecords(owner, t, ans.Addrs, 0)
	}
	return reply, true
}

// namesLocal is questionLocal for the names of an address.
func (r *Resolver) namesLocal(owner string) (reply Reply, known bool) {
	addr, ok := reverseAddr(owner)
	if !ok {
		return Reply{}, false
	}
	source := SourceHosts
	names := r.hostsNames(addr)
	if names == nil {
		var code EAI
		source = SourceLocal
		if names, code, ok = netdb.NamesSpecial(addr); !ok {
			return Reply{}, false
		}
		reply.NXDomain = code != 0
	}
	reply.Source = source
	for _, name := range names {
		reply.Records = append(reply.Records, Record{Name: owner, Type: TypePTR, Target: bare(name), Text: bare(name) + "."})
	}
	return reply, true
}

func addressRecords(owner string, t RecordType, addrs []netip.Addr, ttl time.Duration) (list []Record) {
	for _, addr := range addrs {
		addr = addr.WithZone("") // of a hosts file
		list = append(list, Record{Name: owner, Type: t, TTL: ttl, Addr: addr, Text: addr.String()})
	}
	return list
}

// asReply returns what a reply says, whole and in the order of the servers, but for
// addresses, whose order changes with each use.
func (rep *reply) asReply(owner string, t RecordType, trust bool) Reply {
	out := Reply{NXDomain: rep.status == statusNXDomain, Authenticated: trust && rep.ad, Source: SourceDNS}
	for _, target := range rep.names {
		out.Records = append(out.Records, Record{Name: owner, Type: TypeCNAME, TTL: rep.ttl, Target: bare(target), Text: target})
		owner = target
	}
	out.Records = append(out.Records, addressRecords(owner, t, rep.addrs[min(rep.rotate, len(rep.addrs)):], rep.ttl)...)
	out.Records = append(out.Records, addressRecords(owner, t, rep.addrs[:min(rep.rotate, len(rep.addrs))], rep.ttl)...)
	for _, target := range rep.ptrs {
		out.Records = append(out.Records, Record{Name: owner, Type: t, TTL: rep.ttl, Target: bare(target), Text: target})
	}
	for _, d := range rep.data {
		out.Records = append(out.Records, Record{Name: owner, Type: t, TTL: rep.ttl, Text: d.Text})
	}
	return out
}

// reverseAddr is the inverse of reverseName.
func reverseAddr(owner string) (netip.Addr, bool) {
	const digits4, digits6 = 4, 32
	name := netdb.FoldName(bare(owner))
	labels := strings.Split(name, ".")
	switch {
	case strings.HasSuffix(name, ".in-addr.arpa") && len(labels) == digits4+2:
		var b [4]byte
		for i := range b {
			n, err := strconv.ParseUint(labels[i], 10, 8)
			if err != nil {
				return netip.Addr{}, false
			}
			b[len(b)-1-i] = byte(n)
		}
		return netip.AddrFrom4(b), true
	case strings.HasSuffix(name, ".ip6.arpa") && len(labels) == digits6+2:
		var b [16]byte
		for i := range digits6 {
			n, err := strconv.ParseUint(labels[i], 16, 4)
			if err != nil || len(labels[i]) != 1 {
				return netip.Addr{}, false
			}
			b[15-i/2] |= byte(n) << (4 * (i % 2))
		}
		return netip.AddrFrom16(b), true
	}
	return netip.Addr{}, false
}
