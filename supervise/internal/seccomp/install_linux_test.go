package seccomp

import (
	"errors"
	"fmt"
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
			ours, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(ours)
			theirs, err := test.install(f, n.ID, ours)
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
