package netdb

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

// ParseAton reads the IPv4 address that s begins with, in the forms of
// inet_aton(3): one to four numbers, each decimal, octal (leading 0) or
// hexadecimal (leading 0x), where the last fills all the bytes that the others
// left. It returns what follows the last number. inet_aton(3) itself lets white
// space and anything behind it follow; getaddrinfo(3) lets nothing follow
// (CVE-2016-10739).
func ParseAton(s string) (addr netip.Addr, rest string, ok bool) {
	// Four decimal numbers are nearly all of them, and read the same by the
	// faster parser, which refuses the other forms.
	if strings.Count(s, ".") == 3 {
		if addr, err := netip.ParseAddr(s); err == nil && addr.Is4() {
			return addr, "", true
		}
	}
	var value uint32
	for part := 0; part < 4; part++ {
		n, rest, ok := atonNumber(s)
		if !ok {
			break
		}
		if strings.HasPrefix(rest, ".") {
			if n > 0xFF {
				break
			}
			value |= uint32(n) << (24 - 8*part)
			s = rest[1:]
			continue
		}
		if limit := uint64(1) << (32 - 8*part); n >= limit {
			break
		}
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], value|uint32(n))
		return netip.AddrFrom4(b), rest, true
	}
	return netip.Addr{}, s, false
}

// atonNumber reads the number that s begins with as strtoul(3) does, up to
// 4294967295, and returns what follows it.
func atonNumber(s string) (n uint64, rest string, ok bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, s, false
	}
	base := uint64(10)
	switch {
	case len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' && digit(s[2]) < 16:
		base, s = 16, s[2:]
	case s[0] == '0':
		base = 8
	}
	for ; s != "" && digit(s[0]) < base; s = s[1:] {
		if n = n*base + digit(s[0]); n > 0xFFFFFFFF {
			return 0, s, false
		}
	}
	return n, s, true
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
