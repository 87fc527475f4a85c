package dnsresolver

import (
	"cmp"
	"math/bits"
	"net/netip"
	"slices"
)

// maxPrefixCompare is how many bits of two IPv6 addresses rule 9 compares: the
// rest is the interface identifier, in which nearness means nothing (RFC 6724
// section 2.2).
const maxPrefixCompare = 64

// destination is an address with what the rules need to know of it.
type destination struct {
	addr       netip.Addr
	unusable   int // 1 without a source address, and so a route
	otherScope int // 1 unless the scope is that of the source
	otherLabel int // 1 unless the label is that of the source
	precedence int
	scope      int
	common     int // leading bits shared with the source
}

// sort puts addrs in the order that is asked for: by the file's sortlist, in any
// order, and then with OrderRFC6724 and a route source by RFC 6724 section 6.
// Addresses that cannot be reached go last and are not dropped.
func (r *Resolver) sort(addrs []netip.Addr, order Order) {
	if list := r.current.Load().sortlist; len(list) > 0 {
		slices.SortStableFunc(addrs, func(a, b netip.Addr) int {
			return sortlistRank(list, a) - sortlistRank(list, b)
		})
	}
	if r.cfg.Routes == nil || order != OrderRFC6724 {
		return
	}
	p := r.policy()
	var few [fewAddrs]destination
	list := few[:0]
	for _, addr := range addrs {
		list = append(list, r.destination(p, addr))
	}
	slices.SortStableFunc(list, compareDestinations)
	for i := range list {
		addrs[i] = list[i].addr
	}
}

// destination looks up what the rules need to know of addr.
func (r *Resolver) destination(p *policy, addr netip.Addr) destination {
	label := p.labelOf(addr)
	d := destination{
		addr: addr, unusable: 1, otherScope: 1, otherLabel: 1,
		precedence: p.precedenceOf(addr), scope: p.scopeOf(addr),
	}
	src, ok := r.cfg.Routes.SourceFor(addr.Unmap())
	if !ok || !src.IsValid() {
		return d
	}
	d.unusable = 0
	if p.scopeOf(src) == d.scope {
		d.otherScope = 0
	}
	if p.labelOf(src) == label {
		d.otherLabel = 0
	}
	d.common = r.commonPrefix(src, addr)
	return d
}

// compareDestinations applies the rules of RFC 6724 section 6. Rules 3 (source
// addresses that are deprecated), 4 (mobile home addresses) and 7 (tunnels) make
// no difference here.
func compareDestinations(a, b destination) int {
	return cmp.Or(
		a.unusable-b.unusable,     // rule 1: avoid unusable destinations
		a.otherScope-b.otherScope, // rule 2: prefer matching scope
		a.otherLabel-b.otherLabel, // rule 5: prefer matching label
		b.precedence-a.precedence, // rule 6: prefer higher precedence
		a.scope-b.scope,           // rule 8: prefer smaller scope
		compareCommon(a, b),       // rule 9: use longest matching prefix
	) // rule 10: otherwise, leave the order unchanged
}

// compareCommon applies rule 9, which is for addresses of one family.
func compareCommon(a, b destination) int {
	if a.addr.Is4() != b.addr.Is4() {
		return 0
	}
	return b.common - a.common
}

// commonPrefix is the length for rule 9. For IPv6 it is limited to the subnet of
// the source, and to 64 bits. For IPv4 it counts only within the subnet of the
// source, as in glibc: elsewhere nearness of IPv4 addresses means nothing and
// the rule would defeat round robin.
func (r *Resolver) commonPrefix(src, dst netip.Addr) int {
	if src.Is4() != dst.Is4() {
		return 0
	}
	subnet := r.subnetOf(src)
	if src.Is4() && (!subnet.IsValid() || !subnet.Contains(dst)) {
		return 0
	}
	a, b := src.As16(), dst.As16()
	common := 0
	for i := range a {
		n := bits.LeadingZeros8(a[i] ^ b[i])
		common += n
		if n < 8 {
			break
		}
	}
	if src.Is4() {
		return common - (128 - 32)
	}
	limit := maxPrefixCompare
	if subnet.IsValid() {
		limit = min(limit, subnet.Bits())
	}
	return min(common, limit)
}

// subnetOf returns the subnet that a source address is configured with, if the
// interfaces are known.
func (r *Resolver) subnetOf(src netip.Addr) netip.Prefix {
	if r.cfg.NICs == nil {
		return netip.Prefix{}
	}
	src = src.WithZone("")
	for _, nic := range r.cfg.NICs() {
		for _, p := range nic.Addrs {
			if p.Addr() == src {
				return p.Masked()
			}
		}
	}
	return netip.Prefix{}
}

// sortlistRank is the place of addr's network in the list, or behind it.
func sortlistRank(list []netip.Prefix, addr netip.Addr) int {
	for i, p := range list {
		if p.Contains(addr.Unmap().WithZone("")) {
			return i
		}
	}
	return len(list)
}
