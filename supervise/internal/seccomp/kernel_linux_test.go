package seccomp

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// own is the index of this machine in native.
var own = slices.IndexFunc(native, func(m struct {
	goarch string
	arch   uint32
}) bool {
	return m.goarch == runtime.GOARCH
})

// perform makes a call of the table and returns its error.
func perform(name string, args [6]uint64) unix.Errno {
	a := [6]uintptr{}
	for i := range a {
		a[i] = uintptr(args[i])
	}
	fd, _, errno := unix.Syscall6(uintptr(numbers[name][own]), a[0], a[1], a[2], a[3], a[4], a[5])
	if name == "socket" && errno == 0 && fd > 2 {
		_ = unix.Close(int(fd))
	}
	return errno
}

func init() {
	children["table"] = func() {
		for _, c := range calls {
			fmt.Println(int(perform(c.name, c.args)))
		}
	}
	children["program"] = func() {
		path := os.Getenv(programEnv)
		fmt.Fprintln(os.Stderr, path, unix.Exec(path, []string{path}, nil))
	}
}

// TestFilterLoaded puts the table to the kernel. A stopped call is answered with an error that none of them has.
func TestFilterLoaded(t *testing.T) {
	const mark = unix.ENOTNAM
	f := start(t, "table")
	var answering sync.WaitGroup
	var numbersSeen []int32
	answering.Go(func() {
		var n Notification
		for f.Receive(&n) == nil {
			numbersSeen = append(numbersSeen, n.Nr)
			if err := f.Fail(n.ID, mark); err != nil {
				t.Error(err)
			}
		}
	})
	lines := bufio.NewScanner(f.output)
	var numbersWanted []int32
	for _, c := range calls {
		if !lines.Scan() {
			t.Fatalf("the program ended at %s(%#x)", c.name, c.args)
		}
		want := unix.Errno(c.want & unix.SECCOMP_RET_DATA)
		switch c.want {
		case stopped:
			want = mark
			numbersWanted = append(numbersWanted, int32(numbers[c.name][own]))
		case allowed:
			want = perform(c.name, c.args)
		}
		if got := lines.Text(); got != fmt.Sprint(int(want)) {
			t.Errorf("%s(%#x): error %s, want %d: %v", c.name, c.args, got, want, want)
		}
	}
	f.finish(t)
	answering.Wait()
	if !slices.Equal(numbersSeen, numbersWanted) {
		t.Errorf("stopped were\n%v, want\n%v", numbersSeen, numbersWanted)
	}
}

func init() {
	// stack loads a filter of its own on top of the other.
	children["stack"] = func() {
		filter := assemble([]abi{{arch: native[own].arch, calls: map[uint32]verdict{unix.SYS_GETPGID: noPermission, unix.SYS_GETSID: trap}}})
		_, errno := setFilter(0, filter)
		_, pgid := unix.Getpgid(0)
		_, sid := unix.Getsid(0)
		ppid, _ := getppid()
		_, listener := setFilter(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, filter)
		fmt.Println(int(errno), pgid == unix.EPERM, sid == unix.ENOSYS, ppid, listener == unix.EBUSY)
	}
}

// TestFiltersStack lets the program have a filter of its own, as a browser has. It cannot have a listener.
func TestFiltersStack(t *testing.T) {
	f := start(t, "stack")
	n := f.receive(t, unix.SYS_GETPPID)
	if err := f.Return(n.ID, 42); err != nil {
		t.Error(err)
	}
	if got, want := f.finish(t), "0 true true 42 true\n"; got != want {
		t.Errorf("the program saw %q, want %q", got, want)
	}
}

// programEnv is the path of what the child "program" executes.
const programEnv = "USERSTACK_SECCOMP_PROGRAM"

// TestInt80 calls the kernel of a 64-bit machine by its 32-bit ABI, which has its own way to every socket call.
func TestInt80(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("needs an amd64 machine: others have no second ABI that their own programs can call")
	}
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("needs gcc to compile testdata/int80.c: ", err)
	}
	path := filepath.Join(t.TempDir(), "int80")
	if out, err := exec.CommandContext(t.Context(), gcc, "-O1", "-o", path, "testdata/int80.c").CombinedOutput(); err != nil {
		t.Skipf("needs a C library to compile testdata/int80.c with gcc: %v\n%s", err, out)
	}
	unfiltered, err := exec.CommandContext(t.Context(), path).Output()
	if err != nil || !strings.Contains(string(unfiltered), "int80 socket 0\n") {
		t.Skipf("needs a kernel that takes 32-bit calls of 64-bit programs (CONFIG_IA32_EMULATION): %v\n%s", err, unfiltered)
	}
	t.Setenv(programEnv, path)
	f := start(t, "program")
	want := fmt.Sprintf("int80 getpid 0\nint80 socketcall %d\nint80 socket %d\nint80 ioctl %d\nint80 io_uring_setup %d\nx32 socket %d\nx32 getpid %[5]d\n",
		unix.EAFNOSUPPORT, unix.EAFNOSUPPORT, unix.ENOTTY, unix.ENOSYS, unix.ENOSYS)
	if out := f.finish(t); out != want {
		t.Errorf("the program saw\n%swant\n%s", out, want)
	}
}
