package sockets

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// A Socket is a descriptor of a socket: the socket object of Python's, NSPR's
// and MicroPython's documents. Any method may be called from any goroutine at
// any time; Close wakes the calls that are blocked on the Socket.
type Socket struct {
	host *Host
	d    *description
	as   *socketKind // what FromFD was told that it is, nil otherwise

	fd        atomic.Int32 // -1 once closed or detached
	over      atomic.Bool  // Close or Detach has begun; who waits is told by closedEvent
	watched   atomic.Bool  // a Poller knows it, or did
	closeOnce sync.Once
}

// Socket makes a socket, as socket(2) does. A protocol of 0 is TCP for
// SOCK_STREAM and UDP for SOCK_DGRAM. The type may carry SOCK_NONBLOCK;
// otherwise the socket has the Host's DefaultTimeout.
//
// There are AF_INET and AF_INET6 sockets of TCP, UDP, ping sockets (SOCK_DGRAM
// with IPPROTO_ICMP or IPPROTO_ICMPV6, icmp(7)) and raw ones (SOCK_RAW with any
// protocol, raw(7)); an AF_INET6 socket of TCP or UDP serves IPv4 as well unless
// IPV6_V6ONLY is set. An AF_PACKET socket (packet(7)) receives and sends what
// passes the interfaces: SOCK_DGRAM from the IP header on, SOCK_RAW from the
// Ethernet header on where the link has one. Its protocol is an EtherType in
// network order, Protocol(Htons(ETH_P_ALL)). Errors: EAFNOSUPPORT,
// EPROTONOSUPPORT, ESOCKTNOSUPPORT, EINVAL, EMFILE, ErrClosed.
func (h *Host) Socket(f Family, t Type, p Protocol) (*Socket, error) {
	flags := t & (SOCK_NONBLOCK | SOCK_CLOEXEC)
	d, err := h.newDescription(f, t&^flags, p)
	if err != nil {
		return nil, err
	}
	if flags&SOCK_NONBLOCK != 0 {
		d.timeout.Store(0)
	}
	return h.newSocket("socket", d)
}

// newSocket gives d a descriptor. When it fails it drops the caller's
// reference.
func (h *Host) newSocket(op string, d *description) (*Socket, error) {
	return h.newSocketAs(op, d, nil)
}

// newSocketAs is newSocket for a descriptor that says it is something else. From
// the moment that it has a number other goroutines can find it.
func (h *Host) newSocketAs(op string, d *description, as *socketKind) (*Socket, error) {
	s := &Socket{host: h, d: d, as: as}
	err := error(ErrClosed)
	if !isClosed(h.stack.Closing()) {
		err = h.table.add(s, false)
	}
	if err != nil {
		d.release()
		return nil, s.error(op, err)
	}
	return s, nil
}

// TCP makes an AF_INET TCP socket.
func (h *Host) TCP() (*Socket, error) { return h.Socket(AF_INET, SOCK_STREAM, 0) }

// UDP makes an AF_INET UDP socket.
func (h *Host) UDP() (*Socket, error) { return h.Socket(AF_INET, SOCK_DGRAM, 0) }

// Close closes the descriptor. The socket itself is closed with its last
// descriptor: data already queued is still sent, a connection with unread data
// is reset, and SO_LINGER holds as in socket(7). Blocked calls on this Socket
// return ErrClosed. A second Close does nothing.
func (s *Socket) Close() error {
	s.shut(s.host.table.remove, (*description).release)
	return nil
}

// abort is Close without grace: the peer sees a reset.
func (s *Socket) abort() { s.shut(s.host.table.remove, (*description).abort) }

// shut makes every call on s end. leave gives its number up, and end its
// reference.
func (s *Socket) shut(leave func(*Socket), end func(*description)) {
	s.closeOnce.Do(func() {
		s.markClosed()
		leave(s)
		s.d.wq.Notify(closedEvent)
		if s.watched.Load() {
			for _, p := range s.host.openPollers() {
				p.forget(s)
			}
		}
		end(s.d)
	})
}

// markClosed makes every call on s end with ErrClosed, whatever else happens to
// the socket from now on.
func (s *Socket) markClosed() {
	s.d.mu.Lock() // Dup must see either an open socket or a closed one
	defer s.d.mu.Unlock()
	s.over.Store(true)
}

func (s *Socket) closed() bool { return s.over.Load() }

// dead reports whether calls must end with ErrClosed: the Socket was closed, or
// the stack below is being closed.
func (s *Socket) dead() bool { return s.closed() || isClosed(s.host.stack.Closing()) }

// ending is what a call on s ends with. An error number may come of the closing
// itself, which can reset the connection while the call looks at it.
func (s *Socket) ending(err error) error {
	if _, ok := err.(Errno); ok && s.dead() {
		return ErrClosed
	}
	return err
}

// Fileno returns the descriptor's number, which belongs to the Host and means
// nothing to the operating system; -1 once the Socket is closed.
func (s *Socket) Fileno() int { return int(s.fd.Load()) }

// Host returns the Host that made the socket.
func (s *Socket) Host() *Host { return s.host }

// Family returns the family given to Host.Socket or Host.FromFD.
func (s *Socket) Family() Family {
	if s.as != nil {
		return s.as.family
	}
	return s.d.family
}

// Type returns the type given to Host.Socket or Host.FromFD, without
// SOCK_NONBLOCK.
func (s *Socket) Type() Type {
	if s.as != nil {
		return s.as.typ
	}
	return s.d.typ
}

// Proto returns the protocol given to Host.Socket or Host.FromFD; SO_PROTOCOL
// has the one in effect.
func (s *Socket) Proto() Protocol {
	if s.as != nil {
		return s.as.proto
	}
	return s.d.proto
}

// SetTimeout sets how long calls may block: NoTimeout for ever, 0 not at all,
// or at most d. Calls that are blocked already keep theirs. The timeout is
// shared with duplicates. A negative duration other than NoTimeout is EINVAL.
func (s *Socket) SetTimeout(d time.Duration) error {
	if d < 0 && d != NoTimeout {
		return &Error{Op: "settimeout", Num: EINVAL, Msg: "the timeout is negative"}
	}
	s.d.timeout.Store(int64(d))
	return nil
}

// Timeout returns what SetTimeout or SetBlocking set last.
func (s *Socket) Timeout() time.Duration { return time.Duration(s.d.timeout.Load()) }

// SetBlocking is SetTimeout(NoTimeout) for true and SetTimeout(0) for false.
func (s *Socket) SetBlocking(b bool) {
	if b {
		s.d.timeout.Store(int64(NoTimeout))
	} else {
		s.d.timeout.Store(0)
	}
}

// Blocking reports whether calls may block at all.
func (s *Socket) Blocking() bool { return s.d.timeout.Load() != 0 }

// GetSockName returns the address that the socket is bound to (getsockname(2)):
// the unspecified address and port 0 before Bind.
func (s *Socket) GetSockName() (Sockaddr, error) {
	if s.closed() {
		return nil, s.error("getsockname", ErrClosed)
	}
	if s.d.unix != nil {
		return UnixAddr{s.d.unix.ownName()}, nil
	}
	if s.d.kind == onPacket {
		return s.d.linkName(), nil
	}
	return sockaddr(s.d.family, s.localAddr()), nil
}

// GetPeerName returns the address that the socket is connected to
// (getpeername(2)), or ENOTCONN.
func (s *Socket) GetPeerName() (Sockaddr, error) {
	if s.closed() {
		return nil, s.error("getpeername", ErrClosed)
	}
	if s.d.unix != nil {
		name, errno := s.d.unix.peerName()
		if errno != 0 {
			return nil, s.error("getpeername", errno)
		}
		return UnixAddr{name}, nil
	}
	ap, errno := s.remoteAddr()
	if errno != 0 {
		return nil, s.error("getpeername", errno)
	}
	return sockaddr(s.d.family, ap), nil
}

// localAddr is what getsockname(2) tells. Linux goes on naming the port that a
// TCP socket had before a failed connect or a disconnect gave it back.
func (s *Socket) localAddr() netip.AddrPort {
	ep := s.d.ep.Load()
	full, err := ep.GetLocalAddress()
	if err != nil {
		return netip.AddrPort{}
	}
	if s.d.isTCP() && tcp.EndpointState(ep.State()) == tcp.StateInitial {
		s.d.mu.Lock()
		defer s.d.mu.Unlock()
		if s.d.bound.IsValid() {
			return s.d.bound
		}
		var kept netip.Addr
		if s.d.kept != nil {
			kept = *s.d.kept
		}
		return netip.AddrPortFrom(kept, uint16(s.d.ghost.Load()))
	}
	return addrPort(full)
}

func (s *Socket) remoteAddr() (netip.AddrPort, Errno) {
	ep := s.d.ep.Load()
	switch {
	case s.d.kind == onPacket:
		return netip.AddrPort{}, EOPNOTSUPP
	case s.d.raw != nil:
		return s.d.rawPeer()
	case s.d.isTCP() && tcpGone(ep):
		return netip.AddrPort{}, ENOTCONN
	}
	full, err := ep.GetRemoteAddress()
	if err != nil {
		return netip.AddrPort{}, ENOTCONN
	}
	return addrPort(full), 0
}

// error turns what ended a call into an *Error: an Errno, one of this package's
// errors, or a context's. A *GAIError is returned as it is.
func (s *Socket) error(op string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: op}
	switch err := s.ending(err).(type) {
	case *GAIError, *Error:
		return err
	case Errno:
		e.Num = err
	default:
		e.Err = err
		switch err {
		case ErrClosed:
			e.Num = EBADF
		case ErrTimeout:
			e.Num = ETIMEDOUT
		default:
			e.Num = ECANCELED
		}
	}
	return e
}

// terror is error for a failed call of the endpoint.
func (s *Socket) terror(op string, terr tcpip.Error) error { return s.error(op, errnoOf(terr)) }
