package testnet_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

const (
	chunk  = 128 << 10 // bytes of one Read or Write
	warmUp = 32 << 20  // bytes of a connection before the clock starts: past slow start and the growth of windows
	many   = 8         // connections of a benchmark of several
)

// bulk measures how fast what one end of each connection writes without pause arrives at the other, and the processor time
// of this process that it takes, of the kernel on its behalf too.
func bulk(b *testing.B, from, to []net.Conn) {
	var writers, readers sync.WaitGroup
	for _, c := range from {
		writers.Go(func() {
			buf := make([]byte, chunk)
			for {
				if _, err := c.Write(buf); err != nil {
					return
				}
			}
		})
	}
	defer func() {
		for i := range from {
			from[i].Close()
			to[i].Close()
		}
		writers.Wait()
	}()
	transfer := func(chunks int) {
		var left atomic.Int64
		left.Store(int64(chunks))
		for _, c := range to {
			readers.Go(func() {
				buf := make([]byte, chunk)
				for left.Add(-1) >= 0 {
					if _, err := io.ReadFull(c, buf); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		readers.Wait()
	}
	transfer(len(to) * warmUp / chunk)
	b.SetBytes(chunk)
	b.ResetTimer()
	used := processorTime()
	transfer(b.N)
	used = processorTime() - used
	b.StopTimer()
	if gigabytes := float64(b.N) * chunk / 1e9; used > 0 {
		b.ReportMetric(used.Seconds()/gigabytes, "cpu-s/GB")
	}
}

// bulkOf runs bulk over every wire with a number of connections. ends says which end of a connection writes.
func bulkOf(b *testing.B, connections int, ends func(near, far net.Conn) (from, to net.Conn)) {
	eachWire(b, func(b *testing.B, near, far side) {
		var from, to []net.Conn
		for range connections {
			f, t := ends(connected(b, near, far))
			from, to = append(from, f), append(to, t)
		}
		bulk(b, from, to)
	})
}

func outward(near, far net.Conn) (from, to net.Conn) { return near, far }
func inward(near, far net.Conn) (from, to net.Conn)  { return far, near }

func BenchmarkSend(b *testing.B)     { bulkOf(b, 1, outward) }
func BenchmarkReceive(b *testing.B)  { bulkOf(b, 1, inward) }
func BenchmarkSend8(b *testing.B)    { bulkOf(b, many, outward) }
func BenchmarkReceive8(b *testing.B) { bulkOf(b, many, inward) }
