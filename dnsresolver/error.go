package dnsresolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

// Causes that errors.Is finds in an *Error.
var (
	// ErrNoServers: the lookup needs DNS and no usable server is configured.
	ErrNoServers = errors.New("no DNS servers configured")
	// ErrCNAMELoop: the aliases of the name lead in a circle, or are more than
	// the limits allow.
	ErrCNAMELoop = errors.New("CNAME loop")
	// ErrBusy: a limit on concurrent queries was reached and the wait for it
	// ended with the lookup's deadline.
	ErrBusy = errors.New("too many concurrent queries")
)

// Error is the error of every lookup. It can be looked at as a getaddrinfo(3)
// code (GAICode), as an h_errno value (HErrno), as a [net.Error], and, with
// errors.As, as a [*net.DNSError]. Unwrap leads to the cause, if there is more
// to say: ErrNoServers, context.Canceled, net.ErrClosed, a syscall.Errno of the
// Transport.
type Error struct {
	Code   EAI            // what getaddrinfo(3) would return
	H      netdb.HErr     // of GetHostByAddr and GetHostByNameEx; 0: what stands for Code
	Host   string         // the name as given to the lookup
	Server netip.AddrPort // the server that said so; invalid if none did
	Err    error          // the cause; may be nil
}

// Error returns "lookup HOST on SERVER: TEXT: CAUSE", without the parts that
// are not known. TEXT is that of gai_strerror(3).
func (e *Error) Error() string {
	s := "lookup " + e.Host
	if e.Server.IsValid() {
		s += " on " + e.Server.String()
	}
	s += ": " + e.Code.String()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause of e.
func (e *Error) Unwrap() error { return e.Err }

// GAICode returns the getaddrinfo(3) code of e as a plain number.
func (e *Error) GAICode() int { return int(e.Code) }

// HErrno returns the h_errno value (gethostbyname(3)) of e.
func (e *Error) HErrno() int {
	if e.H != 0 {
		return int(e.H)
	}
	return int(e.Code.HErr())
}

// Timeout reports whether the lookup ended because time ran out: the caller's
// deadline or the resolver's own.
func (e *Error) Timeout() bool {
	return errors.Is(e.Err, context.DeadlineExceeded) || errors.Is(e.Err, os.ErrDeadlineExceeded)
}

// Temporary reports whether the same lookup may succeed later.
func (e *Error) Temporary() bool { return e.Code == EAI_AGAIN }

// IsNotFound reports whether the name does not exist or has no address of the
// family that was asked for.
func (e *Error) IsNotFound() bool {
	return e.Code == EAI_NONAME || e.Code == EAI_NODATA || e.Code == EAI_ADDRFAMILY
}

// As lets errors.As view e as a *net.DNSError, for code written against the net
// package.
func (e *Error) As(target any) bool {
	dnsErr, ok := target.(**net.DNSError)
	if !ok {
		return false
	}
	*dnsErr = e.dnsError()
	return true
}

func (e *Error) dnsError() *net.DNSError {
	d := &net.DNSError{
		UnwrapErr:   e.Err,
		Err:         e.Code.String(),
		Name:        e.Host,
		IsTimeout:   e.Timeout(),
		IsTemporary: e.Temporary(),
		IsNotFound:  e.IsNotFound(),
	}
	if e.Code == EAI_NONAME {
		d.Err = "no such host" // the text that Go programs compare with
	}
	if e.Server.IsValid() {
		d.Server = e.Server.String()
	}
	return d
}

// errTimeout is the cause of a lookup that ran out of its own time, as opposed
// to the caller's context.
var errTimeout = fmt.Errorf("no answer in time: %w", os.ErrDeadlineExceeded)

// failure is the result of one step of a lookup that did not give an answer:
// the code to return to the caller, who said so and why.
type failure struct {
	code   EAI
	server netip.AddrPort
	err    error
}

// contextFailure says why ctx ended: the caller cancelled it, its time ran out,
// or the resolver was closed.
func contextFailure(ctx context.Context) failure {
	err, cause := ctx.Err(), context.Cause(ctx)
	f := failure{code: EAI_CANCELED, err: cause}
	if errors.Is(err, context.DeadlineExceeded) {
		f.code = EAI_AGAIN
	}
	if cause != net.ErrClosed && cause != errTimeout && !errors.Is(cause, err) {
		f.err = fmt.Errorf("%w: %w", err, cause) // a cause of the caller's own
	}
	return f
}
