//go:build linux && (amd64 || arm64)

package supervise

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
)

// Sizes of the buffers that bytes pass through. Each direction of a connection
// has a small one, since most are idle; what fills it gets a large one for as
// long as there is more.
const (
	smallBuffer = 4 << 10
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

// outward moves bytes from the program to the stack until the program sends no
// more. It owns sentAll.
func (st *stream) outward() {
	small := smallBuffers.Get().(*[smallBuffer]byte)
	var err error
	for err == nil {
		err = st.sendSome(small[:])
	}
	smallBuffers.Put(small)
	close(st.sentAll)
	switch {
	case errors.Is(err, io.EOF):
		st.programEnded()
	case errors.Is(err, errReset):
		st.abort()
	case !errors.Is(err, os.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded):
		st.refuseMore()
		if st.sendFailed(err) {
			st.reset(err)
		}
	}
}

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
		var p [smallBuffer]byte
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

// onFar calls f with the descriptor of our end, unless that is closed.
func (st *stream) onFar(f func(fd int)) {
	if conn, err := st.far.SyscallConn(); err == nil {
		conn.Control(func(fd uintptr) { f(int(fd)) })
	}
}

// sendSome sends what the program has written, after waiting for it.
func (st *stream) sendSome(small []byte) error {
	n, err := st.far.Read(small)
	if err != nil {
		return ended(err)
	}
	if err := st.send(small[:n]); err != nil || n < len(small) {
		return err
	}
	large := largeBuffers.Get().(*[largeBuffer]byte)
	defer largeBuffers.Put(large)
	conn, err := st.far.SyscallConn()
	if err != nil {
		return err
	}
	for {
		rerr := conn.Read(func(fd uintptr) bool {
			n, err = unix.Read(int(fd), large[:])
			return true
		})
		switch {
		case rerr != nil:
			return rerr
		case err == unix.EAGAIN:
			return nil
		case err == unix.EINTR:
			continue
		case err != nil:
			return ended(err)
		case n == 0:
			return io.EOF
		}
		if err := st.send(large[:n]); err != nil {
			return err
		}
	}
}

// ended is what an error of reading from the program means.
func ended(err error) error {
	if errors.Is(err, syscall.ECONNRESET) {
		return errReset
	}
	return err
}

// send gives bytes to the stack, without the filler in front of them.
func (st *stream) send(p []byte) error {
	if st.filler > 0 { // nobody else looks at it once the connection is established
		n := min(st.filler, len(p))
		st.filler -= n
		if p = p[n:]; len(p) == 0 {
			return nil
		}
	}
	n, err := st.sock.SendAll(p, patient)
	st.s.counts.sent.Add(uint64(n))
	return err
}

// programEnded is what follows the end of what the program sends: it has closed
// the socket, or shut that direction down.
func (st *stream) programEnded() {
	if st.isShut(shutWrite) {
		st.sock.Shutdown(sockets.SHUT_WR)
		st.awaitClose()
		return
	}
	st.end() // nothing is unread, or there would have been a reset
}

func (st *stream) isShut(s shut) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.shut&s == s
}

// awaitClose waits until the program has closed a socket that it has shut down,
// and ends it. Where our end has hung up because both directions are shut, only
// a sweep can tell.
func (st *stream) awaitClose() {
	conn, err := st.far.SyscallConn()
	if err != nil {
		return
	}
	err = conn.Read(func(fd uintptr) bool { return hungUp(int(fd)) })
	if err == nil && !st.isShut(shutRead) && !st.peerEnded() {
		st.end()
	}
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

// inward moves bytes from the stack to the program until the peer sends no more,
// then watches for a reset.
func (st *stream) inward() {
	small := smallBuffers.Get().(*[smallBuffer]byte)
	var err error
	for err == nil {
		err = st.receiveSome(small[:])
	}
	smallBuffers.Put(small)
	if errors.Is(err, io.EOF) {
		st.shutFar()
		err = st.awaitError()
	}
	if err == nil {
		err = st.otherError()
	}
	if err != nil && !errors.Is(err, sockets.ErrClosed) {
		st.reset(err)
	}
}

// otherError is what follows when nothing more comes from the peer: the error
// that sending has found, if it has. If it does later, it acts on that itself.
func (st *stream) otherError() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.inEnded = true
	return st.sendErr
}

// receiveSome passes on what has arrived, after waiting for it. It is io.EOF
// after the last byte.
func (st *stream) receiveSome(small []byte) error {
	n, err := st.sock.RecvInto(small, patient)
	if err != nil {
		return err
	}
	if n == 0 {
		return io.EOF
	}
	if err := st.deliver(small[:n]); err != nil || n < len(small) {
		return err
	}
	large := largeBuffers.Get().(*[largeBuffer]byte)
	defer largeBuffers.Put(large)
	for {
		n, err := st.sock.RecvInto(large[:], sockets.MSG_DONTWAIT)
		switch {
		case errnoOf(err) == syscall.EAGAIN:
			return nil
		case err != nil:
			return err
		case n == 0:
			return io.EOF
		}
		if err := st.deliver(large[:n]); err != nil {
			return err
		}
	}
}

// deliver writes bytes to the program. What it does not want to read any more is
// dropped.
func (st *stream) deliver(p []byte) error {
	st.s.counts.received.Add(uint64(len(p)))
	_, err := st.far.Write(p)
	if err == nil {
		return nil
	}
	switch {
	case st.isShut(shutRead):
		return nil
	case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		st.abort() // the program has closed the socket and never saw these
		return sockets.ErrClosed
	}
	return sockets.ErrClosed // we are closing
}

// shutFar lets the program read the end of file.
func (st *stream) shutFar() {
	st.mu.Lock()
	st.eof = true
	st.mu.Unlock()
	st.onFar(func(fd int) { unix.Shutdown(fd, unix.SHUT_WR) })
}

// awaitError waits for an error on a connection whose peer sends no more. It is
// nil if the connection ended in order.
func (st *stream) awaitError() error {
	d := []sockets.PollDesc{{Sock: st.sock}}
	if _, err := st.s.host.PollContext(st.s.ctx, d); err != nil || d[0].Out&sockets.POLLNVAL != 0 {
		return sockets.ErrClosed
	}
	if d[0].Out&sockets.POLLERR == 0 {
		return nil
	}
	n, err := st.sock.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_ERROR)
	if err != nil || n == 0 {
		return err
	}
	return sockets.Errno(n)
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
	st.mu.Unlock()
	st.far.SetReadDeadline(time.Unix(1, 0))
	<-st.sentAll // nobody reads from the program any more
	st.poke()
	raised := st.unread()
	st.bury()
	st.far.Close()
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

// pause waits a little after an error that may pass, and reports whether it was
// one.
func pause(ctx context.Context, err error) bool {
	if !scarce(err) && errnoOf(err) != syscall.ECONNABORTED {
		return false
	}
	const moment = 10 * time.Millisecond
	t := time.NewTimer(moment)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
