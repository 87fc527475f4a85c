package sockets

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"gvisor.dev/gvisor/pkg/waiter"
)

// unixNetworks are the networks of package net that AF_UNIX is behind.
var unixNetworks = map[string]Type{"unix": SOCK_STREAM, "unixgram": SOCK_DGRAM, "unixpacket": SOCK_SEQPACKET}

func unixNetwork(t Type) string {
	for name, typ := range unixNetworks {
		if typ == t {
			return name
		}
	}
	return "unix"
}

// fromNetName returns the name that package net writes with "@" for the zero
// byte of an abstract one.
func fromNetName(name string) string {
	if strings.HasPrefix(name, "@") {
		return "\x00" + name[1:]
	}
	return name
}

func (s *Socket) unixNetAddr(name string) net.Addr {
	return &net.UnixAddr{Name: printedName(name), Net: unixNetwork(s.d.typ)}
}

// unixEnds are the names of both ends when the connection was made.
type unixEnds struct{ local, remote net.Addr }

// unixConn is Conn for a connected AF_UNIX socket.
func (s *Socket) unixConn(peer string) *Conn {
	return &Conn{s: s, unix: &unixEnds{s.unixNetAddr(s.d.unix.ownName()), s.unixNetAddr(peer)}}
}

// dialUnix is DialContext for AF_UNIX.
func (h *Host) dialUnix(ctx context.Context, typ Type, address string) (net.Conn, error) {
	s, err := h.Socket(AF_UNIX, typ, 0)
	if err != nil {
		return nil, err
	}
	if err := s.Connect(UnixAddr{fromNetName(address)}, WithContext(ctx)); err != nil {
		err = adapterError(s, "connect", err)
		s.Close()
		return nil, err
	}
	return s.unixConn(fromNetName(address)), nil
}

// listenUnix is Listen and ListenPacket for AF_UNIX: a socket that is bound. As
// in package net, the path goes when it is closed.
func (h *Host) listenUnix(typ Type, address string) (*Socket, error) {
	s, err := h.Socket(AF_UNIX, typ, 0)
	if err != nil {
		return nil, err
	}
	s.d.unix.unlinks = true
	if err := s.Bind(UnixAddr{fromNetName(address)}); err != nil {
		return s, err
	}
	return s, nil
}

// A unixPacketConn is a net.PacketConn on an AF_UNIX datagram socket.
type unixPacketConn struct {
	s           *Socket
	local       net.Addr
	read, write limit
}

func (s *Socket) unixPacketConn() *unixPacketConn {
	return &unixPacketConn{s: s, local: s.unixNetAddr(s.d.unix.ownName())}
}

// Socket returns the Socket under the connection.
func (c *unixPacketConn) Socket() *Socket { return c.s }

// ReadFrom implements net.PacketConn. What does not fit p is lost.
func (c *unixPacketConn) ReadFrom(p []byte) (int, net.Addr, error) {
	cl := c.s.adapterCall(waiter.ReadableEvents, &c.read)
	if c.s.expired(cl) {
		return 0, nil, c.opError("read", nil, ErrTimeout)
	}
	r := c.s.recv(p, &cl)
	if r.err != nil {
		return 0, nil, c.opError("read", nil, r.err)
	}
	return r.n, c.s.unixNetAddr(r.name), nil
}

// WriteTo implements net.PacketConn. The address is a *net.UnixAddr.
func (c *unixPacketConn) WriteTo(p []byte, to net.Addr) (int, error) {
	cl := c.s.adapterCall(waiter.WritableEvents, &c.write)
	ua, ok := to.(*net.UnixAddr)
	switch {
	case !ok:
		return 0, c.opError("write", to, EINVAL)
	case c.s.expired(cl):
		return 0, c.opError("write", to, ErrTimeout)
	}
	r := gatherOver(p)
	defer r.free()
	n, err := c.s.sendUnix(r, UnixAddr{fromNetName(ua.Name)}, nil, &cl)
	if err != nil {
		return n, c.opError("write", to, err)
	}
	return n, nil
}

// Close implements net.PacketConn.
func (c *unixPacketConn) Close() error {
	if c.s.closed() {
		return c.opError("close", nil, ErrClosed)
	}
	c.read.stop()
	c.write.stop()
	return c.s.Close()
}

// LocalAddr implements net.PacketConn.
func (c *unixPacketConn) LocalAddr() net.Addr { return c.local }

// SetDeadline implements net.PacketConn.
func (c *unixPacketConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.PacketConn.
func (c *unixPacketConn) SetReadDeadline(t time.Time) error { return c.setDeadline(&c.read, t) }

// SetWriteDeadline implements net.PacketConn.
func (c *unixPacketConn) SetWriteDeadline(t time.Time) error { return c.setDeadline(&c.write, t) }

func (c *unixPacketConn) setDeadline(l *limit, t time.Time) error {
	if c.s.closed() {
		return c.opError("set", nil, ErrClosed)
	}
	c.s.setLimit(l, t)
	return nil
}

func (c *unixPacketConn) opError(op string, to net.Addr, err error) error {
	return &net.OpError{Op: op, Net: "unixgram", Source: c.local, Addr: to, Err: adapterError(c.s, op, err)}
}
