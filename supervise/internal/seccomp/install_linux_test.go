package seccomp

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

func init() {
	// socket makes a socket, which the parent installs, and prints its number, flags and address family.
	children["socket"] = func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		var st unix.Stat_t
		statErr := unix.Fstat(fd, &st)
		fmt.Println(fd > 2, err, flags, st.Mode&unix.S_IFMT == unix.S_IFSOCK, statErr)
	}
}

// TestInstall answers socket(2) with a socket of ours, which the cookie then finds behind the program's descriptor.
func TestInstall(t *testing.T) {
	for _, test := range []struct {
		name    string
		install func(f *filtered, id uint64, fd int) (int, error)
	}{
		{"at once", func(f *filtered, id uint64, fd int) (int, error) { return f.Install(id, fd, true) }},
		{"in two steps", func(f *filtered, id uint64, fd int) (int, error) {
			n, err := f.InstallKeep(id, fd, true)
			return n, errors.Join(err, f.Return(id, int64(n)))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := start(t, "socket")
			n := f.receive(t, unix.SYS_SOCKET)
			if n.Args[0] != unix.AF_INET || n.Args[1] != unix.SOCK_STREAM {
				t.Errorf("socket(%d, %d)", n.Args[0], n.Args[1])
			}
			theirs, err := test.install(f, n.ID, newSocket(t))
			if err != nil {
				t.Fatal(err)
			}
			if theirs <= 2 {
				t.Errorf("installed as %d", theirs)
			}
			if got, want := f.finish(t), "true <nil> 1 true <nil>\n"; got != want {
				t.Errorf("the program saw %q, want %q", got, want)
			}
		})
	}
}

func init() {
	// sockets makes sockets until one fails, and says how many had a number which the parent did not give it.
	children["sockets"] = func() {
		for wrong := 0; ; {
			fd, _, errno := unix.Syscall(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0)
			switch {
			case errno != 0:
				fmt.Println(wrong)
				return
			case fd <= 2:
				wrong++
			default:
				_ = unix.Close(int(fd))
			}
		}
	}
}

// TestInstallInterrupted installs descriptors while signals rain on the thread that does it, as those of the garbage
// collector do, though less often. An interrupted request would make the program see descriptor 0.
func TestInstallInterrupted(t *testing.T) {
	f := start(t, "sockets")
	ours := newSocket(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, tid := os.Getpid(), unix.Gettid()
	var rain sync.WaitGroup
	var stop atomic.Bool
	rain.Go(func() {
		for !stop.Load() {
			_ = unix.Tgkill(pid, tid, unix.SIGURG)
		}
	})
	const sockets = 3000
	for range sockets {
		n := f.receive(t, unix.SYS_SOCKET)
		if _, err := f.Install(n.ID, ours, false); err != nil {
			t.Error(err)
			break
		}
	}
	stop.Store(true)
	rain.Wait()
	n := f.receive(t, unix.SYS_SOCKET)
	if err := f.Fail(n.ID, unix.EMFILE); err != nil {
		t.Fatal(err)
	}
	if got := f.finish(t); got != "0\n" {
		t.Errorf("sockets that the program saw as standard input: %s", got)
	}
}

func init() {
	// full makes a socket when there is room for none.
	children["full"] = func() {
		limit := unix.Rlimit{Cur: 3, Max: 3}
		fmt.Println(unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
		_, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		fmt.Println(err == unix.EMFILE)
	}
}

// TestInstallNowhere has no room for the descriptor, so the call still wants an answer.
func TestInstallNowhere(t *testing.T) {
	f := start(t, "full")
	n := f.receive(t, unix.SYS_SOCKET)
	if _, err := f.Install(n.ID, newSocket(t), true); !errors.Is(err, unix.EMFILE) {
		t.Errorf("Install: %v, want EMFILE", err)
	}
	if _, err := f.Install(n.ID, 1<<20, true); !errors.Is(err, unix.EBADF) {
		t.Errorf("Install of nothing: %v, want EBADF", err)
	}
	if err := f.Fail(n.ID, unix.EMFILE); err != nil {
		t.Error(err)
	}
	if got, want := f.finish(t), "<nil>\ntrue\n"; got != want {
		t.Errorf("the program saw %q, want %q", got, want)
	}
}

// TestReplace puts another socket in the place of one that the program has.
func TestReplace(t *testing.T) {
	r := startRemote(t)
	first, second := newSocket(t), newSocket(t)
	number, err := r.InstallKeep(r.ID, first, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Replace(r.ID, second, number, true); err != nil {
		t.Fatal(err)
	}
	pidfd, err := OpenThread(r.tid)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	taken, err := GetFD(pidfd, number)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(taken)
	if cookie(t, taken) != cookie(t, second) {
		t.Error("the program's descriptor is not the one that was put in its place")
	}
	if err := r.Return(r.ID, 0); err != nil {
		t.Error(err)
	}
	r.finish(t)
}
