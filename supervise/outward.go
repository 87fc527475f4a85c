//go:build linux && (amd64 || arm64)

package supervise

import (
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
)

// ready is what follows when the exchange hears from the program's end.
func (st *stream) ready(events uint32) {
	d := &st.out
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.doing == resting && events&^unix.EPOLLOUT != 0:
		st.takeLocked()
	case d.doing == moving && events&^unix.EPOLLOUT != 0:
		st.far.want(0, unix.EPOLLIN)
		notify(d.more)
	case d.doing == closing && events&unix.EPOLLHUP != 0:
		d.doing = over
		st.far.want(0, hangup)
		st.s.work.Go(st.programClosed)
	}
}

// programClosed is what follows when our end hangs up after the program has shut
// the socket down: it has closed it, unless the other direction is shut as well.
func (st *stream) programClosed() {
	if !st.isShut(shutRead) && !st.peerEnded() {
		st.end()
	}
}

// takeLocked moves what the program has written to the stack, if that needs no
// waiting.
func (st *stream) takeLocked() {
	b := smallBuffers.Get().(*[smallBuffer]byte)
	n, err := st.far.read(b[:])
	if n > 0 && err == nil {
		rest, err := st.sendNow(b[:n])
		if err == nil && len(rest) == 0 && n < len(b) {
			smallBuffers.Put(b)
			return
		}
		st.moveLocked(parcel{b, rest, err})
		return
	}
	switch {
	case err == unix.EAGAIN, err == os.ErrClosed:
		smallBuffers.Put(b)
		return
	case err == nil:
		err = io.EOF
	}
	st.moveLocked(parcel{b, nil, ended(err)})
}

// moveLocked hands the outward direction to a goroutine.
func (st *stream) moveLocked(p parcel) {
	st.far.want(0, unix.EPOLLIN)
	st.out.goLocked(&st.s.work, func() { st.outward(p) })
}

// sendNow gives the stack what it takes now, without the filler in front of it,
// and returns the rest.
func (st *stream) sendNow(p []byte) (rest []byte, err error) {
	if p = st.unfilled(p); len(p) == 0 {
		return nil, nil
	}
	n, err := st.sock.Send(p, sockets.MSG_DONTWAIT)
	st.s.counts.sent.Add(uint64(n))
	if errnoOf(err) == syscall.EAGAIN {
		err = nil
	}
	return p[n:], err
}

// unfilled returns p without the filler in front of it. Nobody else looks at
// that once the connection is established.
func (st *stream) unfilled(p []byte) []byte {
	n := min(st.filler, len(p))
	st.filler -= n
	return p[n:]
}

// outward moves bytes from the program to the stack, a parcel first, for as long
// as there are any. If the program sends no more it closes sentAll.
func (st *stream) outward(p parcel) {
	err := p.err
	if err == nil {
		err = st.send(p.data)
	}
	smallBuffers.Put(p.buffer)
	for err == nil {
		if err = st.sendMore(); err == nil && st.restOutward() {
			return
		}
	}
	close(st.sentAll)
	switch {
	case errors.Is(err, io.EOF):
		st.programEnded()
	case errors.Is(err, errReset):
		st.abort()
	case !errors.Is(err, os.ErrClosed):
		st.refuseMore()
		if st.sendFailed(err) {
			st.reset(err)
		}
	}
}

// restOutward lets the exchange look after the outward direction, unless there is
// soon something to move or it is to stop.
func (st *stream) restOutward() bool {
	d := &st.out
	st.far.want(unix.EPOLLIN, 0)
	if d.linger(st.far) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.doing == over {
		return false
	}
	d.doing = resting
	st.far.want(unix.EPOLLIN, 0) // it may just have come
	return true
}

// stopOutward lets nobody read from the program any more: from when sentAll is
// closed.
func (st *stream) stopOutward() {
	d := &st.out
	d.mu.Lock()
	defer d.mu.Unlock()
	switch d.doing {
	case resting:
		st.far.want(0, unix.EPOLLIN)
		close(st.sentAll)
	case moving:
		notify(d.more)
	}
	if d.doing != unused {
		d.doing = over
	}
}

// sendMore sends what the program has written until there is no more.
func (st *stream) sendMore() error {
	large := largeBuffers.Get().(*[largeBuffer]byte)
	defer largeBuffers.Put(large)
	for {
		if st.stopped() {
			return os.ErrClosed
		}
		n, err := st.far.read(large[:])
		switch {
		case err == unix.EAGAIN:
			return nil
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

// stopped reports whether nobody is to read from the program any more.
func (st *stream) stopped() bool {
	st.out.mu.Lock()
	defer st.out.mu.Unlock()
	return st.out.doing == over
}

// ended is what an error of reading from the program means.
func ended(err error) error {
	if errors.Is(err, syscall.ECONNRESET) {
		return errReset
	}
	return err
}

// send gives bytes to the stack, without the filler in front of them, after
// waiting for room.
func (st *stream) send(p []byte) error {
	if p = st.unfilled(p); len(p) == 0 {
		return nil
	}
	n, err := st.sock.SendAll(p, patient)
	st.s.counts.sent.Add(uint64(n))
	return err
}

// programEnded is what follows the end of what the program sends: it has closed
// the socket, or shut that direction down. Then it still will close it; but where
// our end has hung up because both directions are shut, only a sweep can tell.
func (st *stream) programEnded() {
	if !st.isShut(shutWrite) {
		st.end() // nothing is unread, or there would have been a reset
		return
	}
	st.sock.Shutdown(sockets.SHUT_WR)
	st.out.mu.Lock()
	defer st.out.mu.Unlock()
	if st.out.doing == moving {
		st.out.doing = closing
		st.far.want(hangup, 0)
	}
}
