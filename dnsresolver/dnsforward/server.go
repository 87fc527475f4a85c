package dnsforward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/userstack/userstack/dnsresolver"
)

// Config says how to serve. Resolver is required; of the rest the zero value works.
type Config struct {
	// Resolver answers. It is not closed with the server.
	Resolver *dnsresolver.Resolver
	// Queries bounds those that are being answered at a time; further ones wait where
	// they are. Zero: 256.
	Queries int
	// Conns bounds TCP connections at a time; further ones are not accepted. Zero: 64.
	Conns int
	// Idle is for how long a TCP connection may have nothing to do. Zero: 10 s.
	Idle time.Duration
}

const (
	defaultQueries = 256
	defaultConns   = 64
	defaultIdle    = 10 * time.Second // RFC 7766 section 6.2.3: in the order of seconds
)

// A Server answers on any number of sockets. Its methods may be called from any
// goroutine.
type Server struct {
	resolver *dnsresolver.Resolver
	idle     time.Duration
	queries  chan struct{} // full when no more may begin
	conns    chan struct{}

	ctx    context.Context // done when the server closes
	cancel context.CancelFunc

	mu     sync.Mutex
	closed bool
	open   map[interface{ Close() error }]struct{} // sockets to close
	work   sync.WaitGroup                          // Serve calls, connections and answers
}

// New returns a server that listens nowhere yet.
func New(c Config) (*Server, error) {
	switch {
	case c.Resolver == nil:
		return nil, errors.New("dnsforward: Config.Resolver is required")
	case c.Queries < 0 || c.Conns < 0 || c.Idle < 0:
		return nil, fmt.Errorf("dnsforward: a limit is negative: %d, %d, %v", c.Queries, c.Conns, c.Idle)
	}
	s := &Server{
		resolver: c.Resolver,
		idle:     orDefault(c.Idle, defaultIdle),
		queries:  make(chan struct{}, orDefault(c.Queries, defaultQueries)),
		conns:    make(chan struct{}, orDefault(c.Conns, defaultConns)),
		open:     make(map[interface{ Close() error }]struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

func orDefault[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// Close closes the sockets, ends the questions that are being asked, and waits until
// every Serve and ServePacket has returned. The error is always nil.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	open := s.open
	s.open = nil
	s.mu.Unlock()
	s.cancel()
	for c := range open {
		c.Close()
	}
	s.work.Wait()
	return nil
}

// begin takes a socket over and counts its work. After Close it closes the socket and
// returns false.
func (s *Server) begin(c interface{ Close() error }) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return false
	}
	s.open[c] = struct{}{}
	s.work.Add(1)
	return true
}

// end closes a socket that begin took over.
func (s *Server) end(c interface{ Close() error }) {
	c.Close()
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
	s.work.Done()
}

// begun starts to answer in a goroutine once there is a place for it. It returns false
// when the server closes.
func (s *Server) begun(answer func()) bool {
	select {
	case s.queries <- struct{}{}:
	case <-s.ctx.Done():
		return false
	}
	s.work.Add(1) // never the first: the caller's work is counted
	go func() {
		defer s.work.Done()
		defer func() { <-s.queries }()
		answer()
	}()
	return true
}

// mostQuery is the longest query in bytes; one with a name and EDNS has some hundred.
const mostQuery = 4096

// ServePacket answers what comes in on pc until it fails, or until Close, which is no
// error but net.ErrClosed. It closes pc.
func (s *Server) ServePacket(pc net.PacketConn) error {
	if !s.begin(pc) {
		return net.ErrClosed
	}
	defer s.end(pc)
	buf := make([]byte, mostQuery)
	for {
		n, from, err := pc.ReadFrom(buf)
		switch {
		case s.ctx.Err() != nil:
			return net.ErrClosed
		case err != nil && passing(err):
			continue
		case err != nil:
			return fmt.Errorf("dnsforward: %w", err)
		}
		query := append([]byte(nil), buf[:n]...)
		s.begun(func() {
			if reply := s.answer(query, overUDP); reply != nil {
				pc.WriteTo(reply, from) // a reply that is lost is asked for again
			}
		})
	}
}

// passing reports whether a socket works on after an error: an ICMP error that
// answers a reply is no reason to stop.
func passing(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	var temporary interface{ Temporary() bool }
	return errors.As(err, &temporary) && temporary.Temporary() || refused(err)
}
