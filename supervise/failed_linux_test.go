//go:build amd64 || arm64

package supervise_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() { children["failing"] = failingChild }

// failingChild lets attempts to connect fail, and connections of either kind,
// and closes what is left of them. Then it waits for the end of its input.
func failingChild([]string) {
	nobody, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	fatal("socket", err)
	address := &unix.SockaddrInet4{Port: 8131, Addr: [4]byte{127, 0, 0, 1}}
	fatal("bind", unix.Bind(nobody, address))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	fatal("listen", err)
	for i := range 10 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		fatal("socket", err)
		if err := unix.Connect(fd, address); err == unix.EINPROGRESS {
			pollFor(fd, unix.POLLERR)
		}
		unix.Close(fd)

		client, err := net.Dial("tcp", l.Addr().String())
		fatal("dial", err)
		server, err := l.Accept()
		fatal("accept", err)
		ends := [2]*net.TCPConn{client.(*net.TCPConn), server.(*net.TCPConn)}
		fatal("setsockopt", ends[i%2].SetLinger(0))
		ends[i%2].Close()
		if _, err := ends[1-i%2].Read(make([]byte, 1)); errno(err) != "ECONNRESET" {
			fatal("read", err)
		}
		ends[1-i%2].Close()
	}
	fmt.Println("closed")
	bufio.NewReader(os.Stdin).ReadString('\n')
}

// pollFor waits for an event of a descriptor.
func pollFor(fd int, event int16) {
	p := []unix.PollFd{{Fd: int32(fd), Events: event}}
	for {
		n, err := unix.Poll(p, -1)
		if n == 1 {
			return
		}
		if err != unix.EINTR {
			fatal("poll", err)
		}
	}
}

// TestFailedAreForgotten has a program close sockets whose connections have
// failed. They must not be kept until it ends.
func TestFailedAreForgotten(t *testing.T) {
	cmd := child(t, newHost(t), "failing")
	program := begin(t, cmd.Cmd, cmd)
	if line, err := program.out.ReadString('\n'); line != "closed\n" {
		t.Errorf("printed %q, %v", line, err)
	}
	const kept = 2 // the listener, and the one that has the address
	guard, tick := time.After(hangGuard), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for cmd.Stats().Open > kept {
		select {
		case <-tick.C:
		case <-guard:
			t.Fatalf("%d sockets are open, want %d", cmd.Stats().Open, kept)
		}
	}
}
