package sockets

// A unixAncillary is what a receive learned beside the bytes.
type unixAncillary struct {
	asked   bool  // SO_PASSCRED was on
	cred    ucred // whom the message says it is from
	when    int64 // of a datagram, 0 if it was not noted
	started bool  // a message has been looked at
	name    string
	rights  []*description // references, which the receiver owns
}

// A taken is what a look at the queue of a stream gave.
type taken struct {
	n     int   // bytes
	stop  bool  // the call must end, although there may be room for more
	eof   bool  // the queue is empty and will stay so
	errno Errno // why there is nothing, if not because nothing has come yet
}

// A peeking says whether a receive leaves what it takes in the queue, and how
// many bytes it passes over first (SO_PEEK_OFF).
type peeking struct {
	on     bool
	offset int
	byPlan bool // the offset was set
}

// recvStream moves bytes to w, or copies them when it peeks. got is what the
// call has already, and want how much it waits for. The call must end where a message of another sender begins,
// if the credentials are asked for, and after a message with rights.
func (u *unixSocket) recvStream(w *scatter, peek peeking, got, want int, a *unixAncillary) (t taken) {
	u.net.lock()
	defer u.net.unlock()
	if u.state != unixConnected {
		return taken{errno: EINVAL}
	}
	skip := 0
	if peek.on {
		skip = got + peek.offset
	}
	// When it peeks, Linux goes on behind the last byte until it finds rights.
	for m := u.queue.first; m != nil && (peek.on || w.size() > 0); {
		if len(m.rest()) <= skip {
			skip -= len(m.rest())
			m = m.next
			continue
		}
		if a.started && a.asked && a.cred != m.cred() {
			return taken{n: t.n, stop: true}
		}
		u.noteLocked(m, a)
		k, _ := w.Write(m.rest()[skip:])
		t.n += k
		skip = 0
		a.rights = append(a.rights, u.rightsLocked(m, peek.on)...)
		next := m.next
		if !peek.on {
			m.at += k
			u.queue.bytes -= k
			if len(m.rest()) == 0 {
				u.consumeLocked(m)
			}
		}
		if len(a.rights) > 0 {
			t.stop = true
			return t
		}
		m = next
	}
	if got+t.n >= want {
		return t
	}
	t.errno = u.d.takeError() // lost, as on Linux, if some bytes came before it
	t.eof = u.d.rdShut.Load()
	if !a.started {
		a.asked = u.passCred // the end of a stream comes from {0, 0, 0} on Linux
	}
	return t
}

// noteLocked tells a what the message says about its sender.
func (u *unixSocket) noteLocked(m *message, a *unixAncillary) {
	if !a.started {
		a.started, a.asked, a.cred = true, u.passCred, m.cred()
		a.name, a.when = m.from.name, m.when
	}
}

// recvRecord takes the oldest datagram or record. EAGAIN says that there is
// none, and eof beside it that none will come.
func (u *unixSocket) recvRecord(w *scatter, peek peeking, a *unixAncillary) (received, Errno) {
	u.net.lock()
	defer u.net.unlock()
	if u.typ == SOCK_SEQPACKET && u.state != unixConnected {
		return received{}, ENOTCONN
	}
	if errno := u.d.takeError(); errno != 0 {
		return received{}, errno
	}
	m, skip := u.nextLocked(peek)
	if m == nil {
		return received{eof: u.d.rdShut.Load()}, EAGAIN
	}
	u.noteLocked(m, a)
	r := received{total: len(m.rest()) - skip}
	r.n, _ = w.Write(m.rest()[skip:])
	a.rights = u.rightsLocked(m, peek.on)
	m.peeked = peek.on
	if !peek.on {
		u.consumeLocked(m)
	}
	return r, 0
}

// nextLocked returns the record that a receive takes, nil if there is none, and
// how many of its bytes are passed over. Of empty records those that were peeked
// at are, if there is an offset.
func (u *unixSocket) nextLocked(peek peeking) (*message, int) {
	m, off := u.queue.first, 0
	if !peek.on || !peek.byPlan {
		return m, off
	}
	for off = peek.offset; m != nil && off >= len(m.rest()) && (off > 0 || m.peeked); m = m.next {
		off -= len(m.rest())
	}
	return m, off
}

// readyLocked returns the events of poll(2): Linux's unix_poll and
// unix_dgram_poll.
func (u *unixSocket) readyLocked() PollEvents {
	rd, wr := u.d.rdShut.Load(), u.d.wrShut.Load()
	ev := shutEvents(rd, wr)
	if u.d.pendingError() != 0 {
		ev |= POLLERR
	}
	if u.connects() && u.state == unixIdle {
		ev |= POLLHUP
	}
	if u.queue.n > 0 || len(u.pending) > 0 || u.d.ahead() > 0 {
		ev |= pollReadable
	}
	if u.writableLocked() && !u.peerFullLocked() {
		ev |= pollWritable | POLLWRBAND
	}
	return ev
}

// peerFullLocked reports whether the queue of a datagram socket's peer takes no
// more, in which case u is woken when it does.
func (u *unixSocket) peerFullLocked() bool {
	if u.connects() || u.peer == nil || !u.overLimitLocked(u.peer) {
		return false
	}
	u.peer.blockLocked(u)
	return true
}

// ready returns the events of poll(2).
func (u *unixSocket) ready() PollEvents {
	u.net.lock()
	defer u.net.unlock()
	return u.readyLocked()
}

// unread is FIONREAD: all that waits on a connection, the next datagram
// otherwise.
func (u *unixSocket) unread() (int, Errno) {
	u.net.lock()
	defer u.net.unlock()
	switch {
	case u.state == unixListening:
		return 0, EINVAL
	case u.connects():
		return u.queue.bytes, 0
	case u.queue.first == nil:
		return 0, 0
	}
	return len(u.queue.first.rest()), 0
}

// unsent is SIOCOUTQ: what sent messages occupy of SO_SNDBUF until they are
// read.
func (u *unixSocket) unsent() int {
	u.net.lock()
	defer u.net.unlock()
	return u.charged
}
