//go:build amd64 || arm64

package supervise_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkRequests is a request and its answer, of many clients of this process
// at once, to a server that keeps their connections.
func BenchmarkRequests(b *testing.B) {
	b.Run("run", func(b *testing.B) {
		h := newHost(b)
		cmd := child(b, h, "bench-serve")
		requests(b, h.Dial, started(b, cmd.Cmd, cmd.Start, cmd.Wait).first)
	})
	b.Run("api", func(b *testing.B) {
		h := newHost(b)
		l, err := h.Listen("tcp", "127.0.0.1:0")
		must(b, err)
		b.Cleanup(func() { l.Close() })
		go echoAll(l)
		requests(b, h.Dial, l.Addr().String())
	})
	b.Run("kernel", func(b *testing.B) {
		cmd := bare(b, "bench-serve")
		requests(b, net.Dial, started(b, cmd, cmd.Start, cmd.Wait).first)
	})
}

func requests(b *testing.B, dial func(network, address string) (net.Conn, error), server string) {
	const clients, size = 32, 100 // and bytes each way
	conns := make([]net.Conn, clients)
	for i := range conns {
		c, err := dial("tcp", server)
		must(b, err)
		defer c.Close()
		conns[i] = c
	}
	measure(b, func(n int) {
		var all sync.WaitGroup
		var left atomic.Int64
		left.Store(int64(n))
		for _, c := range conns {
			all.Go(func() {
				p := make([]byte, size)
				for left.Add(-1) >= 0 {
					if _, err := c.Write(p); err != nil {
						b.Error(err)
						return
					}
					if _, err := io.ReadFull(c, p); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
	})
}
