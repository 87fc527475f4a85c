package dnsresolver

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

// lookup is one call on its way.
type lookup struct {
	r     *Resolver
	id    uint64
	host  string // as the caller has it
	name  string // in ASCII
	start time.Time
	set   *settings

	followUps atomic.Int32 // queries for targets of aliases so far
	queued    atomic.Int32 // questions that wait for a slot
}

// local answers from what is known without DNS. done is false when DNS has to
// be asked.
func (r *Resolver) local(host string, o LookupOptions) (ans Answer, f failure, done bool) {
	addr, code, ok := netdb.LiteralOf(host, o.Family, r.zoneKnown)
	switch {
	case code != 0:
		return Answer{}, failure{code: code}, true
	case ok:
		return Answer{Name: host, Addrs: []netip.Addr{addr}, Source: SourceLiteral}, failure{}, true
	case !netdb.IsHostname(host):
		return Answer{}, failure{code: EAI_NONAME}, true
	}
	key := netdb.FoldName(host)
	if e := r.hostsEntry(key); e != nil {
		ans, ok := e.Answer(o)
		switch {
		case ok:
			return ans, failure{}, true
		case !r.cfg.Options.HostsFallthrough && !netdb.IsLocalhost(key):
			return Answer{}, failure{code: EAI_NODATA}, true
		}
	}
	ans, code, done = netdb.AnswerSpecial(key, o.Family)
	return ans, failure{code: code}, done
}

// dns asks DNS for host, candidate by candidate.
func (l *lookup) dns(ctx context.Context, o LookupOptions) (Answer, failure) {
	family, ok := unskipped(o)
	if !ok {
		return Answer{}, failure{code: EAI_NONAME}
	}
	worst, f := statusNXDomain, failure{}
	for _, name := range l.set.candidates(l.name) {
		l.trace(Event{Kind: EventTry, Name: name})
		found := l.lookupName(ctx, name, family)
		st := searchStatus(name, found.status)
		if st == statusData {
			return l.set.answer(name, &found), failure{}
		}
		if st > worst {
			worst, f = st, found.failure()
		}
		if l.set.options.endsSearch(st) {
			break
		}
	}
	return Answer{}, f.of(worst)
}

// of returns f as the failure of a lookup that ended with st.
func (f failure) of(st status) failure {
	switch st {
	case statusNXDomain:
		f.code = EAI_NONAME
	case statusNoData:
		f.code = EAI_NODATA
	}
	return f
}

// answer makes the result of a candidate that has addresses. Its canonical name
// does not depend on which family answered first.
func (s *settings) answer(name string, found *families) Answer {
	ans := Answer{Source: SourceDNS, TTL: maxTTL, Authenticated: s.options.TrustAD}
	ans.Addrs = make([]netip.Addr, 0, len(found.v6.addrs)+len(found.v4.addrs))
	var named bool
	for _, rep := range []*reply{&found.v6, &found.v4} {
		if rep.status != statusData {
			continue
		}
		ans.Addrs = append(ans.Addrs, rep.addrs[rep.rotate:]...)
		ans.Addrs = append(ans.Addrs, rep.addrs[:rep.rotate]...)
		ans.TTL = min(ans.TTL, rep.ttl)
		ans.Authenticated = ans.Authenticated && rep.ad
		if named && len(rep.names) == 0 {
			continue
		}
		named = true
		ans.Name, ans.Aliases = rep.canonical(name), rep.aliases(name)
	}
	ans.Addrs = unique(ans.Addrs)
	return ans
}

// aliases returns the names that led to the canonical one, as they may be shown
// to the caller.
func (rep *reply) aliases(asked string) []string {
	if len(rep.names) == 0 {
		return nil
	}
	var list []string
	if rep.canonical(asked) != asked {
		list = append(list, asked)
	}
	for _, name := range rep.names[:len(rep.names)-1] {
		if name := strings.TrimSuffix(name, "."); netdb.IsHostname(name) {
			list = append(list, name)
		}
	}
	return list
}

// unskipped returns the family that servers are asked for, if one is left.
func unskipped(o LookupOptions) (Family, bool) {
	switch {
	case o.Skip == AF_UNSPEC || o.Skip != o.Family && o.Family != AF_UNSPEC:
		return o.Family, true
	case o.Family != AF_UNSPEC:
		return 0, false
	case o.Skip == AF_INET:
		return AF_INET6, true
	}
	return AF_INET, true
}

// fewAddrs is up to how many addresses comparing all is quicker than a map.
const fewAddrs = 16

// unique removes the second and later of equal addresses, and what is over the
// limit.
func unique(addrs []netip.Addr) []netip.Addr {
	list := addrs[:0]
	if len(addrs) <= fewAddrs {
		for _, addr := range addrs {
			if !slices.Contains(list, addr) {
				list = append(list, addr)
			}
		}
		return list
	}
	seen := make(map[netip.Addr]bool, len(addrs))
	for _, addr := range addrs {
		if !seen[addr] && len(list) < maxAddrs {
			seen[addr] = true
			list = append(list, addr)
		}
	}
	return list
}

// familyOf returns the family that a network of the net package's LookupNetIP
// stands for.
func familyOf(network string) (Family, error) {
	switch network {
	case "ip":
		return AF_UNSPEC, nil
	case "ip4":
		return AF_INET, nil
	case "ip6":
		return AF_INET6, nil
	}
	return 0, net.UnknownNetworkError(network)
}
