//go:build linux && (amd64 || arm64)

package supervise

import (
	"context"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
)

// A stream is a TCP socket. The program has an AF_UNIX stream socket for it,
// unconnected at first and so as unusable as a fresh TCP socket. Listening, it
// really listens, and we connect to it once for each connection that the stack
// accepts. Connecting, it is connected to a socket of ours, far, between which
// and the Socket the bytes are moved.
type stream struct {
	*file
	name string // of the program's socket; "" if it came from accept

	mu      sync.Mutex
	phase   phase
	far     *end               // ours, once there is one
	filler  int                // bytes in front of what the program has sent: see fill
	shut    shut               // what the program has shut
	eof     bool               // the peer sends no more
	given   bool               // the program has it, as one from accept has not at first
	watched bool               // the graves have it
	sendErr error              // why the stack took no more
	inEnded bool               // inward has ended, without an error
	sndbuf  int                // SO_SNDBUF in bytes, 0 until the program sets it
	rcvbuf  int                // SO_RCVBUF
	err     error              // what ended the connection, until the program asks
	raised  bool               // the program's socket has been given that error
	waiting []*stream          // of a listener: connections that its native queue holds, nil for one in refused
	refused []acceptable       // of a listener: connections that the program had no room for
	came    chan struct{}      // of a listener: a connection may have come
	ctx     context.Context    // of a listener: done when it accepts no more
	noMore  context.CancelFunc // of a listener: stops to accept

	full      atomic.Bool // of a listener: kept waits for room in the native queue
	accepting sync.Mutex
	kept      *stream // guarded by accepting

	out, in direction     // from the program, and to it
	sentAll chan struct{} // closed when nothing more comes from the program
}

// A phase is how far a stream has got.
type phase int

const (
	fresh phase = iota
	listening
	connecting // without blocking: the program may poll for the end
	connected
	failed // an attempt to connect has, of which the program has heard or will
	dead   // the connection has failed, or everything has ended
)

// shut is a set of directions.
type shut int

const (
	shutRead shut = 1 << iota
	shutWrite
)

// newStream returns the program's socket for f.
func newStream(f *file, flags int) (fd int, err error) {
	if err := f.s.exchange.start(f.s); err != nil {
		return -1, err
	}
	fd, name, err := f.s.names.socket(unix.SOCK_STREAM | flags)
	if err != nil {
		return -1, err
	}
	f.kind = &stream{file: f, name: name, given: true, sentAll: make(chan struct{})}
	return fd, nil
}

// stream returns the stream that the call is on, nil if it is on something else.
func (c *call) stream() *stream {
	st, _ := c.f.kind.(*stream)
	return st
}

// join connects the program's socket, for which fd is a descriptor, to a new
// socket of ours.
func (st *stream) joinLocked(fd int) error {
	far, err := st.s.names.join(fd, st.name)
	if err != nil {
		return err
	}
	widen(far, st.rcvbuf)
	st.far = st.s.exchange.newEnd(far, st.ready)
	return nil
}

// bufferSize is how many bytes may be on their way between the program and us,
// each way, unless the program sets SO_SNDBUF or SO_RCVBUF to less. The kernel
// doubles it, for its own needs, and may allow less (net.core.wmem_max).
const bufferSize = 512 << 10

// widen gives a socket the buffer for what is written to it. On a socket that
// was full it makes the kernel tell all that wait that there is room. The limit
// is what the program has asked for, 0 for nothing.
func widen(fd, limit int) {
	if limit <= 0 || limit > bufferSize {
		limit = bufferSize
	}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, limit)
}

// limit notes that the program wants a buffer to have n bytes, and changes that
// of the program's socket, fd, or of ours if fd is -1.
func (st *stream) limit(buf *int, n, fd int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	*buf = max(n, 1)
	switch {
	case st.phase != connected:
	case fd >= 0:
		widen(fd, *buf)
	default:
		st.onFar(func(far int) { widen(far, *buf) })
	}
}

// fillLocked makes the program's socket refuse more data, as that of a TCP
// connection does that is not yet established, by filling it with bytes that
// are thrown away later.
func (st *stream) fillLocked(fd int) {
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 0) // means the least
	var block [2048]byte
	for {
		n, err := unix.SendmsgN(fd, block[:], nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return
		}
		st.filler += n
	}
}

// stale implements kind: a socket that is not connected, or no more, has no peer
// that would notice its end, so that we look whether its name is free, or in the
// graves if it has none. One that was shut down in both directions looks closed
// to its peer already.
func (st *stream) stale(r *roll) bool {
	st.mu.Lock()
	name, cookie, watched := st.name, st.cookie, st.watched
	alone := st.far == nil || st.phase == failed || st.phase == dead
	st.mu.Unlock()
	switch {
	case alone && name != "":
		if st.s.names.held(unix.SOCK_STREAM, name) {
			return false
		}
	case !watched || r.open(&st.s.graves, cookie):
		return false
	case st.sending():
		st.s.soon()
		return false
	}
	st.mu.Lock()
	renewed := st.cookie != cookie
	st.mu.Unlock()
	if renewed {
		return false
	}
	st.end()
	return true
}

// sending reports whether what the program has sent may still be on its way to the
// stack. That goes first, also when the program has closed the socket.
func (st *stream) sending() bool {
	sent := st.flushed()
	if sent == nil {
		return false
	}
	select {
	case <-sent:
		return false
	default:
		return true
	}
}

// watchLocked has the graves tell when the program closes the socket, for which
// fd is a descriptor.
func (st *stream) watchLocked(fd int) {
	if !st.watched {
		st.watched = st.s.graves.watch(fd, st.cookie) == nil
	}
}

// flushed implements kind.
func (st *stream) flushed() <-chan struct{} {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.phase != connected {
		return nil
	}
	return st.sentAll
}

// end implements kind.
func (st *stream) end() {
	st.mu.Lock()
	far, stop, waiting, refused := st.far, st.noMore, st.waiting, st.refused
	st.waiting, st.refused = nil, nil
	st.phase = dead
	st.mu.Unlock()
	if stop != nil {
		stop()
		st.s.listeners.remove(st)
	}
	st.s.exchange.leave(st.sock)
	st.forget()
	if stop != nil {
		st.acceptAll() // which drops what it keeps
	}
	if far != nil {
		st.stopOutward()
		far.close()
	}
	resetAll(waiting, refused)
}

// resetAll ends the connections of a listener that the program has not accepted.
func resetAll(waiting []*stream, refused []acceptable) {
	for _, w := range waiting {
		if w != nil {
			w.abort()
		}
	}
	for _, r := range refused {
		unix.Close(r.fd)
		r.conn.abort()
	}
}

// abort ends a connection with a reset.
func (st *stream) abort() {
	if st.sock != nil {
		st.sock.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_LINGER, lingerNot)
	}
	st.end()
}

// lingerNot is struct linger {1, 0}: closing resets the connection (socket(7)).
var lingerNot = []byte{1, 0, 0, 0, 0, 0, 0, 0}
