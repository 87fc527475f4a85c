package testnet_test

import (
	"net/netip"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/testnet"
)

// TestMulticastDNS asks everybody on the wire for a name, and nobody else.
func TestMulticastDNS(t *testing.T) {
	t.Parallel()
	near, far := testnet.Pair(t)
	for proto, group := range map[tcpip.NetworkProtocolNumber]netip.Addr{
		header.IPv4ProtocolNumber: netip.MustParseAddr("224.0.0.251"), header.IPv6ProtocolNumber: netip.MustParseAddr("ff02::fb"),
	} {
		for _, nic := range far.Stack.Interfaces() {
			far.Stack.GVisor().JoinGroup(proto, tcpip.NICID(nic.Index), tcpip.AddrFromSlice(group.AsSlice()))
		}
	}
	pc, err := far.Host.ListenPacket("udp", ":5353")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := far.Host.Listen("tcp", ":5353")
	if err != nil {
		t.Fatal(err)
	}
	printer, err := testnet.NewDNSServer(testnet.Zone{"printer.local": {Addrs: []netip.Addr{far.Addr4, far.Addr6}}}, pc, ln)
	if err != nil {
		t.Fatal(err)
	}
	defer printer.Close()
	server, addr := startDNS(t, ours(far))
	resolver, err := dnsresolver.New(dnsresolver.Config{
		Transport: near.Host, Servers: []dnsresolver.Server{{Addr: addr}}, Search: []string{"lab.test"},
		Options: dnsresolver.Options{MDNS: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer resolver.Close()
	ans, err := resolver.Lookup(t.Context(), "Printer.local", dnsresolver.LookupOptions{})
	if err != nil || len(ans.Addrs) != 2 || ans.TTL > 10*time.Second {
		t.Errorf("%v, TTL %v, %v; want the printer's two addresses", ans.Addrs, ans.TTL, err)
	}
	if _, err := resolver.Lookup(t.Context(), "scanner.local", dnsresolver.LookupOptions{}); err == nil {
		t.Error("a name that nobody has was found")
	}
	if asked := server.Queries(); len(asked) != 0 {
		t.Errorf("the DNS server was asked for names of the link: %v", asked)
	}
	if ans, err := resolver.Lookup(t.Context(), "www", dnsresolver.LookupOptions{}); err != nil || len(ans.Addrs) != 2 {
		t.Errorf("an ordinary name: %v, %v", ans.Addrs, err)
	}
}
