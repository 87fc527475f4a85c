package testnet_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/testnet"
)

const udpPatience = 30 * time.Second // bounds a test that hangs

// A messageConn is what a *net.UDPConn has and our PacketConn too.
type messageConn interface {
	net.PacketConn
	ReadMsgUDP(p, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error)
	WriteMsgUDP(p, oob []byte, addr *net.UDPAddr) (n, oobn int, err error)
}

// udpOn returns a socket on a side's address.
func udpOn(t *testing.T, s side, addr netip.Addr) messageConn {
	t.Helper()
	c, err := s.listenPacket("udp", netip.AddrPortFrom(addr, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(udpPatience))
	return c.(messageConn)
}

// numbered returns n bytes that differ from place to place.
func numbered(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>8) ^ byte(i)*31
	}
	return b
}

// errnoName names the errno in an error, ours or package net's.
func errnoName(err error) string {
	if err == nil {
		return "ok"
	}
	for _, e := range []syscall.Errno{syscall.EINVAL, syscall.EMSGSIZE, syscall.EIO, syscall.EDESTADDRREQ} {
		if errors.Is(err, e) {
			return unix.ErrnoName(e)
		}
	}
	return err.Error()
}

// TestUDPSegmentAgainstKernel makes the same sends with UDP_SEGMENT in both directions, ours to the kernel and the kernel's
// to ours, and compares the results of the calls and what arrives.
func TestUDPSegmentAgainstKernel(t *testing.T) {
	const none = -1
	sends := []struct{ option, control, size int }{
		{0, none, 100}, {0, 100, 1000}, {0, 100, 1001}, {0, 100, 999}, {0, 100, 100}, {0, 100, 99}, {0, 100, 0},
		{300, none, 1000}, {300, 0, 1000}, {300, 500, 1000}, {300, none, 300},
		{0, 1, 128}, {0, 1, 129}, {1, none, 129}, {0, 1400, 65500}, {0, 1400, 65507}, {0, 1400, 65508}, {0, 512, 65507},
		{0, 1452, 3000}, {0, 1453, 3000}, {0, 1472, 3000}, {0, 1473, 3000}, {0, 1473, 1400}, {0, 1473, 1473}, {0, 65535, 100},
	}
	for _, wire := range wires[2:] { // those with a kernel
		for _, f := range families {
			t.Run(wire.name+"/"+f.name, func(t *testing.T) {
				near, far := wire.up(t)
				for _, s := range sends {
					var got [2]string
					for i, way := range [][2]side{{near, far}, {far, near}} {
						got[i] = segmentedSend(t, way[0], way[1], netip.MustParseAddrPort(f.on(way[0])).Addr(),
							netip.MustParseAddrPort(f.on(way[1])).Addr(), s.option, s.control, s.size)
					}
					if got[0] != got[1] {
						t.Errorf("option %d, control %d, %d bytes: ours %s, the kernel's %s", s.option, s.control, s.size, got[0], got[1])
					}
				}
			})
		}
	}
}

// segmentedSend sends once, and says what the call gave and which sizes arrived.
func segmentedSend(t *testing.T, from, to side, src, dst netip.Addr, option, control, size int) string {
	t.Helper()
	tx, rx := udpOn(t, from, src), udpOn(t, to, dst)
	defer tx.Close()
	defer rx.Close()
	if err := setUDP(tx, unix.UDP_SEGMENT, option); err != nil {
		t.Fatal(err)
	}
	var oob []byte
	if control >= 0 {
		oob = sockets.MarshalControl([]sockets.ControlMessage{sockets.ControlSegment(uint16(control))})
	}
	name := rx.LocalAddr().(*net.UDPAddr)
	data, last := numbered(size), []byte("this is the end")
	n, _, err := tx.WriteMsgUDP(data, oob, name)
	if err := setUDP(tx, unix.UDP_SEGMENT, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.WriteTo(last, name); err != nil {
		t.Fatal(err)
	}
	var sizes []int
	var got []byte
	for buf := make([]byte, 65536); ; {
		n, _, err := rx.ReadFrom(buf)
		if err != nil {
			t.Fatalf("after datagrams of %v bytes: %v", sizes, err)
		}
		if bytes.Equal(buf[:n], last) {
			break
		}
		sizes, got = append(sizes, n), append(got, buf[:n]...)
	}
	if err == nil && !bytes.Equal(got, data) {
		t.Errorf("what arrives of %d bytes differs from what was sent", size)
	}
	return fmt.Sprint(n, " ", errnoName(err), " ", sizes)
}

// TestUDPGROFromKernel has the kernel send datagrams in one piece to a socket with UDP_GRO, and to one without.
func TestUDPGROFromKernel(t *testing.T) {
	l := testnet.Namespaces(t)
	for _, f := range families {
		for _, together := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s/%d", f.name, together), func(t *testing.T) {
				us, kernel := ours(l.Node), kernels(l.Kernel)
				rx := udpOn(t, us, netip.MustParseAddrPort(f.on(us)).Addr())
				tx := udpOn(t, kernel, netip.MustParseAddrPort(f.on(kernel)).Addr())
				if err := setUDP(rx, unix.UDP_GRO, together); err != nil {
					t.Fatal(err)
				}
				receiveTogether(t, l, tx, rx)
			})
		}
	}
}

// receiveTogether sends ten datagrams of 1000 bytes, and one of 500, in one piece, five times.
func receiveTogether(t *testing.T, l *testnet.Lab, tx, rx messageConn) {
	const size, whole, most = 1000, 10500, 64
	together := must(t)(rx.(*sockets.PacketConn).Socket().GetSockOptInt(sockets.SOL_UDP, sockets.UDP_GRO))
	oob := sockets.MarshalControl([]sockets.ControlMessage{sockets.ControlSegment(size)})
	data := numbered(whole)
	before := l.Stack.UDPFlows().Taken()
	for range 5 {
		if _, _, err := tx.WriteMsgUDP(data, oob, rx.LocalAddr().(*net.UDPAddr)); err != nil {
			t.Fatal(err)
		}
		var got []byte
		var sizes []int
		for buf, control := make([]byte, 65536), make([]byte, most); len(got) < whole; {
			n, oobn, flags, from, err := rx.ReadMsgUDP(buf, control)
			if err != nil || flags != 0 || from.String() != tx.LocalAddr().String() {
				t.Fatal(n, flags, from, err)
			}
			messages, err := sockets.ParseControl(control[:oobn])
			if err != nil {
				t.Fatal(err)
			}
			if n > size && (len(messages) != 1 || messages[0].Type != sockets.UDP_GRO || segmentOf(messages[0]) != size) {
				t.Errorf("%d bytes with the control messages %v", n, messages)
			}
			got, sizes = append(got, buf[:n]...), append(sizes, n)
		}
		if !bytes.Equal(got, data) {
			t.Error("what arrives differs from what was sent")
		}
		if together == 0 && !slices.Equal(sizes, []int{size, size, size, size, size, size, size, size, size, size, whole % size}) {
			t.Errorf("messages of %v bytes", sizes)
		}
	}
	if l.Stack.UDPFlows().Taken() == before {
		t.Error("no datagram went past netstack")
	}
}

func segmentOf(m sockets.ControlMessage) int { n, _ := m.Int(); return n }

func must(t *testing.T) func(int, error) int {
	return func(n int, err error) int {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// TestUDPBatches sends batches of datagrams of many sizes both ways between our stack and the kernel, in one call where
// that is possible, and has every one arrive, in order.
func TestUDPBatches(t *testing.T) {
	for _, wire := range wires {
		t.Run(wire.name, func(t *testing.T) {
			near, far := wire.up(t)
			for _, f := range families {
				for _, way := range [][2]side{{near, far}, {far, near}} {
					tx := udpOn(t, way[0], netip.MustParseAddrPort(f.on(way[0])).Addr())
					rx := udpOn(t, way[1], netip.MustParseAddrPort(f.on(way[1])).Addr())
					for _, sizes := range [][]int{
						{64, 64, 64, 64}, {1400, 1400, 1400, 700, 1400}, {1, 2, 3}, {3, 2, 1}, {0, 0}, {10, 0, 10, 10},
						{1472, 1472, 1473, 1473, 3000}, {100}, slices.Repeat([]int{5}, 130),
					} {
						batch(t, batches(tx), batches(rx), rx.LocalAddr(), sizes)
					}
				}
			}
		})
	}
}

// batch sends datagrams of the given sizes with one call and receives them.
func batch(t *testing.T, tx, rx batchConn, to net.Addr, sizes []int) {
	t.Helper()
	var out []ipv4.Message
	for i, n := range sizes {
		half := n / 2
		data := numbered(n + i)[i:]
		out = append(out, ipv4.Message{Buffers: [][]byte{data[:half], data[half:]}, Addr: to})
	}
	if n, err := tx.WriteBatch(out, 0); n != len(out) || err != nil {
		t.Fatalf("%d of %d sent: %v", n, len(out), err)
	}
	in := make([]ipv4.Message, 7)
	for i := 0; i < len(sizes); {
		for k := range in {
			in[k] = ipv4.Message{Buffers: [][]byte{make([]byte, 100), make([]byte, 4000)}}
		}
		n, err := rx.ReadBatch(in, 0)
		if err != nil || n == 0 {
			t.Fatalf("after %d of %v: %d, %v", i, sizes, n, err)
		}
		for _, m := range in[:n] {
			want := slices.Concat(out[i].Buffers...)
			got := slices.Concat(m.Buffers...)[:m.N]
			if !bytes.Equal(got, want) {
				t.Fatalf("datagram %d of %v: %d bytes, want %d", i, sizes, len(got), len(want))
			}
			i++
		}
	}
}
