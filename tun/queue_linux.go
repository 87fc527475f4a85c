package tun

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// queue is one descriptor of a device. Go's poller waits for it; the step
// functions below do the system calls when it says that there is something to
// do, and are called again when they return false.
type queue struct {
	file     *os.File
	conn     syscall.RawConn
	features uint64
	skip     int // bytes of each packet that the kernel does not see: HeaderSize without IFF_VNET_HDR, else 0
	monitor  *monitor

	rx, tx   transfer
	pollStep func(fd uintptr) bool // rx.step that never asks to wait
	yields   yields
	written  atomic.Uint64 // packets
}

// smallPacket is the size, in bytes with its header, below which a packet that
// was waited for is handed on at once: it is alone then, as a rule, and to ask for
// another would take a system call for nothing. Bulk comes in larger ones.
const smallPacket = 1024

// transfer is one direction of a queue: the call under way, and what is kept
// between calls so that none of them allocates. op, step and wait are bound
// once: a method value made at each call would be an allocation.
type transfer struct {
	op   string
	step func(fd uintptr) bool
	wait func(step func(fd uintptr) bool) error

	turn    sync.Mutex // held by the caller whose call is under way; Close does not need it
	packets [][][]byte
	sizes   []int
	n       int  // packets done
	waited  bool // there was no packet at first
	errno   syscall.Errno
	iov     []unix.Iovec
}

// newQueue makes a queue of a non-blocking file and owns it from here on.
func newQueue(file *os.File, features uint64, skip int) (*queue, error) {
	conn, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	q := &queue{file: file, conn: conn, features: features, skip: skip, monitor: newMonitor()}
	q.rx.op, q.rx.step, q.rx.wait = "readv", q.readStep, conn.Read
	q.pollStep = func(fd uintptr) bool {
		q.rx.waited = true // by whoever polls
		q.readStep(fd)
		return true
	}
	q.tx.op, q.tx.step, q.tx.wait = "writev", q.writeStep, conn.Write
	return q, nil
}

func (q *queue) close() error {
	q.monitor.stop()
	return q.file.Close()
}

func (q *queue) read(packets [][][]byte, sizes []int) (int, error) {
	for _, p := range packets {
		if room(p) <= HeaderSize {
			return 0, q.error(q.rx.op, syscall.EINVAL)
		}
	}
	q.yields.sleep()
	return q.do(&q.rx, q.rx.step, packets, sizes)
}

// poll is read that does not wait.
func (q *queue) poll(packets [][][]byte, sizes []int) (int, error) {
	for _, p := range packets {
		if room(p) <= HeaderSize {
			return 0, q.error(q.rx.op, syscall.EINVAL)
		}
	}
	n, err := q.do(&q.rx, q.pollStep, packets, sizes)
	if q.yields.after(n, q.written.Load()) {
		syscall.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
	return n, err
}

func (q *queue) write(packets [][][]byte) (int, error) {
	return q.do(&q.tx, q.tx.step, packets, nil)
}

// do does one call.
func (q *queue) do(t *transfer, step func(fd uintptr) bool, packets [][][]byte, sizes []int) (int, error) {
	t.turn.Lock()
	defer t.turn.Unlock()
	t.packets, t.sizes, t.n, t.errno, t.waited = packets, sizes, 0, 0, false
	err := t.wait(step)
	t.packets, t.sizes = nil, nil
	switch {
	case err != nil:
		return t.n, q.error(t.op, pollerError(q.conn))
	case t.errno != 0:
		return t.n, q.error(t.op, t.errno)
	}
	return t.n, nil
}

// pollerError finds out why the poller refuses the descriptor: it has been
// closed, or the interface is gone. A poll then reports only an error
// condition, which Go's poller takes for a descriptor that cannot be polled
// (TestInterfaceDeleted).
func pollerError(conn syscall.RawConn) error {
	var cause error
	if err := conn.Control(func(fd uintptr) { _, _, cause = attached(int(fd)) }); err != nil {
		return os.ErrClosed
	}
	if errno, ok := errors.AsType[syscall.Errno](cause); ok {
		return errno
	}
	return syscall.EIO
}

func (q *queue) error(op string, err error) error {
	return &os.PathError{Op: op, Path: q.file.Name(), Err: err}
}

func (q *queue) readStep(fd uintptr) bool {
	t := &q.rx
	for t.n < len(t.packets) {
		packet := t.packets[t.n]
		size, errno := t.call(q.monitor, unix.SYS_READV, fd, packet, q.skip)
		switch errno {
		case 0:
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			t.waited = t.n == 0
			return t.n > 0
		default:
			t.errno = errno
			return true
		}
		if q.features == 0 {
			clearHeader(packet) // there is none, or it says only DATA_VALID, which was not agreed on
		}
		t.sizes[t.n] = size + q.skip
		t.n++
		if t.waited && size < smallPacket {
			return true
		}
	}
	return true
}

func (q *queue) writeStep(fd uintptr) bool {
	t := &q.tx
	for t.n < len(t.packets) {
		packet := t.packets[t.n]
		if !writable(packet, q.features) {
			t.errno = syscall.EINVAL
			return true
		}
		switch _, errno := t.call(q.monitor, unix.SYS_WRITEV, fd, packet, q.skip); errno {
		case 0:
			t.n++
			q.written.Add(1)
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			t.errno = errno
			return true
		}
	}
	return true
}

// call does a readv or writev of a packet without its first skip bytes.
func (t *transfer) call(m *monitor, trap, fd uintptr, packet [][]byte, skip int) (int, syscall.Errno) {
	iov := t.iov[:0]
	for _, part := range packet {
		if skip >= len(part) {
			skip -= len(part)
			continue
		}
		part, skip = part[skip:], 0
		v := unix.Iovec{Base: unsafe.SliceData(part)} // the kernel's ABI wants an address
		v.SetLen(len(part))
		iov = append(iov, v)
	}
	var n uintptr
	var errno syscall.Errno
	if m.due() {
		n, _, errno = syscall.Syscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(iov))), uintptr(len(iov)))
	} else {
		n, _, errno = syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(iov))), uintptr(len(iov)))
	}
	clear(iov) // do not keep the caller's buffers alive
	t.iov = iov
	return int(n), errno
}
