package testnet_test

import (
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"

	"github.com/userstack/userstack/testnet"
)

func TestMain(m *testing.M) { testnet.Main(m) }

// TestPairReaches sends a datagram each way over both IP versions.
func TestPairReaches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		addr func(*testnet.Node) netip.Addr
	}{
		{"IPv4", func(n *testnet.Node) netip.Addr { return n.Addr4 }},
		{"IPv6", func(n *testnet.Node) netip.Addr { return n.Addr6 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b := testnet.Pair(t)
			bound := listen(t, b, c.addr(b))
			near := listen(t, a, c.addr(a))
			for _, way := range [][2]*gonet.UDPConn{{near, bound}, {bound, near}} {
				if _, err := way[0].WriteTo([]byte("ping"), way[1].LocalAddr()); err != nil {
					t.Fatal(err)
				}
				buf := make([]byte, 16)
				n, from, err := way[1].ReadFrom(buf)
				if err != nil || string(buf[:n]) != "ping" || from.String() != way[0].LocalAddr().String() {
					t.Errorf("got %q from %v, %v", buf[:n], from, err)
				}
			}
		})
	}
}

func listen(t *testing.T, n *testnet.Node, addr netip.Addr) *gonet.UDPConn {
	t.Helper()
	proto := ipv4.ProtocolNumber
	if addr.Is6() {
		proto = ipv6.ProtocolNumber
	}
	local := tcpip.FullAddress{Addr: tcpip.AddrFromSlice(addr.AsSlice())}
	c, err := gonet.DialUDP(n.Stack.GVisor(), &local, nil, proto)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
