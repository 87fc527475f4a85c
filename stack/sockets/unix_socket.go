package sockets

// What the calls of a Socket do on AF_UNIX. They wait in call.again like all
// others; a unixSocket itself never does.

func (e Errno) orNil() error {
	if e == 0 {
		return nil
	}
	return e
}

// unixName returns the name in an address for bind and connect.
func unixName(a Sockaddr) (string, Errno) {
	if ua, ok := a.(UnixAddr); ok {
		return ua.Name, 0
	}
	return "", EINVAL
}

func (s *Socket) bindUnix(a Sockaddr) error {
	name, errno := unixName(a)
	if errno == 0 {
		errno = s.d.unix.bind(name)
	}
	return s.withLocal("bind", a, errno.orNil())
}

func (s *Socket) connectUnix(a Sockaddr, c *call) error {
	name, errno := unixName(a)
	if errno != 0 {
		return errno
	}
	defer c.done()
	for {
		errno := s.d.unix.connect(name)
		if errno != EAGAIN {
			return errno.orNil()
		}
		if err := c.again(); err != nil {
			return err
		}
	}
}

// acceptUnix returns the new socket and the peer's name.
func (s *Socket) acceptUnix(c *call) (*Socket, string, error) {
	defer c.done()
	for {
		if s.dead() {
			return nil, "", s.error("accept", ErrClosed)
		}
		d, errno := s.d.unix.accept(c.blocks())
		switch errno {
		case 0:
			d.timeout.Store(s.host.defaultTimeout.Load())
			peer, _ := d.unix.peerName()
			n, err := s.host.newSocket("accept", d)
			return n, peer, err
		case EAGAIN:
		default:
			return nil, "", s.error("accept", errno)
		}
		if err := c.again(); err != nil {
			return nil, "", s.error("accept", err)
		}
	}
}

// sendUnix is the wait loop of sending. n is exact in any case.
func (s *Socket) sendUnix(r *gather, to Sockaddr, ctl *unixControl, c *call) (n int, err error) {
	if c.flags&MSG_OOB != 0 {
		return 0, EOPNOTSUPP
	}
	var name *string
	if to != nil {
		text, errno := unixName(to)
		if errno != 0 {
			return 0, errno
		}
		name = &text
	}
	defer c.done()
	for {
		if s.dead() {
			return n, partial(n, c, ErrClosed)
		}
		k, errno := s.d.unix.send(r, name, ctl)
		n += k
		switch {
		case errno == 0 && r.Len() == 0:
			return n, nil
		case errno == 0: // a piece of a stream
			ctl = nil
			continue
		case errno != EAGAIN:
			return n, partial(n, c, errno)
		case n > 0 && !s.d.sendsAll(c):
			return n, nil
		}
		if err := c.again(); err != nil {
			return n, partial(n, c, err)
		}
	}
}

// recvUnix receives into w. When a is nil, references that come along are
// dropped, as recv(2) does.
func (s *Socket) recvUnix(w *scatter, c *call, a *unixAncillary) received {
	var own unixAncillary
	message := a != nil
	if !message {
		a = &own
	}
	var r received
	switch {
	case c.flags&MSG_OOB != 0:
		return received{err: EOPNOTSUPP}
	case w.size() == 0 && (s.d.typ == SOCK_STREAM || !message && c.flags&MSG_TRUNC == 0):
		return received{} // Python's documents say that nothing happens (T19)
	case s.d.typ == SOCK_STREAM:
		r = s.recvUnixStream(w, c, a)
	default:
		r = s.recvUnixRecord(w, c, a)
	}
	if !message {
		s.host.unix.drop(own.rights)
	}
	r.name = a.name
	if moved := max(r.n, r.total); moved > 0 {
		if c.flags&MSG_PEEK != 0 {
			moved = r.n
		}
		s.d.movePeek(moved, c.flags)
	}
	if s.dead() && (r.err != nil || r.eof) {
		return received{err: ErrClosed}
	}
	return r
}

// peeking says what MSG_PEEK does in a call.
func (d *description) peeking(flags MsgFlags) peeking {
	p := peeking{on: flags&MSG_PEEK != 0}
	if off, set := d.peekOffset(); p.on && set {
		p.offset, p.byPlan = off, true
	}
	return p
}

func (s *Socket) recvUnixStream(w *scatter, c *call, a *unixAncillary) received {
	want, got := s.d.leastWanted(w.size(), c.flags), 0
	for {
		t := s.readUnix(w, s.d.peeking(c.flags), got, want, a)
		got += t.n
		switch {
		case got >= want || t.stop || got > 0 && t.errno != 0:
			return received{n: got}
		case t.errno != 0:
			return received{err: t.errno}
		case t.eof:
			return received{n: got, eof: got == 0}
		}
		if err := c.again(); err != nil {
			if got > 0 {
				return received{n: got}
			}
			return received{err: err}
		}
	}
}

// readUnix is recvStream with the bytes that were read ahead going first.
func (s *Socket) readUnix(w *scatter, peek peeking, got, want int, a *unixAncillary) taken {
	r := &s.d.reading
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.held.Load()
	if h == nil {
		return s.d.unix.recvStream(w, peek, got, want, a)
	}
	if !peek.on {
		k, _ := w.Write(h.data)
		r.takeLocked(k)
		return taken{n: k}
	}
	if off := peek.offset + got; off < len(h.data) {
		k, _ := w.Write(h.data[off:])
		return taken{n: k, stop: true}
	}
	peek.offset -= len(h.data)
	return s.d.unix.recvStream(w, peek, got, want, a)
}

// pullUnix is pullLocked. Lines and counts have no use for ancillary data.
func (s *Socket) pullUnix(w *scatter, peek bool) received {
	var a unixAncillary
	t := s.d.unix.recvStream(w, peeking{on: peek}, 0, 1, &a)
	s.host.unix.drop(a.rights)
	r := received{n: t.n, eof: t.n == 0 && t.eof}
	if t.errno != 0 {
		r = received{err: t.errno}
	}
	if s.dead() && r.n == 0 {
		return received{err: ErrClosed}
	}
	return r
}

func (s *Socket) recvUnixRecord(w *scatter, c *call, a *unixAncillary) received {
	for {
		r, errno := s.d.unix.recvRecord(w, s.d.peeking(c.flags), a)
		switch {
		case errno == 0:
			return r
		case errno != EAGAIN:
			return received{err: errno}
		case r.eof && (c.blocks() || s.d.typ == SOCK_SEQPACKET):
			return r
		}
		if err := c.again(); err != nil {
			return received{err: err}
		}
	}
}
