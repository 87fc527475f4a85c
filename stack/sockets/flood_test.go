package sockets_test

import (
	"encoding/binary"
	"runtime"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/userstack/userstack/stack/sockets"
)

const (
	floodSize     = 200_000 // datagrams
	linuxDefault  = 256     // datagrams of up to 100 bytes that Linux 6.18 keeps by default
	floodedMemory = 2 << 20 // bytes: SO_RCVBUF of 208 KiB, and what else goes on
)

// heapAfter returns how much the heap has grown while f ran, garbage aside.
func heapAfter(f func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// udpTo is a UDP datagram of n bytes to a port of the host's.
func udpTo(port uint16, n int) []byte {
	u := make([]byte, header.UDPMinimumSize+n)
	binary.BigEndian.PutUint16(u, 9)
	binary.BigEndian.PutUint16(u[2:], port)
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	return ip4("192.0.2.1", addrA, uint8(header.UDPProtocolNumber), u) // checksum 0: none
}

func echoReply(ident uint16, n int) []byte {
	m := make([]byte, header.ICMPv4MinimumSize+n)
	binary.BigEndian.PutUint16(m[4:], ident)
	header.ICMPv4(m).SetChecksum(^checksum.Checksum(m, 0))
	return ip4("192.0.2.1", addrA, uint8(header.ICMPv4ProtocolNumber), m)
}

// T8: netstack counts payload alone, so that empty datagrams are kept without
// limit and those of one byte until 217,088 of them lie there, at 800 bytes of
// memory each. Ours keep as many as Linux does, whoever sends how many. Not
// parallel: it looks at the memory of the process.
func TestT08TinyDatagrams(t *testing.T) {
	h, w := wired(t)
	ping := mustSocket(t, h, sockets.AF_INET, sockets.SOCK_DGRAM, sockets.IPPROTO_ICMP)
	check(t, ping.Bind(sockets.Inet4{Port: 77}))
	for _, tc := range []struct {
		name   string
		packet func(n int) []byte
		open   func() *sockets.Socket
		size   int
		flood  int
	}{
		{"UDP", func(n int) []byte { return udpTo(4000, n) }, func() *sockets.Socket {
			s := udpSocket(t, h)
			check(t, s.Bind(sockets.Inet4{Host: addrA, Port: 4000}))
			return s
		}, 0, floodSize},
		{"ping", func(n int) []byte { return echoReply(77, n) }, func() *sockets.Socket { return ping }, 8, floodSize / 10},
	} {
		for _, size := range []int{0, 1} {
			s := tc.open()
			p := tc.packet(size)
			grown := heapAfter(func() {
				for range tc.flood {
					w.inject(p)
				}
			})
			if grown > floodedMemory {
				t.Errorf("%s: %d datagrams of %d bytes take %d bytes of memory", tc.name, tc.flood, size, grown)
			}
			n := 0
			for ; ; n++ {
				m, err := s.RecvMsg([][]byte{make([]byte, 99)}, 0, sockets.MSG_DONTWAIT)
				if err != nil {
					wantErrno(t, err, sockets.EAGAIN)
					break
				}
				if m.N != tc.size+size {
					t.Fatalf("%s: %d bytes of a datagram of %d", tc.name, m.N, tc.size+size)
				}
			}
			if n != linuxDefault {
				t.Errorf("%s: of %d datagrams of %d bytes %d are kept, Linux keeps %d", tc.name, tc.flood, size, n, linuxDefault)
			}
			w.inject(p)
			if n := must[any](t)(s.Ioctl(sockets.FIONREAD, nil)); n != tc.size+size {
				t.Errorf("%s: an emptied queue does not fill again", tc.name)
			}
			if tc.name == "UDP" {
				check(t, s.Close())
			} else {
				recvMsg(t, s)
			}
		}
	}
}

// S40, C4: SO_RXQ_OVFL counts what the queue had no room for.
func TestDropsAreCounted(t *testing.T) {
	h, w := wired(t)
	s := udpSocket(t, h)
	check(t, s.Bind(sockets.Inet4{Host: addrA, Port: 4000}))
	setInts(t, s, sockets.SOL_SOCKET, sockets.SO_RXQ_OVFL)
	for range linuxDefault + 3 {
		w.inject(udpTo(4000, 1))
	}
	for range linuxDefault {
		if m := recvMsg(t, s); len(m.Control) != 0 {
			t.Fatalf("before a drop: %v", m.Control)
		}
	}
	w.inject(udpTo(4000, 1))
	m := recvMsg(t, s)
	if got := kindsOf(m.Control); got != "1,40" {
		t.Fatalf("control messages %s", got)
	}
	if n, _ := m.Control[0].Int(); n != 3 {
		t.Errorf("%d datagrams were dropped, want 3", n)
	}
}
