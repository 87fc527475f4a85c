package dnsresolver

import (
	"net/netip"
	"slices"
	"testing"
)

// routes is a RouteSource: the source address for each prefix; the longest that
// matches counts.
type routes map[string]string

func (m routes) SourceFor(dst netip.Addr) (src netip.Addr, ok bool) {
	best := -1
	for prefix, addr := range m {
		if p := netip.MustParsePrefix(prefix); p.Contains(dst.WithZone("")) && p.Bits() > best {
			best, src = p.Bits(), netip.MustParseAddr(addr)
		}
	}
	return src, best >= 0
}

// The examples of RFC 6724 section 10.2, and what the resolver adds to them.
func TestSortAddresses(t *testing.T) {
	dual := routes{"0.0.0.0/0": "198.51.100.117", "::/0": "2001:db8:1::2"}
	for _, test := range []struct {
		name   string
		routes routes
		nics   []netip.Prefix
		policy []PolicyEntry
		in     []netip.Addr
		want   []netip.Addr
	}{
		{
			name:   "prefer matching scope",
			routes: routes{"::/0": "2001:db8:1::2", "0.0.0.0/0": "169.254.13.78"},
			in:     addrs("198.51.100.121", "2001:db8:1::1"),
			want:   addrs("2001:db8:1::1", "198.51.100.121"),
		},
		{
			name:   "prefer matching scope, IPv4",
			routes: routes{"::/0": "fe80::1", "0.0.0.0/0": "198.51.100.117"},
			in:     addrs("2001:db8:1::1", "198.51.100.121"),
			want:   addrs("198.51.100.121", "2001:db8:1::1"),
		},
		{
			name:   "prefer higher precedence",
			routes: routes{"::/0": "2001:db8:1::2", "0.0.0.0/0": "10.1.2.4"},
			in:     addrs("10.1.2.3", "2001:db8:1::1"),
			want:   addrs("2001:db8:1::1", "10.1.2.3"),
		},
		{
			name:   "prefer smaller scope",
			routes: routes{"2001:db8::/32": "2001:db8:1::2", "fe80::/10": "fe80::2"},
			in:     addrs("2001:db8:1::1", "fe80::1"),
			want:   addrs("fe80::1", "2001:db8:1::1"),
		},
		{
			name:   "prefer matching label: 6to4",
			routes: routes{"::/0": "2002:c633:6401::2", "0.0.0.0/0": "198.51.100.117"},
			in:     addrs("2001:db8:1::1", "2002:c633:6401::1"),
			want:   addrs("2002:c633:6401::1", "2001:db8:1::1"),
		},
		{
			name:   "prefer higher precedence: 6to4 after native",
			routes: routes{"2002::/16": "2002:c633:6401::2", "::/0": "2001:db8:1::2"},
			in:     addrs("2002:c633:6401::1", "2001:db8:1::1"),
			want:   addrs("2001:db8:1::1", "2002:c633:6401::1"),
		},
		{
			name:   "unusable last, in order",
			routes: routes{"0.0.0.0/0": "198.51.100.117"},
			in:     addrs("2001:db8::1", "2001:db8::2", "192.0.2.1"),
			want:   addrs("192.0.2.1", "2001:db8::1", "2001:db8::2"),
		},
		{
			name:   "unusable after a bad match",
			routes: routes{"::/0": "fe80::2"},
			in:     addrs("192.0.2.1", "2002:c633:6401::1"),
			want:   addrs("2002:c633:6401::1", "192.0.2.1"),
		},
		{
			name:   "IPv4 before ULA of another site",
			routes: routes{"0.0.0.0/0": "198.51.100.117", "::/0": "2001:db8::2"},
			in:     addrs("fd00::1", "192.0.2.1"),
			want:   addrs("192.0.2.1", "fd00::1"),
		},
		{
			name:   "order of the server among equals",
			routes: dual,
			in:     addrs("192.0.2.9", "192.0.2.1", "192.0.2.5"),
			want:   addrs("192.0.2.9", "192.0.2.1", "192.0.2.5"),
		},
		{
			name:   "longest common prefix of IPv6",
			routes: dual,
			in:     addrs("2001:db8:3ffe::1", "2001:db8:1::1"),
			want:   addrs("2001:db8:1::1", "2001:db8:3ffe::1"),
		},
		{
			name:   "no prefix rule within the subnet of the source",
			routes: dual,
			nics:   []netip.Prefix{netip.MustParsePrefix("2001:db8:1::2/48")},
			in:     addrs("2001:db8:1:ff::1", "2001:db8:1::1"),
			want:   addrs("2001:db8:1:ff::1", "2001:db8:1::1"),
		},
		{
			name:   "IPv4 of the source's subnet first",
			routes: dual,
			nics:   []netip.Prefix{netip.MustParsePrefix("198.51.100.117/24")},
			in:     addrs("192.0.2.1", "198.51.100.1"),
			want:   addrs("198.51.100.1", "192.0.2.1"),
		},
		{
			name:   "policy of the caller",
			routes: dual,
			policy: []PolicyEntry{
				{netip.MustParsePrefix("::/0"), 40, 1},
				{netip.MustParsePrefix("::ffff:0:0/96"), 100, 4},
			},
			in:   addrs("2001:db8:1::1", "192.0.2.1"),
			want: addrs("192.0.2.1", "2001:db8:1::1"),
		},
		{
			name:   "loopback",
			routes: routes{"127.0.0.0/8": "127.0.0.1", "::1/128": "::1"},
			in:     addrs("127.0.0.1", "::1"),
			want:   addrs("::1", "127.0.0.1"),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := Config{Routes: test.routes, Policy: test.policy}
			if test.nics != nil {
				cfg.NICs = func() []NIC { return []NIC{{Name: "tun0", Addrs: test.nics}} }
			}
			r := newNetwork(t).resolver(cfg)
			got := slices.Clone(test.in)
			r.sort(got, OrderRFC6724)
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// The order does not depend on the order in which A and AAAA arrived, and
// without routes the answer's is kept.
func TestSortlist(t *testing.T) {
	r := newNetwork(t).resolver(Config{ResolvConfText: "sortlist 203.0.113.0/255.255.255.0 192.0.2.0 2001:db8:7::/48"})
	got := addrs("2001:db8::1", "198.51.100.1", "192.0.2.1", "2001:db8:7::1", "203.0.113.1")
	r.sort(got, OrderRFC6724)
	want := addrs("203.0.113.1", "192.0.2.1", "2001:db8:7::1", "2001:db8::1", "198.51.100.1")
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestScope(t *testing.T) {
	for text, want := range map[string]int{
		"127.0.0.1": scopeLinkLocal, "169.254.1.1": scopeLinkLocal, "10.0.0.1": scopeGlobal, "192.0.2.1": scopeGlobal,
		"::1": scopeLinkLocal, "fe80::1": scopeLinkLocal, "fec0::1": scopeSiteLocal, "fd00::1": scopeGlobal,
		"2001:db8::1": scopeGlobal, "ff02::1": 2, "ff05::1": 5, "ff0e::1": 0xE, "::ffff:127.0.0.1": scopeLinkLocal,
	} {
		if got := new(Config).basePolicy().scopeOf(netip.MustParseAddr(text)); got != want {
			t.Errorf("scope of %s: %#x, want %#x", text, got, want)
		}
	}
}
