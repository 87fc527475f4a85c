package testnet

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// DNSServer answers questions about a Zone over UDP and TCP, on whatever sockets it is given: the kernel's, a
// namespace's, or ours. Its codec is not the one that package dnsresolver uses, so that the two cannot share a fault.
type DNSServer struct {
	zone Zone
	pc   net.PacketConn
	ln   net.Listener

	wg    sync.WaitGroup // serveUDP, serveTCP and one serveConn for each connection; Close waits
	close sync.Once

	mu      sync.Mutex // guards what follows
	queries []Query
	conns   map[net.Conn]struct{} // nil once closed
}

// Query is one question that a DNSServer was asked.
type Query struct {
	Name    string // as asked, in the client's case, with a final dot
	Type    string // "A", "AAAA", "TXT"…
	Network string // "udp" or "tcp"
	From    net.Addr
}

// tcpIdle is how long a DNS connection may say nothing: seconds, as RFC 7766 section 6.2.3 advises.
const tcpIdle = 10 * time.Second

// NewDNSServer serves zone on pc and ln until Close; either may be nil. It owns them from here on and closes them also
// when it fails, which it does for a zone with a name or a record that cannot be sent.
func NewDNSServer(zone Zone, pc net.PacketConn, ln net.Listener) (*DNSServer, error) {
	s := &DNSServer{pc: pc, ln: ln, conns: map[net.Conn]struct{}{}}
	var err error
	if s.zone, err = zone.checked(); err != nil {
		s.Close()
		return nil, err
	}
	if pc != nil {
		s.wg.Go(s.serveUDP)
	}
	if ln != nil {
		s.wg.Go(s.serveTCP)
	}
	return s, nil
}

// Queries returns the questions so far, in the order in which they came.
func (s *DNSServer) Queries() []Query {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.queries)
}

// Close closes the sockets and every connection, and returns when nothing is being served any more. A second Close waits
// for the first.
func (s *DNSServer) Close() error {
	var errs []error
	s.close.Do(func() {
		if s.pc != nil {
			errs = append(errs, s.pc.Close())
		}
		if s.ln != nil {
			errs = append(errs, s.ln.Close())
		}
		s.mu.Lock()
		for c := range s.conns {
			c.Close()
		}
		s.conns = nil
		s.mu.Unlock()
		s.wg.Wait()
	})
	return errors.Join(errs...)
}

// reply answers one message and notes the question; nil means that there is nothing to say.
func (s *DNSServer) reply(query []byte, from net.Addr, network string) []byte {
	answer, question, err := s.zone.answer(query, network == "udp")
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries = append(s.queries, Query{
		Name: question.Name.String(), Type: strings.TrimPrefix(question.Type.String(), "Type"), Network: network, From: from,
	})
	return answer
}

func (s *DNSServer) serveUDP() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := s.pc.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error about an earlier answer
		}
		if answer := s.reply(buf[:n], from, "udp"); answer != nil {
			s.pc.WriteTo(answer, from) // lost answers are the client's to notice
		}
	}
}

func (s *DNSServer) serveTCP() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		open := s.conns != nil
		if open {
			s.conns[c] = struct{}{}
			s.wg.Go(func() { s.serveConn(c) })
		}
		s.mu.Unlock()
		if !open {
			c.Close()
		}
	}
}

// serveConn answers messages with a length of two bytes in front (RFC 1035 section 4.2.2) until the client goes.
func (s *DNSServer) serveConn(c net.Conn) {
	defer func() {
		c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	for {
		c.SetDeadline(time.Now().Add(tcpIdle))
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		answer := s.reply(query, c.RemoteAddr(), "tcp")
		if answer == nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}
