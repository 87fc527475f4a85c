package dnsresolver

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// The views of one error agree with getaddrinfo(3), gethostbyname(3) and the net
// package.
func TestErrorViews(t *testing.T) {
	cause := errors.New("cause")
	for _, test := range []struct {
		code                         EAI
		err                          error
		hErrno                       int
		timeout, temporary, notFound bool
	}{
		{EAI_NONAME, nil, HOST_NOT_FOUND, false, false, true},
		{EAI_NODATA, nil, NO_DATA, false, false, true},
		{EAI_ADDRFAMILY, nil, NO_DATA, false, false, true},
		{EAI_AGAIN, cause, TRY_AGAIN, false, true, false},
		{EAI_AGAIN, errTimeout, TRY_AGAIN, true, true, false},
		{EAI_AGAIN, context.DeadlineExceeded, TRY_AGAIN, true, true, false},
		{EAI_AGAIN, syscall.ECONNREFUSED, TRY_AGAIN, false, true, false},
		{EAI_FAIL, ErrCNAMELoop, NO_RECOVERY, false, false, false},
		{EAI_CANCELED, context.Canceled, TRY_AGAIN, false, false, false},
		{EAI_IDN_ENCODE, nil, HOST_NOT_FOUND, false, false, false},
		{EAI_FAMILY, nil, NO_RECOVERY, false, false, false},
	} {
		e := &Error{Code: test.code, Host: "h.test", Server: netip.MustParseAddrPort("192.0.2.1:53"), Err: test.err}
		if e.GAICode() != int(test.code) || e.HErrno() != test.hErrno || e.Timeout() != test.timeout ||
			e.Temporary() != test.temporary || e.IsNotFound() != test.notFound {
			t.Errorf("%v: code %d, h_errno %d, timeout %v, temporary %v, not found %v",
				e, e.GAICode(), e.HErrno(), e.Timeout(), e.Temporary(), e.IsNotFound())
		}
		if test.err != nil && !errors.Is(e, test.err) {
			t.Errorf("%v: cause not found", e)
		}
		var d *net.DNSError
		if !errors.As(error(e), &d) {
			t.Fatalf("%v: no *net.DNSError", e)
		}
		if d.Name != "h.test" || d.Server != "192.0.2.1:53" || d.IsTimeout != test.timeout ||
			d.IsTemporary != test.temporary || d.IsNotFound != test.notFound {
			t.Errorf("%v: as DNSError %+v", e, d)
		}
		if test.err != nil && !errors.Is(d, test.err) {
			t.Errorf("%v: cause not found in the DNSError", e)
		}
		var ne net.Error
		if !errors.As(error(e), &ne) || ne.Timeout() != test.timeout {
			t.Errorf("%v: as net.Error %v", e, ne)
		}
		var other *os.PathError
		if errors.As(error(e), &other) {
			t.Errorf("%v is an *os.PathError", e)
		}
	}
}

func TestErrorText(t *testing.T) {
	for want, e := range map[string]*Error{
		"lookup h.test: Name or service not known":                                            {Code: EAI_NONAME, Host: "h.test"},
		"lookup h.test on 192.0.2.1:53: Temporary failure in name resolution: unexpected EOF": {Code: EAI_AGAIN, Host: "h.test", Server: netip.MustParseAddrPort("192.0.2.1:53"), Err: io.ErrUnexpectedEOF},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	var d *net.DNSError
	if errors.As(error(&Error{Code: EAI_NONAME, Host: "h.test"}), &d); d.Error() != "lookup h.test: no such host" {
		t.Errorf("DNSError says %q", d)
	}
}

// The texts are glibc's (gai_strerror(3), hstrerror(3)).
func TestTexts(t *testing.T) {
	for code, want := range map[EAI]string{
		0: "Success", -1: "Bad value for ai_flags", -2: "Name or service not known",
		-3: "Temporary failure in name resolution", -4: "Non-recoverable failure in name resolution",
		-5: "No address associated with hostname", -6: "ai_family not supported", -7: "ai_socktype not supported",
		-8: "Servname not supported for ai_socktype", -9: "Address family for hostname not supported",
		-10: "Memory allocation failure", -11: "System error", -12: "Result too large for supplied buffer",
		-100: "Processing request in progress", -101: "Request canceled", -102: "Request not canceled",
		-103: "All requests done", -104: "Interrupted by a signal", -105: "Parameter string not correctly encoded",
		1: "Unknown error", -13: "Unknown error",
	} {
		if got := code.String(); got != want {
			t.Errorf("%d: %q, want %q", int(code), got, want)
		}
	}
	for n, want := range map[int]string{
		-1: "Resolver internal error", 0: "Resolver Error 0 (no error)", 1: "Unknown host", 2: "Host name lookup failure",
		3: "Unknown server error", 4: "No address associated with name", 5: "Unknown resolver error",
	} {
		if got := HErrnoText(n); got != want {
			t.Errorf("h_errno %d: %q, want %q", n, got, want)
		}
	}
}

// Why a context ended, as an error.
func TestContextFailure(t *testing.T) {
	own := errors.New("own")
	for name, test := range map[string]struct {
		ctx  func() (context.Context, context.CancelFunc)
		code EAI
		is   []error
	}{
		"cancel": {func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return ctx, cancel
		}, EAI_CANCELED, []error{context.Canceled}},
		"cancel with a cause": {func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(own)
			return ctx, func() {}
		}, EAI_CANCELED, []error{context.Canceled, own}},
		"deadline": {func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), -time.Second)
		}, EAI_AGAIN, []error{context.DeadlineExceeded}},
		"deadline with a cause": {func() (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(t.Context(), -time.Second, own)
		}, EAI_AGAIN, []error{context.DeadlineExceeded, own}},
		"our deadline": {func() (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(t.Context(), -time.Second, errTimeout)
		}, EAI_AGAIN, []error{os.ErrDeadlineExceeded}},
		"closed": {func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(net.ErrClosed)
			return ctx, func() {}
		}, EAI_CANCELED, []error{net.ErrClosed}},
	} {
		ctx, cancel := test.ctx()
		f := contextFailure(ctx)
		cancel()
		if f.code != test.code {
			t.Errorf("%s: code %v", name, f.code)
		}
		for _, want := range test.is {
			if !errors.Is(f.err, want) {
				t.Errorf("%s: %v is not %v", name, f.err, want)
			}
		}
	}
}
