package agent

import (
	"os"

	"golang.org/x/sys/unix"
)

// Processors returns the numbers of those that this thread may use, in order.
func Processors() (list []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil { // the kernel has more than fit
		return counted()
	}
	for cpu := 0; len(list) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			list = append(list, cpu)
		}
	}
	return list
}

// Bind has this thread, and what it starts, run on one processor.
func Bind(processor int) error {
	var set unix.CPUSet
	set.Set(processor)
	return os.NewSyscallError("sched_setaffinity", unix.SchedSetaffinity(0, &set))
}

// giveWay binds this thread to a processor, with the policy for jobs of the least weight (sched(7), SCHED_IDLE).
func giveWay(processor int) error {
	if err := Bind(processor); err != nil {
		return err
	}
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}
	return os.NewSyscallError("sched_setattr", unix.SchedSetAttr(0, &attr, 0))
}
