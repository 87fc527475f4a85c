package seccomp

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Disconnect dissolves the association of a datagram socket: connect(2) with AF_UNSPEC, an address that package unix does not
// have.
func Disconnect(fd int) error {
	unspecified := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	for {
		// The kernel reads the address by address.
		_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&unspecified)), unsafe.Sizeof(unspecified))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return os.NewSyscallError("connect", errno)
		}
	}
}
