package sockets_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// T21, F14: MSG_MORE makes one datagram of several sends. Where it goes is
// settled by the first.
func TestT21More(t *testing.T) {
	a, b := pair(t)
	from := udpSocket(t, a)
	to, dst := boundUDP(t, b)
	other, otherDst := boundUDP(t, b)
	must[int](t)(from.SendTo([]byte("ab"), dst, sockets.MSG_MORE))
	must[int](t)(from.SendTo([]byte("cd"), otherDst, sockets.MSG_MORE))
	if n := must[int](t)(from.SendTo([]byte("ef"), otherDst)); n != 2 {
		t.Errorf("the last send took %d bytes", n)
	}
	if got := recvString(t, to); got != "abcdef" {
		t.Errorf("received %q", got)
	}
	if ev := pollNow(t, other); ev&sockets.POLLIN != 0 {
		t.Error("the second destination has received something")
	}
	_, err := udpSocket(t, a).Send([]byte("x"), sockets.MSG_MORE)
	wantErrno(t, err, sockets.EDESTADDRREQ)

	// What does not fit throws everything away.
	must[int](t)(from.SendTo(make([]byte, 60_000), dst, sockets.MSG_MORE))
	_, err = from.SendTo(make([]byte, 6_000), dst, sockets.MSG_MORE)
	wantErrno(t, err, sockets.EMSGSIZE)
	must[int](t)(from.SendTo([]byte("anew"), dst))
	if got := recvString(t, to); got != "anew" {
		t.Errorf("after EMSGSIZE: %q", got)
	}
}

// U1: UDP_CORK does the same until it is cleared, which also sends an empty
// datagram.
func TestUDPCork(t *testing.T) {
	a, b := pair(t)
	from := udpSocket(t, a)
	to, dst := boundUDP(t, b)
	check(t, from.Connect(dst))
	for _, parts := range [][]string{{"one", "two"}, {""}} {
		setInts(t, from, sockets.SOL_UDP, sockets.UDP_CORK)
		for _, p := range parts {
			must[int](t)(from.Send([]byte(p)))
		}
		if ev := pollNow(t, to); ev&sockets.POLLIN != 0 {
			t.Error("a corked datagram has been sent")
		}
		check(t, from.SetSockOptInt(sockets.SOL_UDP, sockets.UDP_CORK, 0))
		if got, want := recvString(t, to), strings.Join(parts, ""); got != want {
			t.Errorf("received %q, want %q", got, want)
		}
	}
	setInts(t, from, sockets.SOL_UDP, sockets.UDP_CORK)
	must[int](t)(from.Send([]byte("lost")))
	check(t, from.Close()) // as on Linux
}

// What a cleared UDP_CORK sends comes back at once on the loopback, as an error
// or to the socket itself, and finds nothing locked.
func TestUncorkOnLoopback(t *testing.T) {
	h, end := loopbackHost()
	defer end()
	s := udpSocket(t, h)
	check(t, s.Bind(sockets.Inet4{Host: "127.0.0.1"}))
	setInts(t, s, sockets.SOL_IP, sockets.IP_RECVERR)
	uncork := func(to sockets.Sockaddr, text string) {
		setInts(t, s, sockets.SOL_UDP, sockets.UDP_CORK)
		must[int](t)(s.SendTo([]byte(text), to))
		check(t, s.SetSockOptInt(sockets.SOL_UDP, sockets.UDP_CORK, 0))
	}
	uncork(must[sockets.Sockaddr](t)(s.GetSockName()), "to itself")
	if got := recvString(t, s); got != "to itself" {
		t.Errorf("received %q", got)
	}
	uncork(sockets.Inet4{Host: "127.0.0.1", Port: 9}, "to nobody")
	if m, e := queuedError(t, s, 99); e.Errno != sockets.ECONNREFUSED || string(m.Buffers[0][:m.N]) != "to nobody" {
		t.Errorf("%+v about %q", e, m.Buffers[0][:m.N])
	}
}

// T21: on a connection MSG_MORE holds the last, partial segment back; TCP_CORK
// does not show it.
func TestT21MoreOnConnection(t *testing.T) {
	a, b := pair(t)
	const tries = 20 // a busy machine may not come round to look before what is held back leaves by itself
	for range tries {
		start := time.Now()
		faults := holdBack(t, a, b)
		if len(faults) == 0 {
			return
		}
		if took := time.Since(start); took < 200*time.Millisecond { // TestCorkedDataLeaves
			t.Fatalf("after %v: %q", took, faults)
		}
	}
	t.Errorf("what is held back left each time; %d tries were too slow to say why", tries)
}

// holdBack returns what leaves too early or not together.
func holdBack(t *testing.T, a, b *sockets.Host) (faults []string) {
	t.Helper()
	client, server := connected(t, a, b)
	early := func(what string) {
		if p, err := server.Recv(9, sockets.Within(20*time.Millisecond)); !errors.Is(err, sockets.ErrTimeout) {
			faults = append(faults, fmt.Sprintf("%s: received %q %v", what, p, err))
		}
	}
	together := func(what, want string) {
		if got := recvString(t, server); got != want {
			faults = append(faults, fmt.Sprintf("%s: received %q, want %q in one segment", what, got, want))
		}
	}
	setInts(t, client, sockets.SOL_TCP, sockets.TCP_NODELAY)
	must[int](t)(client.Send([]byte("x"), sockets.MSG_MORE))
	if v := must[int](t)(client.GetSockOptInt(sockets.SOL_TCP, sockets.TCP_CORK)); v != 0 {
		t.Errorf("TCP_CORK reads %d", v)
	}
	if early("MSG_MORE"); len(faults) > 0 {
		return faults
	}
	must[int](t)(client.Send([]byte("y")))
	together("after MSG_MORE", "xy")
	setInts(t, client, sockets.SOL_TCP, sockets.TCP_CORK)
	must[int](t)(client.Send([]byte("a"), sockets.MSG_MORE))
	must[int](t)(client.Send([]byte("b")))
	if early("TCP_CORK"); len(faults) > 0 {
		return faults
	}
	check(t, client.SetSockOptInt(sockets.SOL_TCP, sockets.TCP_CORK, 0))
	together("uncorked", "ab")
	return faults
}

// U5, C18: UDP_SEGMENT cuts one send into datagrams; its bounds are Linux's.
func TestUDPSegment(t *testing.T) {
	a, b := pair(t)
	from := udpSocket(t, a)
	to, dst := boundUDP(t, b)
	send := func(n int, control ...sockets.ControlMessage) error {
		_, err := from.SendMsg(&sockets.Msg{Buffers: [][]byte{bytes.Repeat([]byte{'s'}, n)}, Control: control, Addr: dst})
		return err
	}
	lengths := func(want ...int) {
		t.Helper()
		for _, n := range want {
			if got := recvString(t, to); len(got) != n {
				t.Errorf("a datagram of %d bytes, want %d", len(got), n)
			}
		}
	}
	check(t, send(25, sockets.ControlSegment(10)))
	lengths(10, 10, 5)
	check(t, from.SetSockOptInt(sockets.SOL_UDP, sockets.UDP_SEGMENT, 8))
	if n := must[int](t)(from.SendTo(make([]byte, 20), dst)); n != 20 {
		t.Errorf("sent %d of 20 bytes", n)
	}
	lengths(8, 8, 4)
	check(t, send(7))
	check(t, send(20, sockets.ControlSegment(0))) // off, for once
	lengths(7, 20)
	check(t, send(128, sockets.ControlSegment(1)))
	for range 128 {
		lengths(1)
	}
	wantErrno(t, send(129, sockets.ControlSegment(1)), sockets.EINVAL)
	wantErrno(t, send(3000, sockets.ControlSegment(1473)), sockets.EMSGSIZE)
	wantErrno(t, send(1800, sockets.ControlSegment(2000)), sockets.EMSGSIZE) // also when nothing is to be cut
	check(t, send(1472, sockets.ControlSegment(1472)))
	lengths(1472)
	for _, v := range []int{-1, 65536} {
		wantErrno(t, from.SetSockOptInt(sockets.SOL_UDP, sockets.UDP_SEGMENT, v), sockets.EINVAL)
	}
}

// U6, C19: UDP_GRO puts together datagrams of one sender and one size, and one
// shorter at the end, as far as the buffer has room.
func TestUDPGRO(t *testing.T) {
	h, w := wired(t)
	to := udpSocket(t, h)
	check(t, to.Bind(sockets.Inet4{Host: addrA, Port: 4000}))
	setInts(t, to, sockets.SOL_UDP, sockets.UDP_GRO)
	send := func(sizes ...int) {
		for _, n := range sizes {
			w.inject(udpTo(4000, n))
		}
	}
	stranger := udpTo(4000, 10)
	stranger[21] = 77 // another port
	send(10, 10, 10, 5, 10)
	w.inject(stranger)
	send(0, 0)
	for _, want := range []struct{ n, segment int }{{35, 10}, {10, 0}, {10, 0}, {0, 0}, {0, 0}} {
		m := recvMsg(t, to)
		segment := 0
		if len(m.Control) > 0 {
			segment, _ = m.Control[0].Int()
		}
		if m.N != want.n || segment != want.segment {
			t.Errorf("%d bytes in segments of %d, want %d of %d", m.N, segment, want.n, want.segment)
		}
	}
	send(10, 10, 10)
	for _, want := range []int{20, 10} {
		if got := must[[]byte](t)(to.Recv(25)); len(got) != want {
			t.Errorf("with room for 25 bytes %d were received, want %d", len(got), want)
		}
	}
}
