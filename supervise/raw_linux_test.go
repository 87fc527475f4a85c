//go:build amd64 || arm64

package supervise_test

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// echoRequest is an ICMP message whose checksum the sender has to fill in.
var echoRequest = []byte{8, 0, 0, 0, 0x12, 0x34, 0, 1, 'p', 'i', 'n', 'g'}

var loopback = &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}

func open(t *testing.T, domain, typ, protocol int) int {
	t.Helper()
	fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		t.Fatalf("socket(%d, %d, %d): %v", domain, typ, protocol, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// TestPingSocket checks the socket by which ping needs no privilege.
func TestPingSocket(t *testing.T) {
	insideOnly(t, func(t *testing.T) {
		fd := open(t, unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP)
		if err := unix.Sendto(fd, echoRequest, 0, loopback); err != nil {
			t.Fatal("sendto:", err)
		}
		await(t, fd, unix.POLLIN)
		got, _ := receive(t, fd)
		if got[0] != 0 || got[8:] != "ping" { // an echo reply
			t.Errorf("received %q", got)
		}
	})
}

// TestRawSocket checks that a raw socket sends messages and hears of others.
func TestRawSocket(t *testing.T) {
	insideOnly(t, func(t *testing.T) {
		fd := open(t, unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
		request := bytes.Clone(echoRequest)
		sum := 0
		for i := 0; i < len(request); i += 2 {
			sum += int(request[i])<<8 | int(request[i+1])
		}
		sum = ^(sum>>16 + sum)
		request[2], request[3] = byte(sum>>8), byte(sum)
		if err := unix.Sendto(fd, request, 0, loopback); err != nil {
			t.Fatal("sendto:", err)
		}
		const header = 20
		for _, kind := range []byte{8, 0} { // what was sent arrives as well, then the reply
			got, from := receive(t, fd)
			if len(got) != header+len(request) || got[header] != kind || from.Addr != loopback.Addr {
				t.Errorf("received %q from %v, want type %d", got, from, kind)
			}
		}
	})
}

// TestPacketSocket checks that a packet socket sees and sends what is on a link.
func TestPacketSocket(t *testing.T) {
	insideOnly(t, func(t *testing.T) {
		const all, ip = 0x0300, 0x0008 // ETH_P_ALL and ETH_P_IP in network order
		fd := open(t, unix.AF_PACKET, unix.SOCK_RAW, all)
		const index = 1 // of the loopback interface
		if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index}); err != nil {
			t.Fatal("bind:", err)
		}
		to, at := udp(t)
		sendTo(t, to, "seen", at)
		if got, _ := receive(t, to); got != "seen" {
			t.Errorf("received %q", got)
		}
		await(t, fd, unix.POLLIN)
		b := make([]byte, 100)
		n, from, err := unix.Recvfrom(fd, b, 0)
		if err != nil {
			t.Fatal("recvfrom:", err)
		}
		if !bytes.HasSuffix(b[:n], []byte("seen")) {
			t.Errorf("packet %q, want that of the datagram", b[:n])
		}
		if a, ok := from.(*unix.SockaddrLinklayer); !ok || a.Ifindex != index || a.Protocol != ip {
			t.Errorf("packet from %+v, want IPv4 on the loopback interface", from)
		}
		if _, err := unix.Write(fd, b[:n]); err != nil { // it needs no address
			t.Error("write:", err)
		}
	})
}

// TestDatagramPeek checks that what was looked at is still there for poll(2).
func TestDatagramPeek(t *testing.T) {
	inside(t, func(t *testing.T) {
		to, at := udp(t)
		for range 3 {
			sendTo(t, to, "look", at)
			for _, size := range []int{2, 4} {
				if got, want := recvFrom(to, size, unix.MSG_PEEK|unix.MSG_TRUNC)[:1], "4"; got != want {
					t.Errorf("peeked at %s bytes, want %s", got, want)
				}
				if ev := events(t, to); ev != unix.POLLIN|unix.POLLOUT {
					t.Errorf("events %#x after a peek, want POLLIN and POLLOUT", ev)
				}
			}
			if got := read(t, to); got != "look" {
				t.Errorf("read %q", got)
			}
		}
	})
}
