package netns_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/internal/needs"
	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise/netns"
	"github.com/userstack/userstack/testnet"
)

// patience bounds what should take milliseconds.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if name, ok := os.LookupEnv("USERSTACK_TEST_PROGRAM"); ok {
		os.Unsetenv("USERSTACK_TEST_PROGRAM")
		if err := programs[name](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	testnet.Main(m)
}

// programs are what this test binary is inside a namespace.
var programs = map[string]func(args []string) error{
	// send writes so many bytes to an address and exits without waiting.
	"send": func(args []string) error {
		conn, err := net.Dial("tcp", args[0])
		if err != nil {
			return err
		}
		var size int
		if _, err := fmt.Sscan(args[1], &size); err != nil {
			return err
		}
		_, err = conn.Write(make([]byte, size))
		return err // the kernel closes the connection
	},
	// fetch prints what an address sends.
	"fetch": func(args []string) error {
		conn, err := net.Dial("tcp", args[0])
		if err != nil {
			return err
		}
		_, err = io.Copy(os.Stdout, conn)
		return err
	},
	// echo sends back what an address sends.
	"echo": func(args []string) error {
		conn, err := net.Dial("tcp", args[0])
		if err != nil {
			return err
		}
		_, err = io.Copy(conn, conn)
		return err
	},
	// serve sends a greeting to the first who connects.
	"serve": func(args []string) error {
		l, err := net.Listen("tcp", args[0])
		if err != nil {
			return err
		}
		fmt.Println("ready")
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(conn, "hello, %v", conn.RemoteAddr())
		return errors.Join(err, conn.Close())
	},
	// raw opens sockets that take CAP_NET_RAW, and one that only takes a group.
	"raw": func([]string) error {
		for _, s := range [][3]int{{unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP}, {unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6},
			{unix.AF_PACKET, unix.SOCK_DGRAM, 0}, {unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP}} {
			if _, err := unix.Socket(s[0], s[1], s[2]); err != nil {
				return fmt.Errorf("socket(%v): %w", s, err)
			}
		}
		return nil
	},
}

// program turns a Cmd's program into one of this test binary's.
func program(cmd *netns.Cmd, name string, args ...string) *netns.Cmd {
	cmd.Path, cmd.Args, cmd.Err = "/proc/self/exe", append([]string{name}, args...), nil
	cmd.Env = append(os.Environ(), "USERSTACK_TEST_PROGRAM="+name, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// available asks once.
var available = sync.OnceValue(netns.Check)

// require skips a test for want of namespaces or devices, or fails it where
// USERSTACK_REQUIRE says that they must be there.
func require(t testing.TB) {
	t.Helper()
	needs.Have(t, "netns", available())
}

// newUplink returns a link to a host with 10.0.2.2 and fd00::2.
func newUplink(t testing.TB) (gstack.LinkEndpoint, *sockets.Host) {
	t.Helper()
	return newUplinkTo(t, "10.0.2.2/24", "fd00::2/64")
}

// newUplinkTo returns a link to a host with some addresses.
func newUplinkTo(t testing.TB, addrs ...string) (gstack.LinkEndpoint, *sockets.Host) {
	t.Helper()
	require(t)
	nic := stack.NIC{}
	for _, a := range addrs {
		nic.Addrs = append(nic.Addrs, netip.MustParsePrefix(a))
	}
	uplink, far := link.NewPipe(link.PipeConfig{GSOMaxSize: link.MaxGSOSize, MTU: 65520})
	nic.Link = far
	s, err := stack.New(stack.Config{NICs: []stack.NIC{nic}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	host, err := sockets.New(sockets.Config{Stack: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	return uplink, host
}

// greet sends a text to the first who connects to an address of the host.
func greet(t testing.TB, host *sockets.Host, address, text string) {
	t.Helper()
	l, err := host.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return // the test has ended
		}
		io.WriteString(conn, text)
		conn.Close()
	}()
}

// readSlowly reads to the end, in so many pieces that who does not wait for it
// has time to close the connection.
func readSlowly(r io.Reader) (n int64, err error) {
	return io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, make([]byte, 64))
}

// self is the path of this test binary.
func self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// awaitEnd waits until a process has ended, reaped or not.
func awaitEnd(t testing.TB, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if n == 0 {
			t.Errorf("process %d has not ended", pid)
		}
		return
	}
}
