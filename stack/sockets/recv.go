package sockets

import (
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
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
	p, _, err := s.RecvFrom(n, opts...)
	return p, err
}

// RecvFrom is Recv that returns the sender as well, nil for TCP (recvfrom(2)).
func (s *Socket) RecvFrom(n int, opts ...CallOption) ([]byte, Sockaddr, error) {
	if n < 0 {
		return nil, nil, &Error{Op: "recvfrom", Num: EINVAL, Msg: "the size is negative"}
	}
	p := make([]byte, n)
	n, from, err := s.RecvFromInto(p, opts...)
	return p[:min(n, len(p))], from, err
}

// RecvInto is Recv into p, which says how much fits. With MSG_TRUNC the result
// is a datagram's real length, which may be more.
func (s *Socket) RecvInto(p []byte, opts ...CallOption) (int, error) {
	c := s.newCall(waiter.ReadableEvents, time.Duration(s.d.rcvTimeo.Load()), opts)
	r := s.recv(p, &c)
	return r.count(c.flags), s.error("recv", r.err)
}

// RecvFromInto is RecvInto that returns the sender as well, nil for TCP.
func (s *Socket) RecvFromInto(p []byte, opts ...CallOption) (int, Sockaddr, error) {
	c := s.newCall(waiter.ReadableEvents, time.Duration(s.d.rcvTimeo.Load()), opts)
	r := s.recv(p, &c)
	if r.err != nil || s.d.isTCP() || !r.from.IsValid() {
		return r.count(c.flags), nil, s.error("recvfrom", r.err)
	}
	return r.count(c.flags), sockaddr(s.d.family, r.from), nil
}

// received is what a receive gave.
type received struct {
	n     int            // bytes in the buffer
	total int            // length of the datagram
	from  netip.AddrPort // sender of a datagram
	eof   bool           // n is 0 because no more will come
	err   error
}

func (r received) count(flags MsgFlags) int {
	if flags&MSG_TRUNC != 0 {
		return max(r.n, r.total)
	}
	return r.n
}

// buffers are the io.Writers over the caller's bytes that an endpoint fills.
var buffers = sync.Pool{New: func() any { return new(tcpip.SliceWriter) }}

// recv is the wait loop of receiving.
func (s *Socket) recv(p []byte, c *call) received {
	switch {
	case s.dead():
		return received{err: ErrClosed}
	case len(p) == 0 && (s.d.isTCP() || c.flags&MSG_TRUNC == 0):
		return received{} // netstack would consume a datagram, or fail (T19)
	case c.flags&MSG_OOB != 0 && s.d.isTCP():
		return received{err: EINVAL}
	}
	w := buffers.Get().(*tcpip.SliceWriter)
	defer func() {
		*w = nil
		buffers.Put(w)
	}()
	opts := tcpip.ReadOptions{Peek: c.flags&MSG_PEEK != 0, NeedRemoteAddr: !s.d.isTCP()}
	defer c.done()
	got := 0
	for {
		*w = p[got:]
		res, terr := s.d.ep.Load().Read(w, opts)
		if terr == nil {
			got += res.Count
			if s.d.isTCP() && !opts.Peek {
				s.d.ep.Load().ModerateRecvBuf(res.Count) // or the window never grows (T27)
			}
			if !s.d.isTCP() || c.flags&MSG_WAITALL == 0 || opts.Peek || got == len(p) {
				return received{n: got, total: res.Total, from: addrPort(res.RemoteAddr)}
			}
			continue
		}
		r := s.recvEnd(terr, c)
		if got > 0 && (r.eof || r.err != nil) {
			return received{n: got} // the end is told by the next call
		}
		if r.eof || r.err != nil {
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

// recvEnd says what a failed read means: end of file, an error, or, when both
// are unset, that it is worth waiting.
func (s *Socket) recvEnd(terr tcpip.Error, c *call) received {
	d := s.d
	if s.dead() {
		return received{err: ErrClosed}
	}
	switch terr.(type) {
	case *tcpip.ErrWouldBlock:
		if d.isTCP() && d.rdShut.Load() {
			return received{eof: true}
		}
		return received{}
	case *tcpip.ErrClosedForReceive:
		if !d.isTCP() && !c.blocks() {
			return received{err: EAGAIN} // as Linux has it for datagrams
		}
		return received{eof: true}
	case *tcpip.ErrConnectionAborted, *tcpip.ErrAborted:
		return received{eof: true} // we reset it ourselves
	}
	if d.isTCP() {
		d.takeError() // reported now, so SO_ERROR has nothing left to say (T1)
	}
	return received{err: errnoOf(terr)}
}
