package sockets

// Rights are references to descriptions that ride in messages (SCM_RIGHTS). A
// message owns one reference for each; who receives the message takes them over,
// and a message that is never read drops them.
//
// A socket that rides in its own queue, or two in each other's, would keep
// itself for ever although nobody can reach it. So, as in Linux, the Host counts
// for each AF_UNIX socket how many of its references ride, and when that becomes
// all of them looks for sockets that no descriptor leads to and empties their
// queues.

// maxRights bounds the references in one message (Linux's SCM_MAX_FD).
const maxRights = 253

// boardLocked moves the references of c into m.
func (n *unixNet) boardLocked(m *message, c *unixControl) {
	m.rights, c.rights = c.rights, nil
	for _, d := range m.rights {
		n.riding++
		if d.unix == nil {
			continue
		}
		if n.inFlight == nil {
			n.inFlight = map[*description]int{}
		}
		n.inFlight[d]++
		n.suspectLocked(d) // the descriptor may have been closed meanwhile
	}
}

// rightsLocked returns the references of a message for its receiver: the
// message's own, or, when it only peeks, others.
func (u *unixSocket) rightsLocked(m *message, peek bool) []*description {
	if !peek {
		return u.takeRightsLocked(m)
	}
	for _, d := range m.rights {
		d.refs.Add(1)
	}
	return m.rights
}

// takeRightsLocked makes the references of a message the caller's.
func (u *unixSocket) takeRightsLocked(m *message) []*description {
	rights := m.rights
	m.rights = nil
	for _, d := range rights {
		u.net.riding--
		if d.unix == nil {
			continue
		}
		if u.net.inFlight[d]--; u.net.inFlight[d] == 0 {
			delete(u.net.inFlight, d)
		}
	}
	return rights
}

// drop releases references. A release may close a socket with messages that
// carry more of them; those go on the same list, so that a long chain is no deep
// recursion.
func (n *unixNet) drop(rights []*description) {
	if len(rights) == 0 {
		return
	}
	n.lock()
	defer n.unlock()
	n.drops = append(n.drops, rights...)
	if n.dropping {
		return
	}
	n.dropping = true
	for len(n.drops) > 0 {
		d := n.drops[len(n.drops)-1]
		n.drops = n.drops[:len(n.drops)-1]
		n.unlock()
		d.release()
		n.lock()
	}
	n.drops, n.dropping = nil, false
}

// suspectLocked counts d if all references to it are in messages.
func (n *unixNet) suspectLocked(d *description) {
	if riding := n.inFlight[d]; riding > 0 && int(d.refs.Load()) == riding {
		n.suspects++
	}
}

// tooManyRiding reports whether more references would ride than a Host has
// places for descriptors.
func (n *unixNet) tooManyRiding(more int) bool {
	n.lock()
	defer n.unlock()
	return n.riding+more > maxFDs
}

// released is told that a reference to the socket was dropped.
func (u *unixSocket) released(last bool) {
	if last {
		u.close()
		return
	}
	u.net.lock()
	u.net.suspectLocked(u.d)
	u.net.unlock()
	u.net.collect()
}

// garbageShare is how many sockets in flight are looked through for one suspect,
// which bounds the cost of passing sockets.
const garbageShare = 64

// collect looks for garbage: at once while few sockets are in flight, and for
// many when there are suspects enough to make it worth while. Garbage is what rides in the
// queues of sockets that no descriptor leads to, neither directly nor through the
// queue of a socket that one leads to.
func (n *unixNet) collect() {
	n.lock()
	if n.suspects == 0 || n.suspects*garbageShare < len(n.inFlight) {
		n.unlock()
		return
	}
	n.suspects = 0
	garbage := n.garbageLocked()
	n.unlock()
	n.drop(garbage)
}

func (n *unixNet) garbageLocked() (rights []*description) {
	reached := map[*description]bool{}
	var next []*description
	reach := func(d *description) {
		if n.inFlight[d] > 0 && !reached[d] {
			reached[d] = true
			next = append(next, d)
		}
	}
	inside := n.ridesInsideLocked()
	for d := range n.inFlight {
		if int(d.refs.Load()) > inside[d] {
			reach(d)
		}
	}
	for len(next) > 0 {
		d := next[len(next)-1]
		next = next[:len(next)-1]
		d.unix.eachRightLocked(reach)
	}
	var garbage []*description
	for d := range n.inFlight {
		if !reached[d] {
			garbage = append(garbage, d)
		}
	}
	for _, d := range garbage {
		rights = d.unix.purgeAllLocked(rights)
	}
	return rights
}

// ridesInsideLocked counts, for each socket in flight, its references in the
// queues of sockets that are in flight themselves. Any other reference leads to
// it from outside.
func (n *unixNet) ridesInsideLocked() map[*description]int {
	inside := map[*description]int{}
	for d := range n.inFlight {
		d.unix.eachRightLocked(func(r *description) { inside[r]++ })
	}
	return inside
}

// eachRightLocked calls f for the references in the socket's queue, and in those
// of the connections that wait for it to accept them.
func (u *unixSocket) eachRightLocked(f func(*description)) {
	for m := u.queue.first; m != nil; m = m.next {
		for _, d := range m.rights {
			f(d)
		}
	}
	for _, e := range u.pending {
		e.eachRightLocked(f)
	}
}

func (u *unixSocket) purgeAllLocked(rights []*description) []*description {
	rights = u.purgeLocked(rights)
	for _, e := range u.pending {
		rights = e.purgeLocked(rights)
	}
	return rights
}
