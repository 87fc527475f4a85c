package agent

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/internal/bench/load"
)

// packetBuffer is the receive buffer of datagrams, in bytes, where the kernel lets us have it: what quic-go and
// wireguard-go ask for is of this order.
const packetBuffer = 4 << 20

// widen gives a socket a large receive buffer. Who is not root of the network namespace gets less, and loses more.
func widen(c *net.UDPConn) {
	if raw, err := c.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, packetBuffer) != nil {
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, packetBuffer)
			}
		})
	}
}

// unpaced gives a socket Reno, wherever it is: a namespace that a peer makes has the machine's congestion control, and one
// that paces, as BBR does, measures its timers. Accepted sockets inherit it.
func unpaced(_, _ string, raw syscall.RawConn) error {
	var optErr error
	err := raw.Control(func(fd uintptr) {
		optErr = unix.SetsockoptString(int(fd), unix.SOL_TCP, unix.TCP_CONGESTION, "reno")
	})
	return errors.Join(err, os.NewSyscallError("setsockopt TCP_CONGESTION", optErr))
}

// connect gives a bound socket its peer.
func connect(c *net.UDPConn, to netip.AddrPort) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var connectErr error
	err = raw.Control(func(fd uintptr) {
		connectErr = unix.Connect(int(fd), &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().Unmap().As4()})
	})
	return errors.Join(err, connectErr)
}

// Info asks for TCP_INFO (tcp(7)).
func (kernel) Info(c net.Conn) (i load.Connection) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return i
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return i
	}
	raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO); err == nil {
			i = load.Connection{Sent: uint64(info.Segs_out), Retransmitted: uint64(info.Total_retrans), WindowLimited: info.Rwnd_limited}
		}
	})
	return i
}
