//go:build linux && (amd64 || arm64)

package supervise

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// graves tells which sockets of the program are still open anywhere, without
// keeping them open. It is an epoll instance on which nobody waits: the kernel
// takes a file off its list when the last descriptor is closed, and shows the
// list in /proc (epoll(7), proc_pid_fdinfo(5)).
type graves struct {
	once sync.Once
	fd   int
	err  error
}

// watch puts the socket with that cookie, for which fd is a descriptor, on the
// list.
func (g *graves) watch(fd int, cookie uint64) error {
	g.once.Do(func() { g.fd, g.err = unix.EpollCreate1(unix.EPOLL_CLOEXEC) })
	if g.err != nil {
		return g.err
	}
	// The list is by descriptor number as well: a number must not come twice.
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(own)
	return unix.EpollCtl(g.fd, unix.EPOLL_CTL_ADD, own, &unix.EpollEvent{
		Fd: int32(uint32(cookie)), Pad: int32(uint32(cookie >> 32)),
	})
}

// open reports whether the socket with that cookie, which was put on the list,
// is still open.
func (g *graves) open(cookie uint64) bool {
	list, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", g.fd))
	if err != nil {
		return true
	}
	for lines := bufio.NewScanner(bytes.NewReader(list)); lines.Scan(); {
		_, data, found := bytes.Cut(lines.Bytes(), []byte("data:"))
		if !found {
			continue
		}
		word, _, _ := bytes.Cut(bytes.TrimSpace(data), []byte(" "))
		if n, err := strconv.ParseUint(string(word), 16, 64); err == nil && n == cookie {
			return true
		}
	}
	return false
}

func (g *graves) close() {
	g.once.Do(func() { g.err = os.ErrClosed })
	if g.err == nil {
		unix.Close(g.fd)
	}
}
