package netdb_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

func ExampleNtop() {
	a := netip.MustParseAddr("::102:304")
	fmt.Println(a, netdb.Ntop(a))
	// Output: ::102:304 ::1.2.3.4
}

func TestNtop(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1":        "192.0.2.1",
		"::":               "::",
		"::1":              "::1",
		"::ffff":           "::ffff",
		"::1:0":            "::0.1.0.0",
		"::102:304":        "::1.2.3.4",
		"::102:304%tun0":   "::1.2.3.4%tun0",
		"::ffff:102:304":   "::ffff:1.2.3.4",
		"::1:102:304":      "::1:102:304",
		"1:0:0:2:0:0:0:3":  "1:0:0:2::3",
		"1:0:0:2:3:0:0:4":  "1::2:3:0:0:4",
		"1:0:2:3:4:5:6:7":  "1:0:2:3:4:5:6:7",
		"0:0:0:0:1:0:0:0":  "::1:0:0:0",
		"fe80::1%3":        "fe80::1%3",
		"2001:DB8::A:0:0":  "2001:db8::a:0:0",
		"64:ff9b::1.2.3.4": "64:ff9b::102:304",
	} {
		if got := netdb.Ntop(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if got := netdb.Ntop(netip.Addr{}); got != "invalid IP" {
		t.Errorf("the zero address: %q", got)
	}
}
