package sockets_test

import (
	"io"
	"testing"
	"time"
)

// BenchmarkProxy joins two connections with io.Copy: as it comes, and as it would be
// without WriteTo and ReadFrom, through io.Copy's own buffer of 32 KiB.
func BenchmarkProxy(b *testing.B) {
	for _, way := range []struct {
		name string
		join func(dst io.Writer, src io.Reader) (int64, error)
	}{
		{"io.Copy", io.Copy},
		{"plain", func(dst io.Writer, src io.Reader) (int64, error) {
			return io.Copy(struct{ io.Writer }{dst}, struct{ io.Reader }{src})
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			h, end := loopbackHost()
			defer end()
			sender, in := loopbackConns(b, h)
			out, receiver := loopbackConns(b, h)
			go func() {
				way.join(out, in)
				out.Close()
				in.Close()
			}()
			drained := make(chan struct{})
			go func() {
				defer close(drained)
				for buf := make([]byte, 64<<10); ; {
					if _, err := receiver.Read(buf); err != nil {
						return
					}
				}
			}()
			buf := make([]byte, 64<<10)
			b.SetBytes(int64(len(buf)))
			b.ReportAllocs()
			for b.Loop() {
				sender.Write(buf)
			}
			sender.Close()
			<-drained
			receiver.Close()
		})
	}
}

// BenchmarkDeadline sets a deadline before each read, as servers do.
func BenchmarkDeadline(b *testing.B) {
	h, end := loopbackHost()
	defer end()
	_, server := loopbackConns(b, h)
	defer server.Close()
	b.ReportAllocs()
	for b.Loop() {
		server.SetReadDeadline(time.Now().Add(time.Minute))
	}
}
