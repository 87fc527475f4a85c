//go:build amd64 || arm64

package supervise

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/internal/userns"
	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// stubName is the argv[0] that makes a process a stub. Its arguments are the
// number of the control socket's descriptor, that of a pipe with private files
// or "-", the path to execute, and argv.
const stubName = "userstack-supervise"

const stubFailed = 127 // as a shell that cannot execute

func init() {
	if len(os.Args) >= 4 && os.Args[0] == stubName {
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
	if files, err := strconv.Atoi(args[2]); err == nil {
		unix.CloseOnExec(files)
		errno := placeFiles(os.NewFile(uintptr(files), "files"))
		unix.Write(control, binary.LittleEndian.AppendUint32([]byte{reportFiles}, uint32(errno)))
		if err := dropCapabilities(); err != nil {
			fail("drop capabilities", err)
		}
	}
	// Nobody would answer the program's calls after our end.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		fail("prctl(PR_SET_PDEATHSIG)", err)
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
	fail("exec", syscall.Exec(args[3], args[4:], os.Environ()))
}

// What a stub reports: a byte, and a number in little-endian order.
const (
	reportFiles    = 'P' // what putting the private files in place gave: an errno or 0
	reportListener = 'L' // the number of the listener's descriptor
	reportFailure  = 'E' // an errno; what failed follows, up to the end
)

// A stub is this process's view of a stub that it starts.
type stub struct {
	control, theirs *os.File
	files           *os.File // where private files are written to, or nil
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
	if s.files != nil {
		s.files.Close()
	}
}

// start starts cmd, which names a program, as a stub that will become it.
// Afterwards cmd has the words that its user knows again.
func (s *stub) start(cmd *exec.Cmd, conf confinement) error {
	const firstExtra = 3 // exec.Cmd.ExtraFiles
	path, args, extra, attr := cmd.Path, cmd.Args, cmd.ExtraFiles, cmd.SysProcAttr
	defer func() { cmd.Path, cmd.Args, cmd.ExtraFiles, cmd.SysProcAttr = path, args, extra, attr }()
	argv := args
	if len(argv) == 0 {
		argv = []string{path}
	}
	cmd.ExtraFiles = append(extra[:len(extra):len(extra)], s.theirs)
	files := "-"
	if len(conf.files) > 0 {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		defer r.Close()
		files = strconv.Itoa(firstExtra + len(cmd.ExtraFiles))
		cmd.ExtraFiles, s.files = append(cmd.ExtraFiles, r), w
	}
	cmd.SysProcAttr, cmd.Path = conf.attr, "/proc/self/exe"
	cmd.Args = append([]string{stubName, strconv.Itoa(firstExtra + len(extra)), files, path}, argv...)
	err := cmd.Start()
	s.theirs.Close()
	return err
}

// placed has the stub put private files in place, and returns nil if it has.
func (s *stub) placed(files map[string][]byte) error {
	if err := json.NewEncoder(s.files).Encode(files); err != nil {
		return err
	}
	if err := s.files.Close(); err != nil {
		return err
	}
	errno, err := s.report()
	if err == nil && errno != 0 {
		err = userns.Blame(syscall.Errno(errno))
	}
	if err != nil {
		return fmt.Errorf("supervise: private files: %w", err)
	}
	return nil
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
	if head[0] != reportFailure {
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
