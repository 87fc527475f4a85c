package testnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"testing"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/testnet"
)

// startDNS serves the names of an address pair on a side and returns the server.
func startDNS(t *testing.T, s side) (*testnet.DNSServer, netip.AddrPort) {
	t.Helper()
	pc, err := s.listenPacket("udp", netip.AddrPortFrom(s.addr4, 53).String())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := s.listen("tcp", netip.AddrPortFrom(s.addr4, 53).String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := testnet.NewDNSServer(testnet.Zone{
		"www.lab.test":   {Addrs: []netip.Addr{s.addr4, s.addr6}},
		"v4.lab.test":    {Addrs: []netip.Addr{s.addr4}},
		"v6.lab.test":    {Addrs: []netip.Addr{s.addr6}},
		"alias.lab.test": {CNAME: "v6.lab.test"},
		"big.lab.test":   {Addrs: manyAddrs(200)},
	}, pc, ln)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server, netip.AddrPortFrom(s.addr4, 53)
}

// TestNamesToPages is the main job: a name is resolved by our resolver over our stack, and a page fetched by that name.
func TestNamesToPages(t *testing.T) {
	t.Parallel()
	for _, wire := range []struct {
		name string
		up   func(t *testing.T) (*testnet.Node, side)
	}{
		{"pipe", func(t *testing.T) (*testnet.Node, side) { a, b := testnet.Pair(t); return a, ours(b) }},
		{"tun", func(t *testing.T) (*testnet.Node, side) { l := testnet.Namespaces(t); return l.Node, kernels(l.Kernel) }},
	} {
		t.Run(wire.name, func(t *testing.T) {
			t.Parallel()
			near, far := wire.up(t)
			dns, addr := startDNS(t, far)
			resolver, err := dnsresolver.New(dnsresolver.Config{
				Transport: near.Host, Routes: near.Stack, Servers: []dnsresolver.Server{{Addr: addr}},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer resolver.Close()
			near.Host.SetResolver(resolver)
			for _, family := range families {
				page := startHTTP(t, far, family.on(far), (*httptest.Server).Start)
				_, port, err := net.SplitHostPort(page.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range map[string][]string{"IPv4": {"v4.lab.test"}, "IPv6": {"v6.lab.test", "alias.lab.test"}}[family.name] {
					getPage(t, near, "http://"+net.JoinHostPort(name, port)+"/?size=1000")
				}
			}
			_, err = near.Host.DialContext(t.Context(), "tcp", "none.lab.test:80")
			gai, ok := errors.AsType[*sockets.GAIError](err)
			dnsErr, isDNS := errors.AsType[*net.DNSError](err)
			if !ok || gai.Code != sockets.EAI_NONAME || !isDNS || !dnsErr.IsNotFound {
				t.Errorf("dialling a name that does not exist: %v, want EAI_NONAME and a *net.DNSError", err)
			}
			addrs, err := resolver.LookupNetIP(t.Context(), "ip4", "big.lab.test")
			if err != nil || len(addrs) != 200 {
				t.Errorf("big.lab.test: %d addresses, %v; want 200", len(addrs), err)
			}
			if !slices.ContainsFunc(dns.Queries(), func(q testnet.Query) bool { return q.Name == "big.lab.test." && q.Network == "tcp" }) {
				t.Error("the long answer did not go over TCP")
			}
		})
	}
}

func getPage(t *testing.T, from *testnet.Node, url string) {
	t.Helper()
	tr := &http.Transport{DialContext: from.Host.DialContext}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Get(url)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	want, _ := io.ReadAll(noise('d', 1000))
	if err != nil || string(body) != string(want) {
		t.Errorf("%s: got %d bytes, %v; want 1000 bytes of noise", url, len(body), err)
	}
}

// TestKernelAsksOurDNS has Go's own resolver, on the kernel's sockets, ask a DNSServer on ours.
func TestKernelAsksOurDNS(t *testing.T) {
	t.Parallel()
	l := testnet.Namespaces(t)
	_, addr := startDNS(t, ours(l.Node))
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return l.Kernel.Dial(ctx, network, addr.String())
	}}
	for name, want := range map[string]int{"www.lab.test.": 2, "big.lab.test.": 200} {
		addrs, err := resolver.LookupNetIP(t.Context(), "ip", name)
		if err != nil || len(addrs) != want {
			t.Errorf("%s: %d addresses, %v; want %d", name, len(addrs), err, want)
		}
	}
}
