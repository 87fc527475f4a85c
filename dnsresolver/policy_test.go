package dnsresolver

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// rfc3484 is what glibc sorts by.
const rfc3484 = `# the table of RFC 3484
label ::1/128 0
label ::/0 1
label 2002::/16 2
label ::/96 3
label ::ffff:0:0/96 4
precedence ::1/128 50
precedence ::/0 40
precedence 2002::/16 30
precedence ::/96 20
precedence ::ffff:0:0/96 10
`

// A gai.conf replaces the tables of which it has a line, and no others.
func TestGaiConf(t *testing.T) {
	dual := routes{"0.0.0.0/0": "198.51.100.117", "::/0": "fd00::2"}
	native := routes{"0.0.0.0/0": "198.51.100.117", "::/0": "2001:db8::2"}
	ula, v4, v6 := "fd00:0:0:5::1", "192.0.2.1", "2001:db8:5::1"
	for _, test := range []struct {
		name   string
		conf   string
		local  string
		routes routes
		in     []netip.Addr
		want   []netip.Addr
	}{
		{"RFC 6724: IPv4 before unique local", "", "", dual, addrs(ula, v4), addrs(v4, ula)},
		{"RFC 3484: unique local before IPv4", rfc3484, "", dual, addrs(v4, ula), addrs(ula, v4)},
		{"known local before IPv4", "", "fd00::/48", dual, addrs(v4, ula), addrs(ula, v4)},
		{"unique local of another site", "", "fd11::/48", dual, addrs(ula, v4), addrs(v4, ula)},
		{"IPv4 first", "precedence ::ffff:0:0/96 100", "", native, addrs(v6, v4), addrs(v4, v6)},
		{"a file's precedence does not touch labels", "precedence ::/0 40", "", dual, addrs(ula, v6), addrs(ula, v6)},
		{"the label decides", "label 2001:db8:5::/48 77", "", native, addrs(v6, "2001:db8:6::1"), addrs("2001:db8:6::1", v6)},
		{"scope of private addresses", "scopev4 10.0.0.0/8 5\nscopev4 0.0.0.0/0 14", "", routes{"0.0.0.0/0": "10.0.0.9"}, addrs(v4, "10.1.1.1"), addrs("10.1.1.1", v4)},
		{"scope in the mapped form", "scopev4 ::ffff:10.0.0.0/104 0x5", "", routes{"0.0.0.0/0": "10.0.0.9"}, addrs(v4, "10.1.1.1"), addrs("10.1.1.1", v4)},
		{"scope of IPv6 is not for a file", "scopev4 2001:db8::/32 2", "", native, addrs(v6, v4), addrs(v6, v4)},
		{"nothing but nonsense", "precedence\nprecedence ::/0\nprecedence ::/0 x\nprecedence ::/129 1\nprecedence fe80::%1/10 1\nprecedence 1.2.3/8 1\nreload yes\nlabel # ::/0 1\nother ::/0 1\n",
			"", native, addrs(v4, v6), addrs(v6, v4)},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := Config{Routes: test.routes, GaiConfText: test.conf}
			if test.local != "" {
				cfg.KnownLocalULA = []netip.Prefix{netip.MustParsePrefix(test.local)}
			}
			r := newNetwork(t).resolver(cfg)
			for range 2 { // and from the other end, as nothing here is a tie
				got := slices.Clone(test.in)
				r.sort(got, OrderRFC6724)
				if !slices.Equal(got, test.want) {
					t.Errorf("%v: got %v, want %v", test.in, got, test.want)
				}
				slices.Reverse(test.in)
			}
		})
	}
}

// The file is read again when it changes, and one that is not there is a mistake.
func TestGaiConfFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gai.conf")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("precedence ::ffff:0:0/96 100\n")
	n := newNetwork(t)
	r := n.resolver(Config{GaiConf: path})
	if got := r.policy().precedenceOf(netip.MustParseAddr("192.0.2.1")); got != 100 {
		t.Errorf("precedence %d", got)
	}
	write("precedence ::ffff:0:0/96 7\n")
	if _, _, err := r.gai.get(time.Now().Add(2 * fileCheckInterval)); err != nil {
		t.Fatal(err)
	}
	if got := r.policy().precedenceOf(netip.MustParseAddr("192.0.2.1")); got != 7 {
		t.Errorf("after a change: precedence %d", got)
	}
	if _, err := New(Config{Transport: n, GaiConf: path + ".none"}); !os.IsNotExist(errors.Unwrap(err)) {
		t.Errorf("a file that is not there: %v", err)
	}
	for _, cfg := range []Config{
		{GaiConf: path, GaiConfText: "x"},
		{KnownLocalULA: []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")}},
		{KnownLocalULA: []netip.Prefix{netip.MustParsePrefix("::/0")}},
		{KnownLocalULA: []netip.Prefix{{}}},
	} {
		cfg.Transport = n
		if _, err := New(cfg); err == nil {
			t.Errorf("%v %v: no error", cfg.GaiConf, cfg.KnownLocalULA)
		}
	}
}

// The sortlist of resolv.conf counts for gethostbyname(3) as well.
func TestSortlistOfWireOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := n.resolver(Config{
			ResolvConfText: "sortlist 192.0.2.2/255.255.255.255\n", Servers: []Server{n.add("192.0.2.53", zone)}, Search: []string{},
		})
		if addr, err := r.GetHostByName(t.Context(), "dual.test"); addr.String() != "192.0.2.2" || err != nil {
			t.Errorf("%v, %v", addr, err)
		}
	})
}

func FuzzGaiConf(f *testing.F) {
	f.Add([]byte(rfc3484))
	f.Add([]byte("scopev4 169.254.0.0/16 2\nlabel \x00/1 1\nprecedence ::/0 0xfffffffff"))
	base := new(Config).basePolicy()
	f.Fuzz(func(t *testing.T, text []byte) {
		p := base.withGaiConf(text)
		for _, table := range []policyTable{p.precedence, p.label, p.scope4} {
			for _, row := range table {
				if !row.prefix.IsValid() || row.value < 0 || row.prefix.Addr().Is4() || row.prefix != row.prefix.Masked() {
					t.Fatalf("%+v", row)
				}
			}
			if len(table) > maxPolicyRows {
				t.Fatalf("%d rows", len(table))
			}
		}
	})
}
