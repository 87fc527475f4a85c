package sockets_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

func ExampleInetAton() {
	b, err := sockets.InetAton("0x7f.1")
	fmt.Println(b, err)
	text, err := sockets.InetNtoa(b[:])
	fmt.Println(text, err)
	_, err = sockets.InetAton("1.2.3.256")
	fmt.Println(err)
	// Output:
	// [127 0 0 1] <nil>
	// 127.0.0.1 <nil>
	// inet_aton: [Errno 22] Invalid argument: not an IPv4 address
}

func ExampleInetPton() {
	b, err := sockets.InetPton(sockets.AF_INET6, "2001:db8::1")
	fmt.Printf("%x %v\n", b, err)
	text, err := sockets.InetNtop(sockets.AF_INET6, b)
	fmt.Println(text, err)
	// Output:
	// 20010db8000000000000000000000001 <nil>
	// 2001:db8::1 <nil>
}

func ExampleHtons() {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], sockets.Htons(443))
	fmt.Println(b, sockets.Ntohs(sockets.Htons(443)))
	// Output: [1 187] 443
}

func ExampleAddrFamilyName() {
	fmt.Println(sockets.AddrFamilyName(sockets.AF_INET6), sockets.AddrFamilyName(77), sockets.AF_INET6, sockets.Family(77))
	// Output: PR_AF_INET6 unknown(77) AF_INET6 AF_77
}

func TestByteOrder(t *testing.T) {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], sockets.Htonl(0x01020304))
	if b != [4]byte{1, 2, 3, 4} {
		t.Errorf("Htonl lays out % x", b)
	}
	for _, x := range []uint32{0, 1, 0x80000000, 0xdeadbeef, 0xffffffff} {
		if sockets.Ntohl(sockets.Htonl(x)) != x || sockets.Ntohs(sockets.Htons(uint16(x))) != uint16(x) {
			t.Errorf("%#x does not survive", x)
		}
	}
}

func TestInetAton(t *testing.T) {
	for text, want := range map[string]string{
		"1.2.3.4": "1.2.3.4", "1.2.3": "1.2.0.3", "1.2": "1.0.0.2", "1": "0.0.0.1", "010.0xA.10": "8.10.0.10",
		"0XFFFFFFFF": "255.255.255.255", "1.2.3.4 x": "1.2.3.4", "1.2.3.4\n": "1.2.3.4", "127.1\t.": "127.0.0.1", "0": "0.0.0.0",
	} {
		got, err := sockets.InetAton(text)
		if err != nil || netip.AddrFrom4(got).String() != want {
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", " 1.2.3.4", "1.", "1..2", "08", "1.2.3.4.", "1.2.3.4.5", "1.2.3.4x", "1.2.3.4\x00", "0x", "1.2.3.256",
		"4294967296", "::1", "localhost", "１.2.3.4", "1.2.3.4\u00a0",
	} {
		got, err := sockets.InetAton(text)
		if err == nil {
			t.Errorf("%q: %v", text, got)
			continue
		}
		wantErrno(t, err, sockets.EINVAL)
	}
}

func TestInetLengths(t *testing.T) {
	for n := range 20 {
		_, err := sockets.InetNtoa(make([]byte, n))
		if (err == nil) != (n == 4) {
			t.Errorf("inet_ntoa of %d bytes: %v", n, err)
		}
		for f, size := range map[sockets.Family]int{sockets.AF_INET: 4, sockets.AF_INET6: 16} {
			_, err := sockets.InetNtop(f, make([]byte, n))
			if n == size && err != nil {
				t.Errorf("inet_ntop: %v", err)
			}
			if n != size {
				wantErrno(t, err, sockets.EINVAL)
			}
		}
	}
	for _, f := range []sockets.Family{sockets.AF_UNSPEC, sockets.AF_UNIX, sockets.AF_PACKET, -1, 1 << 20} {
		_, err := sockets.InetNtop(f, make([]byte, 4))
		wantErrno(t, err, sockets.EAFNOSUPPORT)
		_, err = sockets.InetPton(f, "1.2.3.4")
		wantErrno(t, err, sockets.EAFNOSUPPORT)
	}
}

func TestInetPton(t *testing.T) {
	for _, tc := range []struct {
		f    sockets.Family
		text string
		want string // as inet_ntop has it, or "" when it is refused
	}{
		{sockets.AF_INET, "255.255.255.255", "255.255.255.255"},
		{sockets.AF_INET, "01.02.03.04", ""},
		{sockets.AF_INET, "1.2.3", ""},
		{sockets.AF_INET, "1.2.3.4 ", ""},
		{sockets.AF_INET, "::ffff:1.2.3.4", ""},
		{sockets.AF_INET6, "1.2.3.4", ""},
		{sockets.AF_INET6, "::1.2.3.4", "::1.2.3.4"},
		{sockets.AF_INET6, "::FFFF:1.2.3.4", "::ffff:1.2.3.4"},
		{sockets.AF_INET6, "::1:2", "::0.1.0.2"},
		{sockets.AF_INET6, "::2", "::2"},
		{sockets.AF_INET6, "1:0:0:2:0:0:0:3", "1:0:0:2::3"},
		{sockets.AF_INET6, "1:0:0:2:3:4:0:0", "1::2:3:4:0:0"},
		{sockets.AF_INET6, "1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"},
		{sockets.AF_INET6, "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
		{sockets.AF_INET6, "fe80::1%lo", ""},
		{sockets.AF_INET6, "fe80::1%1", ""},
		{sockets.AF_INET6, "::1::", ""},
		{sockets.AF_INET6, ":1::", ""},
		{sockets.AF_INET6, "00000::", ""},
		{sockets.AF_INET6, "::1.2.3", ""},
		{sockets.AF_INET6, "[::1]", ""},
		{sockets.AF_INET6, "", ""},
	} {
		b, err := sockets.InetPton(tc.f, tc.text)
		if tc.want == "" {
			wantErrno(t, err, sockets.EINVAL)
			continue
		}
		check(t, err)
		if got := must[string](t)(sockets.InetNtop(tc.f, b)); got != tc.want {
			t.Errorf("%q is %q, want %q", tc.text, got, tc.want)
		}
	}
}

func FuzzInetAton(f *testing.F) {
	for _, seed := range []string{"1.2.3.4", "0x7f.1", "0177.0.0.1", "4294967295", "1.2.3.4 rest", "1..2", "08", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := sockets.InetAton(text)
		if err != nil {
			if !errors.Is(err, sockets.EINVAL) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		quad := must[string](t)(sockets.InetNtoa(b[:]))
		if again, err := sockets.InetAton(quad); err != nil || again != b {
			t.Errorf("%q is %s, which is %v, %v", text, quad, again, err)
		}
		if p, err := sockets.InetPton(sockets.AF_INET, quad); err != nil || !bytes.Equal(p, b[:]) {
			t.Errorf("inet_pton(%s) is %v, %v", quad, p, err)
		}
		if i := strings.IndexFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\n\v\f\r", r) }); i >= 0 {
			if cut, err := sockets.InetAton(text[:i]); err != nil || cut != b {
				t.Errorf("%q without its end is %v, %v", text, cut, err)
			}
		}
	})
}

func FuzzInetPton(f *testing.F) {
	for _, seed := range []string{"::", "::1.2.3.4", "1:2:3:4:5:6:7::", "::ffff:1.2.3.4", "1.2.3.4", "fe80::1%1", "::1:0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, family := range []sockets.Family{sockets.AF_INET, sockets.AF_INET6} {
			b, err := sockets.InetPton(family, text)
			if err != nil {
				if !errors.Is(err, sockets.EINVAL) {
					t.Fatalf("%q: %v", text, err)
				}
				continue
			}
			short := must[string](t)(sockets.InetNtop(family, b))
			if again, err := sockets.InetPton(family, short); err != nil || !bytes.Equal(again, b) {
				t.Errorf("%q is %q, which is %v, %v", text, short, again, err)
			}
			if addr, err := netip.ParseAddr(text); err != nil || !bytes.Equal(addr.AsSlice(), b) {
				t.Errorf("%q: netip has %v, %v", text, addr, err)
			}
		}
	})
}
