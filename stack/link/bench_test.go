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
	b.ResetTimer()
	done := make(chan error, 1)
	go func() {
		_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{far}, make([]byte, 1<<20))
		done <- err
	}()
	for range b.N {
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
			one, two := newHost(b, 1, x), newHost(b, 2, y)
			benchmarkBulk(b, one, two)
			b.StopTimer()
			b.ReportMetric(float64(y.Stats().QueueFull), "drops")
			b.ReportMetric(float64(y.Stats().DeliveredBytes)/float64(y.Stats().Delivered), "B/packet")
		})
	}
}
