package sockets

import "syscall"

// fromSyscall is the identity: our numbers are Linux's. (They are those of
// every architecture but alpha, mips, parisc and sparc.)
func fromSyscall(e syscall.Errno) Errno { return Errno(e) }
