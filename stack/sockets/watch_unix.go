//go:build unix

package sockets

import (
	"syscall"
	"time"
)

// processTime is what this process has used of the processors (getrusage(2)).
func processTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
