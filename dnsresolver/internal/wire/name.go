package wire

import "strings"

// EqualNames reports whether two absolute names are the same: ASCII letters
// compare without regard to case and nothing else is folded (RFC 4343).
func EqualNames(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// InDomain reports whether name is domain or below it. Both are absolute.
func InDomain(name, domain string) bool {
	if domain == "." {
		return true
	}
	if len(name) < len(domain) {
		return false
	}
	cut := len(name) - len(domain)
	if !EqualNames(name[cut:], domain) {
		return false
	}
	// The suffix must begin at a label, and not behind an escaped dot.
	return cut == 0 || name[cut-1] == '.' && !escaped(name, cut-1)
}

// escaped reports whether the byte at i stands behind an odd run of backslashes.
func escaped(name string, i int) bool {
	head := name[:i]
	return (len(head)-len(strings.TrimRight(head, `\`)))%2 == 1
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
