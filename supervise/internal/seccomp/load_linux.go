package seccomp

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loadFlags ask for a listener, without the slower mode that kernels before 5.16 put filtered threads in against
// speculation: it guards secrets within a process, of which a filter has none.
const loadFlags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW

// Load puts a filter on the calling thread, which has to be locked to its goroutine and can never be rid of it: execute a
// program, which inherits the filter, or let the goroutine end. It returns a descriptor, close-on-exec, for NewListener.
//
// From here on a call that the filter stops waits for a listener in another thread, for ever if there is none. So the number
// is told with write(2) and not sendmsg(2). The error is the kernel's, with what may be done about it.
func Load(prog []unix.SockFilter) (fd int, err error) {
	fd, errno := loadFilter(prog)
	if errno != 0 {
		return -1, explainLoad(errno)
	}
	return fd, nil
}

// loadFilter is Load with the kernel's word for what is wrong.
func loadFilter(prog []unix.SockFilter) (fd int, errno unix.Errno) {
	if len(prog) == 0 {
		return -1, unix.ENOEXEC
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, unix.EPERM
	}
	fd, errno = setFilter(loadFlags|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, prog)
	if errno == unix.EINVAL { // before Linux 5.19
		fd, errno = setFilter(loadFlags, prog)
	}
	return fd, errno
}

// setFilter is seccomp(2). It goes past the scheduler, which need not do anything on a thread that may wait for ever.
func setFilter(flags uintptr, prog []unix.SockFilter) (int, unix.Errno) {
	f := unix.SockFprog{Len: uint16(len(prog)), Filter: unsafe.SliceData(prog)}
	// The kernel takes the filter by address.
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&f)))
	return int(fd), errno
}

// explainLoad says what a refused filter means.
func explainLoad(errno unix.Errno) error {
	reason, ok := loadErrors[errno]
	if !ok {
		reason = "seccomp(2) failed"
	}
	return fmt.Errorf("%s: %w", reason, errno)
}

var loadErrors = map[unix.Errno]string{
	unix.ENOEXEC: "there is a filter for Linux on amd64 and arm64 only, not on " + runtime.GOARCH,
	unix.ENOSYS:  "this kernel or sandbox has no seccomp filters: it needs CONFIG_SECCOMP_FILTER",
	unix.EINVAL:  "this kernel has no seccomp listeners: Linux 5.14 or later is needed",
	unix.EBUSY:   "this process runs under a seccomp supervisor already, and Linux allows one: start it outside of that",
	unix.EPERM:   "a sandbox forbids seccomp filters: allow seccomp(2) and prctl(2) in its profile",
	unix.EACCES:  "a sandbox forbids seccomp filters: allow seccomp(2) and prctl(2) in its profile",
	unix.ENOMEM:  "out of memory, or this process has too many seccomp filters already",
}
