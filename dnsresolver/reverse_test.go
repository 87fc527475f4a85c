package dnsresolver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func TestReverseName(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1":          "1.2.0.192.in-addr.arpa.",
		"::ffff:192.0.2.255": "255.2.0.192.in-addr.arpa.",
		"2001:db8::567:89ab": "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", // RFC 3596 section 2.5's form
		"fd00::%7":           strings.Repeat("0.", 30) + "d.f.ip6.arpa.",
	} {
		if got := reverseName(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

func TestLookupAddr(t *testing.T) {
	for _, test := range []struct {
		addr  string
		want  string // names
		code  EAI
		asked int
	}{
		{"192.0.2.1", "one.test uno.test", 0, 1},
		{"::ffff:192.0.2.1", "one.test uno.test", 0, 1},
		{"192.0.2.2", "dual.test", 0, 1},
		{"192.0.2.3", "three.test", 0, 1}, // RFC 2317
		{"192.0.2.4", "", EAI_NODATA, 1},  // "bad host.test"
		{"192.0.2.5", "", EAI_NODATA, 1},  // "x;rm.test"
		{"192.0.2.99", "", EAI_NONAME, 1},
		{"2001:db8::99", "", EAI_NONAME, 1},
		{"192.0.2.100", "multi.test alias1", 0, 0}, // the hosts file
		{"127.0.0.1", "localhost", 0, 0},
		{"127.9.9.9", "localhost", 0, 0},
		{"::1", "localhost", 0, 0},
		{"fe80::1%lo", "", EAI_NONAME, 0}, // no server can know
		{"169.254.1.1", "", EAI_NONAME, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			r := n.resolver(Config{HostsText: "192.0.2.100 multi.test alias1\n", Servers: []Server{n.add("192.0.2.53", zone)}})
			names, err := r.LookupAddr(t.Context(), netip.MustParseAddr(test.addr))
			if got := len(n.asked()); got != test.asked {
				t.Errorf("%s: %d queries, want %d", test.addr, got, test.asked)
			}
			if test.code != 0 {
				wantCode(t, err, test.code)
				return
			}
			if !slices.Equal(names, strings.Fields(test.want)) || err != nil {
				t.Errorf("%s: %q, %v, want %s", test.addr, names, err, test.want)
			}
		})
	}
}

// Failures of servers, and of the caller, are told apart from "no name".
func TestLookupAddrFailures(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.1")
	for name, test := range map[string]struct {
		h    handler
		code EAI
	}{
		"SERVFAIL": {rcode(rcodeServFail), EAI_AGAIN},
		"silence":  {func(query, sender) {}, EAI_AGAIN},
		"FORMERR":  {rcode(rcodeFormErr), EAI_FAIL},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			r := n.resolver(Config{Servers: []Server{n.add("192.0.2.53", test.h)}})
			_, err := r.LookupAddr(t.Context(), addr)
			wantCode(t, err, test.code)
			if t.Failed() {
				t.Error(name)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r := newNetwork(t).resolver(Config{})
		_, err := r.LookupAddr(t.Context(), addr)
		if !errors.Is(err, ErrNoServers) {
			t.Errorf("no servers: %v", err)
		}
		_, err = r.LookupAddr(t.Context(), netip.Addr{})
		wantCode(t, err, EAI_FAMILY)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = r.LookupAddr(ctx, addr)
		wantCode(t, err, EAI_CANCELED)
		r.Close()
		_, err = r.LookupAddr(t.Context(), addr)
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

// More PTR records than are read, with each name many times.
func TestManyNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		s := n.add("192.0.2.53", func(q query, s sender) {
			var m message
			for i := range maxAddrs + 26 {
				m.answer = append(m.answer, ptr(q.name, string(rune('a'+i%26))))
			}
			s.reply(q, m)
		})
		s.Proto = ProtoTCP
		names, err := n.resolver(Config{Servers: []Server{s}}).LookupAddr(t.Context(), netip.MustParseAddr("192.0.2.1"))
		if len(names) != 26 || err != nil {
			t.Errorf("%d names, %v", len(names), err)
		}
	})
}
