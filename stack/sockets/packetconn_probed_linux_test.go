package sockets_test

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
)

// What is set on the descriptor of a ProbedConn is set on the socket, and nothing
// else is.
func TestProbedConn(t *testing.T) {
	a, _ := pair(t)
	for _, addr := range []string{addrA, "::"} {
		c := must[net.PacketConn](t)(a.ListenPacket("udp", net.JoinHostPort(addr, "0"))).(*sockets.PacketConn)
		p := must[*sockets.ProbedConn](t)(c.Probed())
		raw := must[syscall.RawConn](t)(p.SyscallConn())
		set := func(level, name, v int) (err error) {
			check(t, raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, name, v) }))
			return err
		}
		get := func(level, name int) int {
			return must[int](t)(c.Socket().GetSockOptInt(level, name))
		}
		check(t, set(unix.SOL_IP, unix.IP_RECVTOS, 1))
		check(t, set(unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE))
		check(t, set(unix.SOL_UDP, unix.UDP_SEGMENT, 1200))
		if get(sockets.SOL_IP, sockets.IP_RECVTOS) != 1 || get(sockets.SOL_IP, sockets.IP_RECVTTL) != 0 ||
			get(sockets.SOL_IP, sockets.IP_MTU_DISCOVER) != sockets.IP_PMTUDISC_PROBE || get(sockets.SOL_UDP, sockets.UDP_SEGMENT) != 1200 {
			t.Errorf("%s: the socket has not what was set", addr)
		}
		err := set(unix.SOL_IPV6, unix.IPV6_RECVTCLASS, 1)
		if six := addr == "::"; six != (err == nil) || six && get(sockets.SOL_IPV6, sockets.IPV6_RECVTCLASS) != 1 {
			t.Errorf("%s: IPV6_RECVTCLASS: %v", addr, err)
		}
		check(t, p.SetReadBuffer(100000))
		if got := get(sockets.SOL_SOCKET, sockets.SO_RCVBUF); got != 200000 { // doubled, as socket(7) has it
			t.Errorf("SO_RCVBUF is %d", got)
		}
		for _, call := range []func(func(uintptr) bool) error{raw.Read, raw.Write} {
			if err := call(func(uintptr) bool { return true }); !errors.Is(err, sockets.ErrUnsupported) {
				t.Errorf("%v, want ErrUnsupported", err)
			}
		}
		check(t, p.Close())
		if err := raw.Control(func(uintptr) {}); err == nil {
			t.Error("the descriptor is open after Close")
		}
		if err := p.SetReadBuffer(1); !errors.Is(err, net.ErrClosed) {
			t.Errorf("SetReadBuffer after Close: %v", err)
		}
	}
	ping := must[net.PacketConn](t)(mustSocket(t, a, sockets.AF_INET, sockets.SOCK_DGRAM, sockets.IPPROTO_ICMP).PacketConn())
	_, err := ping.(*sockets.PacketConn).Probed()
	wantErrno(t, err, sockets.EOPNOTSUPP)
}
