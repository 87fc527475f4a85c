package dnsresolver

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
)

// LookupOptions say what to look up. The zero value asks for the addresses of
// both families, sorted.
type LookupOptions struct {
	Family Family
	Order  Order
}

// Order is the order of the addresses of an Answer.
type Order int

const (
	OrderRFC6724 Order = iota // by Config.Routes; see there
	OrderWire                 // as the answers came: IPv6 first, then IPv4
)

// Source says where an Answer came from.
type Source int

// The sources, in the order in which they are asked.
const (
	SourceLiteral Source = iota // the name was an address
	SourceHosts                 // Config.Hosts or the hosts file
	SourceLocal                 // a name that is never looked up (RFC 6761)
	SourceDNS
)

// String returns "literal", "hosts", "local" or "DNS".
func (s Source) String() string {
	return [...]string{"literal", "hosts", "local", "DNS"}[min(max(s, 0), SourceDNS)]
}

// Answer is the result of a lookup.
type Answer struct {
	// Name is the canonical name, without a final dot: the end of the chain of
	// aliases, the first name on the line of the hosts file, or the name asked
	// for. For a literal it is the text as given.
	Name string
	// Aliases are the names that led to Name, from the one asked for (with its
	// search domain) on. Empty when Name is that one.
	Aliases []string
	// Addrs has at least one address and no duplicates.
	Addrs []netip.Addr
	// TTL is how long the answer holds, at most a day. Zero when it does not
	// come from DNS, and also for records that must not be kept.
	TTL    time.Duration
	Source Source
	// Authenticated is the AD bit of every reply that was used, with the option
	// trust-ad; without it, false.
	Authenticated bool
}

// lookup is one call on its way.
type lookup struct {
	r     *Resolver
	id    uint64
	host  string
	start time.Time
	set   *settings

	followUps atomic.Int32 // queries for targets of aliases so far
}

// local answers from what is known without DNS. done is false when DNS has to
// be asked.
func (r *Resolver) local(host string, family Family) (ans Answer, f failure, done bool) {
	addr, lit := parseLiteral(host, r.cfg.NICs)
	switch {
	case lit != notLiteral && family == AF_INET && addr.Is4In6():
		addr = addr.Unmap()
		fallthrough
	case lit == isLiteral && fits(addr, family):
		return Answer{Name: host, Addrs: []netip.Addr{addr}, Source: SourceLiteral}, failure{}, true
	case lit == isLiteral, lit == badLiteral && family == AF_INET:
		return Answer{}, failure{code: EAI_ADDRFAMILY}, true
	case lit == badLiteral, !isHostname(host):
		return Answer{}, failure{code: EAI_NONAME}, true
	}
	return r.localName(host, family)
}

// localName is local for a name with good syntax.
func (r *Resolver) localName(host string, family Family) (ans Answer, f failure, done bool) {
	key := hostsKey(host)
	if e := r.hostsEntry(key); e != nil {
		addrs := selectFamily(e.addrs, family)
		switch {
		case len(addrs) > 0:
			return Answer{Name: e.canonical, Addrs: addrs, Source: SourceHosts}, failure{}, true
		case !r.cfg.Options.HostsFallthrough && namePolicy(key) != policyLocalhost:
			return Answer{}, failure{code: EAI_NODATA}, true
		}
	}
	switch namePolicy(key) {
	case policyLocalhost:
		return Answer{Name: key, Addrs: selectFamily(loopbackAddrs, family), Source: SourceLocal}, failure{}, true
	case policyNoSuchName:
		return Answer{}, failure{code: EAI_NONAME}, true
	}
	if endsInNumber(key) {
		return Answer{}, failure{code: EAI_NONAME}, true
	}
	return Answer{}, failure{}, false
}

// fits reports whether addr is of family. An IPv4-mapped address counts as IPv6.
func fits(addr netip.Addr, family Family) bool {
	return family == AF_UNSPEC || (family == AF_INET) == addr.Is4()
}

// selectFamily returns a new list of the addresses of a family. For AF_INET an
// IPv4-mapped address counts as the IPv4 address in it.
func selectFamily(addrs []netip.Addr, family Family) []netip.Addr {
	list := make([]netip.Addr, 0, len(addrs))
	for _, addr := range addrs {
		if family == AF_INET {
			addr = addr.Unmap()
		}
		if fits(addr, family) {
			list = append(list, addr)
		}
	}
	return list
}

// dns asks DNS for host, candidate by candidate.
func (l *lookup) dns(ctx context.Context, family Family) (Answer, failure) {
	worst, f := statusNXDomain, failure{}
	for _, name := range l.set.candidates(l.host) {
		l.trace(Event{Kind: EventTry, Name: name})
		found := l.lookupName(ctx, name, family)
		st := searchStatus(name, found.status)
		if st == statusData {
			return l.answer(name, &found), failure{}
		}
		if st > worst {
			worst, f = st, found.failure()
		}
		if l.set.options.endsSearch(st) {
			break
		}
	}
	switch worst {
	case statusNXDomain:
		f.code = EAI_NONAME
	case statusNoData:
		f.code = EAI_NODATA
	}
	return Answer{}, f
}

// answer makes the result of a candidate that has addresses. Its canonical name
// does not depend on which family answered first.
func (l *lookup) answer(name string, found *families) Answer {
	ans := Answer{Source: SourceDNS, TTL: maxTTL, Authenticated: l.set.options.TrustAD}
	var named bool
	for _, rep := range []*reply{&found.v6, &found.v4} {
		if rep.status != statusData {
			continue
		}
		ans.Addrs = append(ans.Addrs, rep.addrs...)
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
		if name := strings.TrimSuffix(name, "."); isHostname(name) {
			list = append(list, name)
		}
	}
	return list
}

// unique removes the second and later of equal addresses, and what is over the
// limit.
func unique(addrs []netip.Addr) []netip.Addr {
	seen := make(map[netip.Addr]bool, len(addrs))
	list := addrs[:0]
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
