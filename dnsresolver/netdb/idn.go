package netdb

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// profile is UTS 46 without transitional processing, as browsers and libidn2
// have it: "faß" is xn--fa-hia, not fass.
var profile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false))

// ToASCII encodes a host name that is not ASCII (RFC 5891). Names in ASCII are
// returned as they are, whatever is in them. ok is false for what does not encode
// to a host name.
func ToASCII(name string) (ascii string, ok bool) {
	if isASCII(name) {
		return name, true
	}
	if len(name) > 4*MaxName || !utf8.ValidString(name) {
		return "", false
	}
	ascii, err := profile.ToASCII(name)
	return ascii, err == nil && IsHostname(ascii)
}

// ToUnicode decodes the labels of a host name that are encoded. A name that is
// not well encoded stays as it is.
func ToUnicode(name string) string {
	if !strings.Contains(name, "xn--") && !strings.Contains(name, "XN--") {
		return name
	}
	if decoded, err := profile.ToUnicode(name); err == nil {
		return decoded
	}
	return name
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
