package testnet_test

import (
	"context"
	"net"
	"net/netip"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/userstack/userstack/testnet"
)

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// side is one end of a wire: a userspace host or a kernel.
type side struct {
	dial         dialFunc
	listen       func(network, addr string) (net.Listener, error)
	listenPacket func(network, addr string) (net.PacketConn, error)
	command      func(name string, args ...string) *exec.Cmd // nil for ours
	addr4, addr6 netip.Addr
}

func ours(n *testnet.Node) side {
	return side{n.Host.DialContext, n.Host.Listen, n.Host.ListenPacket, nil, n.Addr4, n.Addr6}
}

func kernels(k *testnet.Kernel) side {
	return side{k.Dial, k.Listen, k.ListenPacket, k.Command, k.Addr4, k.Addr6}
}

// wires are the ways in which two ends can face each other; the first is always ours.
var wires = []struct {
	name string
	up   func(t testing.TB) (side, side)
}{
	{"pipe", func(t testing.TB) (side, side) { a, b := testnet.Pair(t); return ours(a), ours(b) }},
	{"pipe without GSO", func(t testing.TB) (side, side) {
		a, b := testnet.Pair(t, testnet.WithoutGSO())
		return ours(a), ours(b)
	}},
	{"tun", func(t testing.TB) (side, side) { l := testnet.Namespaces(t); return ours(l.Node), kernels(l.Kernel) }},
	{"tun with busy polling", func(t testing.TB) (side, side) {
		l := testnet.Namespaces(t, testnet.WithBusyPoll(100*time.Microsecond))
		return ours(l.Node), kernels(l.Kernel)
	}},
	{"tun without GSO", func(t testing.TB) (side, side) {
		l := testnet.Namespaces(t, testnet.WithoutGSO())
		return ours(l.Node), kernels(l.Kernel)
	}},
}

// families are the IP versions, with an address and port to listen on.
var families = []struct {
	name string
	on   func(side) string
}{
	{"IPv4", func(s side) string { return netip.AddrPortFrom(s.addr4, 0).String() }},
	{"IPv6", func(s side) string { return netip.AddrPortFrom(s.addr6, 0).String() }},
}

// directions are who calls whom.
var directions = []struct {
	name   string
	choose func(near, far side) (client, server side)
}{
	{"out", func(near, far side) (side, side) { return near, far }},
	{"in", func(near, far side) (side, side) { return far, near }},
}

// everyWay runs a test over every wire, IP version and direction. The wires run in parallel.
func everyWay(t *testing.T, test func(t *testing.T, client, server side, listenOn string)) {
	for _, wire := range wires {
		t.Run(wire.name, func(t *testing.T) {
			t.Parallel()
			near, far := wire.up(t)
			for _, family := range families {
				for _, direction := range directions {
					t.Run(family.name+"/"+direction.name, func(t *testing.T) {
						client, server := direction.choose(near, far)
						test(t, client, server, family.on(server))
					})
				}
			}
		})
	}
}

// TestConn runs the contract of net.Conn between two of ours and between ours and the kernel's.
func TestConn(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, client, server side, on string) {
		nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
			ln, err := server.listen("tcp", on)
			if err != nil {
				return nil, nil, nil, err
			}
			defer ln.Close()
			if c1, err = client.dial(t.Context(), "tcp", ln.Addr().String()); err != nil {
				return nil, nil, nil, err
			}
			if c2, err = ln.Accept(); err != nil {
				c1.Close()
				return nil, nil, nil, err
			}
			return c1, c2, func() { c1.Close(); c2.Close() }, nil
		})
	})
}
