package netns

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/internal/userns"
	"github.com/userstack/userstack/tun"
)

// An order is what a stub is to set up. It travels as JSON over a pipe.
type order struct {
	TUN   tun.Config
	Files map[string][]byte `json:",omitempty"`
}

// A report is what a stub answers: JSON in one packet. Without an error the
// first says that all is set up and brings descriptors; the second never comes,
// because the program closes the socket when it begins.
type report struct {
	Text  string        `json:",omitempty"` // what went wrong
	Errno syscall.Errno `json:",omitempty"`
}

// maxReport bounds a report in bytes.
const maxReport = 8 << 10

// A stub is this process's view of a stub that it starts.
type stub struct {
	control *net.UnixConn // packets
	theirs  *os.File
	orders  *os.File // the writing end
	reads   *os.File
}

func newStub() (*stub, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	ours := os.NewFile(uintptr(pair[0]), "control")
	defer ours.Close()
	s := &stub{theirs: os.NewFile(uintptr(pair[1]), "control")}
	conn, err := net.FileConn(ours)
	if err == nil {
		s.control = conn.(*net.UnixConn)
		s.reads, s.orders, err = os.Pipe()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stub) close() {
	if s.control != nil {
		s.control.Close()
	}
	for _, f := range []*os.File{s.theirs, s.orders, s.reads} {
		if f != nil {
			f.Close()
		}
	}
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
	cmd.ExtraFiles = append(extra[:len(extra):len(extra)], s.theirs, s.reads)
	cmd.Path = "/proc/self/exe"
	cmd.Args = append([]string{stubName, strconv.Itoa(firstExtra + len(extra)), path}, argv...)
	err := cmd.Start()
	s.theirs.Close() // or their ends would never be seen
	s.reads.Close()
	return err
}

// equipment is what a stub has set up.
type equipment struct {
	device  int // descriptor of the TUN device, which is the caller's
	sockets *sockets
}

// setUp gives a stub its order and waits until it is done.
func (s *stub) setUp(o order) (equipment, error) {
	if err := json.NewEncoder(s.orders).Encode(o); err != nil {
		return equipment{}, fmt.Errorf("netns: %w", err)
	}
	if err := s.orders.Close(); err != nil {
		return equipment{}, fmt.Errorf("netns: %w", err)
	}
	r, fds, err := s.receive()
	if err == nil && r.Text != "" {
		err = &stubError{r}
	}
	if err == nil && len(fds) < 2 {
		err = fmt.Errorf("%d descriptors came", len(fds))
	}
	if err != nil {
		closeAll(fds)
		if errors.Is(err, unix.EPERM) {
			err = userns.Blame(err) // such a switch lets namespaces be made, and nothing be done in them
		}
		return equipment{}, fmt.Errorf("netns: %w", err)
	}
	return equipment{fds[0], newSockets(fds[1:])}, nil
}

// proceed lets the stub become the program, and returns when it has.
func (s *stub) proceed(path string) error {
	if _, err := s.control.Write([]byte{1}); err != nil {
		return fmt.Errorf("netns: %w", err)
	}
	switch r, fds, err := s.receive(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return fmt.Errorf("netns: %w", err)
	default:
		closeAll(fds)
		return &os.PathError{Op: "fork/exec", Path: path, Err: r.Errno} // as exec.Cmd.Start has it
	}
}

func (s *stub) receive() (r report, fds []int, err error) {
	data, oob := make([]byte, maxReport), make([]byte, unix.CmsgSpace(maxFDs*4))
	n, oobn, _, _, err := s.control.ReadMsgUnix(data, oob)
	if err != nil {
		return r, nil, err
	}
	if n == 0 {
		return r, nil, io.EOF
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return r, nil, os.NewSyscallError("recvmsg", err)
	}
	for _, m := range messages {
		got, err := unix.ParseUnixRights(&m)
		if err != nil {
			return r, fds, os.NewSyscallError("recvmsg", err)
		}
		fds = append(fds, got...)
	}
	return r, fds, json.Unmarshal(data[:n], &r)
}

// maxFDs is how many descriptors a report brings at most.
const maxFDs = 3

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// A stubError is what a stub could not do.
type stubError struct{ report }

func (e *stubError) Error() string { return e.Text }

func (e *stubError) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}
