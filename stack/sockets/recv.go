package sockets

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Recv returns at most n received bytes (recv(2)): at least one, unless n is 0
// or a TCP peer has closed, which is an empty slice and no error. Of a datagram
// longer than n the rest is lost, and an empty one is an empty slice.
//
// MSG_PEEK leaves the data in the queue; MSG_WAITALL fills the buffer of a TCP
// socket unless the end comes first; MSG_DONTWAIT makes this call non-blocking.
// Errors: ENOTCONN on a TCP socket that is not connected; ECONNRESET and others
// of the network, once, after the data that came before; EINVAL for n < 0.
func (s *Socket) Recv(n int, opts ...CallOption) ([]byte, error) {
	c := s.receiving(opts)
	p, r := s.recvNew(n, &c)
	return p, s.error("recv", r.err)
}

// RecvFrom is Recv that returns the sender as well, nil for TCP (recvfrom(2)).
func (s *Socket) RecvFrom(n int, opts ...CallOption) ([]byte, Sockaddr, error) {
	c := s.receiving(opts)
	p, r := s.recvNew(n, &c)
	if r.err != nil {
		return p, nil, s.error("recvfrom", r.err)
	}
	return p, s.sender(r), nil
}

// recvNew receives at most n bytes into a buffer of its own.
func (s *Socket) recvNew(n int, c *call) ([]byte, received) {
	if n < 0 {
		return nil, received{err: EINVAL}
	}
	p := make([]byte, min(n, s.d.mostReceived(c.flags)))
	r := s.recv(p, c)
	return p[:r.n], r
}

// Bounds of a buffer that a receive makes, in bytes; n may be anything.
const (
	maxReceive     = 1<<31 - pageSize // Linux's MAX_RW_COUNT
	maxReceiveOnce = 16 << 20         // more than a datagram has, and enough of a stream at once
)

// mostReceived is how many bytes a receive can give: all that was asked for if it
// waits for them, or if they are a record of AF_UNIX.
func (d *description) mostReceived(flags MsgFlags) int {
	if d.in == nil && (flags&MSG_WAITALL != 0 || d.typ != SOCK_STREAM) {
		return maxReceive
	}
	return maxReceiveOnce
}

// RecvInto is Recv into p, which says how much fits. With MSG_TRUNC the result
// is a datagram's real length, which may be more.
func (s *Socket) RecvInto(p []byte, opts ...CallOption) (int, error) {
	c := s.receiving(opts)
	r := s.recv(p, &c)
	return r.count(c.flags), s.error("recv", r.err)
}

// RecvFromInto is RecvInto that returns the sender as well, nil for TCP.
func (s *Socket) RecvFromInto(p []byte, opts ...CallOption) (int, Sockaddr, error) {
	c := s.receiving(opts)
	r := s.recv(p, &c)
	if r.err != nil {
		return r.count(c.flags), nil, s.error("recvfrom", r.err)
	}
	return r.count(c.flags), s.sender(r), nil
}

// receiving returns a call that waits for something to receive.
func (s *Socket) receiving(opts []CallOption) call {
	return s.newCall(waiter.ReadableEvents, s.d.rcvLimit(), opts)
}

// received is what a receive gave.
type received struct {
	n     int            // bytes in the buffer
	total int            // length of the datagram
	from  netip.AddrPort // sender of a datagram
	name  string         // the same on AF_UNIX; "" for an unbound one
	link  *LinkAddr      // sender of a packet
	toEnd bool           // the rest of the datagram, from SO_PEEK_OFF on, is in the buffer
	eof   bool           // n is 0 because no more will come
	err   error
}

func (r received) count(flags MsgFlags) int {
	if flags&MSG_TRUNC != 0 {
		return max(r.n, r.total)
	}
	return r.n
}

// sender returns where a datagram came from, nil on a stream.
func (s *Socket) sender(r received) Sockaddr {
	switch {
	case r.name != "":
		return UnixAddr{r.name}
	case r.link != nil:
		a := *r.link
		a.HaType, _ = s.d.hardware(tcpip.NICID(a.Ifindex))
		return a
	case !r.from.IsValid():
		return nil
	}
	if in := s.d.in; in != nil {
		return in.sockaddr(r.from)
	}
	return sockaddr(s.d.family, r.from)
}

// recv receives into p.
func (s *Socket) recv(p []byte, c *call) received {
	w := scatterOver(p)
	defer w.free()
	return s.recvScatter(w, c, nil)
}

// recvScatter receives into w. When meta is not nil it is told what the headers
// of a datagram said.
func (s *Socket) recvScatter(w *scatter, c *call, meta *datagram) received {
	if s.dead() {
		return received{err: ErrClosed}
	}
	defer c.done()
	if s.d.unix != nil {
		return s.recvUnix(w, c, nil)
	}
	if c.flags&MSG_ERRQUEUE != 0 {
		return s.recvError(w, meta)
	}
	var r received // calls through a variable would make c escape to the heap
	if s.d.in != nil {
		r = s.recvDatagram(w, c, meta)
	} else {
		r = s.recvStream(w, c)
	}
	if r.eof && s.dead() {
		return received{err: ErrClosed} // it may be the closing that ended the stream
	}
	if n := r.count(c.flags); n > 0 {
		s.d.movePeek(n, c.flags) // with MSG_TRUNC by all of the datagram, as on Linux
	}
	return r
}

// recvDatagram is the wait loop of receiving from the inbox. As on Linux an
// error comes before the datagrams that wait.
func (s *Socket) recvDatagram(w *scatter, c *call, meta *datagram) received {
	if w.size() == 0 && c.flags&MSG_TRUNC == 0 && meta == nil {
		return received{} // recv(2) would take a datagram; Python's documents say that nothing happens (T19)
	}
	for {
		if errno := s.d.takeError(); errno != 0 {
			return received{err: errno}
		}
		if r, ok := s.take(w, c, meta); ok {
			return r
		}
		if s.d.rdShut.Load() {
			if s.dead() {
				return received{err: ErrClosed}
			}
			if !c.blocks() {
				return received{err: EAGAIN} // as Linux has it for datagrams
			}
			return received{eof: true}
		}
		if err := c.again(); err != nil {
			return received{err: err}
		}
	}
}

// recvStream is the wait loop of receiving from a connection.
func (s *Socket) recvStream(w *scatter, c *call) received {
	size := w.size()
	switch {
	case size == 0:
		return received{} // netstack would wait, or fail (T19)
	case c.flags&MSG_OOB != 0 && s.d.listening():
		return received{err: ENOTCONN}
	case c.flags&MSG_OOB != 0:
		return received{err: EINVAL}
	}
	peek := c.flags&MSG_PEEK != 0
	want, got := s.d.leastWanted(size, c.flags), 0
	w.skip = c.flags&MSG_TRUNC != 0
	if off, on := s.d.peekOffset(); on && peek {
		return s.peekStreamAt(w, off, c)
	}
	if peek && want > 1 {
		s.awaitPeek(want, c)
	}
	for {
		r := s.readStream(w, peek)
		got += r.n
		switch {
		case peek && r.n > 0 || got >= want:
			return received{n: got}
		case r.n > 0:
			continue
		case got > 0 && (r.eof || r.err != nil):
			s.d.untell(r.err)
			return received{n: got} // the end is told by the next call
		case r.eof || r.err != nil:
			return r
		}
		if err := c.again(); err != nil {
			if got > 0 {
				return received{n: got}
			}
			return received{err: err}
		}
	}
}

// leastWanted is how many bytes a receive on a connection waits for.
func (d *description) leastWanted(size int, flags MsgFlags) int {
	if flags&MSG_WAITALL != 0 {
		return size
	}
	return min(size, d.recvLowat())
}

// untell makes an error that was taken and cannot be told now wait for the next
// call.
func (d *description) untell(err error) {
	if errno, ok := err.(Errno); ok {
		d.setError(errno)
		d.wq.Notify(waiter.EventErr)
	}
}

// recvEnd says what a failed read of a connection means: end of file, an error,
// or, when both are unset, that it is worth waiting.
func (s *Socket) recvEnd(terr tcpip.Error) received {
	d := s.d
	if s.dead() {
		return received{err: ErrClosed}
	}
	switch terr.(type) {
	case *tcpip.ErrWouldBlock:
		if errno := d.takeError(); errno != 0 {
			return received{err: errno} // of ICMP, which IP_RECVERR makes an error of the connection
		}
		return received{eof: d.rdShut.Load()}
	case *tcpip.ErrClosedForReceive:
		if tcp.EndpointState(d.ep.Load().State()) == tcp.StateClose {
			return received{eof: true} // the end came first; SO_ERROR and sending tell of a reset after it
		}
		if errno := d.takeError(); errno != 0 {
			return received{err: errno} // poll has seen it and netstack forgotten it
		}
		return received{eof: true}
	case *tcpip.ErrNotConnected:
		return d.notConnected()
	case *tcpip.ErrConnectionAborted: // data came after both directions were shut
		d.takeError()
		return received{err: ECONNRESET}
	case *tcpip.ErrAborted:
		return received{eof: true} // we reset it ourselves
	}
	d.takeError() // reported now, so SO_ERROR has nothing left to say (T1)
	return received{err: errnoOf(terr)}
}

// notConnected is the end of a receive without a connection.
func (d *description) notConnected() received {
	if tcp.EndpointState(d.ep.Load().State()) == tcp.StateListen {
		return received{err: ENOTCONN}
	}
	if errno := d.takeError(); errno != 0 {
		return received{err: errno} // of the connection that there was
	}
	if d.rdShut.Load() {
		return received{eof: true}
	}
	return received{err: ENOTCONN}
}
