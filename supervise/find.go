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

// find returns a descriptor of ours for the program's end of the file. It looks
// where the program used it last, then everywhere.
func (f *file) find() (int, error) {
	tid, fd := f.where()
	if dup, err := f.at(tid, fd); err == nil {
		return dup, nil
	}
	for _, tid := range f.s.tasks.known() {
		names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", tid))
		if err != nil {
			continue
		}
		for _, name := range names {
			target, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", tid, name.Name()))
			fd, err := strconv.Atoi(name.Name())
			if err != nil || !strings.HasPrefix(target, "socket:") {
				continue
			}
			if dup, err := f.at(tid, fd); err == nil {
				return dup, nil
			}
		}
	}
	return -1, syscall.EBADF
}

// at returns a duplicate of descriptor fd of thread tid if it is the file's.
func (f *file) at(tid uint32, fd int) (int, error) {
	dup, err := f.s.tasks.descriptor(tid, fd)
	if err != nil {
		return -1, err
	}
	if cookie, err := seccomp.Cookie(dup); err != nil || cookie != f.cookie {
		unix.Close(dup)
		return -1, syscall.EBADF
	}
	return dup, nil
}

// known returns the threads that have made a call.
func (t *tasks) known() []uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	tids := make([]uint32, 0, len(t.pidfd))
	for tid := range t.pidfd {
		tids = append(tids, tid)
	}
	return tids
}
