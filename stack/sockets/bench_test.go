package sockets_test

import (
	"bytes"
	"fmt"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/userstack/userstack/stack/sockets"
)

// BenchmarkUDPLoopback sends and receives one datagram on the loopback
// interface. Its difference to BenchmarkUDPEndpointLoopback is what this layer
// costs.
func BenchmarkUDPLoopback(b *testing.B) {
	h, end := loopbackHost()
	defer end()
	s, _ := h.UDP()
	defer s.Close()
	check(b, s.Bind(sockets.Inet4{Host: "127.0.0.1"}))
	check(b, s.Connect(must[sockets.Sockaddr](b)(s.GetSockName())))
	buf := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Send(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := s.RecvInto(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUDPEndpointLoopback(b *testing.B) {
	h, end := loopbackHost()
	defer end()
	var wq waiter.Queue
	ep, terr := h.Stack().GVisor().NewEndpoint(udp.ProtocolNumber, header.IPv4ProtocolNumber, &wq)
	if terr != nil {
		b.Fatal(terr)
	}
	defer ep.Close()
	ep.Bind(tcpip.FullAddress{Addr: header.IPv4Loopback})
	addr, _ := ep.GetLocalAddress()
	ep.Connect(addr)
	buf := make([]byte, 64)
	r, w := new(bytes.Reader), new(tcpip.SliceWriter)
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(buf)
		if _, terr := ep.Write(r, tcpip.WriteOptions{}); terr != nil {
			b.Fatal(terr)
		}
		*w = buf
		if _, terr := ep.Read(w, tcpip.ReadOptions{}); terr != nil {
			b.Fatal(terr)
		}
	}
}

// BenchmarkUnix sends and receives messages of a stream and of a datagram socket
// on one goroutine, without a wait.
func BenchmarkUnix(b *testing.B) {
	h, end := loopbackHost()
	defer end()
	for _, size := range []int{1, 1 << 10, 32 << 10} {
		for name, typ := range map[string]sockets.Type{"stream": sockets.SOCK_STREAM, "datagram": sockets.SOCK_DGRAM} {
			b.Run(fmt.Sprint(name, "/", size), func(b *testing.B) {
				from, to := socketPair(b, h, sockets.AF_UNIX, typ)
				buf := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := from.Send(buf); err != nil {
						b.Fatal(err)
					}
					if _, err := to.RecvInto(buf); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
