package namespace_test

import (
	"errors"
	"io"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/userstack/userstack/internal/needs"
	"github.com/userstack/userstack/tun/namespace"
)

// TestNewPair connects two kernels.
func TestNewPair(t *testing.T) {
	if err := namespace.Available(); err != nil {
		needs.Have(t, "netns", err)
	}
	checkLeaks(t)
	a, b, err := namespace.NewPair(namespace.PairConfig{
		A:   []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64")},
		B:   []netip.Prefix{netip.MustParsePrefix("192.0.2.2/24"), netip.MustParsePrefix("2001:db8::2/64")},
		MTU: 9000,

		Sysctl: map[string]string{"net.ipv4.ip_forward": "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, to *namespace.Namespace
		network  string
		address  string
	}{
		{a, b, "tcp4", "192.0.2.2:80"},
		{b, a, "tcp4", "192.0.2.1:80"},
		{a, b, "tcp6", "[2001:db8::2]:80"},
		{b, a, "tcp6", "[2001:db8::1]:80"},
	} {
		if got, err := exchange(t, c.from, c.to, c.network, c.address); got != "hello" || err != nil {
			t.Errorf("%s %s: %q, %v", c.network, c.address, got, err)
		}
	}
	if out, err := b.Command("ip", "link", "show", "veth0").CombinedOutput(); !strings.Contains(string(out), "mtu 9000") {
		t.Errorf("%v: %s", err, out)
	}
	for _, ns := range []*namespace.Namespace{a, b} {
		if out, err := ns.Command("cat", "/proc/sys/net/ipv4/ip_forward").CombinedOutput(); string(out) != "1\n" {
			t.Errorf("ip_forward: %q, %v", out, err)
		}
	}
	program := b.Command("sleep", "1000")
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	awaitEnd(t, program.Process.Pid)
	program.Wait()
	if _, _, err := namespace.NewPair(namespace.PairConfig{A: []netip.Prefix{netip.MustParsePrefix("ff02::1/64")}}); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("a multicast address: %v", err)
	}
}

// exchange sends "hello" over a connection and returns what arrives.
func exchange(t *testing.T, from, to *namespace.Namespace, network, address string) (string, error) {
	l, err := to.Listen(network, address)
	if err != nil {
		return "", err
	}
	defer l.Close()
	conn, err := from.Dial(t.Context(), network, address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	peer, err := l.Accept()
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(peer, "hello"); err != nil {
		return "", err
	}
	peer.Close()
	data, err := io.ReadAll(conn)
	return string(data), err
}
