package testnet

import (
	"net/netip"
	"sync"
	"testing"

	"github.com/userstack/userstack/internal/needs"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/namespace"
)

// Lab is a userspace host that faces a real kernel: a network namespace with a TUN device, whose other end is the
// userspace host's link.
type Lab struct {
	// Node is the userspace host.
	*Node
	// Kernel is the far side: what runs there runs on the kernel's stack.
	Kernel *Kernel
}

// Kernel is the kernel's side of a Lab. Its Listen, ListenPacket, Dial and Command work in the namespace.
type Kernel struct {
	*namespace.Namespace
	// Addr4 and Addr6 are the kernel's addresses on the device.
	Addr4, Addr6 netip.Addr
}

// Namespaces returns a userspace host, 10.77.0.1 and fd77::1, and a kernel in a namespace of its own, 10.77.0.2 and
// fd77::2. It needs no root. Where the machine does not allow it, the test skips and the message names what is missing;
// with USERSTACK_REQUIRE=netns in the environment the test fails instead.
//
// Call it from the test's own goroutine.
func Namespaces(t testing.TB, opts ...Option) *Lab {
	t.Helper()
	RequireNamespaces(t)
	o := prepare(t, opts)
	ns, err := namespace.New(namespace.Config{Sysctl: o.sysctl})
	if err != nil {
		t.Fatal("testnet: ", err)
	}
	t.Cleanup(func() {
		if err := ns.Close(); err != nil {
			t.Error("testnet: closing the namespace: ", err)
		}
	})
	far := addrs(2)
	cfg := tun.Config{MTU: int(o.mtu), Addrs: far}
	if o.noGSO {
		cfg.Offload = tun.OffloadNone
	}
	dev, err := ns.OpenTUN(cfg)
	if err != nil {
		t.Fatal("testnet: ", err)
	}
	packets := newCapture(t)
	wire, err := link.New(link.Config{Device: dev, MTU: o.mtu, BusyPoll: o.busyPoll})
	if err != nil {
		t.Fatal("testnet: ", err)
	}
	node := newNode(t, o, packets.wrap(impaired(t, o, wire), "tun"), addrs(1))
	return &Lab{Node: node, Kernel: &Kernel{Namespace: ns, Addr4: far[0].Addr(), Addr6: far[1].Addr()}}
}

// available asks once: asking makes a namespace and a device, some 20 ms.
var available = sync.OnceValue(namespace.Available)

// RequireNamespaces skips the test, naming what is missing, on a machine where namespace.New and a TUN device cannot be
// had. With netns in USERSTACK_REQUIRE, a list separated by commas, it fails the test instead.
func RequireNamespaces(t testing.TB) {
	t.Helper()
	needs.Have(t, "netns", available())
}
