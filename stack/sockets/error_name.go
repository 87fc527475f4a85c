package sockets

import (
	"context"
	"errors"
	"net"
)

// GAIError is a failed name look-up: Python's socket.gaierror. errors.As also
// sees it as an *HError with the h_errno that stands for its code.
type GAIError struct {
	Code EAI    // negative, as in glibc's netdb.h
	Name string // what was looked up
	Err  error  // the resolver's error, or nil
}

// Error returns the name and the text of gai_strerror(3), or the resolver's
// error, which says more.
func (e *GAIError) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return e.Name + ": " + GAIStrError(e.Code)
}

// Errno returns the code, which is negative.
func (e *GAIError) Errno() Errno { return Errno(e.Code) }

// GAICode returns the code as a plain number, as errors of resolvers do.
func (e *GAIError) GAICode() int { return int(e.Code) }

// Unwrap returns the resolver's error.
func (e *GAIError) Unwrap() error { return e.Err }

// Timeout reports whether the resolver ran out of time.
func (e *GAIError) Timeout() bool { return timedOut(e.Err) }

// Temporary reports whether a later look-up may succeed.
func (e *GAIError) Temporary() bool { return e.Code == EAI_AGAIN }

// As lets errors.As view e as an *HError and, where the resolver's error is
// none, as a *net.DNSError.
func (e *GAIError) As(target any) bool {
	switch target := target.(type) {
	case **HError:
		*target = &HError{Code: e.Code.HErr(), Name: e.Name, Err: e.Err}
		return true
	case **net.DNSError:
		if !errors.As(e.Err, target) {
			notFound := e.Code == EAI_NONAME || e.Code == EAI_NODATA || e.Code == EAI_ADDRFAMILY
			*target = &net.DNSError{
				UnwrapErr: e.Err, Err: GAIStrError(e.Code), Name: e.Name,
				IsNotFound: notFound, IsTemporary: e.Temporary(), IsTimeout: e.Timeout(),
			}
		}
		return true
	}
	return false
}

// HError is a failed look-up of the gethostbyname(3) family: Python's
// socket.herror.
type HError struct {
	Code HErr   // the value of h_errno
	Name string // what was looked up
	Err  error  // the resolver's error, or nil
}

// Error returns the name and the text of hstrerror(3).
func (e *HError) Error() string { return e.Name + ": " + HStrError(e.Code) }

// Errno returns the code, which is not an errno: Python's herror has it in the
// same place.
func (e *HError) Errno() Errno { return Errno(e.Code) }

// Unwrap returns the resolver's error.
func (e *HError) Unwrap() error { return e.Err }

// Timeout reports whether the resolver ran out of time.
func (e *HError) Timeout() bool { return timedOut(e.Err) }

// Temporary reports whether a later look-up may succeed.
func (e *HError) Temporary() bool { return e.Code == TRY_AGAIN }

func timedOut(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// gaiError wraps a resolver's error. The resolver says its code with a method
// GAICode, as *dnsresolver.Error does; a *net.DNSError is understood as well.
func gaiError(name string, err error) *GAIError {
	var coded interface{ GAICode() int }
	if errors.As(err, &coded) {
		return &GAIError{Code: EAI(coded.GAICode()), Name: name, Err: err}
	}
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
		return &GAIError{Code: EAI_CANCELED, Name: name, Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &GAIError{Code: EAI_AGAIN, Name: name, Err: err}
	case errors.As(err, &dns) && dns.IsNotFound:
		return &GAIError{Code: EAI_NONAME, Name: name, Err: err}
	case errors.As(err, &dns) && (dns.IsTimeout || dns.IsTemporary):
		return &GAIError{Code: EAI_AGAIN, Name: name, Err: err}
	}
	return &GAIError{Code: EAI_FAIL, Name: name, Err: err}
}
