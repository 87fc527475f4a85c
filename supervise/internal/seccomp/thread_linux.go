package seccomp

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// OpenThread returns a descriptor of a thread, close-on-exec, for GetFD. Before Linux 6.9 it is of the thread's process,
// which has the same descriptors unless the thread went out of its way (unshare(2) with CLONE_FILES). The error of what asks
// the kernel about a thread is the bare syscall.Errno, as is that of copying memory.
func OpenThread(tid int) (pidfd int, err error) {
	pidfd, err = unix.PidfdOpen(tid, unix.PIDFD_THREAD)
	if err != unix.EINVAL {
		return pidfd, err
	}
	tgid, err := Process(tid)
	if err != nil {
		return -1, unix.ESRCH
	}
	return unix.PidfdOpen(tgid, 0)
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
	n, _, errno := unix.RawSyscall(unix.SYS_PIDFD_GETFD, uintptr(pidfd), uintptr(fd), 0) // waits for nothing
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// Cookie returns what names an open socket, whoever has it: SO_COOKIE of socket(7). It is never given again.
func Cookie(fd int) (uint64, error) {
	var cookie uint64
	size := uint32(unsafe.Sizeof(cookie))
	// The kernel fills in the value by address. It waits for nothing, so the scheduler need not know.
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_COOKIE,
		uintptr(unsafe.Pointer(&cookie)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0, errno
	}
	return cookie, nil
}

// Interrupted reports whether a signal waits for a thread whose call has stopped. The thread sleeps as on any call until
// then; from then on it sleeps so that only its answer or its death wakes it: state D in place of S. That needs Linux 5.19.
func Interrupted(tid int) bool { return state(tid) == 'D' }

// state returns the letter that /proc/PID/stat of proc(5) has for a thread, 0 if there is none of that number.
func state(tid int) byte {
	id := strconv.Itoa(tid)
	fd, err := unix.Open("/proc/"+id+"/task/"+id+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	var buf [128]byte // the command before the state has at most 64 bytes
	n, err := unix.Read(fd, buf[:])
	if err != nil {
		return 0
	}
	// The command is in parentheses and may have some of its own.
	stat := buf[:n]
	end := bytes.LastIndex(stat, []byte(") "))
	if end < 0 || end+2 >= len(stat) {
		return 0
	}
	return stat[end+2]
}
