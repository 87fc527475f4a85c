package testnet_test

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/userstack/userstack/testnet"
)

// BenchmarkBare measures one connection through a TUN device without offload: each segment is a packet of its own, which
// the link merges as they come in and cuts as they go out.
func BenchmarkBare(b *testing.B) {
	for _, c := range []struct {
		name string
		ends func(near, far net.Conn) (from, to net.Conn)
	}{{"send", outward}, {"receive", inward}} {
		b.Run(c.name, func(b *testing.B) {
			l := testnet.Namespaces(b, testnet.WithoutGSO())
			from, to := c.ends(connected(b, ours(l.Node), kernels(l.Kernel)))
			bulk(b, []net.Conn{from}, []net.Conn{to})
			b.ReportMetric(droppedByDevice(b, l.Kernel), "dropped")
		})
	}
}

// droppedByDevice returns how many packets to us found the device's queue full.
func droppedByDevice(b *testing.B, k *testnet.Kernel) float64 {
	out, err := k.Command("cat", "/proc/net/dev").Output()
	if err != nil {
		b.Fatal(err)
	}
	const dropped = 11 // of the columns behind the name (proc_net(5))
	for line := range strings.Lines(string(out)) {
		name, columns, _ := strings.Cut(line, ":")
		if f := strings.Fields(columns); strings.HasPrefix(strings.TrimSpace(name), "tun") && len(f) > dropped {
			n, err := strconv.ParseFloat(f[dropped], 64)
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	}
	b.Fatalf("no TUN device in:\n%s", out)
	return 0
}
