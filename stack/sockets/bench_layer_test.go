package sockets_test

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/userstack/userstack/stack/sockets"
)

// What this package costs over using netstack's endpoints directly: each
// benchmark runs over a Socket and over a bare tcpip.Endpoint, on the loopback
// interface of one stack.

// A peer is one end of a TCP connection.
type peer interface {
	send(p []byte) // all of p
	recv(p []byte) int
	close()
}

// layers are the two ways to have a connection.
var layers = []struct {
	name    string
	connect func(testing.TB, *sockets.Host) func(dst string) (client, server peer)
}{
	{"Socket", socketPeers},
	{"Endpoint", endpointPeers},
}

func BenchmarkTCPRoundTrip(b *testing.B) {
	for _, layer := range layers {
		b.Run(layer.name, func(b *testing.B) {
			h, end := loopbackHost()
			defer end()
			client, server := layer.connect(b, h)("127.0.0.1")
			defer client.close()
			echoed := make(chan struct{})
			go func() {
				defer close(echoed)
				buf := make([]byte, 1)
				for server.recv(buf) == 1 {
					server.send(buf)
				}
				server.close()
			}()
			buf := make([]byte, 1)
			b.ReportAllocs()
			for b.Loop() {
				client.send(buf)
				client.recv(buf)
			}
			client.close()
			<-echoed
		})
	}
}

func BenchmarkTCPBulk(b *testing.B) {
	const size = 64 << 10 // bytes of one send
	for _, layer := range layers {
		b.Run(layer.name, func(b *testing.B) {
			h, end := loopbackHost()
			defer end()
			client, server := layer.connect(b, h)("127.0.0.1")
			drained := make(chan struct{})
			go func() {
				defer close(drained)
				for buf := make([]byte, size); server.recv(buf) > 0; {
				}
				server.close()
			}()
			buf := make([]byte, size)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				client.send(buf)
			}
			client.close()
			<-drained
		})
	}
}

// BenchmarkIdleConnections opens b.N connections and reports what the heap holds
// for each end of one. The difference between the two is this layer's:
//
//	go test -run '^$' -bench IdleConnections -benchtime 100000x ./stack/sockets
func BenchmarkIdleConnections(b *testing.B) {
	const perAddress = 20000 // connections to one address: there are 28,232 ports
	for _, layer := range layers {
		b.Run(layer.name, func(b *testing.B) {
			h, end := loopbackHost()
			defer end()
			connect := layer.connect(b, h)
			peers := make([]peer, 0, 2*b.N)
			before, goroutines := heap(), runtime.NumGoroutine()
			for i := range b.N {
				client, server := connect(fmt.Sprintf("127.0.%d.1", i/perAddress))
				peers = append(peers, client, server)
			}
			b.StopTimer()
			b.ReportMetric(float64(heap()-before)/float64(len(peers)), "B/end")
			b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/float64(len(peers)), "goroutines/end")
			for _, p := range peers {
				p.close()
			}
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // empties the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

type socketPeer struct{ *sockets.Socket }

func (p socketPeer) send(b []byte)     { p.Send(b) }
func (p socketPeer) recv(b []byte) int { n, _ := p.RecvInto(b); return n }
func (p socketPeer) close()            { p.Close() }

func socketPeers(t testing.TB, h *sockets.Host) func(dst string) (client, server peer) {
	l := tcpSocket(t, h)
	check(t, l.Bind(sockets.Inet4{}))
	check(t, l.Listen(8))
	port := must[sockets.Sockaddr](t)(l.GetSockName()).(sockets.Inet4).Port
	return func(dst string) (client, server peer) {
		c := must[*sockets.Socket](t)(h.TCP())
		check(t, c.SetSockOptInt(sockets.SOL_TCP, sockets.TCP_NODELAY, 1))
		check(t, c.Connect(sockets.Inet4{Host: dst, Port: port}))
		s, _, err := l.Accept()
		check(t, err)
		return socketPeer{c}, socketPeer{s}
	}
}

// An endpointPeer waits as simply as can be.
type endpointPeer struct {
	ep    tcpip.Endpoint
	wq    *waiter.Queue
	woken chan struct{}
	entry waiter.Entry
	r     bytes.Reader
	w     tcpip.SliceWriter
}

func newEndpointPeer(ep tcpip.Endpoint, wq *waiter.Queue) *endpointPeer {
	return &endpointPeer{ep: ep, wq: wq}
}

func (p *endpointPeer) wait(mask waiter.EventMask) {
	if p.woken == nil {
		p.entry, p.woken = waiter.NewChannelEntry(waiter.ReadableEvents | waiter.WritableEvents | waiter.EventErr | waiter.EventHUp)
		p.wq.EventRegister(&p.entry)
	}
	if p.ep.Readiness(mask) == 0 {
		<-p.woken
	}
}

func (p *endpointPeer) send(b []byte) {
	for sent := 0; sent < len(b); {
		p.r.Reset(b[sent:])
		n, terr := p.ep.Write(&p.r, tcpip.WriteOptions{})
		sent += int(n)
		if _, full := terr.(*tcpip.ErrWouldBlock); full {
			p.wait(waiter.WritableEvents)
		} else if terr != nil {
			return
		}
	}
}

func (p *endpointPeer) recv(b []byte) int {
	for {
		p.w = b
		res, terr := p.ep.Read(&p.w, tcpip.ReadOptions{})
		if _, empty := terr.(*tcpip.ErrWouldBlock); empty {
			p.wait(waiter.ReadableEvents)
			continue
		}
		p.ep.ModerateRecvBuf(res.Count)
		return res.Count
	}
}

func (p *endpointPeer) close() {
	if p.woken != nil {
		p.wq.EventUnregister(&p.entry)
		p.woken = nil
	}
	p.ep.Close()
}

func endpointPeers(t testing.TB, h *sockets.Host) func(dst string) (client, server peer) {
	gv := h.Stack().GVisor()
	var wq waiter.Queue
	l, terr := gv.NewEndpoint(tcp.ProtocolNumber, header.IPv4ProtocolNumber, &wq)
	if terr != nil {
		t.Fatal(terr)
	}
	t.Cleanup(l.Close)
	entry, incoming := waiter.NewChannelEntry(waiter.ReadableEvents)
	wq.EventRegister(&entry)
	l.Bind(tcpip.FullAddress{})
	l.Listen(8)
	local, _ := l.GetLocalAddress()
	return func(dst string) (client, server peer) {
		cq := new(waiter.Queue)
		c, terr := gv.NewEndpoint(tcp.ProtocolNumber, header.IPv4ProtocolNumber, cq)
		if terr != nil {
			t.Fatal(terr)
		}
		done, up := waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventErr)
		cq.EventRegister(&done)
		c.Connect(tcpip.FullAddress{Addr: tcpip.AddrFrom4(must[[4]byte](t)(quad(dst))), Port: local.Port})
		<-up
		cq.EventUnregister(&done)
		for {
			s, sq, terr := l.Accept(nil)
			if terr == nil {
				return newEndpointPeer(c, cq), newEndpointPeer(s, sq)
			}
			<-incoming
		}
	}
}

func quad(s string) (a [4]byte, err error) {
	_, err = fmt.Sscanf(s, "%d.%d.%d.%d", &a[0], &a[1], &a[2], &a[3])
	return a, err
}
