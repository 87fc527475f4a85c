package netdb

import (
	"context"
	"errors"
	"os"
)

// Error is the error of every look-up. It is a code of getaddrinfo(3) or, where
// H is not 0, a value of h_errno.
type Error struct {
	Code EAI
	H    HErr   // of the gethostbyname(3) family; 0: the one that stands for Code
	Name string // what was looked up
	Err  error  // the name service's error, or nil
}

// Error returns the name and the text of gai_strerror(3) or hstrerror(3), or
// the name service's error, which says more.
func (e *Error) Error() string {
	switch {
	case e.H != 0:
		return e.Name + ": " + e.H.String()
	case e.Err != nil:
		return e.Err.Error()
	}
	return e.Name + ": " + e.Code.String()
}

// Unwrap returns the name service's error.
func (e *Error) Unwrap() error { return e.Err }

// GAICode returns the getaddrinfo(3) code as a plain number.
func (e *Error) GAICode() int { return int(e.Code) }

// HErrno returns the h_errno value as a plain number.
func (e *Error) HErrno() int {
	if e.H != 0 {
		return int(e.H)
	}
	return int(e.Code.HErr())
}

// Timeout reports whether time ran out.
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout() ||
		errors.Is(e.Err, context.DeadlineExceeded) || errors.Is(e.Err, os.ErrDeadlineExceeded)
}

// Temporary reports whether the same look-up may succeed later.
func (e *Error) Temporary() bool {
	return e.HErrno() == int(TRY_AGAIN)
}

// codeOf returns the code that a name service's error says.
func codeOf(err error) EAI {
	var coded interface{ GAICode() int }
	switch {
	case errors.As(err, &coded):
		return EAI(coded.GAICode())
	case errors.Is(err, context.Canceled):
		return EAI_CANCELED
	case errors.Is(err, context.DeadlineExceeded):
		return EAI_AGAIN
	}
	return EAI_FAIL
}

// failed wraps a name service's error, or one of our own codes.
func failed(name string, code EAI, err error) *Error {
	return &Error{Code: code, Name: name, Err: err}
}

// reverseFailed is the error of gethostbyaddr(3): what has no name is an
// unknown host, whatever the reason.
func reverseFailed(name string, err error) *Error {
	code := codeOf(err)
	h := code.HErr()
	if h == NO_DATA {
		h = HOST_NOT_FOUND
	}
	return &Error{Code: code, H: h, Name: name, Err: err}
}
