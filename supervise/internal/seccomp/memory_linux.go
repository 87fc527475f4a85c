package seccomp

import (
	"math"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Segment is a piece of another process's memory: where it is there, and its bytes.
type Segment struct {
	Addr uint64
	Data []byte
}

// ReadMemory reads from the memory of a thread's process. At the first address that is not readable there it stops, with
// EFAULT and how much it read. What it read may be another process's if the thread has ended: ask Alive.
func ReadMemory(tid int, addr uint64, p []byte) (int, error) {
	return reading.segments(tid, []Segment{{addr, p}})
}

// WriteMemory writes to the memory of a thread's process, as ReadMemory reads. Ask Alive before.
func WriteMemory(tid int, addr uint64, p []byte) (int, error) {
	return writing.segments(tid, []Segment{{addr, p}})
}

// ReadSegments is ReadMemory for several pieces at the cost of one, in their order: up to 8 of them.
func ReadSegments(tid int, s ...Segment) (int, error) { return reading.segments(tid, s) }

// WriteSegments is WriteMemory for several pieces at the cost of one, in their order: up to 8 of them.
func WriteSegments(tid int, s ...Segment) (int, error) { return writing.segments(tid, s) }

// maxSegments keeps the lists for the kernel off the heap.
const maxSegments = 8

// copier is a direction to copy in. It branches where it could have function values, through which every buffer of a caller
// would escape to the heap.
type copier int

const (
	reading copier = unix.O_RDONLY
	writing copier = unix.O_WRONLY
)

// vm copies by process_vm_readv(2) or its counterpart.
func (c copier) vm(tid int, local []unix.Iovec, remote []unix.RemoteIovec) (int, error) {
	if c == writing {
		return unix.ProcessVMWritev(tid, local, remote, 0)
	}
	return unix.ProcessVMReadv(tid, local, remote, 0)
}

// mem copies by a file.
func (c copier) mem(fd int, p []byte, offset int64) (int, error) {
	if c == writing {
		return unix.Pwrite(fd, p, offset)
	}
	return unix.Pread(fd, p, offset)
}

func (c copier) segments(tid int, list []Segment) (int, error) {
	if len(list) > maxSegments {
		return 0, unix.EINVAL
	}
	want := 0
	for _, s := range list {
		want += len(s.Data)
	}
	if want == 0 {
		return 0, nil
	}
	n, err := c.direct(tid, list)
	if withheld(err) {
		return c.byFile(tid, list, err)
	}
	return short(n, want, err)
}

// direct copies at most maxSegments pieces with one call of the kernel.
func (c copier) direct(tid int, list []Segment) (int, error) {
	var local [maxSegments]unix.Iovec
	var remote [maxSegments]unix.RemoteIovec
	for i, s := range list {
		local[i].Base = unsafe.SliceData(s.Data) // the kernel's ABI wants an address
		local[i].SetLen(len(s.Data))
		remote[i] = unix.RemoteIovec{Base: uintptr(s.Addr), Len: len(s.Data)}
	}
	return c.vm(tid, local[:len(list)], remote[:len(list)])
}

// short makes an error of what is missing.
func short(n, want int, err error) (int, error) {
	if err == nil && n < want {
		err = unix.EFAULT
	}
	return max(n, 0), err
}

// withheld reports whether a sandbox or a small kernel refuses process_vm_readv(2), though it may allow the same by /proc.
func withheld(err error) bool { return err == unix.ENOSYS || err == unix.EPERM }

// byFile copies by /proc/PID/mem, one piece after the other. It reaches pages as well that are closed to the program itself.
// If the file cannot be had either, the error is the given one.
func (c copier) byFile(tid int, list []Segment, otherwise error) (n int, err error) {
	fd, err := unix.Open("/proc/"+strconv.Itoa(tid)+"/mem", int(c)|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, otherwise
	}
	defer unix.Close(fd)
	for _, s := range list {
		for done := 0; done < len(s.Data); {
			addr := s.Addr + uint64(done)
			if addr > math.MaxInt64 {
				return n, unix.EFAULT
			}
			m, err := c.mem(fd, s.Data[done:], int64(addr))
			switch {
			case err == unix.EINTR:
				continue
			case err == unix.EIO || err == nil && m == 0: // nothing there; or no process any more
				return n, unix.EFAULT
			case err != nil:
				return n, err
			}
			done += m
			n += m
		}
	}
	return n, nil
}
