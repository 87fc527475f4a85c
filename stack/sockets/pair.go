package sockets

import "net/netip"

// SocketPair makes two sockets that are connected with each other
// (socketpair(2)). AF_UNIX has SOCK_STREAM, SOCK_DGRAM and SOCK_SEQPACKET.
// AF_INET with SOCK_STREAM is NewTCPPair, which Linux refuses and Python's
// documents promise. The type may carry SOCK_NONBLOCK. Errors: Socket's, and
// EOPNOTSUPP for other kinds.
func (h *Host) SocketPair(f Family, t Type, p Protocol) (a, b *Socket, err error) {
	a, err = h.Socket(f, t, p)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case a.d.unix != nil:
		b, err = h.Socket(f, t, p)
		if err == nil {
			unixPair(a.d.unix, b.d.unix)
			return a, b, nil
		}
	case f == AF_INET && a.d.isTCP():
		b, err = h.tcpPeer(a)
		if err == nil {
			return a, b, nil
		}
	default:
		err = &Error{Op: "socketpair", Num: EOPNOTSUPP, Err: ErrUnsupported,
			Msg: "only AF_UNIX and AF_INET streams come in pairs"}
	}
	a.Close()
	return nil, nil, err
}

// NewTCPPair makes two TCP sockets that are connected with each other over the
// loopback interface (NSPR's PR_NewTCPSocketPair). A connection that a stranger
// made meanwhile is never taken for the pair's.
func (h *Host) NewTCPPair() (a, b *Socket, err error) { return h.SocketPair(AF_INET, SOCK_STREAM, 0) }

// tcpPeer connects a fresh TCP socket and returns the other end.
func (h *Host) tcpPeer(a *Socket) (*Socket, error) {
	l, err := h.TCP()
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if err := l.Bind(Inet4{Host: "127.0.0.1"}); err != nil {
		return nil, err
	}
	if err := l.Listen(DefaultBacklog); err != nil {
		return nil, err
	}
	c := a.newCall(everyEvent, 0, []CallOption{Within(NoTimeout)})
	if err := a.connect(l.localAddr(), &c); err != nil {
		return nil, a.error("socketpair", err)
	}
	b, err := l.acceptFrom(a.localAddr())
	if err == nil {
		b.d.timeout.Store(a.d.timeout.Load())
	}
	return b, err
}

// acceptFrom accepts the connection from a peer and closes those from others.
func (s *Socket) acceptFrom(own netip.AddrPort) (*Socket, error) {
	for {
		n, peer, err := s.Accept(Within(NoTimeout))
		if err != nil {
			return nil, err
		}
		if ap, ok := peer.(Inet4).AddrPort(); ok && ap == own {
			return n, nil
		}
		n.Close() // somebody else's
	}
}
