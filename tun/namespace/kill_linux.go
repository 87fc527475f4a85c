package namespace

import (
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// killAll kills every other process in this process's network namespace and
// waits until each is dead. It looks until it has found none for the second
// time, since one that it killed may have forked meanwhile, and one that it did
// not see may have forked and exited.
func killAll() {
	for clean := 0; clean < 2; clean++ {
		entries, err := os.ReadDir("/proc")
		if err != nil {
			return
		}
		for _, e := range entries {
			if pid, err := strconv.Atoi(e.Name()); err == nil && pid != os.Getpid() && kill(pid) {
				clean = -1
			}
		}
	}
}

// kill kills a process if it is in this network namespace, waits until it is
// dead, and reports whether it did so.
func kill(pid int) bool {
	if !neighbour(pid) {
		return false
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(pidfd)
	// Asked again: the number may have passed to another process meanwhile,
	// but not any more, as long as the pidfd's process is alive.
	if !neighbour(pid) || unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0) != nil {
		return false
	}
	for {
		// A pidfd is readable when its process has ended, reaped or not.
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
		if err != unix.EINTR {
			return err == nil
		}
	}
}

// neighbour reports whether a process is in this network namespace. A process
// that is dead but not reaped is in none.
func neighbour(pid int) bool {
	theirs, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "ns/net"))
	if err != nil {
		return false
	}
	ours, err := os.Readlink("/proc/self/ns/net")
	return err == nil && theirs == ours
}
