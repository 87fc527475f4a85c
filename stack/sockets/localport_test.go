package sockets_test

import (
	"slices"
	"testing"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/sockets"
)

func TestLocalPortRange(t *testing.T) {
	a, b := pair(t)
	l, addr := listener(t, b, addrB)
	defer l.Close()
	const first, last = 40000, 40002
	portOf := func(s *sockets.Socket) int {
		return must[sockets.Sockaddr](t)(s.GetSockName()).(sockets.Inet4).Port
	}
	var ports []int
	for range last - first + 1 {
		s := udpSocket(t, a)
		setInt(t, s, sockets.SOL_IP, sockets.IP_LOCAL_PORT_RANGE, last<<16|first)
		check(t, s.Bind(sockets.Inet4{}))
		ports = append(ports, portOf(s))
	}
	if slices.Sort(ports); !slices.Equal(ports, []int{40000, 40001, 40002}) {
		t.Errorf("bound to %v", ports)
	}
	s := udpSocket(t, a)
	setInt(t, s, sockets.SOL_IP, sockets.IP_LOCAL_PORT_RANGE, last<<16|first)
	wantErrno(t, s.Bind(sockets.Inet4{}), sockets.EADDRINUSE)
	setInt(t, s, sockets.SOL_IP, sockets.IP_LOCAL_PORT_RANGE, 40009<<16|40009)
	must[int](t)(s.SendTo([]byte("x"), sockets.Inet4{Host: addrB, Port: 9}))
	c := tcpSocket(t, a)
	setInt(t, c, sockets.SOL_IP, sockets.IP_LOCAL_PORT_RANGE, 40005<<16|40005)
	check(t, c.Connect(addr))
	m := tcpSocket(t, a)
	setInt(t, m, sockets.SOL_IP, sockets.IP_LOCAL_PORT_RANGE, 40007<<16|40007)
	check(t, m.Listen(1))
	for s, want := range map[*sockets.Socket]int{s: 40009, c: 40005, m: 40007} {
		if p := portOf(s); p != want {
			t.Errorf("port %d, want %d", p, want)
		}
	}
}

// T34: there is no privilege model unless one is asked for.
func TestT34PrivilegedPorts(t *testing.T) {
	s := must[*stack.Stack](t)(stack.New(stack.Config{}))
	h := must[*sockets.Host](t)(sockets.New(sockets.Config{Stack: s, MinUnprivilegedPort: 1024}))
	open := must[*sockets.Host](t)(sockets.New(sockets.Config{Stack: s}))
	t.Cleanup(func() {
		h.Close()
		open.Close()
		s.Close()
	})
	for _, typ := range []sockets.Type{sockets.SOCK_STREAM, sockets.SOCK_DGRAM} {
		sock := mustSocket(t, h, sockets.AF_INET, typ, 0)
		wantErrno(t, sock.Bind(sockets.Inet4{Host: "127.0.0.1", Port: 1023}), sockets.EACCES)
		check(t, sock.Bind(sockets.Inet4{Host: "127.0.0.1", Port: 1024}))
		check(t, mustSocket(t, h, sockets.AF_INET, typ, 0).Bind(sockets.Inet4{}))
		check(t, mustSocket(t, open, sockets.AF_INET, typ, 0).Bind(sockets.Inet4{Host: "127.0.0.1", Port: 1023}))
	}
	if _, err := sockets.New(sockets.Config{Stack: s, MinUnprivilegedPort: 65536}); err == nil {
		t.Error("a port of 65536 is accepted")
	}
}
