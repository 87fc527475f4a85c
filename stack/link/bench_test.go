package link

import (
	"io"
	"testing"
)

// benchmarkBulk measures one TCP connection in one direction.
func benchmarkBulk(b *testing.B, one, two *host) {
	near, far := connect(b, one, two, "4")
	block := make([]byte, 128<<10)
	b.SetBytes(int64(len(block)))
	done := make(chan error, 1)
	go func() {
		_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{far}, make([]byte, 1<<20))
		done <- err
	}()
	for b.Loop() {
		if _, err := near.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	near.Close()
	<-done
}

func BenchmarkPipeBulk(b *testing.B) {
	for name, cfg := range pipeConfigs {
		b.Run(name, func(b *testing.B) {
			x, y := NewPipe(cfg)
			benchmarkBulk(b, newHost(b, 1, x), newHost(b, 2, y))
			b.ReportMetric(float64(y.Stats().QueueFull), "drops")
			b.ReportMetric(float64(y.Stats().DeliveredBytes)/float64(y.Stats().Delivered), "B/packet")
		})
	}
}

// BenchmarkEndpointBulk measures links over a device in memory, which copies
// as a kernel does.
func BenchmarkEndpointBulk(b *testing.B) {
	for name, features := range endpointFeatures {
		b.Run(name, func(b *testing.B) {
			x, y := newFakePair(features, 1)
			one, two := newEndpointHost(b, 1, x, Config{}), newEndpointHost(b, 2, y, Config{})
			benchmarkBulk(b, one, two)
			s := two.link.(*Endpoint).Stats()
			b.ReportMetric(float64(y.queues[0].drops), "drops")
			b.ReportMetric(float64(s.RxBytes)/float64(s.RxPackets), "B/packet")
		})
	}
}
