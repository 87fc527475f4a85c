package dnsforward

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

func refused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

const (
	// mostPipelined bounds the queries of one connection that are being answered.
	mostPipelined = 32
	// patience is how long a client may take to send the rest of a query, and to take
	// a reply.
	patience = 5 * time.Second
	// acceptPause is how long to wait after an accept that failed for a time, as for
	// want of descriptors.
	acceptPause = 100 * time.Millisecond
)

// Serve accepts connections on l and answers what comes in until l fails, or until
// Close, which is no error but net.ErrClosed. It closes l.
func (s *Server) Serve(l net.Listener) error {
	if !s.begin(l) {
		return net.ErrClosed
	}
	defer s.end(l)
	for {
		select {
		case s.conns <- struct{}{}:
		case <-s.ctx.Done():
			return net.ErrClosed
		}
		c, err := l.Accept()
		if err == nil {
			s.serveConn(c)
			continue
		}
		<-s.conns
		switch {
		case s.ctx.Err() != nil:
			return net.ErrClosed
		case !passing(err):
			return fmt.Errorf("dnsforward: %w", err)
		}
		select {
		case <-time.After(acceptPause):
		case <-s.ctx.Done():
		}
	}
}

// serveConn answers on a connection in a goroutine, which gives its place back.
func (s *Server) serveConn(c net.Conn) {
	if !s.begin(c) {
		<-s.conns
		return
	}
	st := &stream{s: s, c: c, slots: make(chan struct{}, mostPipelined)}
	go func() {
		defer func() { <-s.conns }()
		defer s.end(c)
		st.serve()
	}()
}

// A stream is a connection of a client.
type stream struct {
	s     *Server
	c     net.Conn
	slots chan struct{} // full when no more queries may begin

	answers sync.WaitGroup
	mu      sync.Mutex // held while a reply is written
}

// serve reads queries until the client sends no more, or nothing for too long, and
// returns when all are answered.
func (st *stream) serve() {
	defer st.answers.Wait()
	r := bufio.NewReaderSize(st.c, mostQuery)
	for {
		query, err := st.read(r)
		if err != nil {
			return
		}
		select {
		case st.slots <- struct{}{}:
		case <-st.s.ctx.Done():
			return
		}
		st.answers.Add(1)
		ok := st.s.begun(func() {
			defer st.answers.Done()
			defer func() { <-st.slots }()
			st.write(st.s.answer(query, overTCP))
		})
		if !ok {
			st.answers.Done()
			return
		}
	}
}

var errTooLong = errors.New("a query is too long")

// read returns the next query.
func (st *stream) read(r *bufio.Reader) ([]byte, error) {
	for {
		st.c.SetReadDeadline(time.Now().Add(st.s.idle))
		_, err := r.Peek(1)
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || len(st.slots) == 0 {
			return nil, err
		}
	}
	st.c.SetReadDeadline(time.Now().Add(patience))
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(length[:]))
	if n > mostQuery {
		return nil, errTooLong
	}
	query := make([]byte, n)
	_, err := io.ReadFull(r, query)
	return query, err
}

// write sends a reply, or ends the connection when it cannot.
func (st *stream) write(reply []byte) {
	if reply == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.c.SetWriteDeadline(time.Now().Add(patience))
	b := binary.BigEndian.AppendUint16(nil, uint16(len(reply)))
	if _, err := st.c.Write(append(b, reply...)); err != nil {
		st.c.Close()
	}
}
