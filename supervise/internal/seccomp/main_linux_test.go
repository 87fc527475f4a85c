package seccomp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// childEnv names the function of children that this binary runs instead of its tests.
const childEnv = "USERSTACK_SECCOMP_TEST"

// hang bounds everything that a test waits for. Nothing takes that long; it only guards against waiting for ever.
const hang = time.Minute

// children are what a filtered process does, on the thread that has the filter. What a child prints is its result.
var children = map[string]func(){}

// plain are further children, which a test starts by itself. They have no filter.
var plain = map[string]func(){}

func TestMain(m *testing.M) {
	name := os.Getenv(childEnv)
	if child := plain[name]; child != nil {
		child()
		os.Exit(0)
	}
	if name != "" {
		if err := runChild(children[name]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// rules are those of the tests: getppid stops, too, since no part of the runtime calls it.
var rules = Rules{Trap: []int{unix.SYS_GETPPID}}

// runChild loads the filter, hands the number of the listener to the parent by descriptor 3 and waits for its word there.
func runChild(do func()) error {
	runtime.LockOSThread()
	fd, err := Load(rules.Program())
	if err != nil {
		return err
	}
	var number [4]byte
	binary.NativeEndian.PutUint32(number[:], uint32(fd))
	if _, err := unix.Write(3, number[:]); err != nil {
		return err
	}
	if _, err := unix.Read(3, number[:]); err != nil {
		return err
	}
	_, _ = unix.Close(3), unix.Close(fd)
	do()
	return nil
}

// filtered is a child process and the listener of its filter.
type filtered struct {
	*Listener
	cmd    *exec.Cmd
	output io.Reader
}

// start runs a child. At the end of the test it is gone.
func start(t testing.TB, child string) *filtered {
	t.Helper()
	if children[child] == nil {
		t.Fatalf("no child is called %q", child)
	}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "control"), os.NewFile(uintptr(ends[1]), "control")
	defer ours.Close()
	defer theirs.Close()
	f := &filtered{cmd: exec.CommandContext(t.Context(), os.Args[0])}
	f.cmd.Env = childEnviron(child)
	f.cmd.Stderr = os.Stderr
	f.cmd.ExtraFiles = []*os.File{theirs}
	if f.output, err = f.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = f.cmd.Process.Kill()
		_ = f.cmd.Wait()
	})
	theirs.Close()
	var number [4]byte
	if _, err := io.ReadFull(ours, number[:]); err != nil {
		t.Skip("needs to load a seccomp filter with a listener, which the child above could not")
	}
	f.Listener = adopt(t, f.cmd.Process.Pid, int(binary.NativeEndian.Uint32(number[:])))
	if _, err := ours.Write(number[:1]); err != nil {
		t.Fatal(err)
	}
	return f
}

// childEnviron is the environment of a child. The race detector would have it wait for a second before it ends.
func childEnviron(child string) []string {
	return append(os.Environ(), childEnv+"="+child, "GORACE=atexit_sleep_ms=0")
}

// adopt takes the listener from a child.
func adopt(t testing.TB, pid, number int) *Listener {
	t.Helper()
	pidfd, err := OpenThread(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	fd, err := GetFD(pidfd, number)
	if err != nil {
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
			t.Skip("needs pidfd_getfd(2) on a child, which this sandbox or kernel refuses: ", err)
		}
		t.Fatal(err)
	}
	l, err := NewListener(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil && err != os.ErrClosed {
			t.Error("Close: ", err)
		}
	})
	return l
}

// receive waits for the next call, which has to be of a number.
func (f *filtered) receive(t testing.TB, nr int) Notification {
	t.Helper()
	var n Notification
	if err := f.Receive(&n); err != nil {
		t.Fatal("Receive: ", err)
	}
	if int(n.Nr) != nr {
		t.Fatalf("call %d stopped, want %d", n.Nr, nr)
	}
	return n
}

// finish waits for the end of the child and returns what it printed.
func (f *filtered) finish(t testing.TB) string {
	t.Helper()
	out, err := io.ReadAll(f.output)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Wait(); err != nil {
		t.Error(err)
	}
	return string(out)
}
