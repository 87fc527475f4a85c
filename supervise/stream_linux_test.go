//go:build amd64 || arm64

package supervise_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
)

func init() {
	children["echo"] = echoChild
	children["refused"] = refusedChild
	children["reset"] = resetChild
	children["jammed"] = jammedChild
	children["upload"] = uploadChild
	children["reuse"] = reuseChild
	children["emfile"] = emfileChild
}

func fatal(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func errno(err error) string {
	var e syscall.Errno
	if errors.As(err, &e) {
		return unix.ErrnoName(e)
	}
	return fmt.Sprint(err)
}

// connection is both ends of a connection within the child.
func connection() (client, server *net.TCPConn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	fatal("listen", err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	fatal("dial", err)
	s, err := l.Accept()
	fatal("accept", err)
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

// echoChild serves the address of its argument until a client says "end".
func echoChild(args []string) {
	l, err := net.Listen("tcp", args[0])
	fatal("listen", err)
	fmt.Println(l.Addr())
	var wg sync.WaitGroup
	for {
		c, err := l.Accept()
		if err != nil {
			break
		}
		wg.Go(func() {
			defer c.Close()
			var first [3]byte
			if n, _ := io.ReadFull(c, first[:]); string(first[:n]) == "end" {
				l.Close()
				return
			}
			c.Write(first[:])
			io.Copy(c, c)
		})
	}
	wg.Wait()
}

// TestServe has a child listen, and connects to it from the Host, from which it
// is also told to end.
func TestServe(t *testing.T) {
	h := newHost(t)
	for _, address := range []string{"127.0.0.1:7007", "[::1]:7007", ":7008"} {
		cmd := child(t, h, "echo", address)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill() })
		var addr string
		if _, err := fmt.Fscanln(out, &addr); err != nil {
			t.Fatal(err)
		}
		addr = strings.Replace(addr, "[::]", "127.0.0.1", 1)
		for _, size := range []int{3, 4096, 4097, 3 << 20} {
			if err := echoes(h, addr, size); err != nil {
				t.Errorf("%s: %d bytes: %v", addr, size, err)
			}
		}
		c, err := h.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "end")
		c.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if c, err := h.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial after the end: %v, %v", c, err)
		}
	}
}

// echoes sends size bytes, shuts the connection down, and compares what comes
// back.
func echoes(h *sockets.Host, addr string, size int) error {
	c, err := h.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	return echoed(c, size)
}

// echoed is echoes on a connection.
func echoed(c net.Conn, size int) error {
	want := make([]byte, size)
	for i := range want {
		want[i] = byte(rand.Uint32())
	}
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(want)
		sent <- errors.Join(err, c.(interface{ CloseWrite() error }).CloseWrite())
	}()
	got, err := io.ReadAll(c)
	if err := errors.Join(err, <-sent); err != nil {
		return err
	}
	if sha256.Sum256(got) != sha256.Sum256(want) {
		return fmt.Errorf("%d other bytes came back", len(got))
	}
	return nil
}

// refusedChild tries ports where nobody listens, in each way, and one where it
// did, on the socket that failed before.
func refusedChild([]string) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	fatal("socket", err)
	nobody := &unix.SockaddrInet4{Port: 1, Addr: [4]byte{127, 0, 0, 1}}
	fmt.Println("blocking", errno(unix.Connect(fd, nobody)))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	fatal("listen", err)
	somebody := &unix.SockaddrInet4{Port: l.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	fmt.Println("again", errno(unix.Connect(fd, somebody)))
	l.Close()
	late, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	fatal("socket", err)
	fmt.Println("closed listener", errno(unix.Connect(late, somebody)))
	quick, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	fatal("socket", err)
	fmt.Println("non-blocking", errno(unix.Connect(quick, nobody)))
	p := []unix.PollFd{{Fd: int32(quick), Events: unix.POLLIN | unix.POLLOUT | unix.POLLRDHUP}}
	for p[0].Revents&unix.POLLOUT == 0 { // for a moment the kernel has hung up and not yet dropped what fills the socket
		_, err = unix.Poll(p, -1)
		fatal("poll", err)
	}
	soErr, err := unix.GetsockoptInt(quick, unix.SOL_SOCKET, unix.SO_ERROR)
	fmt.Printf("poll %#x SO_ERROR %s %v\n", p[0].Revents, errno(syscall.Errno(soErr)), err)
	l, err = net.Listen("tcp", "127.0.0.1:0")
	fatal("listen", err)
	somebody.Port = l.Addr().(*net.TCPAddr).Port
	fmt.Println("non-blocking again", errno(unix.Connect(quick, somebody)), errno(unix.Connect(quick, somebody)))
	p[0].Events = unix.POLLOUT
	_, err = unix.Poll(p, -1)
	fatal("poll", err)
	n, err := unix.Write(quick, []byte("x"))
	fmt.Printf("poll %#x write %d %v\n", p[0].Revents, n, err)
}

func TestRefused(t *testing.T) {
	want := "blocking ECONNREFUSED\nagain <nil>\nclosed listener ECONNREFUSED\n" +
		"non-blocking EINPROGRESS\npoll 0x201d SO_ERROR ECONNREFUSED <nil>\n" +
		"non-blocking again ECONNABORTED EINPROGRESS\npoll 0x4 write 1 <nil>"
	if got := says(t, newHost(t), "refused"); got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

// resetChild has one end reset the connection while the other has data to read,
// and has not.
func resetChild([]string) {
	for _, unread := range []string{"", "some data"} {
		client, server := connection()
		_, err := io.WriteString(server, unread)
		fatal("write", err)
		if unread != "" {
			var first [1]byte
			_, err := io.ReadFull(client, first[:]) // so that the rest is here
			fatal("read", err)
		}
		server.SetLinger(0)
		server.Close()
		got, err := io.ReadAll(client)
		fmt.Printf("%q %s\n", got, errno(err))
		client.Close()
	}
	client, server := connection()
	_, err := io.WriteString(server, "never read")
	fatal("write", err)
	var first [1]byte
	_, err = io.ReadFull(client, first[:])
	fatal("read", err)
	client.Close() // with data unread
	_, err = io.ReadAll(server)
	fmt.Println("unread", errno(err))
}

func TestReset(t *testing.T) {
	want := "\"\" ECONNRESET\n\"ome data\" ECONNRESET\nunread ECONNRESET"
	if got := says(t, newHost(t), "reset"); got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

// jammedChild lets both ends send without reading until everything is full, and
// closes one. The other must not wait for ever.
func jammedChild([]string) {
	client, server := connection()
	ended := make(chan error)
	send := func(c net.Conn) {
		p := make([]byte, 1<<20)
		for {
			if _, err := c.Write(p); err != nil {
				ended <- err
				return
			}
		}
	}
	go send(server)
	client.SetWriteBuffer(4096)
	go send(client)
	p := make([]byte, 1<<20)
	_, err := io.ReadFull(client, p)
	fatal("read", err)
	client.Close()
	for range 2 {
		if err := <-ended; errors.Is(err, net.ErrClosed) {
			continue
		} else if e := errno(err); e != "EPIPE" && e != "ECONNRESET" {
			fmt.Println(e)
		}
	}
	server.Close()
	fmt.Println("ended")
}

func TestJammed(t *testing.T) {
	if got := says(t, newHost(t), "jammed"); got != "ended" {
		t.Errorf("printed %q", got)
	}
}

// uploadChild sends as many bytes as its second argument says and ends at once.
func uploadChild(args []string) {
	n, err := strconv.Atoi(args[1])
	fatal("size", err)
	c, err := net.Dial("tcp", args[0])
	fatal("dial", err)
	_, err = c.Write(make([]byte, n))
	fatal("write", err)
}

// TestLastBytes runs programs that send and end at once: what they sent must
// arrive, and Wait must wait for it.
func TestLastBytes(t *testing.T) {
	h := newHost(t)
	l, err := h.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, size := range []int{1, 100_000, 5 << 20} {
		got := make(chan int64, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				got <- -1
				return
			}
			defer c.Close()
			n, _ := io.Copy(io.Discard, c)
			got <- n
		}()
		says(t, h, "upload", l.Addr().String(), strconv.Itoa(size))
		if n := <-got; n != int64(size) {
			t.Errorf("%d of %d bytes arrived", n, size)
		}
	}
}

// reuseChild binds a port again right after closing the socket that had it, of
// which no event tells the supervisor.
func reuseChild([]string) {
	for range 20 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		fatal("socket", err)
		fatal("bind", unix.Bind(fd, &unix.SockaddrInet4{Port: 8123}))
		fatal("listen", unix.Listen(fd, 1))
		unix.Close(fd)
	}
	fmt.Println("bound")
}

func TestReuse(t *testing.T) {
	if got := says(t, newHost(t), "reuse"); got != "bound" {
		t.Errorf("printed %q", got)
	}
}

// emfileChild accepts a connection only when it has a descriptor for it.
func emfileChild([]string) {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	fatal("socket", err)
	fatal("bind", unix.Bind(l, &unix.SockaddrInet4{Port: 8124, Addr: [4]byte{127, 0, 0, 1}}))
	fatal("listen", unix.Listen(l, 8))
	var clients []int
	for range 3 {
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		fatal("socket", err)
		fatal("connect", unix.Connect(c, &unix.SockaddrInet4{Port: 8124, Addr: [4]byte{127, 0, 0, 1}}))
		_, err = unix.Write(c, []byte{byte('a' + len(clients))})
		fatal("write", err)
		clients = append(clients, c)
	}
	full, err := unix.Dup(l)
	fatal("dup", err)
	unix.Close(full)
	fatal("setrlimit", unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(full), Max: uint64(full)}))
	_, _, err = unix.Accept(l)
	fmt.Println(errno(err))
	p := []unix.PollFd{{Fd: int32(l), Events: unix.POLLIN}}
	n, err := unix.Poll(p, -1)
	fmt.Println(n, err)
	unix.Close(clients[0]) // its byte stays
	var got []byte         // in the order in which their handshakes ended, which is any
	for range clients {
		a, _, err := unix.Accept(l)
		fatal("accept", err)
		var b [1]byte
		_, err = unix.Read(a, b[:])
		fatal("read", err)
		got = append(got, b[0])
		unix.Close(a)
	}
	slices.Sort(got)
	fmt.Println(string(got))
}

func TestAcceptWithoutDescriptors(t *testing.T) {
	want := "EMFILE\n1 <nil>\nabc"
	if got := says(t, newHost(t), "emfile"); got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}
