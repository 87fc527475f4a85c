package sockets_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/userstack/userstack/dnsresolver/netdb"
	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/sockets"
)

// entries returns a list as text: "FAMILY TYPE PROTO ADDRESS [CANONNAME]".
func entries(list []sockets.AddrInfoEntry) (out []string) {
	for _, e := range list {
		s := fmt.Sprintf("%v %d %d %v", e.Family, e.Type, e.Proto, e.Addr)
		if a, ok := e.Addr.(sockets.Inet6); ok && a.ScopeID != 0 {
			s += fmt.Sprintf(" scope %d", a.ScopeID)
		}
		if e.CanonName != "" {
			s += " (" + e.CanonName + ")"
		}
		out = append(out, s)
	}
	return out
}

// wantGAI fails the test unless err is a *GAIError with the code.
func wantGAI(t testing.TB, err error, code sockets.EAI) {
	t.Helper()
	var gai *sockets.GAIError
	if !errors.As(err, &gai) || gai.Code != code {
		t.Errorf("error %v (%T), want a *GAIError with %d (%v)", err, err, code, code)
	}
}

// wantHErr fails the test unless err is an *HError with the code.
func wantHErr(t testing.TB, err error, code sockets.HErr) {
	t.Helper()
	h, ok := err.(*sockets.HError)
	if !ok || h.Code != code {
		t.Errorf("error %v (%T), want an *HError with %d (%v)", err, err, code, code)
	}
}

// configuredHost is a host without a link, with what Config can say of names.
func configuredHost(t testing.TB, cfg sockets.Config) *sockets.Host {
	t.Helper()
	s, err := stack.New(stack.Config{})
	check(t, err)
	cfg.Stack = s
	h, err := sockets.New(cfg)
	check(t, err)
	t.Cleanup(func() {
		h.Close()
		s.Close()
	})
	return h
}

// A2.1 without a resolver: numbers, services, hosts, checks.
func TestGetAddrInfo(t *testing.T) {
	h := configuredHost(t, sockets.Config{Hosts: netdb.ParseHosts([]byte("192.0.2.100 multi.test alias1\n2001:db8::100 multi.test alias6\n"))})
	for _, test := range []struct {
		host, service string
		hints         sockets.AddrInfoHints
		code          sockets.EAI // 0: want
		want          string      // separated by ", "
	}{
		{host: "127.1", service: "80", want: "AF_INET 1 6 127.0.0.1:80, AF_INET 2 17 127.0.0.1:80, AF_INET 3 0 127.0.0.1:80"},
		{host: "0x7f.1", service: "http", want: "AF_INET 1 6 127.0.0.1:80"},
		{host: "::1", service: "domain", want: "AF_INET6 1 6 [::1]:53, AF_INET6 2 17 [::1]:53"},
		{host: "::1", service: "tftp", want: "AF_INET6 2 17 [::1]:69"},
		{service: "80", hints: sockets.AddrInfoHints{Type: sockets.SOCK_STREAM}, want: "AF_INET6 1 6 [::1]:80, AF_INET 1 6 127.0.0.1:80"},
		{service: "80", hints: sockets.AddrInfoHints{Type: sockets.SOCK_STREAM, Flags: sockets.AI_PASSIVE}, want: "AF_INET 1 6 0.0.0.0:80, AF_INET6 1 6 [::]:80"},
		{host: "fe80::1%lo", service: "80", hints: sockets.AddrInfoHints{Type: sockets.SOCK_DGRAM}, want: "AF_INET6 2 17 [fe80::1]:80 scope 1"},
		{host: "fe80::1%3", hints: sockets.AddrInfoHints{Type: sockets.SOCK_DGRAM}, want: "AF_INET6 2 17 [fe80::1]:0 scope 3"},
		{host: "fe80::1%nope", service: "80", code: sockets.EAI_NONAME},
		{host: "192.0.2.1", hints: sockets.AddrInfoHints{Family: sockets.AF_INET6, Flags: sockets.AI_V4MAPPED, Proto: sockets.IPPROTO_TCP}, want: "AF_INET6 1 6 [::ffff:192.0.2.1]:0"},
		{host: "127.1", hints: sockets.AddrInfoHints{Proto: sockets.IPPROTO_UDP, Flags: sockets.AI_CANONNAME}, want: "AF_INET 2 17 127.0.0.1:0 (127.1)"},
		{host: "ALIAS1.", hints: sockets.AddrInfoHints{Type: sockets.SOCK_STREAM, Flags: sockets.AI_CANONNAME}, want: "AF_INET 1 6 192.0.2.100:0 (multi.test)"},
		{host: "multi.test", hints: sockets.AddrInfoHints{Type: sockets.SOCK_STREAM}, want: "AF_INET 1 6 192.0.2.100:0, AF_INET6 1 6 [2001:db8::100]:0"},
		{host: "localhost", hints: sockets.AddrInfoHints{Type: sockets.SOCK_STREAM}, want: "AF_INET6 1 6 [::1]:0, AF_INET 1 6 127.0.0.1:0"},
		{code: sockets.EAI_NONAME},
		{host: "unknown.test", service: "80", code: sockets.EAI_NONAME},
		{host: "localhost", service: "80", hints: sockets.AddrInfoHints{Flags: sockets.AI_NUMERICHOST}, code: sockets.EAI_NONAME},
		{host: "::1", service: "http", hints: sockets.AddrInfoHints{Flags: sockets.AI_NUMERICSERV}, code: sockets.EAI_NONAME},
		{host: "::1", service: "nosuch", code: sockets.EAI_SERVICE},
		{host: "::1", service: "65536", code: sockets.EAI_SERVICE},
		{host: "::1", service: "80", hints: sockets.AddrInfoHints{Type: sockets.SOCK_RAW}, code: sockets.EAI_SERVICE},
		{host: "::1", service: "80", hints: sockets.AddrInfoHints{Type: sockets.SOCK_STREAM, Proto: sockets.IPPROTO_UDP}, code: sockets.EAI_SOCKTYPE},
		{host: "::1", service: "80", hints: sockets.AddrInfoHints{Family: sockets.AF_UNIX}, code: sockets.EAI_FAMILY},
		{host: "::1", service: "80", hints: sockets.AddrInfoHints{Family: sockets.AF_INET}, code: sockets.EAI_ADDRFAMILY},
		{host: "::1", service: "80", hints: sockets.AddrInfoHints{Flags: 0x8000}, code: sockets.EAI_BADFLAGS},
		{service: "80", hints: sockets.AddrInfoHints{Flags: sockets.AI_CANONNAME}, code: sockets.EAI_BADFLAGS},
		{host: "alias1", service: "80", hints: sockets.AddrInfoHints{Family: sockets.AF_INET6}, code: sockets.EAI_NODATA},
	} {
		list, err := h.GetAddrInfo(test.host, test.service, &test.hints)
		if test.code != 0 {
			wantGAI(t, err, test.code)
			continue
		}
		if got := strings.Join(entries(list), ", "); err != nil || got != test.want {
			t.Errorf("%q %q %+v:\ngot  %s, %v\nwant %s", test.host, test.service, test.hints, got, err, test.want)
		}
	}
	if list, err := h.GetAddrInfo("::1", "80", nil); err != nil || len(list) != 3 {
		t.Errorf("without hints: %v, %v", list, err)
	}
}

// A2.1 and A15.11: names from DNS, with the canonical name, and what failure is
// what code.
func TestGetAddrInfoDNS(t *testing.T) {
	a, _ := dnsPair(t)
	list, err := a.GetAddrInfo("www.python.org", "80", &sockets.AddrInfoHints{Proto: sockets.IPPROTO_TCP})
	want := []string{"AF_INET6 1 6 [2a04:4e42::223]:80", "AF_INET 1 6 151.101.0.223:80"}
	if got := entries(list); err != nil || !sameSet(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	list, err = a.GetAddrInfo("alias.example.test", "", &sockets.AddrInfoHints{
		Family: sockets.AF_INET, Type: sockets.SOCK_DGRAM, Flags: sockets.AI_CANONNAME,
	})
	if got := entries(list); err != nil || !slices.Equal(got, []string{"AF_INET 2 17 10.77.0.2:0 (www.example.test)"}) {
		t.Errorf("%q, %v", got, err)
	}
	_, err = a.GetAddrInfo("nx.example.test", "80", nil)
	wantGAI(t, err, sockets.EAI_NONAME)
	_, err = a.GetAddrInfo("only4.example.test", "80", &sockets.AddrInfoHints{Family: sockets.AF_INET6})
	wantGAI(t, err, sockets.EAI_NODATA)
	_, err = a.GetAddrInfo("x.servfail.test", "80", nil)
	wantGAI(t, err, sockets.EAI_AGAIN)
	var dnsErr *net.DNSError
	if !errors.As(err, &dnsErr) || !dnsErr.IsTemporary {
		t.Errorf("%v is no temporary *net.DNSError", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = a.GetAddrInfoContext(ctx, "x.silent.test", "80", nil)
	wantGAI(t, err, sockets.EAI_AGAIN)
	var se sockets.SocketError
	if !errors.As(err, &se) || !se.Timeout() || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is no time-out", err)
	}
}

// sameSet reports whether two lists have the same elements.
func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// Closing the Host ends a look-up.
func TestCloseEndsLookup(t *testing.T) {
	a, _ := dnsPair(t)
	errs := make(chan error)
	started := make(chan struct{})
	r := &plainResolver{lookup: func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
		close(started)
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	a.SetResolver(r)
	go func() {
		_, err := a.GetAddrInfo("www.example.test", "80", nil)
		errs <- err
	}()
	<-started
	a.Close()
	err := <-errs
	wantGAI(t, err, sockets.EAI_CANCELED)
	if !errors.Is(err, sockets.ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
}

// plainResolver is a Resolver in the shape of *net.Resolver.
type plainResolver struct {
	lookup  func(ctx context.Context, network, host string) ([]netip.Addr, error)
	reverse func(ctx context.Context, addr string) ([]string, error)
}

func (r *plainResolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return r.lookup(ctx, network, host)
}

func (r *plainResolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	return r.reverse(ctx, addr)
}

// A Resolver that is no NameService gives addresses and names all the same.
func TestPlainResolver(t *testing.T) {
	asked := ""
	h := configuredHost(t, sockets.Config{Resolver: &plainResolver{
		lookup: func(_ context.Context, network, host string) ([]netip.Addr, error) {
			asked = network
			if host != "h.test" {
				return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			}
			return []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, nil
		},
		reverse: func(_ context.Context, addr string) ([]string, error) {
			return []string{"bad name.", "h.test."}, nil
		},
	}})
	list, err := h.GetAddrInfo("h.test", "80", &sockets.AddrInfoHints{Type: sockets.SOCK_STREAM})
	if got := entries(list); err != nil || !slices.Equal(got, []string{"AF_INET 1 6 192.0.2.1:80", "AF_INET6 1 6 [2001:db8::1]:80"}) || asked != "ip" {
		t.Errorf("%q, %v, asked for %s", got, err, asked)
	}
	if got, err := h.GetHostByName("h.test"); got != "192.0.2.1" || err != nil || asked != "ip4" {
		t.Errorf("%s, %v, asked for %s", got, err, asked)
	}
	_, err = h.GetHostByName("nx.test")
	wantGAI(t, err, sockets.EAI_NONAME)
	asked = ""
	if got, err := h.GetHostByName("x.localhost"); got != "127.0.0.1" || err != nil || asked != "" {
		t.Errorf("%s, %v, asked for %s", got, err, asked)
	}
	_, err = h.GetHostByName("x.onion")
	wantGAI(t, err, sockets.EAI_NONAME)
	if asked != "" {
		t.Errorf("asked for x.onion in %s", asked)
	}
	if ent, err := h.GetHostByAddr("192.0.2.1"); err != nil || ent.Name != "h.test" {
		t.Errorf("%+v, %v", ent, err)
	}
	if ent, err := h.GetHostByAddr("127.0.0.1"); err != nil || ent.Name != "localhost" {
		t.Errorf("%+v, %v", ent, err)
	}
}

// AI_ADDRCONFIG goes by the stack's own addresses.
func TestAddrConfig(t *testing.T) {
	asked := ""
	resolver := &plainResolver{lookup: func(_ context.Context, network, host string) ([]netip.Addr, error) {
		asked = network
		return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, nil
	}}
	for _, test := range []struct {
		addrs string
		want  string
	}{{"10.77.0.1/24", "ip4"}, {"fd77::1/64", "ip6"}, {"10.77.0.1/24 fd77::1/64", "ip"}, {"", "ip"}, {"10.77.0.1/24 fe80::1/64", "ip4"}} {
		h := configuredHost(t, sockets.Config{Resolver: resolver})
		for _, p := range strings.Fields(test.addrs) {
			check(t, h.Stack().AddAddress("lo", netip.MustParsePrefix(p)))
		}
		_, err := h.GetAddrInfo("h.test", "80", &sockets.AddrInfoHints{Flags: sockets.AI_ADDRCONFIG})
		if err != nil || asked != test.want {
			t.Errorf("with %q: asked for %s, %v, want %s", test.addrs, asked, err, test.want)
		}
		if _, err := h.GetAddrInfo("::1", "80", &sockets.AddrInfoHints{Flags: sockets.AI_ADDRCONFIG, Family: sockets.AF_INET6}); err != nil {
			t.Errorf("with %q: a literal: %v", test.addrs, err)
		}
	}
}

func BenchmarkGetAddrInfoNumeric(b *testing.B) {
	h := configuredHost(b, sockets.Config{})
	hints := sockets.AddrInfoHints{Type: sockets.SOCK_STREAM}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.GetAddrInfo("192.0.2.1", "80", &hints); err != nil {
			b.Fatal(err)
		}
	}
}
