package sockets_test

import (
	"fmt"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// BenchmarkPoller polls when 10 of the registered sockets are ready: the cost is
// that of the 10.
func BenchmarkPoller(b *testing.B) {
	const ready = 10
	for _, registered := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("registered=%d", registered), func(b *testing.B) {
			h, end := loopbackHost()
			defer end()
			p := newPoller(b, h)
			from, _ := h.UDP()
			defer from.Close()
			for i := range registered {
				s := must[*sockets.Socket](b)(h.UDP())
				check(b, p.Register(s, in))
				if i%(registered/ready) == 0 {
					check(b, s.Bind(sockets.Inet4{Host: "127.0.0.1"}))
					must[int](b)(from.SendTo([]byte("x"), must[sockets.Sockaddr](b)(s.GetSockName())))
				}
			}
			d := make([]sockets.PollDesc, 2*ready)
			for n := 0; n < ready; {
				n = must[int](b)(p.PollInto(d, sockets.NoTimeout))
			}
			b.ReportAllocs()
			for b.Loop() {
				if n, err := p.PollInto(d, sockets.NoTimeout); n != ready || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// BenchmarkPollerEdge waits for one arrival among the registered sockets and
// receives it.
func BenchmarkPollerEdge(b *testing.B) {
	for _, registered := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("registered=%d", registered), func(b *testing.B) {
			h, end := loopbackHost()
			defer end()
			p := newPoller(b, h)
			for range registered {
				check(b, p.Register(must[*sockets.Socket](b)(h.UDP()), in|edge))
			}
			s, addr := loopbackUDP(b, h)
			check(b, p.Register(s, in|edge))
			check(b, s.Connect(addr))
			buf := make([]byte, 1)
			d := make([]sockets.PollDesc, 1)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Send(buf); err != nil {
					b.Fatal(err)
				}
				if n, err := p.PollInto(d, sockets.NoTimeout); n != 1 || err != nil {
					b.Fatal(n, err)
				}
				if _, err := s.RecvInto(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
