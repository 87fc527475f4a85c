package testnet_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
)

// BenchmarkUDP measures datagrams per second: one end sends without pause, and what the other has received counts. ns/op
// is the time from one received datagram to the next; "lost" is the part of those sent that did not arrive.
//
// One is a call for each datagram, batch sendmmsg(2) and recvmmsg(2) with 64 of them, and segment UDP_SEGMENT and UDP_GRO
// on top of that: the same on both sides.
func BenchmarkUDP(b *testing.B) {
	for _, way := range []string{"send", "receive"} {
		for _, size := range []int{64, 1400} {
			for _, mode := range []string{"one", "batch", "segment"} {
				b.Run(fmt.Sprintf("%s/%d/%s", way, size, mode), func(b *testing.B) {
					eachWire(b, func(b *testing.B, near, far side) {
						if way == "receive" {
							near, far = far, near
						}
						flood(b, near, far, size, mode)
					})
				})
			}
		}
	}
}

const (
	floodBatch   = 64    // datagrams of one call
	floodMost    = 65507 // bytes of the largest datagram over IPv4
	floodPatient = 5 * time.Second
)

// A batchConn is what ipv4.PacketConn and our PacketConn have.
type batchConn interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
	WriteBatch(ms []ipv4.Message, flags int) (int, error)
}

func batches(c net.PacketConn) batchConn {
	if b, ok := c.(batchConn); ok {
		return b
	}
	return ipv4.NewPacketConn(c)
}

// flood has from send datagrams of size bytes to to without pause until b.N have arrived.
func flood(b *testing.B, from, to side, size int, mode string) {
	rx, err := to.listenPacket("udp", netip.AddrPortFrom(to.addr4, 0).String())
	if err != nil {
		b.Fatal(err)
	}
	defer rx.Close()
	tx, err := from.listenPacket("udp", netip.AddrPortFrom(from.addr4, 0).String())
	if err != nil {
		b.Fatal(err)
	}
	rx.SetReadDeadline(time.Now().Add(time.Hour))
	read, write := datagramReader(b, rx, mode), datagramWriter(b, tx, rx.LocalAddr(), size, mode)
	var sent atomic.Int64
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			n, err := write()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			sent.Add(int64(n))
		}
	}()
	defer func() { tx.Close(); <-stopped }()
	count := func(n int) {
		for got := 0; got < n; {
			m, err := read()
			if err != nil {
				b.Error(err)
				return
			}
			got += m / size
		}
	}
	count(10000)
	sent.Store(0)
	b.ResetTimer()
	count(b.N)
	b.StopTimer()
	took, all := b.Elapsed(), sent.Load()
	b.ReportMetric(float64(b.N)/took.Seconds(), "packets/s")
	b.ReportMetric(max(0, 1-float64(b.N)/float64(all)), "lost")
}

// datagramReader returns a function that receives once and returns how many bytes came.
func datagramReader(b *testing.B, c net.PacketConn, mode string) func() (int, error) {
	if mode == "one" {
		buf := make([]byte, 2048)
		if u, ok := c.(interface {
			ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error)
		}); ok {
			return func() (int, error) { n, _, err := u.ReadFromUDPAddrPort(buf); return n, err }
		}
	}
	n := floodBatch
	size := 2048
	if mode == "segment" {
		n, size = 8, 65536
		if err := setUDP(c, unix.UDP_GRO, 1); err != nil {
			b.Fatal(err)
		}
	}
	ms := make([]ipv4.Message, n)
	for i := range ms {
		ms[i].Buffers = [][]byte{make([]byte, size)}
		ms[i].OOB = make([]byte, 128)
	}
	bc := batches(c)
	return func() (int, error) {
		n, err := bc.ReadBatch(ms, 0)
		got := 0
		for i := range ms[:n] {
			got += ms[i].N
		}
		return got, err
	}
}

// datagramWriter returns a function that sends once and returns how many datagrams that were.
func datagramWriter(b *testing.B, c net.PacketConn, to net.Addr, size int, mode string) func() (int, error) {
	if mode == "one" {
		buf, ap := make([]byte, size), to.(*net.UDPAddr).AddrPort()
		u := c.(interface {
			WriteToUDPAddrPort([]byte, netip.AddrPort) (int, error)
		})
		return func() (int, error) { _, err := u.WriteToUDPAddrPort(buf, ap); return 1, err }
	}
	n, each := floodBatch, 1
	if mode == "segment" {
		n, each = 1, min(floodMost/size, 64)
		if err := setUDP(c, unix.UDP_SEGMENT, size); err != nil {
			b.Fatal(err)
		}
	}
	ms := make([]ipv4.Message, n)
	for i := range ms {
		ms[i].Buffers = [][]byte{make([]byte, size*each)}
		ms[i].Addr = to
	}
	bc := batches(c)
	return func() (int, error) { n, err := bc.WriteBatch(ms, 0); return n * each, err }
}

// setUDP sets an option of SOL_UDP.
func setUDP(c net.PacketConn, name, value int) error {
	if p, ok := c.(interface{ Socket() *sockets.Socket }); ok {
		return p.Socket().SetSockOptInt(sockets.SOL_UDP, name, value)
	}
	raw, err := c.(*net.UDPConn).SyscallConn()
	if err != nil {
		return err
	}
	err2 := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_UDP, name, value) })
	return errors.Join(err, err2)
}
