package dnsresolver

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
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
		addr, ok := parseAton(host)
		if !ok {
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

// parseAton reads the forms of inet_aton(3): one to four numbers, each decimal,
// octal (leading 0) or hexadecimal (leading 0x), where the last fills all the
// bytes that the others left.
func parseAton(s string) (netip.Addr, bool) {
	// Four decimal numbers are nearly all of them, and read the same by the
	// faster parser, which refuses the other forms.
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr, true
	}
	var value uint32
	for part := 0; ; part++ {
		number, rest, more := strings.Cut(s, ".")
		n, ok := parseAtonNumber(number)
		switch {
		case !ok || part > 3:
			return netip.Addr{}, false
		case more && n > 0xFF:
			return netip.Addr{}, false
		case more:
			value |= uint32(n) << (24 - 8*part)
			s = rest
			continue
		}
		if limit := uint64(1) << (32 - 8*part); n >= limit {
			return netip.Addr{}, false
		}
		value |= uint32(n)
		break
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], value)
	return netip.AddrFrom4(b), true
}

// parseAtonNumber reads one number of an inet_aton form, up to 4294967295.
func parseAtonNumber(s string) (uint64, bool) {
	base := uint64(10)
	switch {
	case len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X'):
		base, s = 16, s[2:]
	case len(s) > 1 && s[0] == '0':
		base, s = 8, s[1:]
	}
	if s == "" {
		return 0, false
	}
	var n uint64
	for i := range len(s) {
		d := digit(s[i])
		if d >= base {
			return 0, false
		}
		if n = n*base + d; n > 0xFFFFFFFF {
			return 0, false
		}
	}
	return n, true
}

// digit returns the value of a hexadecimal digit, or 16 for any other byte.
func digit(c byte) uint64 {
	switch {
	case '0' <= c && c <= '9':
		return uint64(c - '0')
	case 'a' <= c && c <= 'f':
		return uint64(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return uint64(c-'A') + 10
	}
	return 16
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
