//go:build unix

package testnet_test

import (
	"syscall"
	"time"
)

// processorTime returns the time that this process has had of all processors, in and out of the kernel: getrusage(2).
func processorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
