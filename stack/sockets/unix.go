package sockets

import (
	"sync"

	"gvisor.dev/gvisor/pkg/waiter"
)

// AF_UNIX sockets (unix(7)) live in the memory of one Host: there is no endpoint
// of netstack's under them, and nothing of them is on a wire. A message goes
// straight into the receiver's queue and is charged to the sender's SO_SNDBUF
// until somebody takes it, as in Linux; SO_RCVBUF has no effect.
//
// One lock for each Host guards the state of all its AF_UNIX sockets, since
// nearly every call looks at two of them. Under it nothing waits and nobody is
// woken: calls that would have to wait return EAGAIN, and the queues to notify
// are noted and notified once the lock is free.

// A unixNet is what the AF_UNIX sockets of one Host share.
type unixNet struct {
	mu    sync.Mutex
	names unixNames
	wakes []wake // to notify after unlocking

	// References to descriptions that ride in messages (SCM_RIGHTS).
	riding   int                  // of all kinds
	inFlight map[*description]int // of AF_UNIX sockets, by socket
	suspects int                  // sockets that may have become garbage; see collect
	drops    []*description       // given up, to be released
	dropping bool                 // a goroutine is releasing them
}

// A wake is a wait queue that must look again.
type wake struct {
	queue  *waiter.Queue
	events waiter.EventMask
}

// fewWakes is how many queues one call notifies as a rule.
const fewWakes = 4

func (n *unixNet) lock() { n.mu.Lock() }

// unlock unlocks and notifies. Whoever is woken may look at once.
func (n *unixNet) unlock() {
	var few [fewWakes]wake
	wakes := few[:0]
	if len(n.wakes) <= fewWakes {
		wakes = append(wakes, n.wakes...)
		clear(n.wakes)
		n.wakes = n.wakes[:0]
	} else {
		wakes, n.wakes = n.wakes, nil
	}
	n.mu.Unlock()
	for _, w := range wakes {
		w.queue.Notify(w.events)
	}
}

// unixState is what a unixSocket is doing.
type unixState int

const (
	unixIdle      unixState = iota
	unixListening           // after Listen
	unixConnected           // has, or on a stream had, a peer
	unixDead                // closed
)

// A unixSocket is the AF_UNIX half of a description. The lock of its unixNet
// guards all fields below it; the pending error and the directions that are shut
// are the description's, and change under that lock as well.
type unixSocket struct {
	d   *description
	net *unixNet
	typ Type // SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET

	state unixState
	name  string      // "" while unbound; an accepted socket has its listener's
	peer  *unixSocket // of a stream also after it has closed

	queue   messageQueue // received
	backlog int          // how long Listen, or the datagram limit, lets a queue grow

	// Of a listener: the far ends of connections that nobody has accepted yet,
	// oldest first.
	pending []*unixSocket
	embryo  bool // is in such a list

	// Senders and connecters that found the queue full. They are woken when
	// there is room.
	blocked   map[*unixSocket]struct{}
	pruneNext int // size of blocked at which the closed ones are dropped

	sndbuf  int // SO_SNDBUF in bytes
	charged int // bytes of it that sent messages occupy

	credsKnown bool // SO_PEERCRED has an answer
	passCred   bool // SO_PASSCRED
	passRights bool // SO_PASSRIGHTS

	unlinks bool // the path goes with the socket; set before Bind and not guarded
}

// unixDatagramLimit is Linux's net.unix.max_dgram_qlen, in datagrams.
const unixDatagramLimit = 10

// checkUnix checks the arguments of socket(2), in Linux's order.
func (d *description) checkUnix() error {
	const pfUnix = Protocol(AF_UNIX)
	switch {
	case d.proto != 0 && d.proto != pfUnix:
		return &Error{Op: "socket", Num: EPROTONOSUPPORT}
	case d.typ != SOCK_STREAM && d.typ != SOCK_DGRAM && d.typ != SOCK_SEQPACKET && d.typ != SOCK_RAW:
		return &Error{Op: "socket", Num: ESOCKTNOSUPPORT}
	}
	return nil
}

// newUnix returns the description of an AF_UNIX socket, with one reference.
func (h *Host) newUnix(typ Type, proto Protocol) *description {
	if typ == SOCK_RAW {
		typ = SOCK_DGRAM // as Linux has it
	}
	d := &description{host: h, socketKind: kindOf(AF_UNIX, typ, proto), kind: onUnix, wq: new(waiter.Queue)}
	d.refs.Store(1)
	d.timeout.Store(h.defaultTimeout.Load())
	d.unix = &unixSocket{d: d, net: &h.unix, typ: typ, sndbuf: defaultBuffer, passRights: true}
	if typ == SOCK_DGRAM {
		d.unix.backlog = unixDatagramLimit
	}
	return d
}

// connects reports whether the type has connections.
func (u *unixSocket) connects() bool { return u.typ != SOCK_DGRAM }

// Events of a wait queue after a change that every kind of wait must see.
const everyEvent = waiter.ReadableEvents | waiter.WritableEvents | waiter.EventErr | waiter.EventHUp | waiter.EventRdHUp

// wakeLocked notes that the waiters of u must look again.
func (u *unixSocket) wakeLocked(events waiter.EventMask) {
	wakes := u.net.wakes
	for i := range wakes[:min(len(wakes), fewWakes)] {
		if wakes[i].queue == u.d.wq {
			wakes[i].events |= events
			return
		}
	}
	u.net.wakes = append(wakes, wake{u.d.wq, events})
}

// fullLocked reports whether the queue of a datagram socket or a listener takes
// no more. Linux lets one in beyond the limit.
func (u *unixSocket) fullLocked() bool {
	if u.state == unixListening {
		return len(u.pending) > u.backlog
	}
	return u.queue.n > u.backlog
}

// leastPrune is the size of a list of blocked sockets that is not worth looking
// through.
const leastPrune = 16

// blockLocked makes u wake by when its queue has room.
func (u *unixSocket) blockLocked(by *unixSocket) {
	if len(u.blocked) >= max(u.pruneNext, leastPrune) {
		for b := range u.blocked {
			if b.state == unixDead {
				delete(u.blocked, b)
			}
		}
		u.pruneNext = 2 * len(u.blocked)
	}
	if u.blocked == nil {
		u.blocked = map[*unixSocket]struct{}{}
	}
	u.blocked[by] = struct{}{}
}

// unblockLocked wakes who waits for room in the queue of u.
func (u *unixSocket) unblockLocked() {
	for b := range u.blocked {
		b.wakeLocked(waiter.WritableEvents)
	}
	u.blocked, u.pruneNext = nil, 0
}

// shutdown closes directions (shutdown(2)). On a connection the peer sees it at
// once. Linux has no errors here, not even for a socket without a peer.
func (u *unixSocket) shutdown(how How) {
	u.net.lock()
	defer u.net.unlock()
	rd, wr := how != SHUT_WR, how != SHUT_RD
	u.shutLocked(rd, wr)
	if p := u.peer; p != nil && u.connects() {
		p.shutLocked(wr, rd)
	}
}

func (u *unixSocket) shutLocked(rd, wr bool) {
	if rd {
		u.d.rdShut.Store(true)
	}
	if wr {
		u.d.wrShut.Store(true)
	}
	u.wakeLocked(everyEvent)
	u.unblockLocked()
}

// close ends the socket. The peer of a connection sees the end of file, or
// ECONNRESET if it had sent something that was never read.
func (u *unixSocket) close() {
	u.net.lock()
	rights := u.closeLocked(nil)
	u.net.unlock()
	u.net.drop(rights)
}

// closeLocked appends the references that rode in unread messages to rights.
func (u *unixSocket) closeLocked(rights []*description) []*description {
	if u.state == unixDead {
		return rights
	}
	u.net.names.removeLocked(u)
	if p := u.peer; p != nil && u.connects() {
		if u.queue.unread() || u.embryo {
			p.d.setError(ECONNRESET)
		}
		p.shutLocked(true, true)
	}
	u.state, u.peer = unixDead, nil
	u.shutLocked(true, true)
	for _, e := range u.pending {
		rights = e.closeLocked(rights)
	}
	u.pending = nil
	return u.purgeLocked(rights)
}

// purgeLocked throws the received messages away and appends the references that
// they carried to rights.
func (u *unixSocket) purgeLocked(rights []*description) []*description {
	for m := u.queue.first; m != nil; m = u.queue.first {
		rights = append(rights, u.takeRightsLocked(m)...)
		u.consumeLocked(m)
	}
	return rights
}
