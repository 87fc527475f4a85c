package sockets_test

import (
	"errors"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// boundUDP returns a socket of b on a port, and its address.
func boundUDP(t testing.TB, b *sockets.Host) (*sockets.Socket, sockets.Inet4) {
	t.Helper()
	s := udpSocket(t, b)
	check(t, s.Bind(sockets.Inet4{Host: addrB}))
	return s, must[sockets.Sockaddr](t)(s.GetSockName()).(sockets.Inet4)
}

// recvString receives once, within a time.
func recvString(t testing.TB, s *sockets.Socket, opts ...sockets.CallOption) string {
	t.Helper()
	return string(must[[]byte](t)(s.Recv(2000, append(opts, sockets.Within(patience))...)))
}

// F5, F10, F11, F13, F15, F16, F18: flags that mean nothing here, and bits that
// nobody knows, change nothing: Linux ignores them too.
func TestIgnoredFlags(t *testing.T) {
	const unknown = sockets.MsgFlags(0x800000 | 0x100000)
	a, b := pair(t)
	client, server := connected(t, a, b)
	from := udpSocket(t, a)
	to, dst := boundUDP(t, b)
	for _, f := range []sockets.MsgFlags{
		sockets.MSG_PROBE, sockets.MSG_FIN, sockets.MSG_SYN, sockets.MSG_RST, sockets.MSG_CONFIRM, sockets.MSG_NOSIGNAL,
		sockets.MSG_BATCH, sockets.MSG_WAITFORONE, sockets.MSG_ZEROCOPY, sockets.MSG_CMSG_CLOEXEC, sockets.MSG_EOR, unknown,
	} {
		must[int](t)(client.Send([]byte("tcp"), f))
		must[int](t)(from.SendTo([]byte("udp"), dst, f))
		if got := recvString(t, server, f); got != "tcp" {
			t.Errorf("flag %#x: a connection gives %q", int(f), got)
		}
		if got := recvString(t, to, f); got != "udp" {
			t.Errorf("flag %#x: a datagram socket gives %q", int(f), got)
		}
	}
}

// F1: there is no urgent data.
func TestF1OutOfBand(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	from := udpSocket(t, a)
	to, dst := boundUDP(t, b)
	_, err := client.Send([]byte("x"), sockets.MSG_OOB)
	wantErrno(t, err, sockets.EOPNOTSUPP)
	_, err = from.SendTo([]byte("x"), dst, sockets.MSG_OOB)
	wantErrno(t, err, sockets.EOPNOTSUPP)
	_, err = from.SendMsg(&sockets.Msg{Addr: dst, Control: []sockets.ControlMessage{sockets.ControlInt(sockets.SOL_IP, sockets.IP_TTL, 1)}}, sockets.MSG_OOB)
	wantErrno(t, err, sockets.EOPNOTSUPP)
	_, err = server.Recv(1, sockets.MSG_OOB)
	wantErrno(t, err, sockets.EINVAL)
	must[int](t)(from.SendTo([]byte("x"), dst))
	if got := recvString(t, to, sockets.MSG_OOB); got != "x" {
		t.Errorf("MSG_OOB on a datagram socket gives %q", got)
	}
}

// F6: MSG_TRUNC tells a datagram's length, and throws away what a connection has.
func TestF6Trunc(t *testing.T) {
	a, b := pair(t)
	from := udpSocket(t, a)
	to, dst := boundUDP(t, b)
	must[int](t)(from.SendTo([]byte("0123456789"), dst))
	p := []byte("---")
	m := must[*sockets.Msg](t)(to.RecvMsg([][]byte{p}, 0, sockets.MSG_PEEK))
	if m.N != 3 || m.Flags != sockets.MSG_TRUNC || string(p) != "012" {
		t.Errorf("without the flag: %d bytes, flags %#x, %q", m.N, m.Flags, p)
	}
	m = must[*sockets.Msg](t)(to.RecvMsg([][]byte{p}, 0, sockets.MSG_TRUNC|sockets.MSG_PEEK))
	if m.N != 10 || m.Flags != sockets.MSG_TRUNC {
		t.Errorf("with the flag: %d bytes, flags %#x", m.N, m.Flags)
	}
	if got := must[[]byte](t)(to.Recv(3, sockets.MSG_TRUNC)); string(got) != "012" {
		t.Errorf("Recv gives %q", got)
	}

	client, server := connected(t, a, b)
	must[int](t)(client.SendAll([]byte("hello world")))
	check(t, client.Shutdown(sockets.SHUT_WR))
	p = []byte("-----")
	if n := must[int](t)(server.RecvInto(p, sockets.MSG_TRUNC|sockets.MSG_WAITALL)); n != 5 || string(p) != "-----" {
		t.Errorf("a connection: %d bytes, buffer %q", n, p)
	}
	if n := must[int](t)(server.RecvInto(p, sockets.MSG_TRUNC|sockets.MSG_PEEK)); n != 5 || string(p) != "-----" {
		t.Errorf("a connection, with MSG_PEEK: %d bytes, buffer %q", n, p)
	}
	if got := recvString(t, server); got != " world" {
		t.Errorf("left in the connection: %q", got)
	}
	if n := must[int](t)(server.RecvInto(p, sockets.MSG_TRUNC)); n != 0 {
		t.Errorf("%d bytes after the end", n)
	}
}

// F9: MSG_WAITALL fills the buffer, or gives what it has when time runs out; with
// MSG_PEEK it waits as well and takes nothing.
func TestF9WaitAll(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	must[int](t)(client.SendAll([]byte("abc")))
	awaitReadable(t, server, 3)
	timeval := make([]byte, 16)
	timeval[8], timeval[9] = 0x20, 0x4e // 20,000 µs
	check(t, server.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_RCVTIMEO, timeval))
	for _, flags := range []sockets.MsgFlags{sockets.MSG_WAITALL | sockets.MSG_PEEK, sockets.MSG_WAITALL} {
		if got := must[[]byte](t)(server.Recv(10, flags)); string(got) != "abc" {
			t.Errorf("flags %#x: %q when SO_RCVTIMEO runs out", int(flags), got)
		}
	}
	_, err := server.Recv(10, sockets.MSG_WAITALL)
	wantErrno(t, err, sockets.EAGAIN)
	_, err = server.Recv(10, sockets.MSG_WAITALL, sockets.Within(time.Millisecond))
	if !errors.Is(err, sockets.ErrTimeout) {
		t.Errorf("error %v, want ErrTimeout", err)
	}

	check(t, server.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_RCVTIMEO, make([]byte, 16)))
	seen := make(chan string, 1)
	go func() {
		p, _ := server.Recv(6, sockets.MSG_WAITALL|sockets.MSG_PEEK)
		seen <- string(p)
	}()
	must[int](t)(client.SendAll([]byte("def")))
	must[int](t)(client.SendAll([]byte("ghi")))
	if got := <-seen; got != "defghi" {
		t.Errorf("the peek saw %q", got)
	}
	if got := string(must[[]byte](t)(server.Recv(6, sockets.MSG_WAITALL))); got != "defghi" {
		t.Errorf("after the peek: %q", got)
	}
	must[int](t)(client.SendAll([]byte("end")))
	check(t, client.Close())
	for _, flags := range []sockets.MsgFlags{sockets.MSG_WAITALL | sockets.MSG_PEEK, sockets.MSG_WAITALL} {
		if got := must[[]byte](t)(server.Recv(10, flags)); string(got) != "end" {
			t.Errorf("flags %#x: %q at the end of the connection", int(flags), got)
		}
	}
}

// F3: MSG_DONTROUTE keeps datagrams on connected networks, as SO_DONTROUTE does;
// a connection has its route.
func TestF3DontRoute(t *testing.T) {
	s := mustSocket(t, routed(t), sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	near, far := sockets.Inet6{Host: addrB6, Port: 9}, sockets.Inet6{Host: farAddr6, Port: 9}
	must[int](t)(s.SendTo([]byte("x"), near, sockets.MSG_DONTROUTE))
	_, err := s.SendTo([]byte("x"), far, sockets.MSG_DONTROUTE)
	wantErrno(t, err, sockets.ENETUNREACH)
	check(t, s.Connect(far))
	_, err = s.Send([]byte("x"), sockets.MSG_DONTROUTE)
	wantErrno(t, err, sockets.ENETUNREACH)
	must[int](t)(s.Send([]byte("x")))

	a, b := pair(t)
	client, server := connected(t, a, b)
	must[int](t)(client.Send([]byte("tcp"), sockets.MSG_DONTROUTE))
	if got := recvString(t, server); got != "tcp" {
		t.Errorf("a connection: %q", got)
	}
}

// F17: MSG_FASTOPEN connects and sends.
func TestF17FastOpen(t *testing.T) {
	a, b := pair(t)
	l, dst := listener(t, b, addrB)
	client := tcpSocket(t, a)
	must[int](t)(client.SendTo([]byte("hello"), dst, sockets.MSG_FASTOPEN))
	server, _, err := l.Accept()
	check(t, err)
	defer server.Close()
	if got := recvString(t, server); got != "hello" {
		t.Errorf("received %q", got)
	}
	_, err = client.SendTo([]byte("again"), dst, sockets.MSG_FASTOPEN)
	wantErrno(t, err, sockets.EISCONN)
	_, err = client.SendMsg(&sockets.Msg{Buffers: [][]byte{{1}}, Addr: dst}, sockets.MSG_FASTOPEN)
	wantErrno(t, err, sockets.EISCONN)
	_, err = tcpSocket(t, a).SendMsg(&sockets.Msg{Buffers: [][]byte{{1}}}, sockets.MSG_FASTOPEN)
	wantErrno(t, err, sockets.EINVAL)
	_, err = tcpSocket(t, a).SendTo([]byte("x"), sockets.Inet4{Host: addrB, Port: 9}, sockets.MSG_FASTOPEN)
	wantErrno(t, err, sockets.ECONNREFUSED)
	slow := tcpSocket(t, a)
	slow.SetBlocking(false)
	_, err = slow.SendTo([]byte("x"), dst, sockets.MSG_FASTOPEN)
	wantErrno(t, err, sockets.EINPROGRESS)
}

// P35, C17: TCP_INQ tells what is left, and 1 when only the end is.
func TestTCPInq(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	setInts(t, server, sockets.SOL_TCP, sockets.TCP_INQ)
	wantErrno(t, server.SetSockOptInt(sockets.SOL_TCP, sockets.TCP_INQ, 2), sockets.EINVAL)
	must[int](t)(client.SendAll([]byte("abc")))
	must[[]byte](t)(server.Recv(3, sockets.MSG_PEEK|sockets.MSG_WAITALL))
	inq := func(size int) int {
		m := must[*sockets.Msg](t)(server.RecvMsg([][]byte{make([]byte, size)}, 99))
		if kindsOf(m.Control) != "6,36" {
			t.Fatalf("control messages %v", m.Control)
		}
		n, _ := m.Control[0].Int()
		return n
	}
	if n := inq(1); n != 2 {
		t.Errorf("TCP_INQ %d, want 2", n)
	}
	if n := inq(2); n != 0 {
		t.Errorf("TCP_INQ %d, want 0", n)
	}
	check(t, client.Shutdown(sockets.SHUT_WR))
	if n := inq(9); n != 1 {
		t.Errorf("TCP_INQ %d at the end, want 1", n)
	}
}

// F15: many messages in one call.
func TestManyMessages(t *testing.T) {
	a, b := pair(t)
	from := udpSocket(t, a)
	to, dst := boundUDP(t, b)
	out := []*sockets.Msg{
		{Buffers: [][]byte{[]byte("one")}, Addr: dst},
		{Buffers: [][]byte{[]byte("tw"), []byte("o")}, Addr: dst},
		{Buffers: [][]byte{[]byte("bad")}, Addr: sockets.Inet4{Host: addrB}}, // port 0
		{Buffers: [][]byte{[]byte("never")}, Addr: dst},
	}
	if n, err := from.SendMMsg(out); n != 2 || err != nil || out[0].N != 3 || out[1].N != 3 {
		t.Errorf("sent %d messages %v, of %d and %d bytes", n, err, out[0].N, out[1].N)
	}
	_, err := from.SendMMsg(out[2:])
	wantErrno(t, err, sockets.EINVAL)

	in := make([]*sockets.Msg, 4)
	for i := range in {
		in[i] = &sockets.Msg{Buffers: [][]byte{make([]byte, 9)}}
	}
	if n := must[int](t)(to.RecvMMsg(in[:2], 0, sockets.Within(patience))); n != 2 ||
		string(in[0].Buffers[0][:in[0].N]) != "one" || string(in[1].Buffers[0][:in[1].N]) != "two" || in[1].Addr == nil {
		t.Errorf("received %d: %+v %+v", n, in[0], in[1])
	}
	must[int](t)(from.SendTo([]byte("three"), dst))
	if n := must[int](t)(to.RecvMMsg(in, 0, sockets.MSG_WAITFORONE, sockets.Within(patience))); n != 1 {
		t.Errorf("MSG_WAITFORONE gives %d messages", n)
	}
	must[int](t)(from.SendTo([]byte("four"), dst))
	waitFor(t, to, sockets.POLLIN)
	if n := must[int](t)(to.RecvMMsg(in, 0, sockets.Within(50*time.Millisecond))); n != 1 {
		t.Errorf("until time runs out: %d messages", n)
	}
	_, err = to.RecvMMsg(in, 0, sockets.MSG_DONTWAIT)
	wantErrno(t, err, sockets.EAGAIN)
}

// A6.8: as in recvmsg(2), receiving into nothing takes the datagram, which
// recv(2) of nothing does not (T19).
func TestReceiveNothing(t *testing.T) {
	a, b := pair(t)
	from := udpSocket(t, a)
	to, dst := boundUDP(t, b)
	must[int](t)(from.SendTo([]byte("abc"), dst))
	waitFor(t, to, sockets.POLLIN)
	if p := must[[]byte](t)(to.Recv(0)); len(p) != 0 {
		t.Errorf("Recv(0) gives %q", p)
	}
	m := must[*sockets.Msg](t)(to.RecvMsg(nil, 0))
	if m.N != 0 || m.Flags != sockets.MSG_TRUNC || m.Addr == nil {
		t.Errorf("%+v", m)
	}
	if ev := pollNow(t, to); ev&sockets.POLLIN != 0 {
		t.Error("the datagram is still there")
	}
}

// The corner cases of sending that Linux 6.18 was measured on.
func TestSendCornerCases(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	l, _ := listener(t, b, addrB)
	slow := tcpSocket(t, a)
	slow.SetBlocking(false)
	wantErrno(t, slow.Connect(sockets.Inet4{Host: "10.77.0.77", Port: 9}), sockets.EINPROGRESS)
	udp := udpSocket(t, a)
	for name, tc := range map[string]struct {
		s    *sockets.Socket
		to   sockets.Sockaddr
		size int
		want sockets.Errno
	}{
		"TCP, not connected":         {tcpSocket(t, a), nil, 1, sockets.EPIPE},
		"TCP, listening":             {l, nil, 1, sockets.EPIPE},
		"TCP, connecting":            {slow, nil, 1, sockets.EAGAIN},
		"UDP without a destination":  {udp, nil, 1, sockets.EDESTADDRREQ},
		"UDP to port 0":              {udp, sockets.Inet4{Host: addrB}, 1, sockets.EINVAL},
		"UDP of 65,508 bytes":        {udp, sockets.Inet4{Host: addrB, Port: 9}, 65508, sockets.EMSGSIZE},
		"broadcast without the flag": {udp, sockets.Inet4{Host: "<broadcast>", Port: 9}, 1, sockets.EACCES},
	} {
		_, err := tc.s.SendTo(make([]byte, tc.size), tc.to)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if n := must[int](t)(client.SendTo([]byte("x"), sockets.Inet4{Host: "192.0.2.1", Port: 1})); n != 1 || recvString(t, server) != "x" {
		t.Error("sendto with an address on a connection does not ignore the address")
	}
	if n := must[int](t)(client.Send(nil)); n != 0 {
		t.Errorf("send of nothing gives %d", n)
	}
	one, _ := boundUDP(t, b)
	_, other := boundUDP(t, b)
	check(t, udp.Connect(must[sockets.Sockaddr](t)(one.GetSockName())))
	must[int](t)(udp.SendTo([]byte("elsewhere"), other))
}
