package seccomp

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// response is struct seccomp_notif_resp of linux/seccomp.h.
type response struct {
	id    uint64
	value int64
	errno int32 // negative
	flags uint32
}

// addFD is struct seccomp_notif_addfd of linux/seccomp.h.
type addFD struct {
	id     uint64
	flags  uint32
	source uint32 // a descriptor of ours
	number uint32 // that the thread's descriptor shall have, with SECCOMP_ADDFD_FLAG_SETFD
	open   uint32 // O_CLOEXEC or nothing
}

// restart is ERESTARTSYS of the kernel's linux/errno.h, which no program is to see: the kernel makes EINTR of it, or calls
// again, as the handler of the signal wants that has arrived.
const restart = 512

// The methods that answer a call take the ID of its notification and fail with ENOENT once the thread does not wait any
// more, with EINPROGRESS if it has an answer already, and with os.ErrClosed after Close.

// Return lets a call return a value.
func (l *Listener) Return(id uint64, value int64) error {
	return l.send(response{id: id, value: value})
}

// Fail lets a call fail.
func (l *Listener) Fail(id uint64, errno syscall.Errno) error {
	return l.send(response{id: id, errno: -int32(errno)})
}

// Restart interrupts a call for a signal that waits for its thread: the call fails with EINTR or stops anew, as the handler
// wants. It is only for a thread that is Interrupted: any other one would see error 512.
func (l *Listener) Restart(id uint64) error { return l.Fail(id, restart) }

// Continue lets the kernel do the call as if it had not stopped, with whatever its pointers now point at.
func (l *Listener) Continue(id uint64) error {
	return l.send(response{id: id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE})
}

func (l *Listener) send(r response) error {
	// The kernel reads the answer by address. It has changed nothing if a signal interrupts it.
	_, err := l.call("SECCOMP_IOCTL_NOTIF_SEND", unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r))
	return err
}

// Alive reports whether a call still waits for its answer, and hence whether its thread is still the one that the
// notification names.
func (l *Listener) Alive(id uint64) bool {
	// The kernel reads the ID by address.
	_, err := l.call("SECCOMP_IOCTL_NOTIF_ID_VALID", unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id))
	return err == nil
}

// Install gives the thread a duplicate of a descriptor and lets its call return the number, in one step. It fails with
// EMFILE if the thread has too many.
func (l *Listener) Install(id uint64, fd int, cloexec bool) (n int, err error) {
	return l.install(addFD{id: id, flags: unix.SECCOMP_ADDFD_FLAG_SEND, source: uint32(fd), open: openFlags(cloexec)})
}

// InstallKeep gives the thread a duplicate of a descriptor and leaves its call waiting. From here on the call cannot be
// interrupted but by an answer, so answer it at once.
func (l *Listener) InstallKeep(id uint64, fd int, cloexec bool) (n int, err error) {
	return l.install(addFD{id: id, source: uint32(fd), open: openFlags(cloexec)})
}

// Replace puts a duplicate of a descriptor in the place of one that the thread has, as dup2(2), and leaves its call
// waiting, as InstallKeep.
func (l *Listener) Replace(id uint64, fd, number int, cloexec bool) error {
	_, err := l.install(addFD{
		id: id, flags: unix.SECCOMP_ADDFD_FLAG_SETFD, source: uint32(fd), number: uint32(number), open: openFlags(cloexec),
	})
	return err
}

func openFlags(cloexec bool) uint32 {
	if cloexec {
		return unix.O_CLOEXEC
	}
	return 0
}

// install waits for the thread to take the descriptor. A signal that interrupted us there would have the kernel forget the
// descriptor and still take the call for answered: it would return 0. So no signal may.
func (l *Listener) install(a addFD) (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var old unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &asynchronous, &old); err != nil {
		return -1, os.NewSyscallError("rt_sigprocmask", err)
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	// The kernel reads the request by address.
	return l.call("SECCOMP_IOCTL_NOTIF_ADDFD", unix.SECCOMP_IOCTL_NOTIF_ADDFD, unsafe.Pointer(&a))
}

// asynchronous are all signals but those by which a thread learns of its own faults.
var asynchronous = func() (set unix.Sigset_t) {
	for i := range set.Val {
		set.Val[i] = ^set.Val[i]
	}
	for _, sig := range []syscall.Signal{unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP} {
		set.Val[0] &^= 1 << (sig - 1)
	}
	return set
}()

// call does a request other than RECV. The argument is what the request says. Only ADDFD waits, so that the scheduler need not
// know of the others.
func (l *Listener) call(name string, request uintptr, arg unsafe.Pointer) (int, error) {
	l.use.RLock()
	defer l.use.RUnlock()
	for !l.closed.Load() {
		var n uintptr
		var errno unix.Errno
		if request == unix.SECCOMP_IOCTL_NOTIF_ADDFD {
			n, _, errno = unix.Syscall(unix.SYS_IOCTL, uintptr(l.fd), request, uintptr(arg))
		} else {
			n, _, errno = unix.RawSyscall(unix.SYS_IOCTL, uintptr(l.fd), request, uintptr(arg))
		}
		switch {
		case errno == 0:
			return int(n), nil
		case errno == unix.EINTR:
		case l.ended.Load():
			return -1, os.NewSyscallError(name, unix.ENOENT) // asked of the file in its place
		case !l.closed.Load():
			return -1, os.NewSyscallError(name, errno)
		}
	}
	return -1, os.ErrClosed
}
