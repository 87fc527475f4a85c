package sockets

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/waiter"
)

// Conn is a net.Conn on a connected Socket. Its deadlines are its own: they
// neither see nor change the Socket's timeout. Errors are *net.OpError around
// an *Error; after Close they are net.ErrClosed, past a deadline
// os.ErrDeadlineExceeded.
type Conn struct {
	s             *Socket
	local, remote netip.AddrPort
	unix          *unixEnds // instead of them

	writing     sync.Mutex // a Write is not interrupted by another
	read, write limit
}

var (
	_ net.Conn      = (*Conn)(nil)
	_ io.ReaderFrom = (*Conn)(nil)
	_ io.WriterTo   = (*Conn)(nil)
)

// Conn returns a net.Conn that takes the Socket over: closing one closes the
// other. Nagle's algorithm is turned off, as Go's net does. The error is
// ENOTCONN when the socket is not connected.
func (s *Socket) Conn() (net.Conn, error) {
	if s.d.unix != nil {
		name, errno := s.d.unix.peerName()
		if errno != 0 {
			return nil, s.error("conn", errno)
		}
		return s.unixConn(name), nil
	}
	peer, errno := s.remoteAddr()
	if errno != 0 {
		return nil, s.error("conn", errno)
	}
	return s.conn(peer), nil
}

func (s *Socket) conn(peer netip.AddrPort) *Conn {
	s.d.setNoDelay()
	return &Conn{s: s, local: s.localAddr(), remote: peer}
}

func (d *description) networkName() string {
	if d.unix != nil {
		return unixNetwork(d.typ)
	}
	if d.isTCP() {
		return "tcp"
	}
	return "udp"
}

// netAddr returns ap as package net has it: a *net.TCPAddr or *net.UDPAddr with
// the interface's name as its zone.
func (s *Socket) netAddr(ap netip.AddrPort) net.Addr {
	addr := ap.Addr().Unmap()
	switch {
	case !addr.IsValid() && s.d.family == AF_INET:
		addr = netip.IPv4Unspecified()
	case !addr.IsValid():
		addr = netip.IPv6Unspecified()
	}
	if zone := addr.Zone(); zone != "" {
		addr = addr.WithZone(s.host.zoneName(zone))
	}
	if s.d.isTCP() {
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, ap.Port()))
	}
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, ap.Port()))
}

// zoneName returns the name of the interface whose index a zone is.
func (h *Host) zoneName(zone string) string {
	if index, err := strconv.Atoi(zone); err == nil {
		if ifc, ok := h.stack.InterfaceByZone(strconv.Itoa(index)); ok {
			return ifc.Name
		}
	}
	return zone
}

// Socket returns the Socket under the connection, for options and the like.
func (c *Conn) Socket() *Socket { return c.s }

// Read implements net.Conn. The end of a TCP stream is io.EOF; an empty datagram
// is 0 bytes without an error.
func (c *Conn) Read(p []byte) (int, error) {
	cl := c.s.adapterCall(waiter.ReadableEvents, &c.read)
	if c.s.expired(cl) {
		return 0, c.opError("read", ErrTimeout)
	}
	r := c.s.recv(p, &cl)
	if r.err != nil {
		return 0, c.opError("read", r.err)
	}
	if r.eof {
		return 0, io.EOF
	}
	return r.n, nil
}

// Write implements net.Conn. Writes from several goroutines do not mix.
func (c *Conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	cl := c.s.adapterCall(waiter.WritableEvents, &c.write)
	cl.whole = true
	if c.s.expired(cl) {
		return 0, c.opError("write", ErrTimeout)
	}
	n, err := c.s.send(p, nil, &cl)
	if err != nil {
		return n, c.opError("write", err)
	}
	return n, nil
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	if c.s.closed() {
		return c.opError("close", ErrClosed)
	}
	c.read.stop()
	c.write.stop()
	return c.s.Close()
}

// CloseRead shuts the reading side down, as net.TCPConn does.
func (c *Conn) CloseRead() error { return c.opError("close", c.s.Shutdown(SHUT_RD)) }

// CloseWrite sends the end of the stream and leaves reading open.
func (c *Conn) CloseWrite() error { return c.opError("close", c.s.Shutdown(SHUT_WR)) }

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr {
	if c.unix != nil {
		return c.unix.local
	}
	return c.s.netAddr(c.local)
}

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr {
	if c.unix != nil {
		return c.unix.remote
	}
	return c.s.netAddr(c.remote)
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(&c.read, t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(&c.write, t) }

func (c *Conn) setDeadline(l *limit, t time.Time) error {
	if c.s.closed() {
		return c.opError("set", ErrClosed)
	}
	c.s.setLimit(l, t)
	return nil
}

func (c *Conn) opError(op string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: c.s.d.networkName(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: adapterError(c.s, op, err)}
}

// adapterCall is a call that waits for an adapter's deadline, not for the
// socket's timeout.
func (s *Socket) adapterCall(mask waiter.EventMask, l *limit) call {
	c := s.newCall(mask, 0, nil)
	c.limit = l
	return c
}

// expired reports whether the deadline passed before the call began, in which
// case even data that waits is not touched, as package net has it.
func (s *Socket) expired(c call) bool { return !s.closed() && c.limit.over() }

// adapterError is the error inside a *net.OpError: package net's own for the two
// ends that it has names for, and otherwise an *Error.
func adapterError(s *Socket, op string, err error) error {
	switch err = s.ending(err); {
	case errors.Is(err, ErrClosed):
		return net.ErrClosed
	case errors.Is(err, ErrTimeout):
		return os.ErrDeadlineExceeded
	}
	return s.error(op, err)
}
