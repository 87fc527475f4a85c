package netdb

import "strings"

const (
	// MaxName is the longest host name in bytes, without the final dot: 255
	// bytes on the wire less the first length byte and the root (RFC 1035
	// section 3.1).
	MaxName  = 253
	maxLabel = 63 // bytes, RFC 1035 section 3.1
)

// IsHostname reports whether name, with or without a final dot, is one that may
// be looked up or returned: letters, digits, hyphens, underscores and dots, no
// leading hyphen, no empty label (glibc's res_hnok and RFC 1035 lengths). It is
// applied to what callers ask and to every name a server returns, because such
// names reach shells and web pages (CVE-2021-33195).
func IsHostname(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > MaxName || name[0] == '-' {
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

// FoldName returns the form in which names are compared: lower case (ASCII
// only), no final dot. It copies nothing when name has that form already.
func FoldName(name string) string {
	name = strings.TrimSuffix(name, ".")
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

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
