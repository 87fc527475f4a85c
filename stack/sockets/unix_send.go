package sockets

// A unixControl is the ancillary data of a message to be sent.
type unixControl struct {
	hasCred bool
	rights  []*description // references, which delivery takes
}

// send sends what it can of r without waiting: one piece of a stream, or a whole
// datagram, to the named socket or the peer. EAGAIN says that the caller will be
// woken when it may go on. Delivery takes the rights out of c.
func (u *unixSocket) send(r *gather, to *string, c *unixControl) (int, Errno) {
	u.net.lock()
	n, errno := 0, Errno(0)
	var lost []*description
	switch u.typ {
	case SOCK_STREAM:
		n, errno = u.sendStreamLocked(r, to != nil, c)
	case SOCK_SEQPACKET:
		n, errno = u.sendRecordLocked(r, c)
	default:
		n, lost, errno = u.sendDatagramLocked(r, to, c)
	}
	u.net.unlock()
	u.net.drop(lost)
	if c != nil {
		u.net.collect()
	}
	return n, errno
}

func (u *unixSocket) sendStreamLocked(r *gather, named bool, c *unixControl) (int, Errno) {
	switch {
	case named && u.state == unixConnected:
		return 0, EISCONN
	case named:
		return 0, EOPNOTSUPP
	case u.peer == nil:
		return 0, ENOTCONN
	case u.d.wrShut.Load():
		return 0, EPIPE
	case r.Len() == 0:
		return 0, 0
	}
	if errno := u.roomLocked(); errno != 0 {
		return 0, errno
	}
	if u.peer.state == unixDead || u.peer.d.rdShut.Load() {
		return 0, EPIPE
	}
	if c != nil && len(c.rights) > 0 && !u.peer.passRights {
		return 0, EPERM
	}
	n := min(r.Len(), u.sndbuf/2-cacheLine, maxStreamUnit)
	m := newMessage(r, n)
	m.charge = streamCharge(n)
	u.deliverLocked(u.peer, m, c)
	return n, 0
}

// roomLocked reports whether the socket may send: what sock_alloc_send_skb does
// in Linux. The pending error is told here.
func (u *unixSocket) roomLocked() Errno {
	switch errno := u.d.takeError(); {
	case errno != 0:
		return errno
	case u.d.wrShut.Load():
		return EPIPE
	case u.charged >= u.sndbuf:
		return EAGAIN
	}
	return 0
}

// sendRecordLocked sends on a SOCK_SEQPACKET connection, which ignores
// addresses.
func (u *unixSocket) sendRecordLocked(r *gather, c *unixControl) (int, Errno) {
	if errno := u.d.takeError(); errno != 0 {
		return 0, errno
	}
	if u.state != unixConnected {
		return 0, ENOTCONN
	}
	n, _, errno := u.sendDatagramLocked(r, nil, c)
	return n, errno
}

// datagramOverhead is how many bytes less than SO_SNDBUF a datagram may have.
const datagramOverhead = 32

// sendDatagramLocked sends r whole or not at all. The second result is for drop.
func (u *unixSocket) sendDatagramLocked(r *gather, to *string, c *unixControl) (int, []*description, Errno) {
	other, errno := u.destinationLocked(r.Len(), to)
	if errno != 0 {
		return 0, nil, errno
	}
	if other.state == unixDead {
		lost, errno := u.peerGoneLocked(other)
		return 0, lost, errno
	}
	if errno := u.receivesLocked(other, c); errno != 0 {
		return 0, nil, errno
	}
	n := r.Len()
	m := newMessage(r, n)
	m.charge = datagramCharge(n)
	u.deliverLocked(other, m, c)
	return n, nil, 0
}

// destinationLocked checks, in Linux's order, what does not depend on the
// receiver, and returns it.
func (u *unixSocket) destinationLocked(size int, to *string) (*unixSocket, Errno) {
	name := ""
	if to != nil {
		clean, errno := cleanName(*to)
		if errno != 0 {
			return nil, errno
		}
		name = clean
	}
	if u.passCred {
		if errno := u.autobindLocked(); errno != 0 {
			return nil, errno
		}
	}
	if size > u.sndbuf-datagramOverhead {
		return nil, EMSGSIZE
	}
	if errno := u.roomLocked(); errno != 0 {
		return nil, errno
	}
	switch {
	case to != nil:
		return u.net.names.findLocked(u.typ, name)
	case u.peer == nil:
		return nil, ENOTCONN
	}
	return u.peer, 0
}

// peerGoneLocked is what sending to a peer that has closed gives.
func (u *unixSocket) peerGoneLocked(old *unixSocket) ([]*description, Errno) {
	if u.connects() {
		return nil, EPIPE
	}
	u.peer, u.state = nil, unixIdle
	return u.lostLocked(old), ECONNREFUSED
}

// receivesLocked reports whether other takes a datagram from u now. The limit of
// its queue does not hold for the socket that it is connected to.
func (u *unixSocket) receivesLocked(other *unixSocket, c *unixControl) Errno {
	switch {
	case !u.maySendLocked(other):
		return EPERM
	case other.d.rdShut.Load():
		return EPIPE
	case c != nil && len(c.rights) > 0 && !other.passRights:
		return EPERM
	case !u.overLimitLocked(other):
		return 0
	}
	other.blockLocked(u)
	return EAGAIN
}

func (u *unixSocket) overLimitLocked(other *unixSocket) bool {
	return other != u && other.peer != u && other.fullLocked()
}
