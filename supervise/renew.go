//go:build linux && (amd64 || arm64)

package supervise

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// renew gives the program a fresh socket in the place of one that cannot be
// used again: an AF_UNIX socket that has failed or been shut down once has been
// so for good, where a TCP socket may connect or listen another time (connect(2),
// listen(2)). Only the descriptor that the call is on gets it. Duplicates and an epoll instance keep the old
// one.
//
// From here on the call cannot be interrupted: see seccomp.Listener.Replace.
func (c *call) renew(st *stream) error {
	flags := unix.SOCK_STREAM | unix.SOCK_CLOEXEC
	if c.nonblocking() {
		flags |= unix.SOCK_NONBLOCK
	}
	fd, name, err := c.s.names.socket(flags)
	if err != nil {
		return err
	}
	cookie, err := seccomp.Cookie(fd)
	if err == nil {
		number := int(int32(c.arg(0)))
		err = c.s.listener.Replace(c.n.ID, fd, number, closesOnExec(c.n.TID, number))
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	c.deaf = true
	defer unix.Close(c.dup) // last: its name must not seem free before
	c.dup = fd
	st.mu.Lock()
	defer st.mu.Unlock()
	c.s.files.rename(st.file, cookie)
	st.name, st.far, st.phase = name, nil, fresh
	st.filler, st.shut, st.eof, st.watched, st.err = 0, 0, false, false, nil
	st.sendErr, st.inEnded, st.raised = nil, false, false
	st.out.set(unused)
	st.in.set(unused)
	st.sentAll = make(chan struct{})
	return nil
}

// spent reports whether the program's socket has been connected in vain, or has
// listened and was shut down.
func (st *stream) spent() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.phase == failed || st.phase == fresh && st.shut != 0
}

// closesOnExec reports whether a descriptor of a thread has FD_CLOEXEC.
func closesOnExec(tid uint32, fd int) bool {
	info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", tid, fd))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(info)) {
		if value, found := strings.CutPrefix(line, "flags:"); found {
			flags, err := strconv.ParseUint(strings.TrimSpace(value), 8, 64)
			return err == nil && flags&syscall.O_CLOEXEC != 0
		}
	}
	return false
}
