package dnsresolver

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"sync"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
)

const (
	// streamIdle is how long a connection is kept for the next query.
	streamIdle = 10 * time.Second
	// maxStreams bounds the connections to one server, and maxOnStream the
	// queries that wait on one; those beyond share it all the same.
	maxStreams  = 4
	maxOnStream = 100
)

// A stream is a connection to a server that carries queries side by side; the
// replies come in any order and are told apart by ID (RFC 7766 section 6.2). It
// ends when the server ends it, when it was idle for long, when a query on it ran
// out of time, or with the resolver.
type stream struct {
	conn    net.Conn
	writing chan struct{} // a token: one query is written at a time

	mu      sync.Mutex
	waiting map[uint16]chan []byte // by ID; the reader gives each at most one message at a time
	ended   error                  // why the connection is of no more use
	gone    chan struct{}          // closed with ended set
}

func newStream(conn net.Conn) *stream {
	s := &stream{conn: conn, waiting: make(map[uint16]chan []byte), gone: make(chan struct{}), writing: make(chan struct{}, 1)}
	conn.SetReadDeadline(time.Now().Add(streamIdle))
	return s
}

// join registers a query under an ID that no other on the stream has. The result
// is nil when the stream has ended.
func (s *stream) join() (id uint16, replies chan []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return 0, nil
	}
	for id = randomID(); s.waiting[id] != nil; id = randomID() {
	}
	if len(s.waiting) == 0 {
		s.conn.SetReadDeadline(time.Time{})
	}
	replies = make(chan []byte, 1)
	s.waiting[id] = replies
	return id, replies
}

// leave takes a query back.
func (s *stream) leave(id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, id)
	if len(s.waiting) == 0 {
		s.conn.SetReadDeadline(time.Now().Add(streamIdle))
	}
}

// end closes the stream. Who waits on it is told why.
func (s *stream) end(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = why
		close(s.gone)
		s.conn.Close()
	}
}

// load returns how many queries wait, or false when the stream has ended.
func (s *stream) load() (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting), s.ended == nil
}

// read hands messages to the queries that wait for them until the stream ends.
// Messages that nobody waits for are counted and dropped.
func (s *stream) read() {
	var buf bytes.Buffer
	for strange := 0; strange < maxRejects; {
		if err := readFrame(s.conn, &buf); err != nil {
			s.end(err)
			return
		}
		if !s.deliver(buf.Bytes()) {
			strange++
		}
	}
	s.end(errForged)
}

// deliver reports whether a query waited for b.
func (s *stream) deliver(b []byte) bool {
	if len(b) < wire.HeaderLen {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()

	c := s.waiting[binary.BigEndian.Uint16(b)]
	if c == nil {
		return false
	}
	select {
	case c <- bytes.Clone(b):
		return true
	default:
		return false // another with this ID has not been looked at yet
	}
}

// write sends one framed message. What cannot be written before ctx ends leaves
// the stream useless, since half a message may have gone out.
func (s *stream) write(ctx context.Context, framed []byte) error {
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-s.gone:
		return s.ended
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	stop := context.AfterFunc(ctx, func() { s.end(context.Cause(ctx)) })
	_, err := s.conn.Write(framed)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		s.end(err)
	}
	return err
}

// streams are the connections to one server.
type streams struct {
	mu     sync.Mutex
	open   []*stream
	making *opening // nil: nobody is
}

// opening is a connection that is being made.
type opening struct {
	done      chan struct{} // closed when the rest holds
	err       error         // why it was not made
	abandoned bool          // because of who made it, not of the server
}

// pick returns the stream that has the least to do. When a new one should be made
// it returns nil and what to wait for, and whether the caller is to make it.
func (ss *streams) pick() (best *stream, o *opening, first bool) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	least := 0
	kept := ss.open[:0]
	for _, s := range ss.open {
		n, alive := s.load()
		if !alive {
			continue
		}
		kept = append(kept, s)
		if best == nil || n < least {
			best, least = s, n
		}
	}
	clear(ss.open[len(kept):])
	ss.open = kept
	switch {
	case best != nil && (least < maxOnStream || len(kept) >= maxStreams):
		return best, nil, false
	case ss.making != nil:
		return nil, ss.making, false
	}
	ss.making = &opening{done: make(chan struct{})}
	return nil, ss.making, true
}

// opened ends an opening.
func (ss *streams) opened(o *opening, s *stream, err error) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if err == nil {
		ss.open = append(ss.open, s)
	}
	o.err, ss.making = err, nil
	close(o.done)
}
