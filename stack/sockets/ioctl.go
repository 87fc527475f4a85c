package sockets

import (
	"encoding/binary"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Requests of Ioctl beside those about interfaces (<asm-generic/ioctls.h>,
// <linux/sockios.h>), and Windows' three that Python has.
const (
	FIONREAD     = 0x541B // bytes that can be received
	SIOCINQ      = FIONREAD
	SIOCOUTQ     = 0x5411 // bytes that are not acknowledged
	TIOCOUTQ     = SIOCOUTQ
	FIONBIO      = 0x5421 // SetBlocking
	SIOCATMARK   = 0x8905 // whether the urgent byte is next
	SIOCGSTAMP   = 0x8906 // when the last datagram arrived
	SIOCGSTAMPNS = 0x8907

	SIO_RCVALL             = 0x98000001
	SIO_KEEPALIVE_VALS     = 0x98000004
	SIO_LOOPBACK_FAST_PATH = 0x98000010
)

// Values of SIO_RCVALL, which is refused.
const (
	RCVALL_OFF             = 0
	RCVALL_ON              = 1
	RCVALL_SOCKETLEVELONLY = 2
	RCVALL_IPLEVEL         = 3
)

// KeepaliveVals is the argument of SIO_KEEPALIVE_VALS, Windows' struct
// tcp_keepalive. Times are rounded up to whole seconds, 1 to 32767.
type KeepaliveVals struct {
	On       bool
	Idle     time.Duration // TCP_KEEPIDLE
	Interval time.Duration // TCP_KEEPINTVL
}

// An ioctlRequest answers one request. The error is an Errno or an *Error.
type ioctlRequest func(s *Socket, arg any) (any, error)

var ioctls = map[uint32]ioctlRequest{
	FIONREAD:     func(s *Socket, _ any) (any, error) { return s.d.readable() },
	SIOCOUTQ:     (*Socket).ioctlOutq,
	FIONBIO:      (*Socket).ioctlNonblocking,
	SIOCATMARK:   (*Socket).ioctlAtMark,
	SIOCGSTAMP:   (*Socket).ioctlStamp,
	SIOCGSTAMPNS: (*Socket).ioctlStamp,

	SIO_KEEPALIVE_VALS: (*Socket).ioctlKeepalive,
	SIO_RCVALL: func(*Socket, any) (any, error) {
		return nil, refusedIoctl("SIO_RCVALL", "use an AF_PACKET socket with PACKET_MR_PROMISC")
	},
	SIO_LOOPBACK_FAST_PATH: func(*Socket, any) (any, error) {
		return nil, refusedIoctl("SIO_LOOPBACK_FAST_PATH", "the loopback has no slow path")
	},
}

// Ioctl controls the socket (ioctl(2), Python's ioctl). The result depends on the
// request; arg is nil where none is named.
//
//	FIONREAD, SIOCINQ          int: bytes that wait on a connection, else the length of the next datagram
//	SIOCATMARK                 int: 0, as there is no urgent data; ENOTTY but on TCP and AF_UNIX
//	SIOCGSTAMP, SIOCGSTAMPNS   time.Time: arrival of the datagram received last; ENOENT before
//	FIONBIO                    arg int: not 0 makes the socket non-blocking
//	SIO_KEEPALIVE_VALS         arg KeepaliveVals, or its 12 bytes: on, two times in milliseconds
//	SIOCGIF…                   what netdevice(7) describes: see SIOCGIFCONF
//
// Others of Windows are EOPNOTSUPP and SIOCOUTQ is ENOTTY, as netstack does not
// say how much it has not sent: both wrap ErrUnsupported. Requests that change an
// interface are EPERM. Anything else is ENOTTY. An arg of the wrong type is
// EINVAL.
func (s *Socket) Ioctl(control uint32, arg any) (any, error) {
	if s.dead() {
		return nil, s.error("ioctl", ErrClosed)
	}
	request := ioctls[control]
	if request == nil {
		request = interfaceIoctl(control)
	}
	if request == nil {
		return nil, s.error("ioctl", ENOTTY)
	}
	v, err := request(s, arg)
	return v, s.error("ioctl", err)
}

func refusedIoctl(name, remedy string) error {
	return &Error{Op: "ioctl", Num: EOPNOTSUPP, Msg: name + " is for Windows only; " + remedy, Err: ErrUnsupported}
}

// readable is FIONREAD.
func (d *description) readable() (any, error) {
	switch {
	case d.unix != nil:
		n, errno := d.unix.unread()
		return n + d.ahead(), errno.orNil()
	case d.in != nil:
		return d.in.next(), nil
	case !d.isTCP():
		return nil, ENOTTY
	case tcp.EndpointState(d.endpoint().State()) == tcp.StateListen:
		return nil, EINVAL
	}
	return d.unread(), nil
}

func (s *Socket) ioctlOutq(any) (any, error) {
	if s.d.unix != nil {
		return s.d.unix.unsent(), nil
	}
	if s.d.isTCP() && tcp.EndpointState(s.d.endpoint().State()) == tcp.StateListen {
		return nil, EINVAL
	}
	return nil, &Error{Op: "ioctl", Num: ENOTTY, Err: ErrUnsupported,
		Msg: "SIOCOUTQ is refused by userstack: netstack does not tell; wait with POLLOUT"}
}

func (s *Socket) ioctlNonblocking(arg any) (any, error) {
	on, ok := ioctlInt(arg)
	if !ok {
		return nil, EINVAL
	}
	s.SetBlocking(on == 0)
	return nil, nil
}

func (s *Socket) ioctlAtMark(any) (any, error) {
	switch {
	case s.d.unix != nil && s.d.typ != SOCK_STREAM:
		return nil, EOPNOTSUPP
	case !s.d.isTCP() && s.d.unix == nil:
		return nil, ENOTTY
	}
	return 0, nil
}

func (s *Socket) ioctlStamp(any) (any, error) {
	in := s.d.in
	switch {
	case s.d.unix != nil:
		return nil, ENOTTY
	case in == nil:
		return nil, ENOENT // a connection never has one
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.stamp == 0 {
		return nil, ENOENT
	}
	return time.Unix(0, in.stamp), nil
}

func (s *Socket) ioctlKeepalive(arg any) (any, error) {
	v, ok := arg.(KeepaliveVals)
	if b, isBytes := arg.([]byte); isBytes && len(b) >= 12 {
		ms := func(at int) time.Duration {
			return time.Duration(binary.LittleEndian.Uint32(b[at:])) * time.Millisecond
		}
		v, ok = KeepaliveVals{On: intValue(b) != 0, Idle: ms(4), Interval: ms(8)}, true
	}
	if !ok {
		return nil, EINVAL
	}
	if v.On {
		seconds := func(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
		if err := s.SetSockOptInt(SOL_TCP, TCP_KEEPIDLE, seconds(v.Idle)); err != nil {
			return nil, err
		}
		if err := s.SetSockOptInt(SOL_TCP, TCP_KEEPINTVL, seconds(v.Interval)); err != nil {
			return nil, err
		}
	}
	return nil, s.SetSockOptInt(SOL_SOCKET, SO_KEEPALIVE, oneIf(v.On))
}

// ioctlInt takes the int that arg is, or points to in C.
func ioctlInt(arg any) (int, bool) {
	switch v := arg.(type) {
	case int:
		return v, true
	case bool:
		return oneIf(v), true
	case []byte:
		if len(v) >= 4 {
			return intValue(v), true
		}
	}
	return 0, false
}
