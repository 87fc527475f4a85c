package netdb_test

import (
	"fmt"
	"testing"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

func ExampleParseAton() {
	addr, rest, ok := netdb.ParseAton("0x7f.1 # loopback")
	fmt.Printf("%v %q %v\n", addr, rest, ok)
	_, _, ok = netdb.ParseAton("localhost")
	fmt.Println(ok)
	// Output:
	// 127.0.0.1 " # loopback" true
	// false
}

func TestParseAton(t *testing.T) {
	for _, tc := range []struct{ text, addr, rest string }{
		{"192.0.2.1", "192.0.2.1", ""},
		{"1.2", "1.0.0.2", ""},
		{"0177.0.0.01x", "127.0.0.1", "x"},
		{"0x", "0.0.0.0", "x"},
		{"0xg", "0.0.0.0", "xg"},
		{"08", "0.0.0.0", "8"},
		{"1.2.3.4\x00", "1.2.3.4", "\x00"},
		{"1.2.3.4 5", "1.2.3.4", " 5"},
		{"00000000000000000000000001", "0.0.0.1", ""},
	} {
		addr, rest, ok := netdb.ParseAton(tc.text)
		if !ok || addr.String() != tc.addr || rest != tc.rest {
			t.Errorf("%q: %v, %q, %v", tc.text, addr, rest, ok)
		}
	}
	for _, text := range []string{
		"", " 1.2.3.4", "1.", "1..2", ".1", "-1", "+1", "1.-2", "256.1", "1.65536.1", "1.2.65536", "1.2.3.256",
		"4294967296", "0x100000000", "18446744073709551617", "a", "::1", "1.2.3.", "1.2.3.4.", "1.2.3.4.5",
	} {
		if addr, _, ok := netdb.ParseAton(text); ok {
			t.Errorf("%q is %v", text, addr)
		}
	}
}
