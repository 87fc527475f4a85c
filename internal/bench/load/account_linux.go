package load

import (
	"syscall"
	"time"
)

// SelfAccount is getrusage(2) of this process.
func SelfAccount() Account {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return Account{}
	}
	return Account{User: time.Duration(u.Utime.Nano()), System: time.Duration(u.Stime.Nano()), Switches: uint64(u.Nvcsw)}
}
