package sockets

import (
	"net"
	"time"

	"gvisor.dev/gvisor/pkg/waiter"
)

// Listener is a net.Listener on a listening Socket, with net.TCPListener's
// SetDeadline.
type Listener struct {
	s        *Socket
	addr     net.Addr
	deadline limit
}

var _ net.Listener = (*Listener)(nil)

// Listener returns a net.Listener that takes the Socket over. The error is
// EINVAL when the socket does not listen.
func (s *Socket) Listener() (net.Listener, error) {
	if s.d.accepting() == 0 {
		return nil, s.error("listener", EINVAL)
	}
	return s.listener(), nil
}

func (s *Socket) listener() *Listener {
	l := &Listener{s: s}
	if s.d.unix != nil {
		l.addr = s.unixNetAddr(s.d.unix.ownName())
	} else {
		l.addr = s.netAddr(s.localAddr())
	}
	return l
}

// Socket returns the Socket under the listener.
func (l *Listener) Socket() *Socket { return l.s }

// Accept implements net.Listener; the connections are *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	c := l.s.adapterCall(waiter.ReadableEvents, &l.deadline)
	if l.s.expired(c) {
		return nil, l.opError("accept", ErrTimeout)
	}
	if l.s.d.unix != nil {
		n, peer, err := l.s.acceptUnix(&c)
		if err != nil {
			return nil, l.opError("accept", err)
		}
		return n.unixConn(peer), nil
	}
	n, peer, err := l.s.accept(&c)
	if err != nil {
		return nil, l.opError("accept", err)
	}
	return n.conn(peer), nil
}

// Close implements net.Listener. Connections that nobody has accepted are reset.
func (l *Listener) Close() error {
	if l.s.closed() {
		return l.opError("close", ErrClosed)
	}
	l.deadline.stop()
	return l.s.Close()
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.addr }

// SetDeadline bounds the Accept calls that wait now or later; the zero time
// takes the bound away.
func (l *Listener) SetDeadline(t time.Time) error {
	if l.s.closed() {
		return l.opError("set", ErrClosed)
	}
	l.s.setLimit(&l.deadline, t)
	return nil
}

func (l *Listener) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: l.s.d.networkName(), Addr: l.addr, Err: adapterError(l.s, op, err)}
}
