package netdb

import (
	"net/netip"
	"strconv"
	"strings"
)

// Literal says what ParseLiteral found.
type Literal int

// What a host can be.
const (
	NotLiteral Literal = iota // a name, to be looked up
	IsLiteral                 // an address
	BadZone                   // an address with a zone that cannot be: never looked up
)

// ParseLiteral reads host as an IPv4 address in any form of inet_aton(3), or as
// an IPv6 address with or without a zone (RFC 4291 section 2.2, RFC 4007
// section 11). White space, brackets and anything behind the address make it
// no literal (CVE-2016-10739).
//
// A zone is the name of an interface, which must exist and is allowed only on
// link-local addresses, or a number from 0 to 4294967295 on any address, as in
// glibc. known tells which names exist; nil accepts every name. None has blanks or
// control characters.
func ParseLiteral(host string, known func(zone string) bool) (netip.Addr, Literal) {
	if host == "" || !literalStart(host[0]) {
		return netip.Addr{}, NotLiteral
	}
	if strings.IndexByte(host, ':') < 0 {
		if host[0] > '9' {
			return netip.Addr{}, NotLiteral
		}
		addr, rest, ok := ParseAton(host)
		if !ok || rest != "" {
			return netip.Addr{}, NotLiteral
		}
		return addr, IsLiteral
	}
	text, zone, hasZone := strings.Cut(host, "%")
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, NotLiteral
	}
	if !hasZone {
		return addr, IsLiteral
	}
	if !validZone(addr, zone, known) {
		return netip.Addr{}, BadZone
	}
	return addr.WithZone(zone), IsLiteral
}

// literalStart reports whether a literal can begin with c. Names that begin
// otherwise are most names, and are told apart here at no cost.
func literalStart(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' || c == ':'
}

func validZone(addr netip.Addr, zone string, known func(string) bool) bool {
	if isDigits(zone) {
		_, err := strconv.ParseUint(zone, 10, 32)
		return err == nil
	}
	if zone == "" || !linkLocal(addr) {
		return false
	}
	if strings.ContainsFunc(zone, func(c rune) bool { return c <= ' ' || c == del }) {
		return false // no name of an interface, as Linux sees it
	}
	return known == nil || known(zone)
}

const del = 0x7f // ASCII's last control character

// linkLocal reports whether the zone of addr may be the name of an interface.
func linkLocal(addr netip.Addr) bool {
	return addr.Is6() && (addr.IsLinkLocalUnicast() || addr.IsLinkLocalMulticast())
}

// LiteralOf is ParseLiteral for a look-up of a family. With AF_INET, an
// IPv4-mapped IPv6 address is the IPv4 address in it; any other literal of
// another family is EAI_ADDRFAMILY. A bad zone is EAI_NONAME. ok is false for
// what is no literal.
func LiteralOf(host string, family Family, known func(zone string) bool) (addr netip.Addr, code EAI, ok bool) {
	addr, lit := ParseLiteral(host, known)
	if lit == NotLiteral {
		return netip.Addr{}, 0, false
	}
	if family == AF_INET && addr.Is4In6() {
		addr = addr.Unmap()
	}
	switch {
	case lit == BadZone && family != AF_INET:
		return netip.Addr{}, EAI_NONAME, true
	case lit == BadZone, !fits(addr, family):
		return netip.Addr{}, EAI_ADDRFAMILY, true
	}
	return addr, 0, true
}

// fits reports whether addr is of family. An IPv4-mapped address counts as IPv6.
func fits(addr netip.Addr, family Family) bool {
	return family == AF_UNSPEC || (family == AF_INET) == addr.Is4()
}

// SelectFamily returns a new list of the addresses of a family. For AF_INET an
// IPv4-mapped address counts as the IPv4 address in it.
func SelectFamily(addrs []netip.Addr, family Family) []netip.Addr {
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
