package rtnetlink

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/userstack/userstack/stack"
)

// An entry is a route as Linux has it in its tables: besides the stack's own there is
// what netstack knows without a table, such as its own addresses.
type entry struct {
	dst      netip.Prefix
	table    uint8
	protocol uint8
	scope    uint8
	kind     uint8
	source   netip.Addr // IPv4 only
	gateway  netip.Addr
	index    int
	metric   uint32 // IPv6 only
}

// entries are the routes of one family, the table main before the table local, each
// in the order of destinations.
func entries(s *stack.Stack, family uint8) []entry {
	ifs := s.Interfaces()
	var out []entry
	for _, r := range s.Routes() {
		if familyOf(r.Dst.Addr()) == family {
			if e, ok := mainEntry(ifs, r); ok {
				out = append(out, e)
			}
		}
	}
	for _, i := range ifs {
		for _, p := range i.Addrs {
			p = netip.PrefixFrom(p.Addr().WithZone(""), p.Bits())
			switch {
			case familyOf(p.Addr()) != family:
			case family == familyInet:
				out = append(out, localEntries4(i, p)...)
			default:
				out = append(out, localEntries6(i, p)...)
			}
		}
		if family == familyInet6 && !i.Loopback && i.Up {
			out = append(out, entry{dst: multicast6, table: tableLocal, protocol: protKernel, scope: scopeUniverse,
				kind: typeMulticast, index: i.Index, metric: metricKernel6})
		}
	}
	last := func(e entry) int { // the kernel tells IPv6's default route after the others
		if family == familyInet6 && e.dst.Bits() == 0 {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(out, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.table, b.table), cmp.Compare(last(a), last(b)), a.dst.Addr().Compare(b.dst.Addr()), cmp.Compare(a.dst.Bits(), b.dst.Bits()))
	})
	return slices.CompactFunc(out, func(a, b entry) bool { return a == b })
}

var multicast6 = netip.MustParsePrefix("ff00::/8")

// mainEntry is a route of the stack's table. What Linux has in the table local is not.
func mainEntry(ifs []stack.Interface, r stack.Route) (entry, bool) {
	e := entry{dst: r.Dst.Masked(), table: tableMain, protocol: protBoot, kind: typeUnicast, gateway: r.Gateway, metric: metricUser6}
	v4 := r.Dst.Addr().Is4()
	if v4 {
		e.metric = 0
	}
	if v4 && !r.Gateway.IsValid() {
		e.scope = scopeLink
	}
	at := slices.IndexFunc(ifs, func(i stack.Interface) bool { return i.Name == r.NIC })
	if at < 0 {
		return e, false
	}
	i := ifs[at]
	e.index = i.Index
	if r.Gateway.IsValid() {
		return e, true
	}
	own := slices.IndexFunc(i.Addrs, func(p netip.Prefix) bool { return p.Masked() == e.dst })
	if own < 0 {
		return e, true
	}
	if i.Loopback || v4 && e.dst.IsSingleIP() {
		return e, false
	}
	e.protocol = protKernel
	if v4 {
		e.source = i.Addrs[own].Addr()
	} else {
		e.metric = metricKernel6
	}
	return e, true
}

// localEntries4 are what an IPv4 address brings to the table local (fib_add_ifaddr).
func localEntries4(i stack.Interface, p netip.Prefix) []entry {
	source := p.Addr()
	for _, first := range i.Addrs {
		if first.Masked() == p.Masked() {
			source = first.Addr() // the primary address of the network
			break
		}
	}
	local := entry{dst: netip.PrefixFrom(p.Addr(), 32), table: tableLocal, protocol: protKernel, scope: scopeHost,
		kind: typeLocal, source: source, index: i.Index}
	out := []entry{local}
	if i.Loopback && p.Bits() < 32 {
		network := local
		network.dst = p.Masked()
		out = append(out, network)
	}
	if last := stack.LastAddr(p); last.IsValid() {
		all := local
		all.dst, all.scope, all.kind = netip.PrefixFrom(last, 32), scopeLink, typeBroadcast
		out = append(out, all)
	}
	return out
}

// localEntries6 are what an IPv6 address brings: the address, and for link-local ones
// their network, for which netstack needs no route.
func localEntries6(i stack.Interface, p netip.Prefix) []entry {
	out := []entry{{dst: netip.PrefixFrom(p.Addr(), 128), table: tableLocal, protocol: protKernel, scope: scopeUniverse,
		kind: typeLocal, index: i.Index}}
	if p.Addr().IsLinkLocalUnicast() {
		out = append(out, entry{dst: p.Masked(), table: tableMain, protocol: protKernel, scope: scopeUniverse,
			kind: typeUnicast, index: i.Index, metric: metricKernel6})
	}
	return out
}

// match returns the entry that holds dst, with the longest prefix and, among equal
// ones, the one of the interface.
func match(es []entry, dst netip.Addr, index int) (entry, bool) {
	best, found := entry{}, false
	for _, e := range es {
		if !e.dst.Contains(dst) {
			continue
		}
		longer := e.dst.Bits() > best.dst.Bits() || e.dst.Bits() == best.dst.Bits() && e.index == index && best.index != index
		if !found || longer {
			best, found = e, true
		}
	}
	return best, found
}
