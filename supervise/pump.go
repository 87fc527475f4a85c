//go:build linux && (amd64 || arm64)

package supervise

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
)

// Each direction of a connection rests until the exchange hears that there is
// something to move. What fits into a small buffer, and goes on at once, is moved
// by the goroutine that hears of it, without waiting for anything. For all else,
// more bytes, a peer that does not take them, an end or an error, the direction
// gets a goroutine of its own, until there is nothing more to move.

// Sizes of the buffers that bytes pass through, in bytes. A direction that rests
// has none.
const (
	smallBuffer = 16 << 10
	largeBuffer = 256 << 10
)

// patient is how long a pump waits: SO_RCVTIMEO and SO_SNDTIMEO are the
// program's, and hold for its own calls.
const patient = sockets.Within(sockets.NoTimeout)

// buffers of each size that nobody uses now.
var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

// A direction of a connection.
type direction struct {
	mu    sync.Mutex // held while bytes are moved without waiting
	doing doing
	again bool          // there may be more than the goroutine has seen
	more  chan struct{} // wakes the goroutine
}

// lingering is how long a goroutine waits for more to move before it lets the
// exchange do that: where much is moved, there soon is.
const lingering = 50 * time.Millisecond

// goLocked lets a goroutine look after the direction.
func (d *direction) goLocked(w *crew, move func()) {
	d.doing, d.again = moving, false
	if d.more == nil {
		d.more = make(chan struct{}, 1)
	}
	w.Go(move)
}

// linger waits until there may be more to move, and reports whether there may.
func (d *direction) linger(far *end) bool {
	t := time.NewTimer(lingering)
	defer t.Stop()
	select {
	case <-d.more:
	case <-far.closed:
	case <-t.C:
		return false
	}
	return true
}

// doing is who looks after a direction.
type doing int

const (
	unused  doing = iota // nobody yet
	resting              // the exchange
	moving               // a goroutine
	closing              // the exchange, for the program to close a socket that it has shut down
	over                 // nobody any more
)

func (d *direction) set(now doing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.doing, d.again = now, false
}

// A parcel is what was taken from one side and is not yet with the other: bytes,
// in a buffer that goes back to its pool, or why there are none.
type parcel struct {
	buffer *[smallBuffer]byte
	data   []byte
	err    error
}

// startLocked begins to move bytes.
func (st *stream) startLocked() {
	st.phase = connected
	st.out.set(resting)
	st.in.set(resting)
	st.far.want(unix.EPOLLIN, 0)
	st.s.exchange.follow(st.sock, st.arrived)
}

// onFar calls f with the descriptor of our end, unless that is closed.
func (st *stream) onFar(f func(fd int)) { st.far.use(f) }

func (st *stream) isShut(s shut) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.shut&s == s
}

// peerEnded reports whether the peer sends no more, so that we have shut our end
// for writing.
func (st *stream) peerEnded() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.eof
}

// hungUp reports whether a socket's peer has closed it, or both directions are
// shut.
func hungUp(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(p, 0)
	return err == nil && n == 1 && p[0].Revents&unix.POLLHUP != 0
}
