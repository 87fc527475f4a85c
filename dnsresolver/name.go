package dnsresolver

import (
	"net/netip"
	"strings"
)

const (
	// maxName is the longest host name in bytes, without the final dot: 255
	// bytes on the wire less the first length byte and the root (RFC 1035
	// section 3.1).
	maxName  = 253
	maxLabel = 63 // bytes, RFC 1035 section 3.1
)

// isHostname reports whether name, with or without a final dot, is one that may
// be looked up or returned: letters, digits, hyphens, underscores and dots, no
// leading hyphen, no empty label (glibc's res_hnok and RFC 1035 lengths). It is
// applied to what callers ask and to every name a server returns, because such
// names reach shells and web pages (CVE-2021-33195).
func isHostname(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > maxName || name[0] == '-' {
		return false
	}
	label := 0
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '.':
			if label == 0 {
				return false
			}
			label = 0
			continue
		case !hostnameByte(c):
			return false
		}
		if label++; label > maxLabel {
			return false
		}
	}
	return label > 0
}

func hostnameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_'
}

// endsInNumber reports whether the last label of name is all digits or
// hexadecimal with 0x. No such top-level domain exists; these are mistyped
// addresses, and are not sent to anybody (WHATWG URL standard, "ends in a
// number").
func endsInNumber(name string) bool {
	name = strings.TrimSuffix(name, ".")
	last := name[strings.LastIndexByte(name, '.')+1:]
	if len(last) >= 2 && last[0] == '0' && last[1]|0x20 == 'x' {
		return strings.Trim(last[2:], "0123456789abcdefABCDEF") == ""
	}
	return isDigits(last)
}

// lowerName returns name in lower case (ASCII only), without a copy when it
// already is.
func lowerName(name string) string {
	for i := range len(name) {
		if c := name[i]; 'A' <= c && c <= 'Z' {
			return lowerCopy(name)
		}
	}
	return name
}

func lowerCopy(name string) string {
	b := []byte(name)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// policy is what is known of a name without asking anybody.
type policy int

const (
	policyNone       policy = iota
	policyLocalhost         // always the loopback addresses
	policyNoSuchName        // never exists: not sent to anybody
)

// namePolicy returns the policy for a lower-case name without a final dot:
// localhost and all below it are local (RFC 6761 section 6.3), .invalid does
// not exist (section 6.4), and .onion must not be sent (RFC 7686 section 2).
func namePolicy(name string) policy {
	switch name[strings.LastIndexByte(name, '.')+1:] {
	case "localhost":
		return policyLocalhost
	case "invalid", "onion":
		return policyNoSuchName
	}
	return policyNone
}

// loopbackAddrs are the addresses of localhost, IPv6 first as RFC 6724 sorts
// them.
var loopbackAddrs = []netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})}
