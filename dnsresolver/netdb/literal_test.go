package netdb

import (
	"net/netip"
	"strings"
	"testing"
)

func TestLiterals(t *testing.T) {
	known := func(zone string) bool { return zone == "tun0" || zone == "lo" }
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "127.1": "127.0.0.1", "0x7f.1": "127.0.0.1", "0177.0.0.01": "127.0.0.1",
		"2130706433": "127.0.0.1", "1.2.3": "1.2.0.3", "1.2.65535": "1.2.255.255", "1.2.3.0x4": "1.2.3.4",
		"1.2.3.0X4": "1.2.3.4", "0": "0.0.0.0", "4294967295": "255.255.255.255", "0xffffffff": "255.255.255.255",
		"1.16777215": "1.255.255.255", "037777777777": "255.255.255.255", "00": "0.0.0.0", "0x0.0.0.0": "0.0.0.0",
		"::1": "::1", "1:2:3:4:5:6:7:8": "1:2:3:4:5:6:7:8", "::1.2.3.4": "::102:304", "::ffff:1.2.3.4": "::ffff:1.2.3.4",
		"ABCD::EF": "abcd::ef", "::": "::",
		"fe80::1%tun0": "fe80::1%tun0", "ff02::1%tun0": "ff02::1%tun0", "fe80::1%3": "fe80::1%3", "fe80::1%0": "fe80::1%0",
		"fe80::1%4294967295": "fe80::1%4294967295", "2001:db8::1%7": "2001:db8::1%7", "::1%1": "::1%1",
	} {
		got, lit := ParseLiteral(text, known)
		if lit != IsLiteral || got.String() != want {
			t.Errorf("%q: %v, %d, want %s", text, got, lit, want)
		}
	}
	for _, text := range []string{
		"", "1.65536.1", "1.2.3.256", "08.0.0.1", "0x", "0x.1", "1..2", "4294967296", "1.2.3.4 ", " 1.2.3.4",
		"1.2.3.4 x", "1.2.3.4%lo", "[::1]", "12345::", "1::2::3", "1.2.3.4.", "1.2.3.4.5", "1.16777216", "256.1",
		"1.2.3.4\x00", "1.2.3.4\n", "::1 ", "::1\x00", "a", "abc.def", ".", "1.", ".1", "-1", "+1", "1e3", "0b1",
		"0x100000000", "99999999999999999999", "0xg", "1.2.3.0x", "fe80::1\x00%tun0", "::1.2.3", "::01.2.3.4", "example.com", "face",
	} {
		if got, lit := ParseLiteral(text, known); lit != NotLiteral {
			t.Errorf("%q: %v, %d, want no literal", text, got, lit)
		}
	}
	for _, text := range []string{
		"2001:db8::1%tun0", "::1%lo", "fe80::1%nope", "fe80::1%", "fe80::1%4294967296", "fe80::1%-1", "fe80::1%tun0%tun0",
	} {
		if got, lit := ParseLiteral(text, known); lit != BadZone {
			t.Errorf("%q: %v, %d, want a bad literal", text, got, lit)
		}
	}
	if _, lit := ParseLiteral("fe80::1%any", nil); lit != IsLiteral {
		t.Error("a zone is checked without interfaces")
	}
}

// slowAton is inet_aton(3) written for readers, for the fuzz test.
func slowAton(s string) (netip.Addr, bool) {
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var value uint64
	for i, part := range parts {
		n, ok := slowNumber(part)
		room := uint64(256)
		if i == len(parts)-1 {
			room = 1 << (8 * (4 - i))
		}
		if !ok || n >= room {
			return netip.Addr{}, false
		}
		value = value*room + n
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), true
}

func slowNumber(s string) (uint64, bool) {
	digits, base := "0123456789", uint64(10)
	low := strings.ToLower(s)
	if rest, ok := strings.CutPrefix(low, "0x"); ok {
		digits, base, low = "0123456789abcdef", 16, rest
	} else if len(low) > 1 && low[0] == '0' {
		digits, base = "01234567", 8
	}
	var n uint64
	for _, c := range []byte(low) {
		d := strings.IndexByte(digits, c)
		if d < 0 {
			return 0, false
		}
		if n = n*base + uint64(d); n > 1<<32 {
			return 0, false
		}
	}
	return n, low != ""
}

func FuzzLiteral(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "0x7f.1", "0177.1", "fe80::1%tun0", "::ffff:1.2.3.4", "1.2.3.4.", "4294967296", "a\x00b", "fe80::1%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		addr, lit := ParseLiteral(s, nil)
		if lit == IsLiteral != addr.IsValid() {
			t.Fatalf("%q: %v, %d", s, addr, lit)
		}
		if strings.Contains(s, ":") {
			return
		}
		want, ok := slowAton(s)
		if ok != (lit == IsLiteral) || ok && addr != want {
			t.Fatalf("%q: %v, %d, want %v, %v", s, addr, lit, want, ok)
		}
		// What is no literal must be either asked for as a name or refused,
		// and a literal must never be sent as a name.
		if lit == IsLiteral && !endsInNumber(s) {
			t.Fatalf("%q is a literal that could be taken for a name", s)
		}
	})
}
