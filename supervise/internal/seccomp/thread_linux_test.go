package seccomp

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func newSocket(t testing.TB) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func cookie(t testing.TB, fd int) uint64 {
	t.Helper()
	c, err := Cookie(fd)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestGetFD takes a socket from a stopped program, and knows it again by its cookie.
func TestGetFD(t *testing.T) {
	r := startRemote(t)
	ours, other := newSocket(t), newSocket(t)
	theirs, err := r.InstallKeep(r.ID, ours, true)
	if err != nil {
		t.Fatal(err)
	}
	pidfd, err := OpenThread(r.tid)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	taken, err := GetFD(pidfd, theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(taken)
	if cookie(t, taken) != cookie(t, ours) || cookie(t, ours) == cookie(t, other) {
		t.Error("the cookie does not tell one socket from another")
	}
	if flags, err := unix.FcntlInt(uintptr(taken), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v: want close-on-exec", flags, err)
	}
	if _, err := GetFD(pidfd, 1<<20); err != unix.EBADF {
		t.Errorf("a descriptor that the program does not have: %v, want EBADF", err)
	}
	if _, err := Cookie(pidfd); err != unix.ENOTSOCK {
		t.Errorf("cookie of what is no socket: %v, want ENOTSOCK", err)
	}
	if err := r.Return(r.ID, 0); err != nil {
		t.Fatal(err)
	}
	r.finish(t)
	if _, err := GetFD(pidfd, theirs); err != unix.ESRCH {
		t.Errorf("a descriptor of a program that has ended: %v, want ESRCH", err)
	}
	if _, err := OpenThread(r.tid); err != unix.ESRCH {
		t.Errorf("OpenThread of a program that has ended: %v, want ESRCH", err)
	}
}

// TestOpenThread opens a thread that has descriptors of its own.
func TestOpenThread(t *testing.T) {
	if !probed(t).ThreadPidfd {
		t.Skip("needs PIDFD_THREAD, of Linux 6.9")
	}
	fd := newSocket(t)
	tids, done := make(chan int), make(chan struct{})
	defer close(done)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with its descriptors
		if err := unix.Unshare(unix.CLONE_FILES); err != nil {
			t.Error(err)
		}
		_ = unix.Close(fd)
		tids <- unix.Gettid()
		<-done
	}()
	pidfd, err := OpenThread(<-tids)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	if _, err := GetFD(pidfd, fd); err != unix.EBADF {
		t.Errorf("a descriptor that the thread has closed: %v, want EBADF", err)
	}
}

// TestProcess finds the process of a thread, which OpenThread needs on kernels before 6.9.
func TestProcess(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tids, done := make(chan int), make(chan struct{})
	defer close(done)
	go func() { // on another thread
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		tids <- unix.Gettid()
		<-done
	}()
	for _, tid := range []int{unix.Gettid(), <-tids} {
		if pid, err := Process(tid); pid != os.Getpid() || err != nil {
			t.Errorf("thread %d is of process %d, %v, want %d", tid, pid, err, os.Getpid())
		}
	}
	if _, err := Process(1 << 30); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a thread that does not exist: %v", err)
	}
}

func init() {
	// interrupted has a name that looks like the end of a name in /proc/PID/stat.
	children["interrupted"] = func() {
		name := []byte(") S (\x00")
		if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0, 0, 0); err != nil { // by its address
			fmt.Println(err)
		}
		v, errno := getppid()
		fmt.Println(v, int(errno))
	}
}

// TestRestart sends a signal to a stopped program, whose handler wants calls repeated.
func TestRestart(t *testing.T) {
	if found := probed(t); !found.WaitKillable || !found.Restart {
		t.Skip("needs SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, of Linux 5.19")
	}
	t.Setenv("GODEBUG", "asyncpreemptoff=1") // no signals of the child's runtime
	f := start(t, "interrupted")
	n := f.receive(t, unix.SYS_GETPPID)
	tid := int(n.TID)
	if Interrupted(tid) {
		t.Error("interrupted before the signal")
	}
	if err := unix.Tgkill(f.cmd.Process.Pid, tid, unix.SIGURG); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the thread to learn of its signal", func() bool { return Interrupted(tid) })
	if !f.Alive(n.ID) {
		t.Fatal("the signal took the call back")
	}
	if err := f.Restart(n.ID); err != nil {
		t.Fatal(err)
	}
	again := f.receive(t, unix.SYS_GETPPID)
	if again.ID == n.ID || f.Alive(n.ID) {
		t.Errorf("the call stopped anew as %d, which is %d still", again.ID, n.ID)
	}
	if err := f.Return(again.ID, 42); err != nil {
		t.Fatal(err)
	}
	if got := f.finish(t); got != "42 0\n" {
		t.Errorf("the program saw %q", got)
	}
	if Interrupted(tid) {
		t.Error("a thread that has ended is interrupted")
	}
}
