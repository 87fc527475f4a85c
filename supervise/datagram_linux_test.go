//go:build amd64 || arm64

package supervise_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/supervise"
)

// insideVar is set, to the name of the test, in the process that a test runs
// under supervision.
const insideVar = "SUPERVISE_TEST_INSIDE"

// inside runs fn in a process of its own under supervision: this very test again.
// It also runs it here, on the kernel's sockets, which have to behave the same.
func inside(t *testing.T, fn func(t *testing.T)) {
	t.Helper()
	if !supervised() {
		fn(t)
	}
	insideOnly(t, fn)
}

// insideOnly is inside for what the kernel allows to privileged users alone.
func insideOnly(t *testing.T, fn func(t *testing.T)) {
	t.Helper()
	if os.Getenv(insideVar) == t.Name() {
		fn(t)
		return
	}
	cmd := supervise.Command(newHost(t), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), insideVar+"="+t.Name())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("under supervision: %v\n%s", err, out)
	}
}

// supervised reports whether this is the process that inside started.
func supervised() bool { return os.Getenv(insideVar) != "" }

// udp returns a UDP socket bound to a port of 127.0.0.1.
func udp(t *testing.T) (fd int, at *unix.SockaddrInet4) {
	t.Helper()
	fd = unbound(t)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal("bind:", err)
	}
	return fd, name4(t, fd)
}

func unbound(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal("socket:", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func name4(t *testing.T, fd int) *unix.SockaddrInet4 {
	t.Helper()
	a, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal("getsockname:", err)
	}
	return a.(*unix.SockaddrInet4)
}

// events returns what poll(2) finds on a socket at once.
func events(t *testing.T, fd int) int16 {
	t.Helper()
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT | unix.POLLRDHUP}}
	if _, err := unix.Poll(p, 0); err != nil {
		t.Fatal("poll:", err)
	}
	return p[0].Revents
}

// await waits for an event on a socket.
func await(t *testing.T, fd int, event int16) {
	t.Helper()
	p := []unix.PollFd{{Fd: int32(fd), Events: event}}
	const hung = 30 * time.Second
	for until := time.Now().Add(hung); time.Now().Before(until); {
		n, err := unix.Poll(p, int(hung.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if n != 1 || p[0].Revents&event == 0 {
			break
		}
		return
	}
	t.Fatalf("no event %#x: %#x", event, p[0].Revents)
}

// receive is recvfrom(2) with an address.
func receive(t *testing.T, fd int) (string, *unix.SockaddrInet4) {
	t.Helper()
	await(t, fd, unix.POLLIN)
	var b [100]byte
	n, from, err := unix.Recvfrom(fd, b[:], 0)
	if err != nil {
		t.Fatal("recvfrom:", err)
	}
	return string(b[:n]), from.(*unix.SockaddrInet4)
}

// read is read(2), which nobody traps.
func read(t *testing.T, fd int) string {
	t.Helper()
	await(t, fd, unix.POLLIN)
	var b [100]byte
	n, err := unix.Read(fd, b[:])
	if err != nil {
		t.Fatal("read:", err)
	}
	return string(b[:n])
}

func sendTo(t *testing.T, fd int, data string, to unix.Sockaddr) {
	t.Helper()
	if err := unix.Sendto(fd, []byte(data), 0, to); err != nil {
		t.Fatal("sendto:", err)
	}
}

func wantErrno(t *testing.T, what string, err error, want ...unix.Errno) {
	t.Helper()
	for _, w := range want {
		if errors.Is(err, w) {
			return
		}
	}
	t.Errorf("%s: %v, want %v", what, err, want)
}

// TestDatagramAddresses checks that each datagram comes with the address of its
// sender, whether those before it were read with or without one.
func TestDatagramAddresses(t *testing.T) {
	inside(t, func(t *testing.T) {
		to, at := udp(t)
		var from [3]int
		var names [3]*unix.SockaddrInet4
		for i := range from {
			from[i], names[i] = udp(t)
		}
		const count = 60 // more than the kernel queues on a Unix socket
		for i := range count {
			sendTo(t, from[i%3], strings.Repeat("x", i%5), at) // some are empty
		}
		for i := range count {
			want := strings.Repeat("x", i%5)
			if i%7 == 3 || i%7 == 4 {
				if got := read(t, to); got != want {
					t.Errorf("read %d: %q, want %q", i, got, want)
				}
				continue
			}
			got, who := receive(t, to)
			if got != want || *who != *names[i%3] {
				t.Errorf("recvfrom %d: %q from %v, want %q from %v", i, got, who, want, names[i%3])
			}
		}
		if ev := events(t, to); ev != unix.POLLOUT {
			t.Errorf("events %#x after the last, want POLLOUT", ev)
		}
	})
}

// TestDatagramConnect checks what connecting, connecting elsewhere and dissolving
// the association do.
func TestDatagramConnect(t *testing.T) {
	inside(t, func(t *testing.T) {
		a, atA := udp(t)
		b, atB := udp(t)
		c := unbound(t)
		_, err := unix.Write(c, []byte("nowhere"))
		if supervised() {
			wantErrno(t, "write without a peer", err, unix.ENOTCONN)
		} else {
			wantErrno(t, "write without a peer", err, unix.EDESTADDRREQ)
		}
		for _, peer := range []struct {
			fd int
			at *unix.SockaddrInet4
		}{{a, atA}, {b, atB}, {a, atA}} {
			if err := unix.Connect(c, peer.at); err != nil {
				t.Fatal("connect:", err)
			}
			if _, err := unix.Write(c, []byte("hello")); err != nil {
				t.Fatal("write:", err)
			}
			got, from := receive(t, peer.fd)
			if got != "hello" {
				t.Errorf("received %q", got)
			}
			sendTo(t, peer.fd, fmt.Sprint("from ", peer.at.Port), from)
		}
		for _, p := range []*unix.SockaddrInet4{atA, atB, atA} { // they stayed in the queue
			if got, want := read(t, c), fmt.Sprint("from ", p.Port); got != want {
				t.Errorf("read %q, want %q", got, want)
			}
		}
	})
}

// TestDatagramRefused checks that the program hears of ICMP errors.
func TestDatagramRefused(t *testing.T) {
	inside(t, func(t *testing.T) {
		nobody, at := udp(t)
		unix.Close(nobody)
		fd := unbound(t)
		if err := unix.Connect(fd, at); err != nil {
			t.Fatal("connect:", err)
		}
		provoke := func() {
			t.Helper()
			if _, err := unix.Write(fd, []byte("x")); err != nil {
				t.Fatal("write:", err)
			}
			await(t, fd, unix.POLLERR)
		}
		var b [10]byte
		provoke()
		_, _, err := unix.Recvfrom(fd, b[:], unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		wantErrno(t, "recvfrom", err, unix.ECONNREFUSED)
		provoke()
		if n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); n != int(unix.ECONNREFUSED) {
			t.Errorf("SO_ERROR is %d, %v, want ECONNREFUSED", n, err)
		}
		if ev := events(t, fd); ev != unix.POLLOUT {
			t.Errorf("events %#x after it was told, want POLLOUT", ev)
		}
		provoke()
		_, err = unix.Read(fd, b[:])
		if supervised() {
			wantErrno(t, "read", err, unix.ECONNRESET) // the only error that a Unix socket can have
		} else {
			wantErrno(t, "read", err, unix.ECONNREFUSED)
		}
		if n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); n != 0 || err != nil {
			t.Errorf("SO_ERROR is %d, %v after read, want 0", n, err)
		}
	})
}

// TestDatagramWaits checks calls that come before the datagram that they are for.
func TestDatagramWaits(t *testing.T) {
	inside(t, func(t *testing.T) {
		to, at := udp(t)
		from, _ := udp(t)
		limit := unix.Timeval{Usec: 1000}
		if err := unix.SetsockoptTimeval(to, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
			t.Fatal("setsockopt:", err)
		}
		if got := recvFrom(to, 1, 0); got != "EAGAIN" {
			t.Errorf("recvfrom with nothing to come: %s, want EAGAIN", got)
		}
		if got := recvMsg(to, 1, unix.MSG_PEEK); got != "EAGAIN" {
			t.Errorf("recvmsg with nothing to come: %s, want EAGAIN", got)
		}
		limit = unix.Timeval{Sec: 30}
		if err := unix.SetsockoptTimeval(to, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
			t.Fatal("setsockopt:", err)
		}
		got := make(chan string)
		go func() {
			for range 200 {
				got <- recvFrom(to, 100, unix.MSG_WAITALL)
			}
		}()
		for i := range 200 {
			sendTo(t, from, fmt.Sprint(i), at)
			if got, want := <-got, fmt.Sprintf("%q", fmt.Sprint(i)); !strings.Contains(got, want) {
				t.Fatalf("received %s, want %s", got, want)
			}
		}
	})
}
