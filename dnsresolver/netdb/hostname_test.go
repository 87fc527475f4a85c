package netdb

import (
	"strings"
	"testing"
)

func TestIsHostname(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	name253 := strings.Repeat(label63+".", 3) + strings.Repeat("a", 61)
	for name, want := range map[string]bool{
		"a": true, "a.b": true, "a.b.": true, "A-b.c_d": true, "_srv._tcp.a": true, "1.a": true, "a.-b": true, "a-": true,
		label63 + ".a": true, name253: true, name253 + ".": true,
		"": false, ".": false, "..": false, "a..b": false, ".a": false, "a..": false, "-a": false, "a b": false, "a\x00": false,
		"a/b": false, "ä": false, "a\\b": false, "*.a": false, label63 + "a.b": false, name253 + "a": false,
	} {
		if got := IsHostname(name); got != want {
			t.Errorf("IsHostname(%q) = %v", name, got)
		}
	}
}

func TestEndsInNumber(t *testing.T) {
	for name, want := range map[string]bool{
		"1.2.3.4.5": true, "256.1.1.1": true, "a.1": true, "1.2.3.4.": true, "a.0x": true, "a.0X1f": true, "0x1": true, "09": true,
		"a": false, "1.a": false, "a.0xg": false, "a.1b": false, "1x": false, "com.": false,
	} {
		if got := endsInNumber(name); got != want {
			t.Errorf("endsInNumber(%q) = %v", name, got)
		}
	}
}

func TestNamePolicy(t *testing.T) {
	for name, want := range map[string]policy{
		"localhost": policyLocalhost, "a.localhost": policyLocalhost, "a.b.localhost": policyLocalhost,
		"onion": policyNoSuchName, "a.onion": policyNoSuchName, "a.invalid": policyNoSuchName,
		"a.1": policyNoSuchName, "mylocalhost": policyNone, "localhost.com": policyNone, "onion.com": policyNone, "a.local": policyNone,
	} {
		if got := namePolicy(name); got != want {
			t.Errorf("namePolicy(%q) = %v, want %v", name, got, want)
		}
	}
}
