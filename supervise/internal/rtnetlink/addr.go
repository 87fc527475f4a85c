package rtnetlink

import (
	"net/netip"

	"github.com/userstack/userstack/stack"
)

const ifaddrLen = 8 // bytes of struct ifaddrmsg

// oneAddr is inet6_rtm_getaddr; there is no such request for IPv4.
func (q *query) oneAddr() ([]byte, *fault) {
	if q.family() != familyInet6 {
		return nil, &fault{errno: errNotSupported}
	}
	as, f := q.attributes(ifaddrLen, ifaMax)
	if f != nil {
		return nil, f
	}
	text, ok := as[ifaLocal]
	if !ok {
		text, ok = as[ifaAddress]
	}
	want, whole := netip.AddrFromSlice(text)
	if !ok || !whole || !want.Is6() {
		return nil, &fault{errno: errInvalid}
	}
	index := int(order.Uint32(q.body()[4:]))
	for _, i := range q.stack.Interfaces() {
		for _, p := range i.Addrs {
			if p.Addr() == want && (index == unspecifiedIndex || index == i.Index) {
				return q.addr(i, p, 0), nil
			}
		}
	}
	return nil, &fault{errno: errAddrNotAvail}
}

// families are those that a request is about, in the kernel's order.
func (q *query) families() []uint8 {
	if f := q.family(); f == familyInet || f == familyInet6 {
		return []uint8{f}
	}
	return []uint8{familyInet, familyInet6}
}

func familyOf(a netip.Addr) uint8 {
	if a.Is4() {
		return familyInet
	}
	return familyInet6
}

// versions are how the kernel's words begin.
var versions = map[uint8]string{familyInet: "4: ", familyInet6: "6: "}

func (q *query) dumpAddrs() ([][]byte, *fault) {
	index, f := q.addrFilter()
	if f != nil {
		return nil, f
	}
	var out [][]byte
	found := index == unspecifiedIndex
	for _, family := range q.families() {
		for _, i := range q.stack.Interfaces() {
			if index != unspecifiedIndex && i.Index != index {
				continue
			}
			found = true
			out = append(out, q.addrs(i, family)...)
		}
	}
	if !found {
		return nil, &fault{errno: errNoDevice}
	}
	return out, nil
}

// addrFilter returns the only interface to tell of, or unspecifiedIndex.
func (q *query) addrFilter() (int, *fault) {
	if !q.client.Strict {
		return unspecifiedIndex, nil
	}
	b := q.body()
	name := "ipv" + versions[q.families()[0]]
	if len(b) < ifaddrLen {
		return 0, invalid(name + "Invalid header for address dump request")
	}
	if !zero(b[1:4]) {
		return 0, invalid(name + "Invalid values in header for address dump request")
	}
	as, f := q.attributes(ifaddrLen, ifaMax)
	if f != nil {
		return 0, f
	}
	if f := q.allow(as, name+"Unsupported attribute in dump request", ifaTargetNetnsid); f != nil {
		return 0, f
	}
	index := int(int32(order.Uint32(b[4:])))
	q.filtered = index != unspecifiedIndex
	return index, nil
}

// addrs are the addresses of one family that an interface has. Of the addresses in
// one IPv4 network the first is primary.
func (q *query) addrs(i stack.Interface, family uint8) (out [][]byte) {
	networks := map[netip.Prefix]bool{}
	for _, p := range i.Addrs {
		if familyOf(p.Addr()) != family {
			continue
		}
		flags := uint32(0)
		if family == familyInet && networks[p.Masked()] {
			flags = ifaSecondary
		}
		networks[p.Masked()] = true
		out = append(out, q.addr(i, p, flags))
	}
	return out
}

// addrScope is how far an address is good for.
func addrScope(a netip.Addr) uint8 {
	switch {
	case a.IsLoopback():
		return scopeHost
	case a.Is6() && a.IsLinkLocalUnicast():
		return scopeLink
	}
	return scopeUniverse
}

// addr makes an RTM_NEWADDR.
func (q *query) addr(i stack.Interface, p netip.Prefix, flags uint32) []byte {
	a := p.Addr().WithZone("")
	flags |= ifaPermanent
	b := q.reply()
	b.u8(familyOf(a), uint8(p.Bits()), uint8(flags), addrScope(a))
	b.u32(uint32(i.Index))
	b.attr(ifaAddress, a.AsSlice())
	if a.Is4() {
		b.attr(ifaLocal, a.AsSlice())
		if all := i.Broadcast(p); all.IsValid() {
			b.attr(ifaBroadcast, all.AsSlice())
		}
		b.text(ifaLabel, i.Name)
		b.attr32(ifaFlags, flags)
		b.words(ifaCacheinfo, forever, forever, 0, 0)
		return b.done()
	}
	b.words(ifaCacheinfo, forever, forever, 0, 0)
	b.attr32(ifaFlags, flags)
	if a.IsLoopback() {
		b.attr8(ifaProto, protoKernelLo)
	}
	return b.done()
}
