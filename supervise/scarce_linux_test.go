//go:build amd64 || arm64

package supervise_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise"
)

func init() {
	children["scarce"] = scarceChild
	children["greedy"] = greedyChild
}

// scarceChild supervises a greedy program with few descriptors of its own.
func scarceChild([]string) {
	s, err := stack.New(stack.Config{})
	fatal("stack", err)
	h, err := sockets.New(sockets.Config{Stack: s})
	fatal("host", err)
	self, err := os.Executable()
	fatal("executable", err)
	cmd := supervise.Command(h, self)
	cmd.Args = []string{childName, "greedy"}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	in, err := cmd.StdinPipe()
	fatal("pipe", err)
	fatal("start", cmd.Start())
	const few = 60
	fatal("setrlimit", unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: few, Max: few}))
	in.Close()
	fatal("wait", cmd.Wait())
}

// scarcity are the errors that tell of it.
var scarcity = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}

func isScarcity(err error) bool {
	return slices.ContainsFunc(scarcity, func(e error) bool { return errors.Is(err, e) })
}

// greedyChild makes more sockets than its supervisor can serve, and wants to be told
// so, and that it can go on once it has closed them.
func greedyChild([]string) {
	io.Copy(io.Discard, os.Stdin)
	fmt.Println("datagrams", grab(func(int) (int, error) { return unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0) }))
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	fmt.Println("then", err)
	unix.Close(fd)
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	fatal("socket", err)
	to := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 8125}
	fatal("bind", unix.Bind(l, to))
	fatal("listen", unix.Listen(l, 1000))
	for _, flags := range []int{0, unix.SOCK_NONBLOCK} {
		fmt.Println("connections", grab(func(int) (int, error) {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|flags, 0)
			if err == nil {
				err = unix.Connect(fd, to)
			}
			if err == unix.EINPROGRESS {
				err = nil
			}
			return fd, err
		}))
	}
	unix.Close(l)
	for err = syscall.EMFILE; isScarcity(err); err = exchange() {
		unix.Poll(nil, 10) // until those are reaped that no call waits for
	}
	fmt.Println("then", err)
}

// grab makes descriptors until that fails, tells whether it was for scarcity, and
// closes them.
func grab(one func(int) (int, error)) string {
	const most = 1000
	var all []int
	defer func() {
		for _, fd := range all {
			unix.Close(fd)
		}
	}()
	for i := range most {
		fd, err := one(i)
		if fd >= 0 {
			all = append(all, fd)
		}
		switch {
		case err != nil && isScarcity(err):
			return "scarce"
		case err != nil:
			return fmt.Sprint(len(all), " ", err)
		}
	}
	return "not scarce"
}

// TestScarce has a program use up the descriptors of its supervisor.
func TestScarce(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Args = []string{childName, "scarce"}
	guard := time.AfterFunc(hangGuard, func() { cmd.Process.Signal(unix.SIGQUIT) })
	defer guard.Stop()
	out, err := cmd.CombinedOutput()
	want := "datagrams scarce\nthen <nil>\nconnections scarce\nconnections scarce\nhello\nthen <nil>\n"
	if err != nil || string(out) != want {
		t.Errorf("%v\n%s", err, out)
	}
}
