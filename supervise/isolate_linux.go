//go:build amd64 || arm64

package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/internal/userns"
	"github.com/userstack/userstack/supervise/internal/bindfile"
)

// A confinement is the namespaces that a program is started in.
type confinement struct {
	attr  *syscall.SysProcAttr
	files map[string][]byte // to be put in place by the stub
	lack  error             // what was asked for and cannot be had, if that is no failure
}

// confine decides on the program's namespaces. They are a user namespace, for
// want of privileges in any other, a network namespace in which not even lo is
// up, and a mount namespace for private files.
func (c *Cmd) confine() (confinement, error) {
	var flags uintptr
	if c.Isolation != IsolateOff {
		flags |= unix.CLONE_NEWNET
	}
	if len(c.Files) > 0 {
		flags |= unix.CLONE_NEWNS
	}
	if flags == 0 {
		return confinement{attr: c.SysProcAttr}, nil
	}
	if userns.Asked(c.SysProcAttr) {
		return confinement{}, fmt.Errorf("supervise: SysProcAttr asks for namespaces, and so do Isolation or Files: %w", unix.EINVAL)
	}
	ways := userns.Ways(flags, userns.Self)
	if c.Isolation == IsolateOff {
		ways = ways[len(ways)-1:] // root stays the machine's
	}
	way, err := userns.First(ways)
	if err != nil {
		err = fmt.Errorf("supervise: isolation: %w", userns.Diagnose(err))
		if c.Isolation == IsolateRequire {
			return confinement{}, err
		}
		return confinement{attr: c.SysProcAttr, lack: err}, nil
	}
	conf := confinement{attr: way.Attr(c.SysProcAttr), files: c.Files}
	if len(c.Files) > 0 {
		conf.attr = way.Attr(c.SysProcAttr, unix.CAP_SYS_ADMIN) // mount(2); the stub drops it
	}
	return conf, nil
}

// Isolated returns nil when the program, which was started, has what Isolation
// and Files ask for, and otherwise why it has not.
func (c *Cmd) Isolated() error { return c.lack }

// placeFiles is the stub's part: it takes the files from a pipe and puts them in
// their places. The errno is 0 if they are there.
func placeFiles(pipe *os.File) syscall.Errno {
	defer pipe.Close()
	var files map[string][]byte
	err := json.NewDecoder(pipe).Decode(&files)
	if err == nil {
		err = bindfile.Replace(files)
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	if err != nil && !ok {
		return unix.EIO
	}
	return errno
}

// dropCapabilities takes the capabilities of this thread away, unless it is
// root's, whom execve(2) would give them back.
func dropCapabilities() error {
	if os.Geteuid() == 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl(PR_CAP_AMBIENT)", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData // of 64 capabilities
	return os.NewSyscallError("capset", unix.Capset(&header, &none[0]))
}
