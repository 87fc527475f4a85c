package seccomp

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// OpenThread returns a descriptor of a thread, close-on-exec, for GetFD. Before Linux 6.9 it is of the thread's process,
// which has the same descriptors unless the thread went out of its way (unshare(2) with CLONE_FILES).
func OpenThread(tid int) (pidfd int, err error) {
	pidfd, err = unix.PidfdOpen(tid, unix.PIDFD_THREAD)
	if err != unix.EINVAL {
		return pidfd, os.NewSyscallError("pidfd_open", err)
	}
	tgid, err := Process(tid)
	if err != nil {
		return -1, err
	}
	pidfd, err = unix.PidfdOpen(tgid, 0)
	return pidfd, os.NewSyscallError("pidfd_open", err)
}

// Process returns the process that a thread belongs to.
func Process(tid int) (int, error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/status")
	if err != nil {
		return 0, err
	}
	const field = "\nTgid:\t"
	_, value, ok := bytes.Cut(status, []byte(field))
	value, _, _ = bytes.Cut(value, []byte("\n"))
	if tgid, err := strconv.Atoi(string(value)); ok && err == nil {
		return tgid, nil
	}
	return 0, fmt.Errorf("/proc/%d/status has no Tgid", tid)
}

// GetFD duplicates a descriptor of a thread into this process, close-on-exec: pidfd_getfd(2). It fails with EBADF if the
// thread has none of that number and with ESRCH if the thread has ended.
func GetFD(pidfd, fd int) (int, error) {
	n, err := unix.PidfdGetfd(pidfd, fd, 0)
	return n, os.NewSyscallError("pidfd_getfd", err)
}

// Cookie returns what names an open socket, whoever has it: SO_COOKIE of socket(7). It is never given again.
func Cookie(fd int) (uint64, error) {
	c, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	return c, os.NewSyscallError("getsockopt", err)
}

// Interrupted reports whether a signal waits for a thread whose call has stopped. The thread sleeps as on any call until
// then; from then on it sleeps so that only its answer or its death wakes it: state D in place of S. That needs Linux 5.19.
func Interrupted(tid int) bool {
	id := strconv.Itoa(tid)
	stat, err := os.ReadFile("/proc/" + id + "/task/" + id + "/stat")
	if err != nil {
		return false
	}
	// The state follows the command, which is in parentheses and may have some of its own.
	_, rest, ok := bytes.Cut(stat[max(bytes.LastIndexByte(stat, ')'), 0):], []byte(") "))
	return ok && len(rest) > 0 && rest[0] == 'D'
}
