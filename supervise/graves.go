//go:build linux && (amd64 || arm64)

package supervise

import (
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

// A roll is the list as it was at some time, so that to look for many sockets
// does not mean to read it for each. The zero value has not been read.
type roll struct{ cookies map[uint64]struct{} }

// open reports whether the socket with that cookie, which was put on the list,
// is still open.
func (r *roll) open(g *graves, cookie uint64) bool {
	if _, listed := r.cookies[cookie]; listed {
		return true
	}
	cookies, err := g.read() // again, since it may have been put there later
	if err != nil {
		return true
	}
	r.cookies = cookies
	_, listed := cookies[cookie]
	return listed
}

// read returns the list.
func (g *graves) read() (cookies map[uint64]struct{}, err error) {
	list, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", g.fd))
	if err != nil {
		return nil, err
	}
	cookies = make(map[uint64]struct{})
	for line := range bytes.Lines(list) {
		_, data, found := bytes.Cut(line, []byte("data:"))
		if !found {
			continue
		}
		word, _, _ := bytes.Cut(bytes.TrimSpace(data), []byte(" "))
		if n, err := strconv.ParseUint(string(word), 16, 64); err == nil {
			cookies[n] = struct{}{}
		}
	}
	return cookies, nil
}

func (g *graves) close() {
	g.once.Do(func() { g.err = os.ErrClosed })
	if g.err == nil {
		unix.Close(g.fd)
	}
}
