package hostnet

import (
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
)

// Each benchmark has a row for the uplink and one for the kernel's loopback
// alone. Both ends share the process, so a figure counts the work of both.

// A dialer makes connections to the machine's loopback.
type dialFunc func(network, port string) (net.Conn, error)

// ways are the uplink and the kernel.
func ways(b *testing.B, run func(b *testing.B, dial dialFunc)) {
	b.Run("uplink", func(b *testing.B) {
		h, _ := newHost(b, open)
		run(b, func(network, port string) (net.Conn, error) {
			return h.Dial(network, net.JoinHostPort("10.0.2.2", port))
		})
	})
	b.Run("kernel", func(b *testing.B) {
		run(b, func(network, port string) (net.Conn, error) {
			return net.Dial(network, net.JoinHostPort("127.0.0.1", port))
		})
	})
}

// benchPair returns a connection and its other end.
func benchPair(b *testing.B, dial dialFunc) (near, far net.Conn) {
	b.Helper()
	l, address := listen(b, "127.0.0.1", "127.0.0.1")
	_, port, _ := net.SplitHostPort(address)
	near, err := dial("tcp", port)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { near.Close() })
	if far, err = l.Accept(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { far.Close() })
	return near, far
}

// bulk moves b.N chunks.
func bulk(b *testing.B, to, from net.Conn) {
	const chunk = 128 << 10 // bytes, iperf3's
	b.SetBytes(chunk)
	var reader sync.WaitGroup
	reader.Go(func() {
		if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{from}, make([]byte, chunk)); err != nil {
			b.Error(err)
		}
	})
	p := make([]byte, chunk)
	for b.Loop() {
		if _, err := to.Write(p); err != nil {
			b.Fatal(err)
		}
	}
	to.(closeWriter).CloseWrite()
	reader.Wait()
}

func BenchmarkTCPOutward(b *testing.B) {
	ways(b, func(b *testing.B, dial dialFunc) {
		near, far := benchPair(b, dial)
		bulk(b, near, far)
	})
}

func BenchmarkTCPInward(b *testing.B) {
	ways(b, func(b *testing.B, dial dialFunc) {
		near, far := benchPair(b, dial)
		bulk(b, far, near)
	})
}

// BenchmarkTCPConnect is connect, accept and both closes.
func BenchmarkTCPConnect(b *testing.B) {
	ways(b, func(b *testing.B, dial dialFunc) {
		l, address := listen(b, "127.0.0.1", "127.0.0.1")
		_, port, _ := net.SplitHostPort(address)
		for b.Loop() {
			near, err := dial("tcp", port)
			if err != nil {
				b.Fatal(err)
			}
			far, err := l.Accept()
			if err != nil {
				b.Fatal(err)
			}
			near.Close()
			far.Close()
		}
	})
}

func BenchmarkTCPRoundTrip(b *testing.B) {
	ways(b, func(b *testing.B, dial dialFunc) {
		near, far := benchPair(b, dial)
		var echo sync.WaitGroup
		echo.Go(func() { io.Copy(far, struct{ io.Reader }{far}) })
		p := make([]byte, 1)
		for b.Loop() {
			if _, err := near.Write(p); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(near, p); err != nil {
				b.Fatal(err)
			}
		}
		near.(closeWriter).CloseWrite()
		echo.Wait()
	})
}

// BenchmarkUDPRoundTrip sends one datagram and waits for its echo.
func BenchmarkUDPRoundTrip(b *testing.B) { udpBench(b, 1) }

// BenchmarkUDPWindow has 32 datagrams on their way at a time; each operation is
// one there and back.
func BenchmarkUDPWindow(b *testing.B) { udpBench(b, 32) }

func udpBench(b *testing.B, window int) {
	ways(b, func(b *testing.B, dial dialFunc) {
		server, to := listenPacket(b, "127.0.0.1", "127.0.0.1")
		near, err := dial("udp", strconv.Itoa(int(to.Port())))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { near.Close() })
		var echo sync.WaitGroup
		echo.Go(func() {
			p := make([]byte, 2000)
			for {
				n, from, err := server.ReadFromUDPAddrPort(p)
				if err != nil {
					return
				}
				server.WriteToUDPAddrPort(p[:n], from)
			}
		})
		p := make([]byte, 1200)
		onWay := 0
		for b.Loop() {
			for ; onWay < window; onWay++ {
				if _, err := near.Write(p); err != nil {
					b.Fatal(err)
				}
			}
			near.SetReadDeadline(soon()) // a datagram may be lost
			if _, err := near.Read(p); err != nil {
				b.Log(err)
			}
			onWay--
		}
		server.Close()
		echo.Wait()
	})
}
