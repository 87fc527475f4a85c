package sockets

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/waiter"
)

// PacketConn is a net.PacketConn on a datagram Socket, with the methods of
// net.UDPConn that avoid allocations.
type PacketConn struct {
	s           *Socket
	local       net.Addr
	read, write limit
	sender      atomic.Pointer[knownSender]
}

var _ net.PacketConn = (*PacketConn)(nil)

// PacketConn returns a net.PacketConn that takes the Socket over. The error is
// EOPNOTSUPP for a TCP socket.
func (s *Socket) PacketConn() (net.PacketConn, error) {
	if s.d.isTCP() || s.d.unix != nil && s.d.unix.connects() {
		return nil, s.error("packetconn", EOPNOTSUPP)
	}
	if s.d.unix != nil {
		return s.unixPacketConn(), nil
	}
	return s.packetConn(), nil
}

func (s *Socket) packetConn() *PacketConn {
	return &PacketConn{s: s, local: s.netAddr(s.localAddr())}
}

// Socket returns the Socket under the connection.
func (c *PacketConn) Socket() *Socket { return c.s }

// ReadFrom implements net.PacketConn. What does not fit p is lost.
func (c *PacketConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromUDPAddrPort(p)
	if err != nil {
		return n, nil, err
	}
	return n, c.s.netAddr(from), nil
}

// ReadFromUDPAddrPort is ReadFrom with an address that costs no allocation. The
// zone of a link-local sender is its interface's index.
func (c *PacketConn) ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error) {
	cl := c.s.adapterCall(waiter.ReadableEvents, &c.read)
	if c.s.expired(cl) {
		return 0, netip.AddrPort{}, c.opError("read", nil, ErrTimeout)
	}
	r := c.s.recv(p, &cl)
	if r.err != nil {
		return 0, netip.AddrPort{}, c.opError("read", nil, r.err)
	}
	return r.n, r.from, nil
}

// WriteTo implements net.PacketConn. The address is a *net.UDPAddr, or a
// *net.IPAddr on a ping socket; others are EINVAL.
func (c *PacketConn) WriteTo(p []byte, to net.Addr) (int, error) {
	switch a := to.(type) {
	case *net.UDPAddr:
		return c.writeTo(p, a.AddrPort(), to)
	case *net.IPAddr:
		addr, _ := netip.AddrFromSlice(a.IP)
		return c.writeTo(p, netip.AddrPortFrom(addr.WithZone(a.Zone), 0), to)
	}
	return 0, c.opError("write", to, EINVAL)
}

// WriteToUDPAddrPort is WriteTo with an address that costs no allocation.
func (c *PacketConn) WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error) {
	return c.writeTo(p, to, nil)
}

func (c *PacketConn) writeTo(p []byte, to netip.AddrPort, name net.Addr) (int, error) {
	cl := c.s.adapterCall(waiter.WritableEvents, &c.write)
	err := error(nil)
	switch v4 := to.Addr().Unmap().Is4(); {
	case c.s.dead():
		err = ErrClosed
	case c.s.expired(cl):
		err = ErrTimeout
	case !to.Addr().IsValid():
		err = EINVAL
	case c.s.d.family == AF_INET && !v4:
		err = EAFNOSUPPORT
	}
	n := 0
	if err == nil {
		n, err = c.s.sendTo(p, to, &cl)
	}
	if err != nil {
		if name == nil {
			name = net.UDPAddrFromAddrPort(to)
		}
		return n, c.opError("write", name, err)
	}
	return n, nil
}

// Close implements net.PacketConn.
func (c *PacketConn) Close() error {
	if c.s.closed() {
		return c.opError("close", nil, ErrClosed)
	}
	c.read.stop()
	c.write.stop()
	return c.s.Close()
}

// LocalAddr implements net.PacketConn.
func (c *PacketConn) LocalAddr() net.Addr { return c.local }

// SetDeadline implements net.PacketConn.
func (c *PacketConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.PacketConn.
func (c *PacketConn) SetReadDeadline(t time.Time) error { return c.setDeadline(&c.read, t) }

// SetWriteDeadline implements net.PacketConn.
func (c *PacketConn) SetWriteDeadline(t time.Time) error { return c.setDeadline(&c.write, t) }

func (c *PacketConn) setDeadline(l *limit, t time.Time) error {
	if c.s.closed() {
		return c.opError("set", nil, ErrClosed)
	}
	c.s.setLimit(l, t)
	return nil
}

func (c *PacketConn) opError(op string, to net.Addr, err error) error {
	return &net.OpError{Op: op, Net: "udp", Source: c.local, Addr: to, Err: adapterError(c.s, op, err)}
}
