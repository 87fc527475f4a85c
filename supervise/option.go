//go:build linux && (amd64 || arm64)

package supervise

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// mostOption bounds the value of an option, in bytes.
const mostOption = 64 << 10

// intSize is sizeof(int), which is the size of most options' values.
const intSize = 4

// setsockopt is setsockopt(2).
func (c *call) setsockopt() (int64, error) {
	level, name, size := int(int32(c.arg(1))), int(int32(c.arg(2))), int(int32(c.arg(4)))
	if size < 0 {
		return 0, syscall.EINVAL
	}
	value := make([]byte, min(size, mostOption))
	switch n, _ := seccomp.ReadMemory(int(c.n.TID), c.arg(3), value); {
	case n == size:
	case n < intSize:
		return 0, syscall.EFAULT
	default:
		value = value[:n] // the kernel reads no more of a value than the option has
	}
	if d := c.datagrams(); d != nil {
		d.flush() // datagrams sent before have what was set before
	}
	if err := c.f.sock.SetSockOpt(level, name, value); err != nil {
		return 0, err
	}
	if level == unix.SOL_SOCKET {
		c.mirror(name, value)
	}
	return 0, nil
}

// mirror sets an option of the program's socket too, where it changes what the
// kernel does when the program reads and writes. The value is good: the Socket
// has taken it.
func (c *call) mirror(name int, value []byte) {
	switch name {
	case unix.SO_RCVTIMEO, unix.SO_SNDTIMEO, unix.SO_RCVTIMEO_NEW, unix.SO_SNDTIMEO_NEW:
		const timeval = 16 // bytes of struct timeval, old and new: this is a 64-bit system
		if len(value) >= timeval {
			unix.SetsockoptString(c.dup, unix.SOL_SOCKET, name, string(value[:timeval]))
		}
		return
	}
	if len(value) < 4 {
		return
	}
	if name == unix.SO_PEEK_OFF && c.datagrams() != nil {
		unix.SetsockoptString(c.dup, unix.SOL_SOCKET, name, string(value[:4]))
	}
	st := c.stream()
	if st == nil {
		return
	}
	n := int(int32(binary.NativeEndian.Uint32(value)))
	switch name {
	case unix.SO_RCVLOWAT:
		unix.SetsockoptInt(c.dup, unix.SOL_SOCKET, name, n)
	case unix.SO_SNDBUF, unix.SO_SNDBUFFORCE:
		st.limit(&st.sndbuf, n, c.dup)
	case unix.SO_RCVBUF, unix.SO_RCVBUFFORCE:
		st.limit(&st.rcvbuf, n, -1)
	}
}

// getsockopt is getsockopt(2).
func (c *call) getsockopt() (int64, error) {
	level, name := int(int32(c.arg(1))), int(int32(c.arg(2)))
	size, err := c.room(c.arg(4))
	if err != nil {
		return 0, err
	}
	value, err := c.option(level, name, min(size, mostOption))
	if err != nil {
		return 0, err
	}
	value = value[:min(len(value), size)]
	return 0, c.putCut(value, value, c.arg(3), c.arg(4))
}

// option returns the value of an option, of at most size bytes.
func (c *call) option(level, name, size int) ([]byte, error) {
	value, err := c.f.sock.GetSockOpt(level, name, size)
	if err != nil || level != unix.SOL_SOCKET || name != unix.SO_ERROR {
		return value, err
	}
	if d := c.datagrams(); d != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		if err := d.takeErrorLocked(c.dup); err != nil && size >= 4 {
			binary.LittleEndian.PutUint32(value, uint32(errnoOf(err)))
		}
		return value, nil
	}
	pending, failed := unix.GetsockoptInt(c.dup, level, name) // which clears it
	if st := c.stream(); st != nil && size >= 4 {
		st.mu.Lock()
		defer st.mu.Unlock()
		if st.raised && pending == 0 && failed == nil {
			st.err = nil // a call that the kernel answered has told of it
		}
		if st.err != nil && sockets.Errno(binary.LittleEndian.Uint32(value)) == 0 {
			binary.LittleEndian.PutUint32(value, uint32(errnoOf(st.err)))
		}
		st.err = nil
	}
	return value, nil
}
