//go:build amd64 || arm64

package supervise_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() { children["parting"] = partingChild }

// partingChild sends as much as goes without waiting, shuts the connection down and
// closes it, and has the supervisor look for closed sockets.
func partingChild(args []string) {
	c, err := net.Dial("tcp", args[0])
	fatal("dial", err)
	raw, err := c.(*net.TCPConn).SyscallConn()
	fatal("raw", err)
	total := 0
	raw.Write(func(fd uintptr) bool {
		p := make([]byte, 64<<10)
		for {
			n, err := unix.Write(int(fd), p)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return true
			}
			total += n
		}
	})
	fatal("shutdown", c.(*net.TCPConn).CloseWrite())
	c.Close()
	l, err := net.Listen("tcp", "127.0.0.1:8126")
	fatal("listen", err)
	if _, err := net.Listen("tcp", "127.0.0.1:8126"); err == nil {
		fmt.Println("two listeners on a port")
	}
	l.Close()
	fmt.Println(total)
	io.Copy(io.Discard, os.Stdin)
}

// TestPartingBytes has a program close a connection that it has shut down, while
// the peer does not read yet. Nothing may be lost when the supervisor notices.
func TestPartingBytes(t *testing.T) {
	h := newHost(t)
	l, err := h.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd := child(t, h, "parting", l.Addr().String())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(hangGuard, func() { cmd.Process.Kill() })
	defer guard.Stop()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var want int64
	if _, err := fmt.Fscan(out, &want); err != nil {
		t.Error(err)
	}
	if got, err := io.Copy(io.Discard, c); err != nil || got != want {
		t.Errorf("%d bytes arrived of %d: %v", got, want, err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
