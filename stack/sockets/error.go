package sockets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
)

// SocketError is what every error of this package is, found with errors.As.
type SocketError interface {
	error
	Errno() Errno
	Timeout() bool
}

// Error is a failed socket call.
type Error struct {
	Op            string // the call, such as "connect"
	Num           Errno
	Local, Remote Sockaddr // nil where the call has none
	Msg           string   // what Num alone does not say, or ""
	Err           error    // ErrTimeout, ErrClosed, a name error, or nil
}

// Error returns, for example,
// "connect 10.0.0.1:80: [Errno 111] Connection refused".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Remote != nil {
		b.WriteString(" " + e.Remote.String())
	} else if e.Local != nil {
		b.WriteString(" " + e.Local.String())
	}
	b.WriteString(": ")
	switch {
	case e.Err != nil && e.Err != ErrUnsupported:
		b.WriteString(e.Err.Error())
	default:
		fmt.Fprintf(&b, "[Errno %d] %v", int(e.Num), e.Num)
	}
	if e.Msg != "" {
		b.WriteString(": " + e.Msg)
	}
	return b.String()
}

// Errno returns e.Num.
func (e *Error) Errno() Errno { return e.Num }

// Unwrap returns the error number and, if there is one, e.Err.
func (e *Error) Unwrap() []error {
	if e.Err != nil {
		return []error{e.Num, e.Err}
	}
	return []error{e.Num}
}

// Timeout reports whether time ran out, be it ours or the network's.
func (e *Error) Timeout() bool { return e.Num.Timeout() || e.Err == ErrTimeout }

// Temporary reports whether the call may succeed when it is made again.
func (e *Error) Temporary() bool { return e.Num.Temporary() }

var (
	// ErrTimeout says that the socket's timeout, a Within or a context's
	// deadline ran out: Python's socket.timeout, NSPR's PR_IO_TIMEOUT_ERROR. It
	// is also ETIMEDOUT, os.ErrDeadlineExceeded and context.DeadlineExceeded. An
	// ETIMEDOUT from the network is not ErrTimeout.
	ErrTimeout error = timeoutError{}

	// ErrClosed says that the socket was closed, before or during the call. It
	// is also EBADF and net.ErrClosed.
	ErrClosed error = closedError{}

	// ErrUnsupported is wrapped, beside an errno, by every refusal of something
	// that a userspace IP stack does not have.
	ErrUnsupported = errors.ErrUnsupported
)

type timeoutError struct{}

func (timeoutError) Error() string   { return "timed out" }
func (timeoutError) Errno() Errno    { return ETIMEDOUT }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }
func (timeoutError) Is(target error) bool {
	return target == os.ErrDeadlineExceeded || target == context.DeadlineExceeded || ETIMEDOUT.Is(target)
}

type closedError struct{}

func (closedError) Error() string { return "use of closed socket" }
func (closedError) Errno() Errno  { return EBADF }
func (closedError) Timeout() bool { return false }
func (closedError) Is(target error) bool {
	return target == net.ErrClosed || target == os.ErrClosed || EBADF.Is(target)
}
