package hostnet

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// winsock has what Winsock calls the errors that Unix sockets return.
var winsock = map[syscall.Errno]syscall.Errno{
	windows.WSAECONNREFUSED:  syscall.ECONNREFUSED,
	windows.WSAECONNRESET:    syscall.ECONNRESET,
	windows.WSAENETUNREACH:   syscall.ENETUNREACH,
	windows.WSAENETDOWN:      syscall.ENETDOWN,
	windows.WSAEADDRNOTAVAIL: syscall.EADDRNOTAVAIL,
	windows.WSAEAFNOSUPPORT:  syscall.EAFNOSUPPORT,
	windows.WSAEINVAL:        syscall.EINVAL,
	windows.WSAEHOSTUNREACH:  syscall.EHOSTUNREACH,
	windows.WSAEHOSTDOWN:     syscall.EHOSTDOWN,
	windows.WSAENOPROTOOPT:   syscall.ENOPROTOOPT,
	windows.WSAEACCES:        syscall.EACCES,
	windows.WSAEMSGSIZE:      syscall.EMSGSIZE,
}

// unixErrno returns the errno that the table of reasons has.
func unixErrno(e syscall.Errno) syscall.Errno {
	if u, ok := winsock[e]; ok {
		return u
	}
	return e
}
