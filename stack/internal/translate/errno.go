package translate

import "gvisor.dev/gvisor/pkg/tcpip"

// Linux errno numbers (asm-generic/errno-base.h and errno.h), the same on
// every operating system we build for.
const (
	eperm           = 1
	enoent          = 2
	eio             = 5
	eagain          = 11
	eacces          = 13
	efault          = 14
	ebusy           = 16
	eexist          = 17
	enodev          = 19
	einval          = 22
	enotty          = 25
	epipe           = 32
	enonet          = 64
	edestaddrreq    = 89
	emsgsize        = 90
	enoprotoopt     = 92
	eopnotsupp      = 95
	eafnosupport    = 97
	eaddrinuse      = 98
	eaddrnotavail   = 99
	enetunreach     = 101
	econnaborted    = 103
	econnreset      = 104
	enobufs         = 105
	eisconn         = 106
	enotconn        = 107
	etimedout       = 110
	econnrefused    = 111
	ehostdown       = 112
	ehostunreach    = 113
	ealready        = 114
	einprogress     = 115
	unknownErrorNum = eio
)

// Errno returns the Linux errno for a gVisor error: what the same failure
// gives a program on Linux when nothing is known of the call. Calls with a
// different answer of their own override it. A nil error is 0; a type that this
// table does not know is EIO, never a panic (T45).
func Errno(err tcpip.Error) int {
	if err == nil {
		return 0
	}
	if n, ok := reachErrno(err); ok {
		return n
	}
	return stateErrno(err)
}

// reachErrno covers what the network and its addresses said.
func reachErrno(err tcpip.Error) (int, bool) {
	switch err.(type) {
	case *tcpip.ErrAddressFamilyNotSupported:
		return eafnosupport, true
	case *tcpip.ErrBadAddress, *tcpip.ErrBadBuffer:
		return efault, true
	case *tcpip.ErrBadLocalAddress:
		return eaddrnotavail, true
	case *tcpip.ErrBroadcastDisabled:
		return eacces, true
	case *tcpip.ErrConnectionRefused:
		return econnrefused, true
	case *tcpip.ErrConnectionReset:
		return econnreset, true
	case *tcpip.ErrDestinationRequired:
		return edestaddrreq, true
	case *tcpip.ErrHostDown:
		return ehostdown, true
	case *tcpip.ErrHostUnreachable:
		return ehostunreach, true
	case *tcpip.ErrMessageTooLong:
		return emsgsize, true
	case *tcpip.ErrNetworkUnreachable:
		return enetunreach, true
	case *tcpip.ErrNoBufferSpace:
		return enobufs, true
	case *tcpip.ErrNoNet:
		return enonet, true
	case *tcpip.ErrNoPortAvailable, *tcpip.ErrWouldBlock:
		return eagain, true
	case *tcpip.ErrPortInUse:
		return eaddrinuse, true
	case *tcpip.ErrTimeout:
		return etimedout, true
	}
	return 0, false
}

// stateErrno covers what the endpoint or the stack said.
func stateErrno(err tcpip.Error) int {
	switch err.(type) {
	case *tcpip.ErrAborted, *tcpip.ErrClosedForSend:
		return epipe
	case *tcpip.ErrClosedForReceive:
		return 0 // end of file is not an error
	case *tcpip.ErrAlreadyBound, *tcpip.ErrInvalidEndpointState, *tcpip.ErrInvalidOptionValue,
		*tcpip.ErrInvalidPortRange, *tcpip.ErrMalformedHeader, *tcpip.ErrMissingRequiredFields,
		*tcpip.ErrMulticastInputCannotBeOutput, *tcpip.ErrUnknownProtocol:
		return einval
	case *tcpip.ErrAlreadyConnected:
		return eisconn
	case *tcpip.ErrAlreadyConnecting:
		return ealready
	case *tcpip.ErrConnectStarted:
		return einprogress
	case *tcpip.ErrConnectionAborted:
		return econnaborted
	case *tcpip.ErrDuplicateAddress, *tcpip.ErrDuplicateNICID:
		return eexist
	case *tcpip.ErrEndpointBusy:
		return ebusy
	case *tcpip.ErrInvalidNICID, *tcpip.ErrUnknownDevice, *tcpip.ErrUnknownNICID:
		return enodev
	case *tcpip.ErrNoSuchFile:
		return enoent
	case *tcpip.ErrNotConnected:
		return enotconn
	case *tcpip.ErrNotPermitted:
		return eperm
	case *tcpip.ErrNotSupported:
		return eopnotsupp
	case *tcpip.ErrQueueSizeNotSupported:
		return enotty
	case *tcpip.ErrUnknownProtocolOption:
		return enoprotoopt
	}
	return unknownErrorNum
}
