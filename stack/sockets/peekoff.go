package sockets

import (
	"gvisor.dev/gvisor/pkg/tcpip"
)

// SO_PEEK_OFF makes each MSG_PEEK go on where the one before ended (socket(7)).
// The offset counts the bytes of all datagrams that wait; a receive without
// MSG_PEEK moves it back by what it took.

func getPeekOff(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
	if d.extras() == nil {
		return intBytes(-1), 0
	}
	off, _ := d.peekOffset()
	return intBytes(off), 0
}

// setPeekOff takes an offset in bytes; a negative one turns the option off.
func setPeekOff(d *description, _ tcpip.Endpoint, v []byte) Errno {
	x := d.makeExtras()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.peek = intValue(v) + 1
	return 0
}

// peekOffset returns where the next MSG_PEEK starts, and whether the option is
// on.
func (d *description) peekOffset() (off int, on bool) {
	x := d.extras()
	if x == nil {
		return 0, false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.peek - 1, x.peek > 0
}

// movePeek is what n received bytes do to the offset.
func (d *description) movePeek(n int, flags MsgFlags) {
	x := d.extras()
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.peek <= 0:
	case flags&MSG_PEEK != 0:
		x.peek += n
	default:
		x.peek = max(x.peek-n, 1)
	}
}

// peekAt is take with MSG_PEEK from an offset. Datagrams in front of it are
// passed over, and so is an empty one that was seen before.
func (in *inbox) peekAt(w *scatter, off int, meta *datagram) (r received, ok bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for i := range in.n {
		dg := &in.queue[(in.head+i)%len(in.queue)]
		p := dg.front()
		if off >= len(p) && (off > 0 || dg.peeked) {
			off -= len(p)
			continue
		}
		toEnd := w.size() > len(p)-off // Linux says MSG_TRUNC also when it fits exactly
		n, _ := w.Write(p[off:])
		in.stamp, dg.peeked = dg.when, true
		if meta != nil {
			*meta = *dg
			meta.body = nil
		}
		return received{n: n, total: len(p), from: dg.from, toEnd: toEnd}, true
	}
	return received{}, false
}

// peekStreamAt peeks at a connection from an offset, and waits until there is
// something.
func (s *Socket) peekStreamAt(w *scatter, off int, c *call) received {
	for s.d.unread() <= off {
		if s.dead() {
			return received{err: ErrClosed}
		}
		if s.d.peerEnded() || s.d.rdShut.Load() {
			if errno := s.d.takeError(); errno != 0 {
				return received{err: errno}
			}
			if !tcpConnected(s.d.endpoint()) {
				return received{err: ENOTCONN}
			}
			return received{eof: true}
		}
		if err := c.again(); err != nil {
			return received{err: err}
		}
	}
	r := &s.d.reading
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.held.Load(); h != nil {
		if off < len(h.data) {
			n, _ := w.Write(h.data[off:])
			return received{n: n}
		}
		off -= len(h.data)
	}
	w.past = off
	res, terr := s.d.endpoint().Read(w, tcpip.ReadOptions{Peek: true})
	if terr != nil {
		return s.recvEnd(terr)
	}
	return received{n: max(res.Count-off, 0)}
}
