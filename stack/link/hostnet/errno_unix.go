//go:build !windows

package hostnet

import "syscall"

// unixErrno returns the errno that the table of reasons has.
func unixErrno(e syscall.Errno) syscall.Errno { return e }
