package netdb

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/quick"
)

// names is a NameService with a fixed answer for every name. It notes what it is
// asked.
type names struct {
	addrs   []netip.Addr
	name    string // canonical; empty: the one asked for
	reverse []string
	err     error

	asked string
	o     LookupOptions
}

func (n *names) Lookup(_ context.Context, name string, o LookupOptions) (Answer, error) {
	n.asked, n.o = name, o
	if n.err != nil {
		return Answer{}, n.err
	}
	ans := Answer{Name: n.name, Addrs: SelectFamily(n.addrs, o.Family), Source: SourceDNS}
	if ans.Name == "" {
		ans.Name = name
	}
	return ans, nil
}

func (n *names) LookupAddr(_ context.Context, addr netip.Addr) ([]string, error) {
	n.asked = addr.String()
	return n.reverse, n.err
}

// lan is an Interfaces with lo, index 1, and eth0, index 2.
type lan struct{ v4, v6 bool }

func (lan) ZoneIndex(name string) (uint32, bool) {
	i := slices.Index([]string{"lo", "eth0"}, name)
	return uint32(i + 1), i >= 0
}

func (lan) ZoneName(index uint32) (string, bool) {
	if index < 1 || index > 2 {
		return "", false
	}
	return []string{"lo", "eth0"}[index-1], true
}

func (l lan) Configured() (v4, v6 bool) { return l.v4, l.v6 }

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// wantCode fails the test unless err is an *Error with the code.
func wantCode(t *testing.T, err error, code EAI) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error %v (%T), want %d (%v)", err, err, code, code)
	}
}

func text(list []AddrInfo) string {
	var out []string
	for _, ai := range list {
		out = append(out, fmt.Sprintf("%d/%d/%d %v %s", ai.Family, ai.SockType, ai.Protocol, ai.Addr, ai.CanonName))
	}
	return strings.Join(out, ", ")
}

// The checks come in glibc's order: each call here has two faults, and the code
// is that of the first.
func TestOrderOfChecks(t *testing.T) {
	db := DB{Interfaces: lan{}}
	for _, test := range []struct {
		host, service string
		hints         Hints
		code          EAI
	}{
		{"*", "*", Hints{Flags: 0x800}, EAI_NONAME},
		{"*", "", Hints{}, EAI_NONAME},
		{"", "80", Hints{Flags: AI_CANONNAME, Family: 3}, EAI_BADFLAGS},
		{"::1", "80", Hints{Flags: 0x800, Family: 3}, EAI_BADFLAGS},
		{"::1", "x", Hints{Flags: AI_NUMERICSERV, Family: 3}, EAI_FAMILY},
		{"::1", "x", Hints{Flags: AI_NUMERICSERV, SockType: 99}, EAI_NONAME},
		{"::1", "x", Hints{SockType: SOCK_STREAM, Protocol: IPPROTO_UDP}, EAI_SOCKTYPE},
		{"::1", "99999", Hints{SockType: SOCK_STREAM, Protocol: IPPROTO_UDP}, EAI_SOCKTYPE},
		{"::1", "x", Hints{Family: AF_INET}, EAI_SERVICE},
		{"fe80::1%nope", "80", Hints{Family: AF_INET}, EAI_ADDRFAMILY},
		{"fe80::1%nope", "80", Hints{Family: AF_INET6}, EAI_NONAME},
		{"::1", "80", Hints{Family: AF_INET, Flags: AI_NUMERICHOST}, EAI_ADDRFAMILY},
	} {
		_, err := db.GetAddrInfo(t.Context(), test.host, test.service, test.hints)
		wantCode(t, err, test.code)
		if t.Failed() {
			t.Fatalf("%q %q %+v", test.host, test.service, test.hints)
		}
	}
}

// Services and hints, as in the table of getaddrinfo(3)'s expansion. Ways are
// TYPE/PROTOCOL:PORT.
func TestWays(t *testing.T) {
	for _, test := range []struct {
		service            string
		socktype, protocol int
		want               string
		code               EAI
	}{
		{"", 0, 0, "1/6:0 2/17:0 3/0:0", 0},
		{"80", 0, 0, "1/6:80 2/17:80 3/0:80", 0},
		{"http", 0, 0, "1/6:80", 0},
		{"domain", 0, 0, "1/6:53 2/17:53", 0},
		{"syslog", 0, 0, "1/6:514 2/17:514", 0},
		{"ntp", 0, 0, "2/17:123", 0},
		{"nosuch", 0, 0, "", EAI_SERVICE},
		{"HTTP", 0, 0, "", EAI_SERVICE},
		{"www", SOCK_STREAM, 0, "1/6:80", 0},
		{"080", SOCK_STREAM, IPPROTO_TCP, "1/6:80", 0},
		{"0", 0, IPPROTO_TCP, "1/6:0", 0},
		{"65535", 0, IPPROTO_UDP, "2/17:65535", 0},
		{"", 0, IPPROTO_UDP, "2/17:0", 0},
		{"http", SOCK_DGRAM, 0, "", EAI_SERVICE},
		{"ntp", SOCK_DGRAM, IPPROTO_UDP, "2/17:123", 0},
		{"ntp", 0, IPPROTO_TCP, "", EAI_SERVICE},
		{"", SOCK_RAW, 0, "3/0:0", 0},
		{"", SOCK_RAW, 1, "3/1:0", 0},
		{"", SOCK_RAW, IPPROTO_TCP, "3/6:0", 0},
		{"", 0, 89, "3/89:0", 0},
		{"80", SOCK_RAW, 1, "", EAI_SERVICE},
		{"80", 0, 89, "", EAI_SERVICE},
		{"http", SOCK_RAW, 0, "", EAI_SERVICE},
		{"", SOCK_STREAM, IPPROTO_UDP, "", EAI_SOCKTYPE},
		{"", SOCK_DGRAM, IPPROTO_TCP, "", EAI_SOCKTYPE},
		{"", SOCK_STREAM, 132, "", EAI_SOCKTYPE},
		{"", 5, 0, "", EAI_SOCKTYPE},
		{"", 99, 6, "", EAI_SOCKTYPE},
		{"+80", 0, 0, "", EAI_SERVICE},
		{" 80", 0, 0, "", EAI_SERVICE},
		{"80 ", 0, 0, "", EAI_SERVICE},
		{"-1", 0, 0, "", EAI_SERVICE},
		{"0x50", 0, 0, "", EAI_SERVICE},
		{"65536", 0, 0, "", EAI_SERVICE},
		{"70000", SOCK_STREAM, 0, "", EAI_SERVICE},
		{"99999999999999999999", 0, 0, "", EAI_SERVICE},
		{"٨٠", 0, 0, "", EAI_SERVICE},
	} {
		w, code := new(DB).ways(test.service, Hints{SockType: test.socktype, Protocol: test.protocol})
		var got []string
		for _, v := range w.list[:w.n] {
			got = append(got, fmt.Sprintf("%d/%d:%d", v.socktype, v.protocol, v.port))
		}
		if s := strings.Join(got, " "); s != test.want || code != test.code {
			t.Errorf("%q, type %d, protocol %d: %q, %d, want %q, %d", test.service, test.socktype, test.protocol, s, code, test.want, test.code)
		}
	}
}

// AI_V4MAPPED and AI_ALL.
func TestV4Mapped(t *testing.T) {
	both, only4 := addrs("2001:db8::6", "192.0.2.1"), addrs("192.0.2.1", "192.0.2.2")
	for _, test := range []struct {
		addrs []netip.Addr
		hints Hints
		want  string // addresses
	}{
		{both, Hints{Flags: AI_V4MAPPED}, "2001:db8::6 192.0.2.1"},
		{both, Hints{Flags: AI_V4MAPPED, Family: AF_INET6}, "2001:db8::6"},
		{both, Hints{Flags: AI_V4MAPPED | AI_ALL, Family: AF_INET6}, "2001:db8::6 ::ffff:192.0.2.1"},
		{both, Hints{Flags: AI_ALL, Family: AF_INET6}, "2001:db8::6"},
		{only4, Hints{Flags: AI_V4MAPPED, Family: AF_INET6}, "::ffff:192.0.2.1 ::ffff:192.0.2.2"},
		{only4, Hints{Flags: AI_V4MAPPED, Family: AF_INET}, "192.0.2.1 192.0.2.2"},
		{only4, Hints{Flags: AI_ALL, Family: AF_INET6}, ""},
		{addrs("fe80::1%lo", "192.0.2.1"), Hints{Flags: AI_V4MAPPED | AI_ALL, Family: AF_INET6}, "fe80::1%lo ::ffff:192.0.2.1"},
	} {
		db := DB{Names: &names{addrs: test.addrs}}
		test.hints.SockType = SOCK_STREAM
		list, err := db.GetAddrInfo(t.Context(), "h.test", "80", test.hints)
		if test.want == "" {
			wantCode(t, err, EAI_NODATA)
			continue
		}
		var got []string
		for _, ai := range list {
			got = append(got, ai.Addr.Addr().String())
		}
		if s := strings.Join(got, " "); s != test.want || err != nil {
			t.Errorf("%v %+v: %s, %v, want %s", test.addrs, test.hints, s, err, test.want)
		}
	}
}

// AI_ADDRCONFIG: which family servers are not asked for.
func TestAddrConfig(t *testing.T) {
	for _, test := range []struct {
		interfaces Interfaces
		hints      Hints
		skip       Family
		family     Family
	}{
		{lan{v4: true}, Hints{Flags: AI_ADDRCONFIG}, AF_INET6, AF_UNSPEC},
		{lan{v6: true}, Hints{Flags: AI_ADDRCONFIG}, AF_INET, AF_UNSPEC},
		{lan{v4: true, v6: true}, Hints{Flags: AI_ADDRCONFIG}, AF_UNSPEC, AF_UNSPEC},
		{lan{}, Hints{Flags: AI_ADDRCONFIG}, AF_UNSPEC, AF_UNSPEC},
		{nil, Hints{Flags: AI_ADDRCONFIG}, AF_UNSPEC, AF_UNSPEC},
		{lan{v4: true}, Hints{}, AF_UNSPEC, AF_UNSPEC},
		{lan{v4: true}, Hints{Flags: AI_ADDRCONFIG, Family: AF_INET6}, AF_INET6, AF_INET6},
		{lan{v4: true}, Hints{Flags: AI_ADDRCONFIG | AI_V4MAPPED, Family: AF_INET6}, AF_INET6, AF_INET6}, // glibc: EAI_NONAME too
		{lan{v6: true}, Hints{Flags: AI_ADDRCONFIG | AI_V4MAPPED, Family: AF_INET6}, AF_INET, AF_UNSPEC},
	} {
		n := &names{addrs: addrs("192.0.2.1", "2001:db8::1")}
		db := DB{Names: n, Interfaces: test.interfaces}
		_, err := db.GetAddrInfo(t.Context(), "h.test", "", test.hints)
		if err != nil || n.o.Skip != test.skip || n.o.Family != test.family {
			t.Errorf("%+v %+v: asked %+v, %v", test.interfaces, test.hints, n.o, err)
		}
	}
	for _, p := range []struct {
		addr   string
		v4, v6 bool
	}{{"192.0.2.1", true, false}, {"2001:db8::1", false, true}, {"fd00::1", false, true}, {"127.0.0.1", false, false},
		{"::1", false, false}, {"fe80::1%eth0", false, false}, {"169.254.1.1", false, false}, {"0.0.0.0", false, false}} {
		if v4, v6 := Configures(netip.MustParseAddr(p.addr)); v4 != p.v4 || v6 != p.v6 {
			t.Errorf("%s: %v, %v", p.addr, v4, v6)
		}
	}
}

// Names that are not ASCII, and the flags about them.
func TestIDN(t *testing.T) {
	n := &names{addrs: addrs("192.0.2.1")}
	db := DB{Names: n}
	for name, want := range map[string]string{
		"bücher.test": "xn--bcher-kva.test", "BÜCHER.test": "xn--bcher-kva.test", "faß.test": "xn--fa-hia.test", "a。b.test": "a.b.test",
		"a_b.test": "a_b.test", "A.test": "A.test", "xn--bcher-kva.test": "xn--bcher-kva.test",
	} {
		for _, flags := range []AI{0, AI_IDN} {
			list, err := db.GetAddrInfo(t.Context(), name, "", Hints{Flags: flags | AI_CANONNAME})
			if err != nil || n.asked != want || list[0].CanonName != want {
				t.Errorf("%s: asked for %s, %s, %v, want %s", name, n.asked, text(list), err, want)
			}
		}
	}
	list, err := db.GetAddrInfo(t.Context(), "Bücher.test", "", Hints{Flags: AI_CANONNAME | AI_CANONIDN})
	if err != nil || list[0].CanonName != "bücher.test" {
		t.Errorf("%s, %v", text(list), err)
	}
	list, err = db.GetAddrInfo(t.Context(), "１２７.１", "", Hints{SockType: SOCK_STREAM})
	if err != nil || text(list) != "2/1/6 127.0.0.1:0 " {
		t.Errorf("%s, %v", text(list), err)
	}
	n.asked = ""
	for _, name := range []string{"\xff.test", "b\xfccher.test", "a\u200d.test", "\u0627a.test", strings.Repeat("ü", 300), "xn--ü.test"} {
		_, err := db.GetAddrInfo(t.Context(), name, "", Hints{})
		wantCode(t, err, EAI_NONAME)
		_, err = db.GetAddrInfo(t.Context(), name, "", Hints{Flags: AI_IDN})
		wantCode(t, err, EAI_IDN_ENCODE)
	}
	if n.asked != "" {
		t.Errorf("asked for %q", n.asked)
	}
	for name, want := range map[string]string{"xn--bcher-kva.test": "bücher.test", "xn--\x00": "xn--\x00", "xn--a-ecp.ru": "xn--a-ecp.ru", "a.test": "a.test"} {
		if got := ToUnicode(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// What the name service says wrong.
func TestNameServiceErrors(t *testing.T) {
	for _, test := range []struct {
		err  error
		code EAI
		h    HErr
	}{
		{&Error{Code: EAI_NODATA}, EAI_NODATA, NO_DATA},
		{fmt.Errorf("wrapped: %w", &Error{Code: EAI_AGAIN}), EAI_AGAIN, TRY_AGAIN},
		{context.Canceled, EAI_CANCELED, TRY_AGAIN},
		{context.DeadlineExceeded, EAI_AGAIN, TRY_AGAIN},
		{errors.New("no idea"), EAI_FAIL, NO_RECOVERY},
	} {
		db := DB{Names: &names{err: test.err}}
		_, err := db.GetAddrInfo(t.Context(), "h.test", "", Hints{})
		wantCode(t, err, test.code)
		var e *Error
		if !errors.As(err, &e) || HErr(e.HErrno()) != test.h || !errors.Is(err, test.err) || e.GAICode() != int(test.code) {
			t.Errorf("%v: h_errno %d, want %d", err, e.HErrno(), test.h)
		}
		if e.Timeout() != errors.Is(test.err, context.DeadlineExceeded) || e.Temporary() != (test.h == TRY_AGAIN) {
			t.Errorf("%v: timeout %v, temporary %v", err, e.Timeout(), e.Temporary())
		}
	}
	db := DB{Names: &names{}}
	_, err := db.GetAddrInfo(t.Context(), "h.test", "", Hints{})
	wantCode(t, err, EAI_NODATA)
	for _, name := range []string{"a b", "a..b", "-a", "a\x00b", strings.Repeat("a", 64), "a/b"} {
		n := &names{addrs: addrs("192.0.2.1")}
		_, err := (&DB{Names: n}).GetAddrInfo(t.Context(), name, "", Hints{})
		wantCode(t, err, EAI_NONAME)
		if n.asked != "" {
			t.Errorf("asked for %q", n.asked)
		}
	}
}

// No hints and no text make GetAddrInfo do anything but return a list or an
// *Error.
func TestAnyHints(t *testing.T) {
	db := DB{Names: &names{addrs: addrs("192.0.2.1", "2001:db8::1")}, Interfaces: lan{v4: true}}
	f := func(host, service string, flags AI, family uint8, socktype, protocol uint8) bool {
		list, err := db.GetAddrInfo(t.Context(), host, service, Hints{flags & 0xfff, Family(family % 12), int(socktype % 6), int(protocol % 20)})
		var e *Error
		return err == nil && len(list) > 0 || errors.As(err, &e) && e.Code < 0 && list == nil
	}
	if err := quick.Check(f, nil); err != nil {
		t.Error(err)
	}
}

// localhost has the loopback address of a family that the hosts table leaves out;
// other names have none.
func TestPinnedNames(t *testing.T) {
	n := &names{addrs: addrs("2001:db8::1")}
	db := DB{Names: n, Hosts: ParseHosts([]byte("127.0.0.1 localhost\n192.0.2.1 h.test\n"))}
	_, err := db.GetAddrInfo(t.Context(), "h.test", "", Hints{Family: AF_INET6})
	wantCode(t, err, EAI_NODATA)
	if n.asked != "" {
		t.Errorf("asked for %s", n.asked)
	}
	db.Names = nil
	list, err := db.GetAddrInfo(t.Context(), "localhost", "", Hints{Family: AF_INET6, SockType: SOCK_DGRAM})
	if text(list) != "10/2/17 [::1]:0 " || err != nil {
		t.Errorf("%s, %v", text(list), err)
	}
}

func BenchmarkNumeric(b *testing.B) {
	var db DB
	for _, host := range []string{"192.0.2.1", "2001:db8::1", "127.1"} {
		b.Run(host, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := db.GetAddrInfo(b.Context(), host, "80", Hints{SockType: SOCK_STREAM}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestNumericAllocations(t *testing.T) {
	var db DB
	for _, host := range []string{"192.0.2.1", "2001:db8::1", "127.1"} {
		got := testing.AllocsPerRun(100, func() {
			if _, err := db.GetAddrInfo(t.Context(), host, "80", Hints{SockType: SOCK_STREAM}); err != nil {
				t.Fatal(err)
			}
		})
		if got > 2 {
			t.Errorf("%s: %v allocations, want at most 2", host, got)
		}
	}
}
