package sockets

import (
	"encoding/binary"
	"math"
	"time"
)

// Option is one of NSPR's sixteen socket options (PRSocketOption) with its
// value: Nonblocking, Linger, ReuseAddr, KeepAlive, RecvBuffer, SendBuffer, TTL,
// TOS, AddMember, DropMember, McastInterface, McastTTL, McastLoop, NoDelay,
// MaxSegment or Broadcast. Socket.SetOption sets it and GetOption reads it.
type Option interface {
	set(*Socket) error
	get(*Socket) (Option, error)
}

// SetOption sets an option by its type (set_socket_option). The errors are those
// of SetSockOpt, and EINVAL for a value that no socket can have.
func (s *Socket) SetOption(o Option) error {
	if o == nil {
		return s.error("setsockopt", EINVAL)
	}
	return o.set(s)
}

// GetOption returns the value of the option whose type is T
// (get_socket_option). The errors are those of GetSockOpt.
func GetOption[T Option](s *Socket) (T, error) {
	var zero T
	if any(zero) == nil { // T is Option itself, which says nothing of what to get
		return zero, s.error("getsockopt", EINVAL)
	}
	o, err := zero.get(s)
	if err != nil {
		return zero, err
	}
	return o.(T), nil
}

// Numbers of NSPR's options, for translating programs: SetOption goes by type.
const (
	PR_SockOpt_Nonblocking     = 0
	PR_SockOpt_Linger          = 1
	PR_SockOpt_Reuseaddr       = 2
	PR_SockOpt_Keepalive       = 3
	PR_SockOpt_RecvBufferSize  = 4
	PR_SockOpt_SendBufferSize  = 5
	PR_SockOpt_IpTimeToLive    = 6
	PR_SockOpt_IpTypeOfService = 7
	PR_SockOpt_AddMember       = 8
	PR_SockOpt_DropMember      = 9
	PR_SockOpt_McastInterface  = 10
	PR_SockOpt_McastTimeToLive = 11
	PR_SockOpt_McastLoopback   = 12
	PR_SockOpt_NoDelay         = 13
	PR_SockOpt_MaxSegment      = 14
	PR_SockOpt_Broadcast       = 15
)

// Nonblocking is PR_SockOpt_Nonblocking: true is SetBlocking(false).
type Nonblocking bool

// Linger is PR_SockOpt_Linger (SO_LINGER). Timeout is how long Close waits for
// the peer to acknowledge what was sent, in whole seconds, rounded up; 0 resets
// a TCP connection, NoTimeout waits for ever.
type Linger struct {
	On      bool
	Timeout time.Duration
}

// ReuseAddr is PR_SockOpt_Reuseaddr (SO_REUSEADDR).
type ReuseAddr bool

// KeepAlive is PR_SockOpt_Keepalive (SO_KEEPALIVE).
type KeepAlive bool

// RecvBuffer is PR_SockOpt_RecvBufferSize in bytes (SO_RCVBUF). As on Linux
// reading gives twice what was set.
type RecvBuffer int

// SendBuffer is PR_SockOpt_SendBufferSize in bytes (SO_SNDBUF). As on Linux
// reading gives twice what was set.
type SendBuffer int

// TTL is PR_SockOpt_IpTimeToLive, 1 to 255 hops: IP_TTL, and on an AF_INET6
// socket IPV6_UNICAST_HOPS as well.
type TTL int

// TOS is PR_SockOpt_IpTypeOfService, 0 to 255: IP_TOS, and on an AF_INET6 socket
// IPV6_TCLASS as well.
type TOS int

// NoDelay is PR_SockOpt_NoDelay (TCP_NODELAY).
type NoDelay bool

// MaxSegment is PR_SockOpt_MaxSegment in bytes (TCP_MAXSEG).
type MaxSegment int

// Broadcast is PR_SockOpt_Broadcast (SO_BROADCAST).
type Broadcast bool

func (o Nonblocking) set(s *Socket) error {
	if s.closed() {
		return s.error("setsockopt", ErrClosed)
	}
	s.SetBlocking(!bool(o))
	return nil
}

func (Nonblocking) get(s *Socket) (Option, error) {
	if s.closed() {
		return nil, s.error("getsockopt", ErrClosed)
	}
	return Nonblocking(!s.Blocking()), nil
}

func (o Linger) set(s *Socket) error {
	seconds := int64((o.Timeout + time.Second - 1) / time.Second)
	switch {
	case o.Timeout == NoTimeout:
		seconds = -1
	case o.Timeout < 0 || seconds > math.MaxInt32:
		return s.error("setsockopt", EINVAL)
	}
	return s.SetSockOpt(SOL_SOCKET, SO_LINGER, append(intBytes(oneIf(o.On)), intBytes(int(seconds))...))
}

func (Linger) get(s *Socket) (Option, error) {
	v, err := s.GetSockOpt(SOL_SOCKET, SO_LINGER, 8)
	if err != nil {
		return nil, err
	}
	o := Linger{On: intValue(v) != 0, Timeout: time.Duration(int32(binary.LittleEndian.Uint32(v[4:]))) * time.Second}
	if o.Timeout < 0 {
		o.Timeout = NoTimeout
	}
	return o, nil
}

func (o ReuseAddr) set(s *Socket) error {
	return s.SetSockOptInt(SOL_SOCKET, SO_REUSEADDR, oneIf(bool(o)))
}
func (ReuseAddr) get(s *Socket) (Option, error) {
	n, err := s.GetSockOptInt(SOL_SOCKET, SO_REUSEADDR)
	return ReuseAddr(n != 0), err
}

func (o KeepAlive) set(s *Socket) error {
	return s.SetSockOptInt(SOL_SOCKET, SO_KEEPALIVE, oneIf(bool(o)))
}
func (KeepAlive) get(s *Socket) (Option, error) {
	n, err := s.GetSockOptInt(SOL_SOCKET, SO_KEEPALIVE)
	return KeepAlive(n != 0), err
}

func (o RecvBuffer) set(s *Socket) error { return s.SetSockOptInt(SOL_SOCKET, SO_RCVBUF, int(o)) }
func (RecvBuffer) get(s *Socket) (Option, error) {
	n, err := s.GetSockOptInt(SOL_SOCKET, SO_RCVBUF)
	return RecvBuffer(n), err
}

func (o SendBuffer) set(s *Socket) error { return s.SetSockOptInt(SOL_SOCKET, SO_SNDBUF, int(o)) }
func (SendBuffer) get(s *Socket) (Option, error) {
	n, err := s.GetSockOptInt(SOL_SOCKET, SO_SNDBUF)
	return SendBuffer(n), err
}

func (o TTL) set(s *Socket) error {
	if o < 1 || o > 255 {
		return s.error("setsockopt", EINVAL)
	}
	if s.d.family == AF_INET6 {
		if err := s.SetSockOptInt(SOL_IPV6, IPV6_UNICAST_HOPS, int(o)); err != nil || s.d.kind == onRaw {
			return err
		}
	}
	return s.SetSockOptInt(SOL_IP, IP_TTL, int(o))
}

func (TTL) get(s *Socket) (Option, error) {
	if s.d.family == AF_INET6 {
		n, err := s.GetSockOptInt(SOL_IPV6, IPV6_UNICAST_HOPS)
		return TTL(n), err
	}
	n, err := s.GetSockOptInt(SOL_IP, IP_TTL)
	return TTL(n), err
}

func (o TOS) set(s *Socket) error {
	if o < 0 || o > 255 {
		return s.error("setsockopt", EINVAL)
	}
	if s.d.family == AF_INET6 {
		if err := s.SetSockOptInt(SOL_IPV6, IPV6_TCLASS, int(o)); err != nil || s.d.kind == onRaw {
			return err
		}
	}
	return s.SetSockOptInt(SOL_IP, IP_TOS, int(o))
}

func (TOS) get(s *Socket) (Option, error) {
	if s.d.family == AF_INET6 {
		n, err := s.GetSockOptInt(SOL_IPV6, IPV6_TCLASS)
		return TOS(n), err
	}
	n, err := s.GetSockOptInt(SOL_IP, IP_TOS)
	return TOS(n), err
}

func (o NoDelay) set(s *Socket) error {
	return s.SetSockOptInt(SOL_TCP, TCP_NODELAY, oneIf(bool(o)))
}
func (NoDelay) get(s *Socket) (Option, error) {
	n, err := s.GetSockOptInt(SOL_TCP, TCP_NODELAY)
	return NoDelay(n != 0), err
}

func (o MaxSegment) set(s *Socket) error { return s.SetSockOptInt(SOL_TCP, TCP_MAXSEG, int(o)) }
func (MaxSegment) get(s *Socket) (Option, error) {
	n, err := s.GetSockOptInt(SOL_TCP, TCP_MAXSEG)
	return MaxSegment(n), err
}

func (o Broadcast) set(s *Socket) error {
	return s.SetSockOptInt(SOL_SOCKET, SO_BROADCAST, oneIf(bool(o)))
}
func (Broadcast) get(s *Socket) (Option, error) {
	n, err := s.GetSockOptInt(SOL_SOCKET, SO_BROADCAST)
	return Broadcast(n != 0), err
}
