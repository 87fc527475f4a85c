package sockets

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// take takes the oldest datagram from the inbox, and with UDP_GRO those behind
// it that belong to it.
func (s *Socket) take(w *scatter, c *call, meta *datagram) (received, bool) {
	peek := c.flags&MSG_PEEK != 0
	if off, on := s.d.peekOffset(); on && peek {
		return s.d.in.peekAt(w, off, meta)
	}
	if peek || !s.d.asked(askTogether) {
		return s.d.in.take(w, peek, meta)
	}
	var first datagram
	if meta == nil {
		meta = &first
	}
	r, ok := s.d.in.take(w, false, meta)
	if ok && r.n == r.total && r.n > 0 {
		s.d.in.takeMore(w, meta, &r)
	}
	return r, ok
}

// maxTogether is the largest message that UDP_GRO makes, as large as a datagram
// can be.
const maxTogether = 65535

// takeMore appends datagrams that continue first: of the same addresses, header
// fields and size; a shorter one ends the run, as in Linux's GRO. Unlike there,
// a datagram that the buffer has no room for stays in the queue.
func (in *inbox) takeMore(w *scatter, first *datagram, r *received) {
	size := r.n
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.n > 0 {
		dg := &in.queue[in.head]
		p := dg.front()
		if len(p) == 0 || len(p) > size || len(p) > w.size() || r.n+len(p) > maxTogether || !dg.continues(first) {
			return
		}
		n, _ := w.Write(p)
		r.n, r.total, first.segment = r.n+n, r.total+n, size
		in.pop(n)
		if n < size {
			return
		}
	}
}

func (dg *datagram) continues(first *datagram) bool {
	return dg.from == first.from && dg.dst == first.dst && dg.nic == first.nic &&
		dg.tos == first.tos && dg.ttl == first.ttl
}

// unread returns how many received bytes of a connection wait.
func (d *description) unread() int {
	n, terr := d.ep.Load().GetSockOptInt(tcpip.ReceiveQueueSizeOption)
	if terr != nil {
		n = 0
	}
	return n + d.ahead()
}

// inq is what TCP_INQ tells: the bytes that wait, or 1 when only the end does, so
// that a program reads on.
func (d *description) inq() int {
	n := d.unread()
	if n == 0 && d.peerEnded() {
		return 1
	}
	return n
}

func (d *description) peerEnded() bool {
	switch tcp.EndpointState(d.ep.Load().State()) {
	case tcp.StateEstablished, tcp.StateFinWait1, tcp.StateFinWait2:
		return false
	}
	return true
}

// awaitPeek waits for as many bytes as a peek with MSG_WAITALL is to see, or
// until no more will come.
func (s *Socket) awaitPeek(want int, c *call) {
	for s.d.unread() < want && !s.d.peerEnded() && !s.d.rdShut.Load() {
		if c.again() != nil {
			return // the peek shows what there is
		}
	}
}
