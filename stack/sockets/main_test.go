package sockets_test

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"go.uber.org/goleak"
	"gvisor.dev/gvisor/pkg/refs"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" { // following every packet would be a part of what is measured
		refs.SetLeakMode(refs.LeaksPanic)
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	refs.DoLeakCheck()
	os.Exit(code)
}

// The addresses of the two hosts of a pair.
const (
	addrA, addrB   = "10.77.0.1", "10.77.0.2"
	addrA6, addrB6 = "fd77::1", "fd77::2"
)

// pair returns two hosts on one wire.
func pair(t testing.TB) (a, b *sockets.Host) {
	t.Helper()
	left, right := link.NewPipe(link.PipeConfig{})
	return newHost(t, left, addrA, addrA6), newHost(t, right, addrB, addrB6)
}

func newHost(t testing.TB, l gstack.LinkEndpoint, v4, v6 string) *sockets.Host {
	t.Helper()
	return newTunedHost(t, l, v4, v6, stack.TCP{})
}

func newTunedHost(t testing.TB, l gstack.LinkEndpoint, v4, v6 string, tuning stack.TCP) *sockets.Host {
	t.Helper()
	s, err := stack.New(stack.Config{TCP: tuning, NICs: []stack.NIC{{Link: l, Addrs: []netip.Prefix{
		netip.MustParsePrefix(v4 + "/24"), netip.MustParsePrefix(v6 + "/64"),
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := sockets.New(sockets.Config{Stack: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.Close()
		s.Close()
	})
	return h
}

// must takes the error of a call that cannot fail in the test at hand.
func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func mustSocket(t testing.TB, h *sockets.Host, f sockets.Family, typ sockets.Type, p sockets.Protocol) *sockets.Socket {
	t.Helper()
	s := must[*sockets.Socket](t)(h.Socket(f, typ, p))
	t.Cleanup(func() { s.Close() })
	return s
}

func tcpSocket(t testing.TB, h *sockets.Host) *sockets.Socket {
	t.Helper()
	return mustSocket(t, h, sockets.AF_INET, sockets.SOCK_STREAM, 0)
}

func udpSocket(t testing.TB, h *sockets.Host) *sockets.Socket {
	t.Helper()
	return mustSocket(t, h, sockets.AF_INET, sockets.SOCK_DGRAM, 0)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listener returns a socket of h that listens on its IPv4 address.
func listener(t testing.TB, h *sockets.Host, addr string) (*sockets.Socket, sockets.Inet4) {
	t.Helper()
	l := tcpSocket(t, h)
	check(t, l.Bind(sockets.Inet4{Host: addr}))
	check(t, l.Listen(8))
	name := must[sockets.Sockaddr](t)(l.GetSockName())
	return l, name.(sockets.Inet4)
}

// connected returns the two ends of a TCP connection from a to b.
func connected(t testing.TB, a, b *sockets.Host) (client, server *sockets.Socket) {
	t.Helper()
	l, addr := listener(t, b, addrB)
	client = tcpSocket(t, a)
	check(t, client.Connect(addr))
	server, _, err := l.Accept()
	check(t, err)
	t.Cleanup(func() { server.Close() })
	check(t, l.Close())
	return client, server
}
