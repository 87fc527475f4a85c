package sockets

import (
	"errors"
	"strconv"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"

	"github.com/userstack/userstack/stack/internal/translate"
)

// Errno is a Linux error number. It compares equal, through errors.Is, to the
// syscall.Errno of the same meaning on the running system.
type Errno int

// Error returns the text of strerror(3).
func (e Errno) Error() string {
	if e >= 0 && int(e) < len(errnoText) && errnoText[e] != "" {
		return errnoText[e]
	}
	return "Unknown error " + strconv.Itoa(int(e))
}

// Name returns the number's name, such as "ECONNREFUSED", or "errno N".
func (e Errno) Name() string {
	if e > 0 && int(e) < len(errnoName) && errnoName[e] != "" {
		return errnoName[e]
	}
	return "errno " + strconv.Itoa(int(e))
}

// Timeout reports whether the number says that time ran out: EAGAIN or
// ETIMEDOUT, as syscall.Errno has it.
func (e Errno) Timeout() bool { return e == EAGAIN || e == ETIMEDOUT }

// Temporary reports whether the call may succeed when it is made again.
func (e Errno) Temporary() bool {
	return e.Timeout() || e == EINTR || e == EMFILE || e == ENFILE || e == ECONNABORTED || e == ECONNRESET
}

// Is reports whether target is the same error: this Errno, the system's
// syscall.Errno for it, or errors.ErrUnsupported for the numbers that say so.
func (e Errno) Is(target error) bool {
	switch t := target.(type) {
	case Errno:
		return e == t
	case syscall.Errno:
		return e != 0 && e == fromSyscall(t)
	}
	switch target {
	case errors.ErrUnsupported:
		return e == EOPNOTSUPP || e == ENOSYS || e == EPROTONOSUPPORT || e == EAFNOSUPPORT || e == ESOCKTNOSUPPORT
	}
	return false
}

// errnoOf is the errno of a gVisor error; see translate.Errno.
func errnoOf(err tcpip.Error) Errno { return Errno(translate.Errno(err)) }
