//go:build linux && (amd64 || arm64)

package supervise

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
)

// shutdown is shutdown(2). On a connection it is done to the program's socket:
// what was sent before goes first, and our end reads that there is no more.
func (c *call) shutdown() (int64, error) {
	how := int(int32(c.arg(1)))
	st := c.stream()
	if st == nil {
		return c.shutdownDatagram(how)
	}
	if how < unix.SHUT_RD || how > unix.SHUT_RDWR {
		return 0, syscall.EINVAL
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.phase != connected {
		return 0, st.shutUnconnectedLocked(c.dup, how)
	}
	st.shut |= []shut{unix.SHUT_RD: shutRead, unix.SHUT_WR: shutWrite, unix.SHUT_RDWR: shutRead | shutWrite}[how]
	st.watchLocked(c.dup)
	if _, err := st.sock.GetPeerName(); errnoOf(err) == syscall.ENOTCONN {
		unix.Shutdown(c.dup, how)
		return 0, err // both directions have ended
	}
	return 0, unix.Shutdown(c.dup, how)
}

// shutUnconnectedLocked ends listening, or says that there is nothing to shut.
func (st *stream) shutUnconnectedLocked(fd, how int) error {
	if err := st.sock.Shutdown(sockets.How(how)); err != nil || st.phase != listening || how == unix.SHUT_WR {
		return err
	}
	st.noMore()
	st.s.listeners.remove(st)
	st.phase, st.shut = fresh, shutRead|shutWrite // see spent
	notify(st.came)
	st.s.work.Go(st.acceptAll) // which drops what it keeps
	resetAll(st.waiting, st.refused)
	st.waiting, st.refused = nil, nil
	return unix.Shutdown(fd, unix.SHUT_RDWR)
}
