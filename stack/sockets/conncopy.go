package sockets

import (
	"errors"
	"io"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"
)

// io.Copy from and to a connection. Bytes go through a buffer that is borrowed while
// there are some, so that a connection on which nothing happens has none. Between
// two TCP connections they go straight from what one has received to what the other
// is to send, copied once, and leave the first only when the second has taken
// them.

// WriteTo implements io.WriterTo: it reads to the end of the stream and writes
// what it read to w. A write deadline is that of w, if it has any.
//
// What w does not take, because it fails, stays in the connection for the next
// read; net.TCPConn loses it. That goes for streams: of a datagram that w does not
// take, nothing stays. Errors of w are returned as they are, io.ErrShortWrite when it
// says less without any; those of reading are Read's.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	if dst, ok := w.(*Conn); ok && c.s.d.isTCP() && dst.s.d.isTCP() {
		return splice(dst, c, -1)
	}
	var done int64
	for {
		if err := c.awaitData(); err != nil {
			return done, err
		}
		n, more, err := c.writeSome(w)
		if done += n; !more {
			return done, err
		}
	}
}

// awaitData returns when a read is worth the while, or its time is up. Only of a
// TCP connection can it tell; a read of others waits itself.
func (c *Conn) awaitData() error {
	if !c.s.d.isTCP() {
		return nil
	}
	cl := c.s.adapterCall(waiter.ReadableEvents, &c.read)
	defer cl.done()
	if c.s.expired(cl) {
		return c.opError("read", ErrTimeout)
	}
	const worth = waiter.ReadableEvents | waiter.EventErr | waiter.EventHUp
	for c.s.d.ahead() == 0 && c.s.d.soErr.Load() == 0 &&
		c.s.d.ep.Load().Readiness(worth) == 0 && !c.s.d.rdShut.Load() {
		if err := cl.again(); err != nil {
			return c.opError("read", err)
		}
	}
	return nil
}

// writeSome reads once and writes what it read.
func (c *Conn) writeSome(w io.Writer) (done int64, more bool, err error) {
	buf := lookBuffers.Get().(*[pullSize]byte)
	defer lookBuffers.Put(buf)
	n, err := c.Read(buf[:])
	switch {
	case err == io.EOF:
		return 0, false, nil
	case err != nil:
		return 0, false, err
	case n == 0:
		return 0, true, nil // an empty datagram
	}
	k, err := w.Write(buf[:n])
	if k < 0 || k > n {
		k, err = 0, errors.Join(err, errInvalidWrite)
	}
	if k < n && err == nil {
		err = io.ErrShortWrite
	}
	if k < n {
		c.s.putBack(buf[k:n])
	}
	return int64(k), err == nil, err
}

var errInvalidWrite = errors.New("sockets: a writer says that it wrote what it was not given")

// ReadFrom implements io.ReaderFrom: it writes what r has until its end. What r gave
// and the connection did not take is lost, unless r is a Conn, or an io.LimitedReader
// over one, which then still has it.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		if src, ok := limited.R.(*Conn); ok && src.s.d.isTCP() && c.s.d.isTCP() {
			n, err := splice(c, src, max(limited.N, 0))
			limited.N -= n
			return n, err
		}
	}
	if src, ok := r.(*Conn); ok && src.s.d.isTCP() && c.s.d.isTCP() {
		return splice(c, src, -1)
	}
	type writerOnly struct{ io.Writer } // hides ReadFrom, which would call itself
	buf := lookBuffers.Get().(*[pullSize]byte)
	defer lookBuffers.Put(buf)
	return io.CopyBuffer(writerOnly{c}, struct{ io.Reader }{r}, buf[:])
}

// maxSplice is how many bytes pass from one connection to another at once: four of
// the largest segments. So much may be looked at twice.
const maxSplice = 256 << 10

// splice moves bytes of one TCP connection to another until the first one's end, or
// most of them unless that is negative.
func splice(dst, src *Conn, most int64) (done int64, err error) {
	for most < 0 || done < most {
		if err := src.awaitData(); err != nil {
			return done, err
		}
		limit := maxSplice
		if most >= 0 {
			limit = int(min(int64(limit), most-done))
		}
		n, err := spliceSome(dst, src, limit)
		done += int64(n)
		switch {
		case err == io.EOF:
			return done, nil
		case err == errFull:
			err = dst.awaitRoom()
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// errFull says that a connection has no room for what is to be sent.
var errFull = errors.New("no room")

// spliceSome moves what one connection has and the other takes at once, without
// waiting. The error is io.EOF at the end of the first one's stream, and errFull
// when the other has no room. What is not taken is not gone: it is only looked at,
// and leaves its queue afterwards.
func spliceSome(dst, src *Conn, limit int) (int, error) {
	dst.writing.Lock() // before the other, under which nobody waits
	defer dst.writing.Unlock()
	if src.s.dead() {
		return 0, src.opError("read", ErrClosed)
	}
	r := &src.s.d.reading
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.held.Load(); h != nil {
		g := gatherOver(h.data[:min(limit, len(h.data))])
		defer g.free()
		n, err := dst.sendNow(g)
		r.takeLocked(n)
		return n, err
	}
	waits := src.s.d.unread()
	if waits == 0 {
		return 0, src.endLocked()
	}
	g := gatherFrom(src.s.d.ep.Load(), min(limit, waits))
	defer g.free()
	n, err := dst.sendNow(g)
	if g.failed {
		return 0, nil // what waited is gone: the next look tells why
	}
	src.s.discardLocked(n)
	return n, err
}

// endLocked says why a stream without data is worth a read: io.EOF, an error, or nil
// if it is not.
func (c *Conn) endLocked() error {
	buf := lookBuffers.Get().(*[pullSize]byte)
	defer lookBuffers.Put(buf)
	got := c.s.pullIntoLocked(buf[:1], true)
	switch {
	case got.err != nil:
		return c.opError("read", got.err)
	case got.eof && c.s.dead():
		return c.opError("read", ErrClosed)
	case got.eof:
		return io.EOF
	}
	return nil
}

// sendNow sends what it can without waiting.
func (c *Conn) sendNow(g *gather) (int, error) {
	cl := c.s.adapterCall(waiter.WritableEvents, &c.write)
	if c.s.expired(cl) {
		return 0, c.opError("write", ErrTimeout)
	}
	cl.flags |= MSG_DONTWAIT
	n, err := c.s.sendGather(g, tcpip.WriteOptions{}, &cl)
	switch {
	case err == EAGAIN:
		return n, errFull
	case err != nil:
		return n, c.opError("write", err)
	}
	return n, nil
}

// awaitRoom waits until a connection takes more, or the wait's end.
func (c *Conn) awaitRoom() error {
	cl := c.s.adapterCall(waiter.WritableEvents, &c.write)
	defer cl.done()
	const worth = waiter.WritableEvents | waiter.EventErr | waiter.EventHUp
	for c.s.d.ep.Load().Readiness(worth) == 0 && !c.s.d.wrShut.Load() {
		if err := cl.again(); err != nil {
			return c.opError("write", err)
		}
	}
	return nil
}

// discardLocked takes bytes out of the queue of a stream that have been looked at.
func (s *Socket) discardLocked(n int) {
	if n == 0 {
		return
	}
	w := scatterOver(nil)
	defer w.free()
	w.past = n
	s.pullLocked(w, false)
}
