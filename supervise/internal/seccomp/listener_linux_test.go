package seccomp

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// getppid stops and is answered. It returns the value and the error as the program sees them. The call has no arguments of
// its own, so it can bring any to the other side.
func getppid(args ...uintptr) (int, unix.Errno) {
	var a [3]uintptr
	copy(a[:], args)
	v, _, errno := unix.Syscall(unix.SYS_GETPPID, a[0], a[1], a[2])
	return int(v), errno
}

func init() {
	children["answers"] = func() {
		for range 3 {
			v, errno := getppid()
			fmt.Println(v, int(errno))
		}
	}
}

func TestAnswers(t *testing.T) {
	f := start(t, "answers")
	n := f.receive(t, unix.SYS_GETPPID)
	if int(n.TID) != f.cmd.Process.Pid {
		t.Logf("thread %d of process %d", n.TID, f.cmd.Process.Pid)
	}
	if !f.Alive(n.ID) || f.Alive(n.ID+1) {
		t.Error("Alive does not tell a stopped call from none")
	}
	if err := f.Return(n.ID, int64(1)<<40); err != nil {
		t.Error(err)
	}
	if err := f.Return(n.ID, 1); !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINPROGRESS) {
		t.Errorf("second answer: %v", err)
	}
	n = f.receive(t, unix.SYS_GETPPID)
	if err := f.Fail(n.ID, unix.ECONNREFUSED); err != nil {
		t.Error(err)
	}
	n = f.receive(t, unix.SYS_GETPPID)
	if err := f.Continue(n.ID); err != nil {
		t.Error(err)
	}
	want := fmt.Sprintf("%d 0\n-1 %d\n%d 0\n", 1<<40, unix.ECONNREFUSED, os.Getpid())
	if got := f.finish(t); got != want {
		t.Errorf("the program saw\n%swant\n%s", got, want)
	}
	if err := f.Receive(&n); err != io.EOF {
		t.Errorf("Receive after the end: %v, want io.EOF", err)
	}
}

// TestCloseEndsReceive closes a listener while goroutines wait in Receive and the program waits for an answer.
func TestCloseEndsReceive(t *testing.T) {
	f := start(t, "answers")
	f.receive(t, unix.SYS_GETPPID)
	const receivers = 3
	got := make(chan error, receivers)
	for range receivers {
		go func() { got <- f.Receive(new(Notification)) }()
	}
	waitFor(t, "threads that wait in Receive", func() bool { return waiting(f.Listener) >= receivers })
	closed := make(chan error, 1)
	go func() { closed <- f.Listener.Close() }()
	if err := await(t, closed); err != nil {
		t.Fatal(err)
	}
	for range receivers {
		if err := await(t, got); err != os.ErrClosed {
			t.Errorf("Receive: %v, want os.ErrClosed", err)
		}
	}
	if err := f.Receive(new(Notification)); err != os.ErrClosed {
		t.Errorf("Receive after Close: %v, want os.ErrClosed", err)
	}
	if err := f.Return(1, 0); err != os.ErrClosed {
		t.Errorf("Return after Close: %v, want os.ErrClosed", err)
	}
	want := strings.Repeat(fmt.Sprintf("-1 %d\n", unix.ENOSYS), 3)
	if got := f.finish(t); got != want {
		t.Errorf("the program saw\n%swant\n%s", got, want)
	}
}

// TestKilled kills the program while its call waits: every answer says that there is nobody to hear it, and Receive ends
// with the last task.
func TestKilled(t *testing.T) {
	f := start(t, "answers")
	n := f.receive(t, unix.SYS_GETPPID)
	got := make(chan error, 1)
	go func() { got <- f.Receive(new(Notification)) }()
	waitFor(t, "the thread that waits in Receive", func() bool { return waiting(f.Listener) >= 1 })
	if err := f.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = f.cmd.Wait()
	if err := await(t, got); err != io.EOF {
		t.Errorf("Receive: %v, want io.EOF", err)
	}
	// Linux 6.11 ends Receive by itself. Before, awaitEnd does, which happens on any kernel.
	waitFor(t, "the end to be noticed", f.ended.Load)
	_, installed := f.Install(n.ID, newSocket(t), false)
	_, kept := f.InstallKeep(n.ID, newSocket(t), false)
	for name, err := range map[string]error{
		"Return": f.Return(n.ID, 0), "Fail": f.Fail(n.ID, 1), "Continue": f.Continue(n.ID), "Restart": f.Restart(n.ID),
		"Install": installed, "InstallKeep": kept,
	} {
		if !errors.Is(err, unix.ENOENT) {
			t.Errorf("%s: %v, want ENOENT", name, err)
		}
	}
	if f.Alive(n.ID) {
		t.Error("a killed program's call is alive")
	}
	if err := f.Receive(&n); err != io.EOF {
		t.Errorf("Receive once more: %v, want io.EOF", err)
	}
}

// TestClosed closes a listener whose number another one gets.
func TestClosed(t *testing.T) {
	f, other := start(t, "answers"), start(t, "answers")
	if err := f.Listener.Close(); err != nil {
		t.Error(err)
	}
	if err := unix.Dup3(other.fd, f.fd, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(f.fd)
	if err := f.Listener.Close(); err != os.ErrClosed {
		t.Errorf("second Close: %v, want os.ErrClosed", err)
	}
	if err := f.Receive(new(Notification)); err != os.ErrClosed {
		t.Errorf("Receive: %v, want os.ErrClosed", err)
	}
	n := other.receive(t, unix.SYS_GETPPID)
	if err := f.Return(n.ID, 42); err != os.ErrClosed {
		t.Errorf("Return: %v, want os.ErrClosed", err)
	}
	if !other.Alive(n.ID) {
		t.Error("a closed listener has answered another one's call")
	}
	f.finish(t)
	if _, err := NewListener(1 << 20); !errors.Is(err, unix.EBADF) {
		t.Errorf("NewListener of nothing: %v, want EBADF", err)
	}
}

// waiting counts the threads that a listener's file has waiting in ioctl(2).
func waiting(l *Listener) (n int) {
	calls, _ := filepath.Glob("/proc/self/task/*/syscall")
	for _, name := range calls {
		call, _ := os.ReadFile(name)
		if strings.HasPrefix(string(call), fmt.Sprintf("%d 0x%x ", unix.SYS_IOCTL, l.fd)) {
			n++
		}
	}
	return n
}

// await waits for a call to end.
func await(t testing.TB, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(hang):
		t.Fatal("waited in vain for the call to end")
		return nil
	}
}

// waitFor waits until a condition holds.
func waitFor(t testing.TB, what string, holds func() bool) {
	t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(hang); !holds(); <-again.C {
		if time.Now().After(end) {
			t.Fatal("waited in vain for ", what)
		}
	}
}
