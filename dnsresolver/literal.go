package dnsresolver

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

// literal is the result of reading a host name as an address.
type literal int

const (
	notLiteral literal = iota // a name, to be looked up
	isLiteral                 // an address
	badLiteral                // an address with a zone that cannot be: never looked up
)

// parseLiteral reads host as an IPv4 address in any form of inet_aton(3), or as
// an IPv6 address with or without a zone (RFC 4291 section 2.2, RFC 4007
// section 11). White space, brackets and anything behind the address make it
// no literal (CVE-2016-10739).
//
// A zone is the name of an interface, which must exist and is allowed only on
// link-local addresses, or a number from 0 to 4294967295 on any address, as in
// glibc. nics may be nil: then every name of a zone is accepted.
func parseLiteral(host string, nics func() []NIC) (netip.Addr, literal) {
	if host == "" || !literalStart(host[0]) {
		return netip.Addr{}, notLiteral
	}
	if strings.IndexByte(host, ':') < 0 {
		if host[0] > '9' {
			return netip.Addr{}, notLiteral
		}
		addr, rest, ok := netdb.ParseAton(host)
		if !ok || rest != "" {
			return netip.Addr{}, notLiteral
		}
		return addr, isLiteral
	}
	text, zone, hasZone := strings.Cut(host, "%")
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, notLiteral
	}
	if !hasZone {
		return addr, isLiteral
	}
	if !validZone(addr, zone, nics) {
		return netip.Addr{}, badLiteral
	}
	return addr.WithZone(zone), isLiteral
}

// literalStart reports whether a literal can begin with c. Names that begin
// otherwise are most names, and are told apart here at no cost.
func literalStart(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' || c == ':'
}

func validZone(addr netip.Addr, zone string, nics func() []NIC) bool {
	if isDigits(zone) {
		_, err := strconv.ParseUint(zone, 10, 32)
		return err == nil
	}
	if zone == "" || !addr.IsLinkLocalUnicast() && !addr.IsLinkLocalMulticast() {
		return false
	}
	if nics == nil {
		return true
	}
	for _, nic := range nics() {
		if nic.Name == zone {
			return true
		}
	}
	return false
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
