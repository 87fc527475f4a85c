package sockets

import (
	"io"
	"slices"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// A scatter is where a receive puts bytes: one buffer or several, filled in
// order. It is the io.Writer that an endpoint writes to.
type scatter struct {
	rest [][]byte // what is still to be filled
	past int      // bytes to throw away before any is kept (SO_PEEK_OFF)
	skip bool     // leave the buffers as they are and only count (MSG_TRUNC, tcp(7))
	one  [1][]byte
	list [][]byte // backs rest when there are several
}

var scatters = sync.Pool{New: func() any { return new(scatter) }}

// scatterOver returns a scatter over p. The caller frees it.
func scatterOver(p []byte) *scatter {
	w := scatters.Get().(*scatter)
	w.one[0] = p
	w.rest = w.one[:]
	return w
}

// scatterOverAll is scatterOver for several buffers, which it copies the list of.
func scatterOverAll(bufs [][]byte) *scatter {
	w := scatters.Get().(*scatter)
	w.list = append(w.list[:0], bufs...)
	w.rest = w.list
	return w
}

func (w *scatter) free() {
	clear(w.list)
	w.list, w.rest, w.one[0], w.past, w.skip = w.list[:0], nil, nil, 0, false
	scatters.Put(w)
}

// size returns how many bytes still fit.
func (w *scatter) size() int {
	n := 0
	for _, b := range w.rest {
		n += len(b)
	}
	return n
}

// Write implements io.Writer.
func (w *scatter) Write(p []byte) (int, error) {
	done := min(w.past, len(p))
	w.past -= done
	if done == len(p) {
		return done, nil
	}
	for len(w.rest) > 0 {
		n := min(len(w.rest[0]), len(p)-done)
		if !w.skip {
			copy(w.rest[0], p[done:])
		}
		done += n
		w.rest[0] = w.rest[0][n:]
		if done == len(p) {
			return done, nil
		}
		w.rest = w.rest[1:]
	}
	if done < len(p) {
		return done, io.ErrShortWrite
	}
	return done, nil
}

// A gather is what a send takes bytes from: one buffer or several. It is the
// payload that an endpoint reads.
type gather struct {
	bufs   [][]byte
	one    [1][]byte
	size   int            // bytes in all
	at     int            // bytes read
	from   tcpip.Endpoint // in the place of buffers: the queue of a connection, which is left as it is
	failed bool           // the queue was gone
}

var gathers = sync.Pool{New: func() any { return new(gather) }}

// gatherOver returns a gather over p. The caller frees it.
func gatherOver(p []byte) *gather {
	r := gathers.Get().(*gather)
	r.one[0] = p
	r.bufs, r.size, r.at = r.one[:], len(p), 0
	return r
}

// gatherOverAll is gatherOver for several buffers.
func gatherOverAll(bufs [][]byte) *gather {
	r := gathers.Get().(*gather)
	r.bufs, r.size, r.at = bufs, 0, 0
	for _, b := range bufs {
		r.size += len(b)
	}
	return r
}

// gatherFrom returns a gather over the first size bytes that a connection has
// received. The caller frees it.
func gatherFrom(ep tcpip.Endpoint, size int) *gather {
	r := gathers.Get().(*gather)
	r.from, r.size, r.at = ep, size, 0
	return r
}

func (r *gather) free() {
	r.bufs, r.one[0], r.from, r.failed = nil, nil, nil, false
	gathers.Put(r)
}

// Len returns how many bytes are left to read.
func (r *gather) Len() int { return r.size - r.at }

// all returns a copy of everything that r holds.
func (r *gather) all() []byte { return slices.Concat(r.bufs...) }

// seek makes the next Read start at byte n.
func (r *gather) seek(n int) { r.at = n }

// Read implements io.Reader.
func (r *gather) Read(p []byte) (int, error) {
	if r.Len() == 0 {
		return 0, io.EOF
	}
	if r.from != nil {
		return r.look(p)
	}
	done, skip := 0, r.at
	for _, b := range r.bufs {
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		n := copy(p[done:], b[skip:])
		done, skip = done+n, 0
		if done == len(p) {
			break
		}
	}
	r.at += done
	return done, nil
}

// look is Read from a connection's queue.
func (r *gather) look(p []byte) (int, error) {
	p = p[:min(len(p), r.Len())]
	if len(p) == 0 {
		return 0, nil
	}
	w := scatterOver(p)
	defer w.free()
	w.past = r.at
	_, terr := r.from.Read(w, tcpip.ReadOptions{Peek: true})
	n := len(p) - w.size()
	if terr != nil || n == 0 {
		r.failed = true
		return 0, io.ErrUnexpectedEOF
	}
	r.at += n
	return n, nil
}
