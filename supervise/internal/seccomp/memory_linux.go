package seccomp

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ReadMemory reads from the memory of a thread's process. Where that ends within p it returns how much it read, and EFAULT.
// What it read may be of another process if the thread has ended: ask Alive.
func ReadMemory(tid int, addr uint64, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	local := [1]unix.Iovec{{Base: &p[0]}}
	local[0].SetLen(len(p))
	remote := [1]unix.RemoteIovec{{Base: uintptr(addr), Len: len(p)}}
	n, err := unix.ProcessVMReadv(tid, local[:], remote[:], 0)
	if withheld(err) {
		n, err = memory(tid, os.O_RDONLY, func(f *os.File) (int, error) { return f.ReadAt(p, int64(addr)) })
	}
	return short(n, len(p), err)
}

// WriteMemory writes to the memory of a thread's process, as ReadMemory reads. Ask Alive before.
func WriteMemory(tid int, addr uint64, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	local := [1]unix.Iovec{{Base: &p[0]}}
	local[0].SetLen(len(p))
	remote := [1]unix.RemoteIovec{{Base: uintptr(addr), Len: len(p)}}
	n, err := unix.ProcessVMWritev(tid, local[:], remote[:], 0)
	if withheld(err) {
		n, err = memory(tid, os.O_WRONLY, func(f *os.File) (int, error) { return f.WriteAt(p, int64(addr)) })
	}
	return short(n, len(p), err)
}

// short makes an error of what is missing.
func short(n, want int, err error) (int, error) {
	switch {
	case err == nil && n < want:
		return max(n, 0), unix.EFAULT
	case errors.Is(err, unix.EIO): // what /proc says of an address that is not mapped
		return max(n, 0), unix.EFAULT
	case err != nil:
		return max(n, 0), err
	}
	return n, nil
}

// withheld reports whether a sandbox or a small kernel refuses process_vm_readv(2), though it may allow the same by /proc.
func withheld(err error) bool { return err == unix.ENOSYS || err == unix.EPERM }

func memory(tid, flag int, do func(*os.File) (int, error)) (int, error) {
	f, err := os.OpenFile("/proc/"+strconv.Itoa(tid)+"/mem", flag, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return do(f)
}
