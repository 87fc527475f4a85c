package testnet_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/userstack/userstack/testnet"
	"github.com/userstack/userstack/tun/namespace"
)

// The benchmarks measure the same thing over four wires: two of ours in memory, ours facing the kernel through a TUN
// device, kernel to kernel over a veth pair, and a kernel with itself over its loopback interface; the latter two are what
// the others are to be held against. All peers run in this process, so a figure counts the work of both ends. `make bench-wires`
// runs them interleaved and prints ratios.

const pingSize = 64 // bytes of a ping and of its echo

// kernelSettings are those of every kernel here. Without them its congestion control is the machine's: one that paces, as
// BBR does, measures its timers, at half the rate. Reno is in every kernel and permitted in every namespace, and on a wire
// that loses nothing it does what CUBIC does.
var kernelSettings = map[string]string{"net.ipv4.tcp_congestion_control": "reno"}

// measured are the wires of the benchmarks; near is ours, but for veth.
var measured = []struct {
	name string
	up   func(b *testing.B) (near, far side)
}{
	{"pipe", func(b *testing.B) (side, side) { near, far := testnet.Pair(b); return ours(near), ours(far) }},
	{"tun", func(b *testing.B) (side, side) {
		l := testnet.Namespaces(b, testnet.WithSysctl(kernelSettings))
		return ours(l.Node), kernels(l.Kernel)
	}},
	{"veth", veth},
	{"lo", loopback},
}

// veth returns two kernels.
func veth(b *testing.B) (near, far side) {
	b.Helper()
	testnet.RequireNamespaces(b)
	prefixes := func(v4, v6 string) []netip.Prefix {
		return []netip.Prefix{netip.MustParsePrefix(v4 + "/24"), netip.MustParsePrefix(v6 + "/64")}
	}
	cfg := namespace.PairConfig{Sysctl: kernelSettings, A: prefixes("10.77.0.1", "fd77::1"), B: prefixes("10.77.0.2", "fd77::2")}
	one, two, err := namespace.NewPair(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { one.Close(); two.Close() })
	kernel := func(ns *namespace.Namespace, p []netip.Prefix) side {
		return kernels(&testnet.Kernel{Namespace: ns, Addr4: p[0].Addr(), Addr6: p[1].Addr()})
	}
	return kernel(one, cfg.A), kernel(two, cfg.B)
}

// loopback returns a kernel twice.
func loopback(b *testing.B) (near, far side) {
	b.Helper()
	testnet.RequireNamespaces(b)
	ns, err := namespace.New(namespace.Config{Sysctl: kernelSettings})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ns.Close() })
	lo := kernels(&testnet.Kernel{Namespace: ns, Addr4: netip.MustParseAddr("127.0.0.1"), Addr6: netip.IPv6Loopback()})
	return lo, lo
}

// eachWire runs a benchmark over every wire.
func eachWire(b *testing.B, bench func(b *testing.B, near, far side)) {
	for _, wire := range measured {
		b.Run(wire.name, func(b *testing.B) {
			near, far := wire.up(b)
			bench(b, near, far)
		})
	}
}

// connected returns the two ends of a TCP connection that near made.
func connected(b *testing.B, near, far side) (n, f net.Conn) {
	b.Helper()
	ln, err := far.listen("tcp", netip.AddrPortFrom(far.addr4, 0).String())
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	if n, err = near.dial(b.Context(), "tcp", ln.Addr().String()); err != nil {
		b.Fatal(err)
	}
	if f, err = ln.Accept(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { n.Close(); f.Close() })
	return n, f
}

// BenchmarkPingPong measures a round trip of a small message: near writes, far echoes, near reads.
func BenchmarkPingPong(b *testing.B) {
	eachWire(b, func(b *testing.B, near, far side) {
		n, f := connected(b, near, far)
		echoed := make(chan struct{})
		go func() {
			defer close(echoed)
			io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{f}, make([]byte, pingSize))
		}()
		defer func() { n.Close(); <-echoed }()
		buf := make([]byte, pingSize)
		for b.Loop() {
			if _, err := n.Write(buf); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(n, buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkConnect measures making a connection and closing it again, one after the other. The far end closes first, so
// that it keeps the TIME_WAIT and the near end can use its port again.
func BenchmarkConnect(b *testing.B) {
	eachWire(b, func(b *testing.B, near, far side) {
		ln, err := far.listen("tcp", netip.AddrPortFrom(far.addr4, 0).String())
		if err != nil {
			b.Fatal(err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		}()
		defer func() { ln.Close(); <-served }()
		var took time.Duration
		if near.command == nil {
			took, err = dialMany(b.Context(), near.dial, ln.Addr().String(), b.N)
		} else {
			took, err = dialFromChild(near, ln.Addr().String(), b.N)
		}
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(took.Nanoseconds())/float64(b.N), "ns/op")
		b.ReportMetric(float64(b.N)/took.Seconds(), "conns/s")
	})
}

// dialMany connects n times, each time reads to the end and closes, and returns how long that took.
func dialMany(ctx context.Context, dial dialFunc, addr string, n int) (time.Duration, error) {
	start := time.Now()
	buf := make([]byte, 1)
	for range n {
		c, err := dial(ctx, "tcp", addr)
		if err != nil {
			return 0, err
		}
		n, err := c.Read(buf)
		c.Close()
		if err != io.EOF {
			return 0, fmt.Errorf("read %d bytes, %w; want the end", n, err)
		}
	}
	return time.Since(start), nil
}

// dialerVariable makes this program a child that runs dialMany with the kernel's sockets: its value is an address, a space
// and a count. Dialling into a namespace from outside would measure the way there.
const dialerVariable = "TESTNET_DIALER"

func dialFromChild(near side, addr string, n int) (time.Duration, error) {
	cmd := near.command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", dialerVariable, addr, n))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, err
	}
	return time.ParseDuration(string(out))
}

// dialerMain is the child.
func dialerMain(job string) int {
	var addr string
	var n int
	_, err := fmt.Sscan(job, &addr, &n)
	if err == nil {
		var took time.Duration
		if took, err = dialMany(context.Background(), new(net.Dialer).DialContext, addr, n); err == nil {
			fmt.Print(took)
			return 0
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}
