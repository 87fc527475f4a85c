package sockets

import (
	"net/netip"
	"strings"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

// InetAton returns the four bytes, in network order, of an IPv4 address in any
// form of inet_aton(3): one to four numbers, each decimal, octal (leading 0) or
// hexadecimal (leading 0x), of which the last fills the bytes that remain:
// "1.2" is 1.0.0.2. As in the C library, white space may follow, and behind it
// anything. The error is EINVAL.
func InetAton(s string) ([4]byte, error) {
	addr, rest, ok := netdb.ParseAton(s)
	if !ok || rest != "" && strings.IndexByte(" \t\n\v\f\r", rest[0]) < 0 {
		return [4]byte{}, &Error{Op: "inet_aton", Num: EINVAL, Msg: "not an IPv4 address"}
	}
	return addr.As4(), nil
}

// InetNtoa returns the dotted quad of four bytes (inet_ntoa(3)). The error is
// EINVAL for another length.
func InetNtoa(b []byte) (string, error) {
	if len(b) != 4 {
		return "", &Error{Op: "inet_ntoa", Num: EINVAL, Msg: "an IPv4 address has 4 bytes"}
	}
	return netip.AddrFrom4([4]byte(b)).String(), nil
}

// InetPton returns the bytes, in network order, of an address in its standard
// form (inet_pton(3)): for AF_INET four decimal numbers without leading zeros,
// for AF_INET6 the forms of RFC 4291 section 2.2 without a zone. Errors: EINVAL
// for another text, EAFNOSUPPORT for another family.
func InetPton(f Family, s string) ([]byte, error) {
	if f != AF_INET && f != AF_INET6 {
		return nil, &Error{Op: "inet_pton", Num: EAFNOSUPPORT}
	}
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Is4() != (f == AF_INET) || addr.Zone() != "" {
		return nil, &Error{Op: "inet_pton", Num: EINVAL, Msg: "not an address of " + f.String()}
	}
	return addr.AsSlice(), nil
}

// InetNtop returns the text of 4 bytes (AF_INET) or 16 (AF_INET6) in network
// order, as inet_ntop(3) of glibc writes it: the longest run of zeros is "::",
// IPv4-mapped and IPv4-compatible addresses end in a dotted quad. Errors: EINVAL
// for another length, EAFNOSUPPORT for another family.
func InetNtop(f Family, b []byte) (string, error) {
	addr, ok := netip.AddrFromSlice(b)
	switch {
	case f != AF_INET && f != AF_INET6:
		return "", &Error{Op: "inet_ntop", Num: EAFNOSUPPORT}
	case !ok || addr.Is4() != (f == AF_INET):
		return "", &Error{Op: "inet_ntop", Num: EINVAL, Msg: "wrong length for " + f.String()}
	}
	return netdb.Ntop(addr), nil
}
