//go:build linux && (amd64 || arm64)

package supervise

import (
	"errors"

	"golang.org/x/sys/unix"
)

// sendFailed notes why sending has ended, and reports whether receiving has
// ended before, and with no error: the stack tells one only once.
func (st *stream) sendFailed(err error) (alone bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.sendErr = err
	return st.inEnded
}

// errReset says that the program has closed the socket and left data unread,
// upon which TCP sends a reset.
var errReset = errors.New("the program left data unread")

// refuseMore is what follows when the stack takes no more bytes: the connection
// has failed. Inward hears of it too, but maybe not before the program has read
// what arrived earlier, and that may be waiting to send: it is woken by room and
// finds that nobody listens.
func (st *stream) refuseMore() {
	st.poke()
	st.onFar(func(fd int) {
		unix.Shutdown(fd, unix.SHUT_RD)
		var p [4096]byte
		for { // all but a byte: see poke
			n, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
			if err != nil || n <= 1 {
				return
			}
			if n, _ = unix.Read(fd, p[:min(n-1, len(p))]); n <= 0 {
				return
			}
		}
	})
}

// reset passes on that the connection has failed: what the program has not read
// yet it still can, then it gets ECONNRESET.
func (st *stream) reset(cause error) {
	st.mu.Lock()
	if st.phase != connected {
		st.mu.Unlock()
		return
	}
	st.phase, st.err = dead, cause
	far, sentAll := st.far, st.sentAll
	st.mu.Unlock()
	st.stopOutward()
	<-sentAll // nobody reads from the program any more
	st.poke()
	raised := st.unread()
	st.bury()
	far.close()
	st.mu.Lock()
	st.raised = raised
	st.mu.Unlock()
}

// bury lets a sweep find out when the program closes a socket from accept, once
// our end of it is closed.
func (st *stream) bury() {
	st.mu.Lock()
	known := !st.given || st.watched || st.name != "" // see handOver and stale
	st.mu.Unlock()
	if known {
		return
	}
	fd, err := st.find()
	if err != nil {
		st.end() // nobody has it any more
		return
	}
	defer unix.Close(fd)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.watchLocked(fd)
}

// poke makes sure that there is something unread in our end, because only then
// does closing it tell the program of a reset.
func (st *stream) poke() {
	st.mu.Lock()
	given := st.given
	st.mu.Unlock()
	if !given || st.unread() {
		return
	}
	fd, err := st.find()
	if err != nil {
		return // nobody has it any more
	}
	defer unix.Close(fd)
	unix.SendmsgN(fd, []byte{0}, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

func (st *stream) unread() bool {
	n := 0
	st.onFar(func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.SIOCINQ) })
	return n > 0
}
