//go:build amd64 || arm64

package supervise_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

func init() { children["bench"], children["bench-serve"] = benchChild, benchServeChild }

// benchServeChild echoes what comes on any number of connections, until its
// input ends.
func benchServeChild([]string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	fatal("listen", err)
	fmt.Println(l.Addr())
	go echoAll(l)
	io.Copy(io.Discard, os.Stdin)
}

func echoAll(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{c}, make([]byte, 4096))
		}()
	}
}

// operations are what the benchmarks measure, as a program would do it: each
// prepares itself with the arguments that follow its name and returns what does
// the thing once. They are the same natively and under supervision. Package unix
// would ask for SO_PROTOCOL with each address.
var operations = map[string]func(args []string) func(){
	"getsockname": func([]string) func() {
		fd := newTCP()
		return func() {
			_, err := syscall.Getsockname(fd)
			fatal("getsockname", err)
		}
	},
	"setsockopt": func([]string) func() {
		fd := newTCP()
		return func() { fatal("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)) }
	},
	"foreign": func([]string) func() {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		fatal("socketpair", err)
		return func() {
			_, err := unix.GetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_TYPE)
			fatal("getsockopt", err)
		}
	},
	"socket": func([]string) func() { return func() { fatal("close", unix.Close(newTCP())) } },
	"cycle": func([]string) func() {
		l, at := listening()
		return func() {
			c, s := accepted(l, at)
			fatal("close", unix.Close(c))
			fatal("close", unix.Close(s))
		}
	},
	"roundtrip": func([]string) func() {
		c, s := accepted(listening())
		return func() {
			for _, end := range [][2]int{{c, s}, {s, c}} {
				var b [1]byte
				_, err := unix.Write(end[0], b[:])
				fatal("write", err)
				_, err = unix.Read(end[1], b[:])
				fatal("read", err)
			}
		}
	},
	"send": func(args []string) func() {
		fd, block := dialed(args), make([]byte, benchChunk)
		return func() {
			for sent := 0; sent < len(block); {
				n, err := unix.Write(fd, block[sent:])
				fatal("write", err)
				sent += n
			}
		}
	},
	"receive": func(args []string) func() {
		fd, block := dialed(args), make([]byte, benchChunk)
		return func() {
			for got := 0; got < len(block); {
				n, err := unix.Read(fd, block[got:])
				fatal("read", err)
				got += n
			}
		}
	},
	"idle": func(args []string) func() {
		return func() { dialed(args) }
	},
}

// benchChunk is how many bytes one write of a bulk transfer has.
const benchChunk = 128 << 10

// benchChild does an operation as often as each line of its input says, and
// prints a line each time.
func benchChild(args []string) {
	runtime.LockOSThread()
	do := operations[args[0]](args[1:])
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		n, err := strconv.Atoi(lines.Text())
		fatal("count", err)
		for range n {
			do()
		}
		fmt.Println("done")
	}
}

func newTCP() int {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	fatal("socket", err)
	return fd
}

func listening() (fd int, at syscall.Sockaddr) {
	fd = newTCP()
	fatal("bind", syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	fatal("listen", unix.Listen(fd, 16))
	at, err := syscall.Getsockname(fd)
	fatal("getsockname", err)
	return fd, at
}

// accepted is both ends of a new connection to l.
func accepted(l int, at syscall.Sockaddr) (c, s int) {
	c = newTCP()
	fatal("connect", syscall.Connect(c, at))
	s, _, err := syscall.Accept(l)
	fatal("accept", err)
	return c, s
}

// dialed is a connection to the IPv4 address and the port of args.
func dialed(args []string) int {
	to := &syscall.SockaddrInet4{}
	_, err := fmt.Sscanf(args[0], "%d.%d.%d.%d:%d", &to.Addr[0], &to.Addr[1], &to.Addr[2], &to.Addr[3], &to.Port)
	fatal("address", err)
	fd := newTCP()
	fatal("connect", syscall.Connect(fd, to))
	return fd
}
