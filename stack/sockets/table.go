package sockets

import "sync"

// firstFD is the lowest descriptor number of a Host that asks for no other: the
// one after standard error.
const firstFD = 3

// maxFDs bounds the sockets of one Host (Linux's fs.nr_open).
const maxFDs = 1 << 20

// A table gives sockets their descriptor numbers, the lowest free one first, as
// open(2) requires.
type table struct {
	mu     sync.Mutex
	base   int
	socks  []*Socket // by number less base; nil where free
	free   int       // no number below base+free is free
	closed bool
}

func (t *table) init(base int) {
	t.base = base
	if base == 0 {
		t.base = firstFD
	}
}

// add gives s a number. It fails with EMFILE when there are too many, and with
// ErrClosed when the Host is.
func (t *table) add(s *Socket) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	for t.free < len(t.socks) && t.socks[t.free] != nil {
		t.free++
	}
	if t.free == maxFDs {
		return EMFILE
	}
	if t.free == len(t.socks) {
		t.socks = append(t.socks, nil)
	}
	t.socks[t.free] = s
	s.fd.Store(int64(t.base + t.free))
	t.free++
	return nil
}

// remove frees the number of s.
func (t *table) remove(s *Socket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := int(s.fd.Swap(-1)) - t.base
	if i < 0 || i >= len(t.socks) || t.socks[i] != s {
		return
	}
	t.socks[i] = nil
	t.free = min(t.free, i)
}

// close refuses further sockets and returns those there are.
func (t *table) close() []*Socket {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	var open []*Socket
	for _, s := range t.socks {
		if s != nil {
			open = append(open, s)
		}
	}
	return open
}
