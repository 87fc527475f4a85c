//go:build linux && (amd64 || arm64)

package supervise

import (
	"errors"
	"io"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
)

// arrived is what follows when the exchange hears that the stack has something
// for the program: it moves that, if that needs no waiting.
func (st *stream) arrived() {
	d := &st.in
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.doing != resting {
		if d.again = true; d.doing == moving {
			notify(d.more)
		}
		return
	}
	b := smallBuffers.Get().(*[smallBuffer]byte)
	p, waits := st.passOn(b)
	if !waits {
		smallBuffers.Put(b)
		return
	}
	d.goLocked(&st.s.work, func() { st.inward(p) })
}

// passOn gives the program what has arrived, until there is no more or until it
// would have to wait: then it returns what there is to do.
func (st *stream) passOn(b *[smallBuffer]byte) (p parcel, waits bool) {
	for {
		n, err := st.sock.RecvInto(b[:], sockets.MSG_DONTWAIT)
		switch {
		case errnoOf(err) == syscall.EAGAIN:
			return parcel{}, false
		case err == nil && n == 0:
			err = io.EOF
		}
		if err != nil {
			return parcel{buffer: b, err: err}, true
		}
		st.s.counts.received.Add(uint64(n))
		done, err := st.far.write(b[:n])
		if err != nil || done < n || n == len(b) {
			return parcel{buffer: b, data: b[done:n]}, true
		}
	}
}

// inward moves bytes from the stack to the program, a parcel first, for as long
// as there are any. When the peer sends no more it watches for a reset.
func (st *stream) inward(p parcel) {
	err := p.err
	if err == nil {
		err = st.deliver(p.data)
	}
	smallBuffers.Put(p.buffer)
	for err == nil {
		if err = st.receiveMore(); err == nil && st.restInward() {
			return
		}
	}
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

// restInward lets the exchange look after the inward direction, unless something
// has arrived meanwhile or soon does.
func (st *stream) restInward() bool {
	d := &st.in
	if d.linger(st.far) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.again {
		d.again = false
		return false
	}
	d.doing = resting
	return true
}

// otherError is what follows when nothing more comes from the peer: the error
// that sending has found, if it has. If it does later, it acts on that itself.
func (st *stream) otherError() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.inEnded = true
	return st.sendErr
}

// receiveMore passes on what has arrived until there is no more. It is io.EOF
// after the last byte.
func (st *stream) receiveMore() error {
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
		st.s.counts.received.Add(uint64(n))
		if err := st.deliver(large[:n]); err != nil {
			return err
		}
	}
}

// deliver writes bytes to the program. What it does not want to read any more is
// dropped.
func (st *stream) deliver(p []byte) error {
	err := st.far.writeAll(p)
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
