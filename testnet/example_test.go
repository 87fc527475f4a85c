package testnet_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/testnet"
)

// A DNS server on any sockets; here the kernel's, and Go's own resolver asks it.
func ExampleNewDNSServer() {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	server, err := testnet.NewDNSServer(testnet.Zone{
		"www.example.test": {Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}},
		"web.example.test": {CNAME: "www.example.test"},
	}, pc, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, pc.LocalAddr().String())
	}}
	addrs, err := resolver.LookupNetIP(context.Background(), "ip4", "web.example.test.")
	fmt.Println(addrs, err)
	for _, q := range server.Queries() {
		fmt.Println(q.Name, q.Type, q.Network)
	}
	// Output:
	// [192.0.2.1] <nil>
	// web.example.test. A udp
}

// Two hosts on a wire that loses one packet in twenty.
func ExamplePair() {
	_ = func(t *testing.T) { // a test
		loss := link.Impairment{Loss: 0.05}
		a, b := testnet.Pair(t, testnet.WithImpair(link.ImpairConfig{In: loss, Out: loss, Seed: 1}))
		ln, err := b.Host.Listen("tcp", netip.AddrPortFrom(b.Addr6, 80).String())
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		c, err := a.Host.DialContext(t.Context(), "tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
}

// A userspace host that fetches from a web server on the kernel's side.
func ExampleNamespaces() {
	_ = func(t *testing.T) { // a test
		l := testnet.Namespaces(t)
		web := l.Kernel.Command("python3", "-m", "http.server", "80")
		if err := web.Start(); err != nil {
			t.Fatal(err)
		}
		defer web.Wait()
		defer web.Process.Kill()
		l.Host.DialContext(t.Context(), "tcp", netip.AddrPortFrom(l.Kernel.Addr4, 80).String())
	}
}
