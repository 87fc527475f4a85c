package sockets

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"
)

// A readahead makes the reads of a stream that may need several pieces whole:
// ReadLine, ReadN, ReadInto and ReadAll. What such a call has found so far stays
// in the socket, here, until the call has all of it. So nothing is lost when
// time runs out, the next call of any kind goes on with the same bytes, and of
// two concurrent calls each gets a line of its own. No call takes more out of
// the stream's own queue than it wants: usually there is nothing here at all.
type readahead struct {
	// mu is held while bytes leave the stream's queue, so that they keep their
	// order. Nobody waits for the network under it.
	mu    sync.Mutex
	taken int64                // bytes that were held and are no more
	held  atomic.Pointer[held] // nil: nothing. Set under mu.
}

// held are bytes that have left the stream's queue, but not the socket.
type held struct {
	data []byte       // guarded by readahead.mu
	n    atomic.Int64 // len(data)
}

// ahead returns how many bytes have left the queue of the stream and still wait
// in the socket: they are as readable as the queue's.
func (d *description) ahead() int {
	if h := d.reading.held.Load(); h != nil {
		return int(h.n.Load())
	}
	return 0
}

// addLocked appends to the bytes held.
func (r *readahead) addLocked(p []byte) {
	h := r.held.Load()
	if h == nil {
		h = new(held)
		r.held.Store(h)
	}
	h.data = append(h.data, p...)
	h.n.Store(int64(len(h.data)))
}

// takeLocked removes the first k of the bytes held. The caller may keep them.
func (r *readahead) takeLocked(k int) []byte {
	h := r.held.Load()
	if k == 0 || h == nil {
		return nil
	}
	r.taken += int64(k)
	if k == len(h.data) {
		r.held.Store(nil)
		return h.data
	}
	p := slices.Clone(h.data[:k])
	h.data = h.data[k:]
	h.n.Store(int64(len(h.data)))
	return p
}

// putBack makes bytes that have left a stream the next to be read. Those of a
// datagram are lost.
func (s *Socket) putBack(p []byte) {
	if s.d.typ != SOCK_STREAM || s.dead() {
		return
	}
	r := &s.d.reading
	r.mu.Lock()
	defer r.mu.Unlock()
	data := slices.Clone(p)
	if h := r.held.Load(); h != nil {
		data = append(data, h.data...)
		r.taken += int64(len(h.data)) // who looked for the end of a line there looks again
	}
	r.held.Store(nil)
	r.addLocked(data)
	s.d.wq.Notify(waiter.ReadableEvents)
}

// dropAhead forgets the bytes held: the connection that they belong to is gone.
func (d *description) dropAhead() {
	r := &d.reading
	r.mu.Lock()
	defer r.mu.Unlock()
	r.takeLocked(d.ahead())
}

// readStream moves bytes of a stream to w, those held first, or copies them when
// peek says so. A result without bytes, end or error means that it is worth
// waiting.
func (s *Socket) readStream(w *scatter, peek bool) received {
	r := &s.d.reading
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.held.Load(); h != nil {
		k := min(w.size(), len(h.data))
		w.Write(h.data[:k])
		if !peek {
			r.takeLocked(k)
		}
		return received{n: k}
	}
	return s.pullLocked(w, peek)
}

// pullLocked is readStream past the bytes held.
func (s *Socket) pullLocked(w *scatter, peek bool) received {
	if s.d.unix != nil {
		return s.pullUnix(w, peek)
	}
	ep := s.d.ep.Load()
	res, terr := ep.Read(w, tcpip.ReadOptions{Peek: peek})
	if terr != nil {
		return s.recvEnd(terr)
	}
	if !peek {
		s.d.received(ep, res.Count, s.d.count().received.Add(uint64(res.Count)))
	}
	return received{n: res.Count}
}

// A portion says how much of a stream a call wants.
type portion struct {
	most int  // bytes at most, -1 for no bound
	line bool // to the end of the line; without it all of most
}

// complete returns how many of the bytes make the portion complete, or -1. The
// first skip bytes are known not to hold the end of a line.
func (want portion) complete(p []byte, skip int) int {
	if want.line {
		if i := bytes.IndexByte(p[skip:], '\n'); i >= 0 && want.most < 0 {
			return skip + i + 1
		} else if i >= 0 {
			return min(skip+i+1, want.most)
		}
	}
	if want.most >= 0 && len(p) >= want.most {
		return want.most
	}
	return -1
}

// lookSize is how far a line is looked for at once, in bytes: more than most
// lines have, little enough to copy twice.
const lookSize = 512

// pullSize is how much is taken out of the queue at once, in bytes.
const pullSize = 64 << 10

var lookBuffers = sync.Pool{New: func() any { return new([pullSize]byte) }}

// collect waits until the portion is complete or the stream ends, and returns
// it. The end is io.EOF when nothing came before it. On any other error the
// bytes found so far stay in the socket, except that without a line to complete a
// non-blocking socket gives what there is.
func (s *Socket) collect(want portion) ([]byte, error) {
	if s.d.typ != SOCK_STREAM {
		return nil, &Error{Num: EOPNOTSUPP, Msg: "reading by lines and counts needs a stream; use Recv"}
	}
	c := s.receiving(nil)
	defer c.done()
	var seen int64 // in the numbering of readahead.taken: no line ends before it
	for {
		p, r := s.gatherPortion(want, &seen)
		switch {
		case p != nil || r.err != nil:
			return p, r.err
		case r.eof && s.dead():
			return nil, ErrClosed
		case r.eof:
			return s.remainder(want)
		case r.n > 0:
			continue
		}
		if err := c.again(); err != nil {
			if err == EAGAIN && !c.blocks() && !want.line && s.d.ahead() > 0 {
				return s.remainder(want)
			}
			return nil, err
		}
	}
}

// gatherPortion makes one attempt: the portion, or how the pull for more of it
// went.
func (s *Socket) gatherPortion(want portion, seen *int64) ([]byte, received) {
	if s.dead() {
		return nil, received{err: ErrClosed}
	}
	r := &s.d.reading
	r.mu.Lock()
	defer r.mu.Unlock()
	have := 0
	if h := r.held.Load(); h != nil {
		skip := max(*seen-r.taken, 0)
		if k := want.complete(h.data, int(skip)); k >= 0 {
			return r.takeLocked(k), received{}
		}
		have = len(h.data)
		*seen = r.taken + int64(have)
	}
	buf := lookBuffers.Get().(*[pullSize]byte)
	defer lookBuffers.Put(buf)
	room := buf[:]
	if want.most >= 0 {
		room = room[:min(len(room), want.most-have)]
	}
	var got received
	if want.line {
		if have == 0 {
			room = room[:min(len(room), lookSize)]
		}
		got = s.pullLineLocked(room)
	} else {
		got = s.pullIntoLocked(room, false)
	}
	if got.n == 0 {
		return nil, got
	}
	if k := want.complete(room[:got.n], 0); have == 0 && k == got.n {
		return slices.Clone(room[:k]), received{}
	}
	r.addLocked(room[:got.n])
	h := r.held.Load()
	if k := want.complete(h.data, have); k >= 0 {
		return r.takeLocked(k), received{}
	}
	// Who waits for fewer bytes than this call, or only to see that there are
	// some, may have looked while they were neither in the queue nor held.
	s.d.wq.Notify(waiter.ReadableEvents)
	return nil, got
}

// pullLineLocked takes bytes out of the queue, none beyond the end of a line.
func (s *Socket) pullLineLocked(p []byte) received {
	got := s.pullIntoLocked(p, true)
	if got.n == 0 {
		return got
	}
	if i := bytes.IndexByte(p[:got.n], '\n'); i >= 0 {
		got.n = i + 1
	}
	return s.pullIntoLocked(p[:got.n], false)
}

func (s *Socket) pullIntoLocked(p []byte, peek bool) received {
	w := scatterOver(p)
	defer w.free()
	return s.pullLocked(w, peek)
}

// fill fills p if the queue has enough for it. Otherwise what it took is held.
func (s *Socket) fill(p []byte) received {
	r := &s.d.reading
	if s.dead() || s.d.typ != SOCK_STREAM {
		return received{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held.Load() != nil {
		return received{}
	}
	got := s.pullIntoLocked(p, false)
	if got.n > 0 && got.n < len(p) {
		r.addLocked(p[:got.n])
		s.d.wq.Notify(waiter.ReadableEvents)
	}
	return got
}

// remainder is the end of collect when there is no more to come: what is held.
func (s *Socket) remainder(want portion) ([]byte, error) {
	r := &s.d.reading
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.held.Load()
	if h == nil {
		return nil, io.EOF
	}
	k := want.complete(h.data, 0)
	if k < 0 {
		k = len(h.data)
	}
	return r.takeLocked(k), nil
}
