package sockets

import "syscall"

// A ProbedConn is a PacketConn with a descriptor to try options on: what
// quic-go calls an OOBCapablePacketConn, and sends by UDP_SEGMENT, with ECN, and
// receives in batches from. Make one with PacketConn.Probed.
type ProbedConn struct {
	*PacketConn
	probe *probe
}

// Probed returns the connection with a SyscallConn method. Programs like quic-go
// go their fast way only if they can set options on a descriptor, which a socket
// of a userspace stack does not have. So the descriptor is that of a UDP socket of
// the kernel's, of the same family, which is neither bound nor connected and
// carries nothing, ever: what is asked of it the kernel answers, and what is set
// on it by a function that Control runs is set on this socket too, when the
// function is done.
//
// That is for IP_RECVTOS, IP_RECVTTL, IP_PKTINFO, IP_MTU_DISCOVER, IP_TOS, IP_TTL,
// their likes of IPv6, UDP_SEGMENT and UDP_GRO. Other options stay on the
// descriptor, sizes of buffers among them: SetReadBuffer and SetWriteBuffer set
// those of this socket. Control's error says when this socket refuses what the
// kernel's took. RawConn's Read and Write are refused.
//
// It is the one thing of this package that asks the kernel for a socket. Errors:
// ErrUnsupported on other systems than Linux, EAFNOSUPPORT where the kernel lacks
// the family. Close closes both sockets.
func (c *PacketConn) Probed() (*ProbedConn, error) {
	p, err := newProbe(c.s)
	if err != nil {
		return nil, c.opError("probe", nil, err)
	}
	return &ProbedConn{c, p}, nil
}

// SyscallConn implements syscall.Conn; see PacketConn.Probed.
func (c *ProbedConn) SyscallConn() (syscall.RawConn, error) { return c.probe, nil }

// Close implements net.PacketConn.
func (c *ProbedConn) Close() error {
	c.probe.close()
	return c.PacketConn.Close()
}

// SetReadBuffer sets SO_RCVBUF, in bytes; see socket(7).
func (c *PacketConn) SetReadBuffer(bytes int) error {
	return c.setBuffer(SO_RCVBUF, bytes)
}

// SetWriteBuffer sets SO_SNDBUF, in bytes; see socket(7).
func (c *PacketConn) SetWriteBuffer(bytes int) error {
	return c.setBuffer(SO_SNDBUF, bytes)
}

func (c *PacketConn) setBuffer(name, bytes int) error {
	if c.s.closed() {
		return c.opError("set", nil, ErrClosed)
	}
	if err := c.s.SetSockOptInt(SOL_SOCKET, name, bytes); err != nil {
		return c.opError("set", nil, err)
	}
	return nil
}
