package sockets

import "gvisor.dev/gvisor/pkg/waiter"

// connect connects to the socket that has the name (connect(2)). EAGAIN says
// that the listener's backlog is full; the caller is woken when there is room.
func (u *unixSocket) connect(name string) Errno {
	name, errno := cleanName(name)
	if errno != 0 {
		return errno
	}
	u.net.lock()
	lost, errno := u.connectLocked(name)
	u.net.unlock()
	u.net.drop(lost)
	return errno
}

func (u *unixSocket) connectLocked(name string) ([]*description, Errno) {
	if u.passCred && u.autobindLocked() != 0 {
		return nil, ENOSPC
	}
	other, errno := u.net.names.findLocked(u.typ, name)
	switch {
	case errno != 0:
		return nil, errno
	case u.connects():
		return nil, u.connectStreamLocked(other)
	case !u.maySendLocked(other):
		return nil, EPERM
	}
	return u.setPeerLocked(other), 0
}

func (u *unixSocket) connectStreamLocked(l *unixSocket) Errno {
	switch {
	case l.state != unixListening || l.d.rdShut.Load():
		return ECONNREFUSED
	case l.fullLocked():
		l.blockLocked(u)
		return EAGAIN
	case u.state == unixConnected:
		return EISCONN
	case u.state != unixIdle:
		return EINVAL
	}
	far := u.d.host.newUnix(u.typ, l.d.proto).unix
	far.name, far.embryo = l.name, true
	far.passCred, far.passRights = l.passCred, l.passRights
	pairLocked(u, far)
	l.pending = append(l.pending, far)
	l.wakeLocked(waiter.ReadableEvents)
	u.wakeLocked(everyEvent)
	return 0
}

// pairLocked connects two sockets with each other.
func pairLocked(a, b *unixSocket) {
	a.peer, b.peer = b, a
	for _, u := range []*unixSocket{a, b} {
		u.state, u.credsKnown = unixConnected, true
	}
}

// unixPair connects two fresh sockets (socketpair(2)).
func unixPair(a, b *unixSocket) {
	a.net.lock()
	defer a.net.unlock()
	pairLocked(a, b)
}

// maySendLocked reports whether a datagram socket receives from u: it does
// unless it is connected to another one.
func (u *unixSocket) maySendLocked(to *unixSocket) bool { return to.peer == nil || to.peer == u }

// disconnect takes the peer of a datagram socket away (connect(2) with
// AF_UNSPEC). A connection cannot be dissolved.
func (u *unixSocket) disconnect() Errno {
	if u.connects() {
		return EINVAL
	}
	u.net.lock()
	lost := u.setPeerLocked(nil)
	u.net.unlock()
	u.net.drop(lost)
	return 0
}

// setPeerLocked changes the peer of a datagram socket. What the old one has sent
// is lost, which it is told with ECONNRESET if it was connected to u. The result
// is for drop.
func (u *unixSocket) setPeerLocked(peer *unixSocket) []*description {
	old := u.peer
	u.peer, u.state = peer, unixConnected
	if peer == nil {
		u.state = unixIdle
	}
	u.wakeLocked(waiter.WritableEvents)
	if old == nil || old == peer {
		return nil
	}
	return u.lostLocked(old)
}

func (u *unixSocket) lostLocked(old *unixSocket) []*description {
	if u.queue.n == 0 {
		return nil
	}
	rights := u.purgeLocked(nil)
	u.unblockLocked()
	if old.state != unixDead && old.peer == u {
		old.d.setError(ECONNRESET)
		old.wakeLocked(everyEvent)
	}
	return rights
}

// listen makes the socket accept connections (listen(2)), backlog+1 of them
// before Accept must take one.
func (u *unixSocket) listen(backlog int) Errno {
	if !u.connects() {
		return EOPNOTSUPP
	}
	u.net.lock()
	defer u.net.unlock()
	if u.name == "" || u.state != unixIdle && u.state != unixListening {
		return EINVAL
	}
	if backlog > u.backlog {
		u.unblockLocked()
	}
	u.state, u.backlog, u.credsKnown = unixListening, backlog, true
	u.wakeLocked(everyEvent)
	return 0
}

// accept takes the oldest connection; the caller gets the description's
// reference. After SHUT_RD, who would wait is told EINVAL instead.
func (u *unixSocket) accept(waits bool) (*description, Errno) {
	if !u.connects() {
		return nil, EOPNOTSUPP
	}
	u.net.lock()
	defer u.net.unlock()
	switch {
	case u.state != unixListening:
		return nil, EINVAL
	case len(u.pending) > 0:
	case waits && u.d.rdShut.Load():
		return nil, EINVAL
	default:
		return nil, EAGAIN
	}
	far := u.pending[0]
	u.pending[0] = nil
	if u.pending = u.pending[1:]; len(u.pending) == 0 {
		u.pending = nil
	}
	far.embryo = false
	u.unblockLocked()
	return far.d, 0
}

// peerName returns the peer's name, "" for an unbound one.
func (u *unixSocket) peerName() (string, Errno) {
	u.net.lock()
	defer u.net.unlock()
	if u.peer == nil {
		return "", ENOTCONN
	}
	return u.peer.name, 0
}

func (u *unixSocket) ownName() string {
	u.net.lock()
	defer u.net.unlock()
	return u.name
}

func (u *unixSocket) listens() bool {
	u.net.lock()
	defer u.net.unlock()
	return u.state == unixListening
}
