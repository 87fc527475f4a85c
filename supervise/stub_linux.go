//go:build amd64 || arm64

package supervise

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// stubName is the argv[0] that makes a process a stub. Its arguments are the
// number of the control socket's descriptor, the path to execute, and argv.
const stubName = "userstack-supervise"

const stubFailed = 127 // as a shell that cannot execute

func init() {
	if len(os.Args) >= 3 && os.Args[0] == stubName {
		runtime.LockOSThread() // the filter is this thread's, and so must be the exec
		stubMain(os.Args)
	}
}

// stubMain loads the filter, hands its listener over, and becomes the program.
// What goes wrong is written to the control socket, which the exec closes.
func stubMain(args []string) {
	control, err := strconv.Atoi(args[1])
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: this is a helper process, not to be started by hand\n", stubName)
		os.Exit(2)
	}
	unix.CloseOnExec(control)
	fail := func(op string, err error) {
		var errno syscall.Errno
		errors.As(err, &errno)
		report := binary.LittleEndian.AppendUint32([]byte{reportFailure}, uint32(errno))
		unix.Write(control, append(report, op...))
		os.Exit(stubFailed)
	}
	listener, err := seccomp.Load(seccomp.Rules{}.Program())
	if err != nil {
		fail("load the seccomp filter", err)
	}
	// Not sendmsg with SCM_RIGHTS: the filter would trap it, and nobody listens yet.
	report := binary.LittleEndian.AppendUint32([]byte{reportListener}, uint32(listener))
	if _, err := unix.Write(control, report); err != nil {
		os.Exit(stubFailed)
	}
	if n, err := unix.Read(control, report[:1]); n != 1 || err != nil {
		os.Exit(stubFailed) // the supervisor has gone
	}
	unix.Close(listener)
	fail("exec", syscall.Exec(args[2], args[3:], os.Environ()))
}

// What a stub reports: a byte, and a number in little-endian order.
const (
	reportListener = 'L' // the number of the listener's descriptor
	reportFailure  = 'E' // an errno; what failed follows, up to the end
)

// A stub is this process's view of a stub that it starts.
type stub struct {
	control, theirs *os.File
}

func newStub() (*stub, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	return &stub{control: os.NewFile(uintptr(pair[0]), "control"), theirs: os.NewFile(uintptr(pair[1]), "control")}, nil
}

func (s *stub) close() {
	s.control.Close()
	s.theirs.Close()
}

// start starts cmd, which names a program, as a stub that will become it.
// Afterwards cmd has the words that its user knows again.
func (s *stub) start(cmd *exec.Cmd) error {
	const firstExtra = 3 // exec.Cmd.ExtraFiles
	path, args, extra := cmd.Path, cmd.Args, cmd.ExtraFiles
	defer func() { cmd.Path, cmd.Args, cmd.ExtraFiles = path, args, extra }()
	argv := args
	if len(argv) == 0 {
		argv = []string{path}
	}
	cmd.ExtraFiles = append(extra[:len(extra):len(extra)], s.theirs)
	cmd.Path = "/proc/self/exe"
	cmd.Args = append([]string{stubName, strconv.Itoa(firstExtra + len(extra)), path}, argv...)
	err := cmd.Start()
	s.theirs.Close()
	return err
}

// listener takes the filter's listener out of the stub, whose process is pid.
func (s *stub) listener(pid int) (*seccomp.Listener, error) {
	number, err := s.report()
	if err != nil {
		return nil, err
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(pidfd)
	fd, err := seccomp.GetFD(pidfd, number)
	if err != nil {
		return nil, fmt.Errorf("supervise: this process may not reach into its own child: %w", os.NewSyscallError("pidfd_getfd", err))
	}
	return seccomp.NewListener(fd)
}

// report returns the number of the next report, or the failure that it tells.
func (s *stub) report() (int, error) {
	var head [5]byte
	if _, err := io.ReadFull(s.control, head[:]); err != nil {
		return 0, err
	}
	number := binary.LittleEndian.Uint32(head[1:])
	if head[0] == reportListener {
		return int(number), nil
	}
	op, _ := io.ReadAll(io.LimitReader(s.control, 256))
	return 0, &stubError{op: string(op), errno: syscall.Errno(number)}
}

// proceed lets the stub execute the program, and returns when it has.
func (s *stub) proceed() error {
	if _, err := s.control.Write([]byte{1}); err != nil {
		return err
	}
	if _, err := s.report(); err != io.EOF {
		return err
	}
	return nil
}

// A stubError is what a stub could not do.
type stubError struct {
	op    string
	errno syscall.Errno
}

func (e *stubError) Error() string { return "supervise: " + e.op + ": " + e.errno.Error() }
func (e *stubError) Unwrap() error { return e.errno }
