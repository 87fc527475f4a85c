package netdb

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
)

const hostsSample = `127.0.0.1 localhost
127.0.1.1 myhost.example.com myhost
192.0.2.100 multi.test alias1 Alias2.Test
192.0.2.101 multi.test alias3 alias1
2001:db8::100 multi.test alias6
::ffff:192.0.2.103 mapped.test
fe80::5%lo zoned.test
`

func sampleDB(n NameService) *DB {
	return &DB{Names: n, Hosts: ParseHosts([]byte(hostsSample)), Interfaces: lan{}, Hostname: func() string { return "myhost.example.com" }}
}

func TestHostsEntries(t *testing.T) {
	db := sampleDB(nil)
	for name, want := range map[string]HostEnt{
		"multi.test":  {"multi.test", []string{"alias1", "Alias2.Test", "alias3"}, []string{"192.0.2.100", "192.0.2.101"}},
		"ALIAS1":      {"multi.test", []string{"alias1", "Alias2.Test", "alias3"}, []string{"192.0.2.100", "192.0.2.101"}},
		"alias3.":     {"multi.test", []string{"alias3", "alias1"}, []string{"192.0.2.101"}},
		"mapped.test": {"mapped.test", nil, []string{"192.0.2.103"}},
		"localhost":   {"localhost", nil, []string{"127.0.0.1"}},
	} {
		if got, err := db.GetHostByNameEx(t.Context(), name); err != nil || !same(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
	for addr, want := range map[string]string{
		"192.0.2.101": "multi.test", "::ffff:192.0.2.101": "multi.test", "192.0.2.103": "mapped.test", "2001:db8::100": "multi.test",
		"fe80::5%lo": "zoned.test", "127.0.0.1": "localhost", "127.5.5.5": "localhost", "::1": "localhost",
	} {
		if got, err := db.GetHostByAddr(t.Context(), addr); err != nil || got.Name != want {
			t.Errorf("%s: %+v, %v, want %s", addr, got, err, want)
		}
	}
	for _, addr := range []string{"fe80::5%eth0", "fe80::5", "169.254.1.1", "192.0.2.1"} {
		_, err := db.GetHostByAddr(t.Context(), addr)
		var e *Error
		if !errors.As(err, &e) || e.H != HOST_NOT_FOUND {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if e := db.Hosts.Lookup("Multi.Test."); e == nil || len(e.Addrs) != 3 {
		t.Errorf("%+v", e)
	}
	// What is handed out is a copy.
	db.Hosts.LookupAddr(netip.MustParseAddr("192.0.2.100"))[0] = "evil"
	if names := db.Hosts.LookupAddr(netip.MustParseAddr("192.0.2.100")); names[0] != "multi.test" {
		t.Error(names)
	}
}

func same(a, b HostEnt) bool {
	return a.Name == b.Name && slices.Equal(a.Aliases, b.Aliases) && slices.Equal(a.Addrs, b.Addrs)
}

// What the reverse look-ups make of errors.
func TestReverseErrors(t *testing.T) {
	for _, test := range []struct {
		code EAI
		h    HErr
		info EAI // of GetNameInfo; 0: the number
	}{
		{EAI_NONAME, HOST_NOT_FOUND, 0}, {EAI_NODATA, HOST_NOT_FOUND, 0}, {EAI_AGAIN, TRY_AGAIN, EAI_AGAIN}, {EAI_FAIL, NO_RECOVERY, EAI_FAIL},
		{EAI_CANCELED, TRY_AGAIN, EAI_CANCELED},
	} {
		n := &names{err: &Error{Code: test.code}}
		db := sampleDB(n)
		_, err := db.GetHostByAddr(t.Context(), "::ffff:192.0.2.1")
		var e *Error
		if !errors.As(err, &e) || e.H != test.h || n.asked != "192.0.2.1" {
			t.Errorf("%v: %v, asked for %s", test.code, err, n.asked)
		}
		host, _, err := db.GetNameInfo(t.Context(), netip.MustParseAddrPort("192.0.2.1:80"), 0)
		switch {
		case test.info != 0:
			wantCode(t, err, test.info)
		case host != "192.0.2.1" || err != nil:
			t.Errorf("%v: %s, %v", test.code, host, err)
		}
		_, _, err = db.GetNameInfo(t.Context(), netip.MustParseAddrPort("192.0.2.1:80"), NI_NAMEREQD)
		want := test.info
		if want == 0 {
			want = EAI_NONAME
		}
		wantCode(t, err, want)
	}
	db := sampleDB(&names{}) // no names at all
	_, err := db.GetHostByAddr(t.Context(), "192.0.2.1")
	if e := (*Error)(nil); !errors.As(err, &e) || e.H != HOST_NOT_FOUND || e.Error() != "192.0.2.1: Unknown host" {
		t.Error(err)
	}
}

func TestGetNameInfo(t *testing.T) {
	db := sampleDB(&names{reverse: []string{"www.example.com", "other"}})
	for _, test := range []struct {
		addr          string
		flags         NI
		host, service string
	}{
		{"192.0.2.1:80", 0, "www.example.com", "http"},
		{"192.0.2.1:80", NI_NOFQDN, "www", "http"},
		{"192.0.2.1:80", 0xc0 | NI_NUMERICHOST, "192.0.2.1", "http"}, // glibc has these bits and ignores them
		{"127.0.1.1:22", NI_NOFQDN | NI_NUMERICSERV, "myhost", "22"},
		{"192.0.2.100:22", NI_NOFQDN | NI_NUMERICSERV, "multi.test", "22"},
		{"192.0.2.1:514", NI_DGRAM, "www.example.com", "syslog"},
		{"[fe80::1%lo]:80", NI_NUMERICHOST, "fe80::1%lo", "http"},
		{"[fe80::1%2]:80", NI_NUMERICHOST, "fe80::1%eth0", "http"},
		{"[fe80::1%9]:80", NI_NUMERICHOST, "fe80::1%9", "http"},
		{"[fe80::1%nope]:80", NI_NUMERICHOST, "fe80::1%nope", "http"},
		{"[fe80::1%0]:80", NI_NUMERICHOST, "fe80::1", "http"},
		{"[2001:db8::1%lo]:80", NI_NUMERICHOST, "2001:db8::1%1", "http"},
		{"[::ffff:192.0.2.1]:80", NI_NUMERICHOST, "::ffff:192.0.2.1", "http"},
	} {
		host, service, err := db.GetNameInfo(t.Context(), netip.MustParseAddrPort(test.addr), test.flags)
		if host != test.host || service != test.service || err != nil {
			t.Errorf("%s, flags %d: %s, %s, %v, want %s, %s", test.addr, test.flags, host, service, err, test.host, test.service)
		}
	}
	db.Names = &names{reverse: []string{"WWW.Example.COM"}}
	if host, _, err := db.GetNameInfo(t.Context(), netip.MustParseAddrPort("192.0.2.1:80"), NI_NOFQDN); host != "WWW" || err != nil {
		t.Errorf("%s, %v", host, err)
	}
	db.Names = &names{reverse: []string{"xn--bcher-kva.example.com"}}
	host, _, err := db.GetNameInfo(t.Context(), netip.MustParseAddrPort("192.0.2.1:80"), NI_IDN)
	if host != "bücher.example.com" || err != nil {
		t.Errorf("%s, %v", host, err)
	}
	_, _, err = db.GetNameInfo(t.Context(), netip.AddrPort{}, 0)
	wantCode(t, err, EAI_FAMILY)
	_, _, err = db.GetNameInfo(t.Context(), netip.AddrPort{}, 0x100)
	wantCode(t, err, EAI_BADFLAGS)
}

func TestGetFQDN(t *testing.T) {
	db := sampleDB(&names{addrs: addrs("192.0.2.9"), reverse: []string{"short", "also", "long.example.com"}})
	for host, want := range map[string]string{
		"h.test": "long.example.com", "192.0.2.9": "long.example.com", "": "myhost.example.com", "0.0.0.0": "myhost.example.com",
		"::": "myhost.example.com", " alias6\n": "multi.test", "a b": "a b",
	} {
		if got := db.GetFQDN(t.Context(), host); got != want {
			t.Errorf("%q: %s, want %s", host, got, want)
		}
	}
	db.Names = &names{addrs: addrs("192.0.2.9"), reverse: []string{"short"}}
	if got := db.GetFQDN(t.Context(), "h.test"); got != "short" {
		t.Error(got)
	}
	if got := new(DB).GetFQDN(t.Context(), ""); got != "localhost" {
		t.Error(got)
	}
}
