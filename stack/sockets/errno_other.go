//go:build !linux

package sockets

import "syscall"

// sysErrno pairs the numbers that a socket call can give with the running
// system's own.
var sysErrno = map[syscall.Errno]Errno{
	syscall.EACCES: EACCES, syscall.EADDRINUSE: EADDRINUSE, syscall.EADDRNOTAVAIL: EADDRNOTAVAIL,
	syscall.EAFNOSUPPORT: EAFNOSUPPORT, syscall.EAGAIN: EAGAIN, syscall.EALREADY: EALREADY,
	syscall.EBADF: EBADF, syscall.ECONNABORTED: ECONNABORTED, syscall.ECONNREFUSED: ECONNREFUSED,
	syscall.ECONNRESET: ECONNRESET, syscall.EDESTADDRREQ: EDESTADDRREQ, syscall.EFAULT: EFAULT,
	syscall.EHOSTUNREACH: EHOSTUNREACH, syscall.EINPROGRESS: EINPROGRESS, syscall.EINVAL: EINVAL,
	syscall.EISCONN: EISCONN, syscall.EMFILE: EMFILE, syscall.EMSGSIZE: EMSGSIZE,
	syscall.ENETUNREACH: ENETUNREACH, syscall.ENOBUFS: ENOBUFS, syscall.ENODEV: ENODEV,
	syscall.ENOPROTOOPT: ENOPROTOOPT, syscall.ENOTCONN: ENOTCONN, syscall.EOPNOTSUPP: EOPNOTSUPP,
	syscall.EPERM: EPERM, syscall.EPIPE: EPIPE, syscall.EPROTONOSUPPORT: EPROTONOSUPPORT,
	syscall.ETIMEDOUT: ETIMEDOUT,
}

func fromSyscall(e syscall.Errno) Errno { return sysErrno[e] }
