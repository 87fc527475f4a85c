package agent

import (
	"os"

	"golang.org/x/sys/unix"
)

// giveWay binds this thread to a processor, with the policy for jobs of the least weight (sched(7), SCHED_IDLE).
func giveWay(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return os.NewSyscallError("sched_setaffinity", err)
	}
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}
	return os.NewSyscallError("sched_setattr", unix.SchedSetAttr(0, &attr, 0))
}
