package sockets

import (
	"sync"
	"weak"
)

// firstFD is the lowest descriptor number of a Host that asks for no other: the
// one after standard error.
const firstFD = 3

// maxFDs bounds the sockets of one Host (Linux's fs.nr_open).
const maxFDs = 1 << 20

// A table gives sockets their descriptor numbers, the lowest free one first, as
// open(2) requires. It does not keep a Socket from being collected when the
// program has forgotten it, unless the number itself is what the program holds.
type table struct {
	mu     sync.Mutex
	base   int
	slots  []slot          // by number less base
	held   map[int]*Socket // by number: those that no Socket of the program's stands for
	free   int             // no number below base+free is free
	closed bool
}

// A slot is a descriptor number; d is nil where it is free.
type slot struct {
	d    *description
	sock weak.Pointer[Socket]
}

func (t *table) init(base int) {
	t.base = base
	if base == 0 {
		t.base = firstFD
	}
}

// add gives s a number, and holds s if the program will only have that. It
// fails with EMFILE when there are too many, and with ErrClosed when the Host
// is.
func (t *table) add(s *Socket, hold bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	if err := t.fullLocked(); err != nil {
		return err
	}
	if t.free == len(t.slots) {
		t.slots = append(t.slots, slot{})
	}
	fd := t.base + t.free
	s.fd.Store(int32(fd))
	if hold {
		t.holdLocked(fd, s)
	} else {
		s.watchLocked()
	}
	t.slots[t.free] = slot{d: s.d, sock: weak.Make(s)}
	t.free++
	return nil
}

// full returns EMFILE when there is no number left.
func (t *table) full() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fullLocked()
}

// fullLocked is full; it also finds the lowest number that is free.
func (t *table) fullLocked() error {
	for t.free < len(t.slots) && t.slots[t.free].d != nil {
		t.free++
	}
	if t.free == maxFDs {
		return EMFILE
	}
	return nil
}

func (t *table) holdLocked(fd int, s *Socket) {
	if t.held == nil {
		t.held = map[int]*Socket{}
	}
	t.held[fd] = s
}

// slotOf returns the slot of a number, nil where there is none.
func (t *table) slotOf(fd int) *slot {
	if i := fd - t.base; i >= 0 && i < len(t.slots) && t.slots[i].d != nil {
		return &t.slots[i]
	}
	return nil
}

// get returns the Socket of a number, nil if there is none.
func (t *table) get(fd int) *Socket {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.slotOf(fd); e != nil {
		return e.sock.Value()
	}
	return nil
}

// remove frees the number of s.
func (t *table) remove(s *Socket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.unwatch()
	fd := int(s.fd.Swap(-1))
	if e := t.slotOf(fd); e != nil && e.d == s.d {
		t.freeLocked(fd)
	}
}

// forget frees the number of a Socket that is gone, unless close has done so.
// Nobody else can: until now the number was taken.
func (t *table) forget(fd int, d *description) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.slotOf(fd)
	if e == nil || e.d != d {
		return false
	}
	t.freeLocked(fd)
	return true
}

func (t *table) freeLocked(fd int) {
	t.slots[fd-t.base] = slot{}
	delete(t.held, fd)
	t.free = min(t.free, fd-t.base)
}

// exchange gives the number of s to n, which the table holds from now on. It
// returns the number, -1 if s has none.
func (t *table) exchange(s, n *Socket) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.unwatch()
	fd := int(s.fd.Swap(-1))
	e := t.slotOf(fd)
	if e == nil || e.sock != weak.Make(s) {
		return -1
	}
	*e = slot{d: n.d, sock: weak.Make(n)}
	t.holdLocked(fd, n)
	n.fd.Store(int32(fd))
	return fd
}

// take is get, and leaves the Socket to the program if the table held it.
func (t *table) take(fd int) *Socket {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.slotOf(fd)
	if e == nil {
		return nil
	}
	s := e.sock.Value()
	if t.held[fd] != nil {
		delete(t.held, fd)
		s.watchLocked()
	}
	return s
}

// close refuses further sockets and returns those there are, and the
// descriptions of forgotten ones, whose references become the caller's.
func (t *table) close() (open []*Socket, forgotten []*description) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for i, e := range t.slots {
		if e.d == nil {
			continue
		}
		if s := e.sock.Value(); s != nil {
			open = append(open, s)
			continue
		}
		forgotten = append(forgotten, e.d)
		t.slots[i] = slot{}
	}
	return open, forgotten
}
