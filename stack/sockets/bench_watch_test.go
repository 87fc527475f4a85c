package sockets_test

import (
	"io"
	"testing"

	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// What a Watch costs while it watches: each of these runs without one ("plain") and with one ("watched"), over a pipe in
// memory. In turn, with ratios:
//
//	go run ./internal/benchtable -pkg ./stack/sockets -bench Watch -reference plain

func eachWatched(b *testing.B, pipe link.PipeConfig, bench func(b *testing.B, near, far *sockets.Conn)) {
	for _, c := range []struct {
		name    string
		watched bool
	}{{"plain", false}, {"watched", true}} {
		b.Run(c.name, func(b *testing.B) {
			near, far := connectedOver(b, pipe)
			if c.watched {
				w, err := near.Watch()
				if err != nil {
					b.Fatal(err)
				}
				defer w.Close()
			}
			bench(b, near, far)
		})
	}
}

// BenchmarkWatchBulk sends 64 KiB at a time, in segments as large.
func BenchmarkWatchBulk(b *testing.B) { eachWatched(b, offloading, watchBulk) }

// BenchmarkWatchPackets sends the same in packets of 1,500 bytes.
func BenchmarkWatchPackets(b *testing.B) { eachWatched(b, link.PipeConfig{}, watchBulk) }

func watchBulk(b *testing.B, near, far *sockets.Conn) {
	drained := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, struct{ io.Reader }{far})
		drained <- err
	}()
	buf := make([]byte, 64<<10)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := near.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	near.Close()
	if err := <-drained; err != nil {
		b.Error(err)
	}
}

// BenchmarkWatchRoundTrip sends a byte there and back.
func BenchmarkWatchRoundTrip(b *testing.B) {
	eachWatched(b, offloading, func(b *testing.B, near, far *sockets.Conn) {
		echoed := make(chan error, 1)
		go func() {
			_, err := io.Copy(far, struct{ io.Reader }{far})
			echoed <- err
		}()
		buf := make([]byte, 1)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := near.Write(buf); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(near, buf); err != nil {
				b.Fatal(err)
			}
		}
		near.Close()
		if err := <-echoed; err != nil {
			b.Error(err)
		}
	})
}

// connectedOver returns both ends of a connection over a pipe.
func connectedOver(b *testing.B, pipe link.PipeConfig) (near, far *sockets.Conn) {
	b.Helper()
	left, right := link.NewPipe(pipe)
	from, to := newHost(b, left, addrA, addrA6), newHost(b, right, addrB, addrB6)
	ln, err := to.Listen("tcp4", addrB+":0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	c, err := from.DialContext(b.Context(), "tcp4", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close(); accepted.Close() })
	return c.(*sockets.Conn), accepted.(*sockets.Conn)
}
