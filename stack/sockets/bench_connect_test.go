package sockets_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// dialers are ways to have a net.Conn: this package's and gVisor's own adapter.
var dialers = []struct {
	name   string
	listen func(*sockets.Host) (net.Listener, error)
	dial   func(context.Context, *sockets.Host) (net.Conn, error)
}{
	{"Host",
		func(h *sockets.Host) (net.Listener, error) { return h.Listen("tcp4", addrB+":80") },
		func(ctx context.Context, h *sockets.Host) (net.Conn, error) {
			return h.DialContext(ctx, "tcp4", addrB+":80")
		}},
	{"gonet",
		func(h *sockets.Host) (net.Listener, error) {
			return gonet.ListenTCP(h.Stack().GVisor(), tcpip.FullAddress{Addr: gonetAddr, Port: 80}, header.IPv4ProtocolNumber)
		},
		func(ctx context.Context, h *sockets.Host) (net.Conn, error) {
			return gonet.DialContextTCP(ctx, h.Stack().GVisor(), tcpip.FullAddress{Addr: gonetAddr, Port: 80}, header.IPv4ProtocolNumber)
		}},
}

var gonetAddr = tcpip.AddrFrom4([4]byte{10, 77, 0, 2}) // addrB

// BenchmarkConnect connects over a wire in memory, sends a byte each way, and
// closes, the server first. What it allocates is both ends'.
func BenchmarkConnect(b *testing.B) {
	for _, d := range dialers {
		b.Run(d.name, func(b *testing.B) {
			exchange := newExchange(b, d.listen, d.dial)
			b.ReportAllocs()
			for b.Loop() {
				exchange()
			}
		})
	}
}

// newExchange returns what makes a connection, sends a byte each way and closes.
func newExchange(t testing.TB, listen func(*sockets.Host) (net.Listener, error),
	dial func(context.Context, *sockets.Host) (net.Conn, error)) func() {
	left, right := link.NewPipe(link.PipeConfig{})
	tuning := stack.TCP{TimeWait: time.Millisecond} // connections go as fast as they come
	near, far := newTunedHost(t, left, addrA, addrA6, tuning), newTunedHost(t, right, addrB, addrB6, tuning)
	l := must[net.Listener](t)(listen(far))
	var serving sync.WaitGroup
	serving.Go(func() {
		buf := make([]byte, 1)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.ReadFull(c, buf)
			c.Write(buf)
			c.Close()
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		l.Close()
		serving.Wait()
	})
	buf := make([]byte, 1)
	return func() {
		c := must[net.Conn](t)(dial(ctx, near))
		c.Write(buf)
		io.ReadFull(c, buf)
		c.Close()
	}
}

// Netstack takes some 170 allocations for a connection, for both of its ends; what
// this package adds is bounded by comparison with an adapter that adds little.
func TestConnectionAllocatesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget; run it without -race")
	}
	const runs = 300 // the odd timer and emptied pool vanish in the mean
	var n [2]float64
	for i, d := range dialers {
		exchange := newExchange(t, d.listen, d.dial)
		exchange()
		n[i] = testing.AllocsPerRun(runs, exchange)
	}
	if extra := n[0] - n[1]; extra > 10 { // 4; a goroutine of its own for each dial made it 43
		t.Errorf("a connection of a Host allocates %v times, and %v more than one of gVisor's adapter", n[0], extra)
	}
}
