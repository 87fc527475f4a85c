package dnsresolver

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

// AI_ADDRCONFIG keeps the question for a family that the host does not have from
// being asked, and never hides what is known without asking.
func TestSkippedFamily(t *testing.T) {
	nics := func() []NIC {
		return []NIC{{Name: "tun0", Index: 1, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.200/24"), netip.MustParsePrefix("fe80::1/64")}}}
	}
	for _, test := range []struct {
		host   string
		family Family
		want   int // addresses
		code   EAI
		asked  int
	}{
		{"dual.test", AF_UNSPEC, 2, 0, 1},
		{"dual.test", AF_INET, 2, 0, 1},
		{"dual.test", AF_INET6, 0, EAI_NONAME, 0},
		{"a6.test", AF_UNSPEC, 0, EAI_NODATA, 1},
		{"pinned.test", AF_INET6, 1, 0, 0},
		{"pinned.test", AF_UNSPEC, 2, 0, 0},
		{"localhost", AF_INET6, 1, 0, 0},
		{"2001:db8::1", AF_UNSPEC, 1, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			r := n.resolver(Config{
				NICs: nics, Servers: []Server{n.add("192.0.2.53", zone)}, Search: []string{},
				Hosts: map[string][]netip.Addr{"pinned.test": addrs("192.0.2.9", "2001:db8::9")},
			})
			list, err := r.GetAddrInfo(t.Context(), test.host, "80", netdb.Hints{
				Family: test.family, SockType: netdb.SOCK_STREAM, Flags: netdb.AI_ADDRCONFIG,
			})
			if got := len(n.asked()); got != test.asked {
				t.Errorf("%s, family %d: %d queries, want %d", test.host, test.family, got, test.asked)
			}
			if test.code != 0 {
				wantCode(t, err, test.code)
				return
			}
			if len(list) != test.want || err != nil {
				t.Errorf("%s, family %d: %v, %v", test.host, test.family, list, err)
			}
		})
	}
}

// The errors of the front end and those of a lookup are *Errors with all views.
func TestFrontEndErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.53", zone)}, Search: []string{}})
		_, err := r.GetAddrInfo(t.Context(), "::1", "80", netdb.Hints{Flags: 0x800})
		wantCode(t, err, EAI_BADFLAGS)
		_, err = r.GetAddrInfo(t.Context(), "sf.test", "80", netdb.Hints{})
		wantCode(t, err, EAI_AGAIN)
		var e *Error
		var dnsErr *net.DNSError
		if !errors.As(err, &e) || e.Server != netip.MustParseAddrPort("192.0.2.53:53") || !errors.As(err, &dnsErr) || dnsErr.Name != "sf.test" {
			t.Errorf("%#v", err)
		}
		_, plain := r.Lookup(t.Context(), "sf.test", LookupOptions{})
		if err.Error() != plain.Error() {
			t.Errorf("%v, want the error of Lookup: %v", err, plain)
		}
		_, err = r.GetHostByAddr(t.Context(), "192.0.2.99")
		if !errors.As(err, &e) || e.HErrno() != HOST_NOT_FOUND || e.Code != EAI_NONAME {
			t.Errorf("%v", err)
		}
		_, err = r.GetHostByNameEx(t.Context(), "")
		if !errors.As(err, &e) || e.HErrno() != NO_RECOVERY {
			t.Errorf("%v", err)
		}
	})
}

// A services file is used instead of the built-in list, and read again when it
// changes.
func TestServicesFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "services")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("mine 7777/tcp\n")
	r := newNetwork(t).resolver(Config{ServicesFile: path})
	port := func(service string) int {
		list, err := r.GetAddrInfo(t.Context(), "::1", service, netdb.Hints{})
		if err != nil {
			return 0
		}
		return int(list[0].Addr.Port())
	}
	if port("mine") != 7777 || port("http") != 0 {
		t.Errorf("mine %d, http %d", port("mine"), port("http"))
	}
	_, service, err := r.GetNameInfo(t.Context(), netip.MustParseAddrPort("[::1]:7777"), 0)
	if service != "mine" || err != nil {
		t.Errorf("%s, %v", service, err)
	}
	write("mine 8888/tcp\n")
	if _, _, err := r.services.get(time.Now().Add(2 * fileCheckInterval)); err != nil {
		t.Fatal(err)
	}
	if port("mine") != 8888 {
		t.Errorf("after a change: %d", port("mine"))
	}
	if _, err := New(Config{Transport: newNetwork(t), ServicesFile: path + ".none"}); !os.IsNotExist(errors.Unwrap(err)) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// Zones go by Config.NICs, in both directions.
func TestZonesOfNICs(t *testing.T) {
	r := newNetwork(t).resolver(Config{NICs: func() []NIC { return []NIC{{Name: "tun0", Index: 7}, {Name: "old"}} }})
	for addr, want := range map[string]string{"fe80::1%7": "fe80::1%tun0", "fe80::1%tun0": "fe80::1%tun0", "2001:db8::1%7": "2001:db8::1%7", "fe80::1%8": "fe80::1%8"} {
		host, _, err := r.GetNameInfo(t.Context(), netip.AddrPortFrom(netip.MustParseAddr(addr), 1), netdb.NI_NUMERICHOST)
		if host != want || err != nil {
			t.Errorf("%s: %s, %v, want %s", addr, host, err, want)
		}
	}
}

// GetFQDN asks twice at most in the time of one lookup.
func TestGetFQDNTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := n.resolver(Config{Timeout: time.Second, Attempts: 1, Search: []string{}, Servers: []Server{n.add("192.0.2.53", func(q query, s sender) {
			if q.typ != typePTR {
				s.after(900*time.Millisecond, message{answer: []rr{a(q.name, "192.0.2.1")}}.pack(q))
			}
		})}})
		start := time.Now()
		if got := r.GetFQDN(t.Context(), "a4.test"); got != "a4.test" {
			t.Error(got)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
	})
}
