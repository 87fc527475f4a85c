package seccomp

import (
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bounds of what one call transfers on Linux.
const (
	maxVectors = 1024       // UIO_MAXIOV of linux/uio.h
	maxBytes   = 0x7ffff000 // MAX_RW_COUNT of linux/fs.h, with pages of 4 KiB
)

// Vectors are the pieces that a program's array of struct iovec names.
type Vectors []unix.RemoteIovec

// ReadVectors reads an array of struct iovec. It fails as sendmsg(2) does: with EMSGSIZE if there are more than 1024, with
// EINVAL if one has a negative length, and with EFAULT. Together they are at most about 2 GiB; what lies beyond is cut off.
func ReadVectors(tid int, addr uint64, count uint64) (Vectors, error) {
	if count > maxVectors {
		return nil, unix.EMSGSIZE
	}
	if count == 0 {
		return nil, nil
	}
	v := make(Vectors, count)
	// The program's array has the layout of ours, so its bytes can be read straight into it.
	raw := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(v[0])))
	if _, err := ReadMemory(tid, addr, raw); err != nil {
		return nil, err
	}
	left := maxBytes
	for i := range v {
		if v[i].Len < 0 {
			return nil, unix.EINVAL
		}
		v[i].Len = min(v[i].Len, left)
		left -= v[i].Len
	}
	return v, nil
}

// Len is how many bytes the pieces have together.
func (v Vectors) Len() (n int) {
	for i := range v {
		n += v[i].Len
	}
	return n
}

// Gather reads the pieces one after the other into p, as much as there is of both. Like ReadMemory it stops at the first
// address that is not readable, with EFAULT and how much it read.
func (v Vectors) Gather(tid int, p []byte) (int, error) { return reading.vectors(tid, v, p) }

// Scatter writes p to the pieces, one after the other, as Gather reads them.
func (v Vectors) Scatter(tid int, p []byte) (int, error) { return writing.vectors(tid, v, p) }

func (c copier) vectors(tid int, v Vectors, p []byte) (int, error) {
	p = p[:min(len(p), v.Len())]
	if len(p) == 0 {
		return 0, nil
	}
	local := [1]unix.Iovec{{Base: unsafe.SliceData(p)}} // the kernel's ABI wants an address
	local[0].SetLen(len(p))
	n, err := c.vm(tid, local[:], v) // which ends where the shorter side ends
	if !withheld(err) {
		return short(n, len(p), err)
	}
	return c.vectorsByFile(tid, v, p, err)
}

// vectorsByFile is byFile for vectors, a few at a time so that p can stay on the caller's stack.
func (c copier) vectorsByFile(tid int, v Vectors, p []byte, otherwise error) (int, error) {
	total := 0
	for group := range slices.Chunk(v, maxSegments) {
		var list [maxSegments]Segment
		want := 0
		for i, piece := range group {
			list[i] = Segment{uint64(piece.Base), p[:min(piece.Len, len(p))]}
			p = p[len(list[i].Data):]
			want += len(list[i].Data)
		}
		if want == 0 {
			continue
		}
		n, err := c.byFile(tid, list[:len(group)], otherwise)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
