package seccomp

import (
	"io"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Notification is a stopped call: struct seccomp_notif of linux/seccomp.h.
type Notification struct {
	ID    uint64 // of this stop; never given again by the same listener
	TID   uint32 // the calling thread
	Flags uint32 // none so far
	Nr    int32  // number of the call
	Arch  uint32 // AUDIT_ARCH_*, which says whose numbers these are
	IP    uint64 // where the thread called from
	Args  [6]uint64
}

// Listener takes the stopped calls of one filter and answers them. Its methods may be called from any goroutine at once.
//
// A descriptor that waits in the kernel cannot be closed under it. So whoever ends the waiting puts another file in the
// listener's place, under the same number, and then interrupts all threads: the kernel repeats the call of those that wait,
// which fails on the other file.
type Listener struct {
	watch *os.File // readable once all filtered tasks are gone
	ended atomic.Bool
	done  chan struct{} // closed when watch is done with

	use    sync.RWMutex // held for reading while fd is in use, for writing to close it
	fd     int
	closed atomic.Bool

	replacing sync.Mutex
}

// NewListener takes over a descriptor that Load returned, by way of GetFD if that was another process.
func NewListener(fd int) (*Listener, error) {
	watch, err := watchEnd(fd)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	l := &Listener{watch: watch, done: make(chan struct{}), fd: fd}
	// Where the kernel can (6.6), it lets the two sides take turns on one processor. The answer is the same without.
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	go l.awaitEnd()
	return l, nil
}

// watchEnd returns a file that becomes readable when the last task is gone that has the filter. It is an epoll of its own,
// because the runtime's would wake up for each notification.
func watchEnd(fd int) (*os.File, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	event := unix.EpollEvent{Events: 0, Fd: int32(fd)} // EPOLLHUP comes unasked
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		_ = unix.Close(epoll)
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	if err := unix.SetNonblock(epoll, true); err != nil {
		_ = unix.Close(epoll)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(epoll), "seccomp listener"), nil
}

// awaitEnd makes Receive return io.EOF on kernels before 6.11, which do not end the waiting themselves.
func (l *Listener) awaitEnd() {
	defer close(l.done)
	conn, err := l.watch.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Read(func(fd uintptr) bool {
		events := make([]unix.EpollEvent, 1)
		n, _ := unix.EpollWait(int(fd), events, 0)
		if n == 1 {
			l.ended.Store(true)
			l.replace(int(fd))
		}
		return n == 1
	})
}

// replace puts another file in the listener's place and ends all waiting for it. Which thread waits nobody notes, since that
// would cost each Receive a system call. A thread that comes to wait later finds the other file.
func (l *Listener) replace(other int) {
	l.replacing.Lock()
	defer l.replacing.Unlock()
	_ = unix.Dup3(other, l.fd, unix.O_CLOEXEC)
	threads, _ := os.ReadDir("/proc/self/task")
	for _, thread := range threads {
		if tid, err := strconv.Atoi(thread.Name()); err == nil {
			_ = unix.Tgkill(os.Getpid(), tid, unix.SIGURG) // as the runtime does, which ignores one too many
		}
	}
}

// Receive waits for a call to stop. At the end of the last task with the filter it returns io.EOF; before Linux 6.11 that
// includes zombies, so wait for children elsewhere. After Close it returns os.ErrClosed.
func (l *Listener) Receive(n *Notification) error {
	l.use.RLock()
	defer l.use.RUnlock()
	if l.closed.Load() {
		return os.ErrClosed
	}
	for {
		*n = Notification{} // or the kernel refuses it
		// The kernel fills in the notification by address.
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(l.fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(n)))
		switch {
		case errno == 0:
			return nil
		case l.closed.Load():
			return os.ErrClosed
		case l.ended.Load():
			return io.EOF
		case errno == unix.ENOENT && l.hungUp():
			return io.EOF
		case errno != unix.EINTR && errno != unix.ENOENT: // ENOENT: the task was killed in between
			return os.NewSyscallError("SECCOMP_IOCTL_NOTIF_RECV", errno)
		}
	}
}

// hungUp reports whether no task has the filter any more. RECV fails with ENOENT then, but not only then.
func (l *Listener) hungUp() bool {
	fds := []unix.PollFd{{Fd: int32(l.fd)}}
	n, _ := unix.Poll(fds, 0)
	return n == 1 && fds[0].Revents&unix.POLLHUP != 0
}

// Close ends Receive. Calls that are stopped, and all that would stop later, fail with ENOSYS in the program.
func (l *Listener) Close() error {
	if l.closed.Swap(true) {
		return os.ErrClosed
	}
	_ = l.watch.SetReadDeadline(time.Now()) // ends awaitEnd
	<-l.done
	conn, err := l.watch.SyscallConn()
	if err == nil {
		_ = conn.Control(func(fd uintptr) { l.replace(int(fd)) })
	}
	l.use.Lock()
	defer l.use.Unlock()
	_ = l.watch.Close()
	return os.NewSyscallError("close", unix.Close(l.fd))
}
