package sockets_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/nettest"

	"github.com/userstack/userstack/stack/sockets"
)

func unixSocket(t testing.TB, h *sockets.Host, typ sockets.Type) *sockets.Socket {
	t.Helper()
	return mustSocket(t, h, sockets.AF_UNIX, typ, 0)
}

// bound returns a socket that is bound to the name, and listens if it can.
func bound(t testing.TB, h *sockets.Host, typ sockets.Type, name string) *sockets.Socket {
	t.Helper()
	s := unixSocket(t, h, typ)
	check(t, s.Bind(sockets.UnixAddr{Name: name}))
	if typ != sockets.SOCK_DGRAM {
		check(t, s.Listen(8))
	}
	return s
}

func TestUnixNames(t *testing.T) {
	h, other := pair(t)
	stream := sockets.SOCK_STREAM
	connect := func(h *sockets.Host, typ sockets.Type, name string) error {
		return unixSocket(t, h, typ).Connect(sockets.UnixAddr{Name: name})
	}
	bind := func(typ sockets.Type, name string) error {
		return unixSocket(t, h, typ).Bind(sockets.UnixAddr{Name: name})
	}

	l := bound(t, h, stream, "/run/s")
	check(t, connect(h, stream, "/run/s"))
	wantErrno(t, connect(other, stream, "/run/s"), sockets.ENOENT) // another Host
	wantErrno(t, connect(h, sockets.SOCK_DGRAM, "/run/s"), sockets.EPROTOTYPE)
	wantErrno(t, bind(sockets.SOCK_DGRAM, "/run/s"), sockets.EADDRINUSE)
	wantErrno(t, l.Bind(sockets.UnixAddr{Name: "/run/other"}), sockets.EINVAL)
	check(t, l.Close())
	wantErrno(t, connect(h, stream, "/run/s"), sockets.ECONNREFUSED) // the path is left
	wantErrno(t, bind(stream, "/run/s"), sockets.EADDRINUSE)
	check(t, h.UnlinkUnix("/run/s"))
	wantErrno(t, h.UnlinkUnix("/run/s"), sockets.ENOENT)
	check(t, bind(stream, "/run/s"))

	a := bound(t, h, stream, "\x00name")
	check(t, bind(sockets.SOCK_DGRAM, "\x00name")) // each type has its own
	wantErrno(t, bind(stream, "\x00name"), sockets.EADDRINUSE)
	check(t, a.Close())
	wantErrno(t, connect(h, stream, "\x00name"), sockets.ECONNREFUSED)
	check(t, bind(stream, "\x00name"))

	wantErrno(t, connect(h, stream, ""), sockets.EINVAL)
	wantErrno(t, bind(stream, strings.Repeat("x", 109)), sockets.EINVAL)
	check(t, bind(stream, strings.Repeat("x", 108)))
	wantErrno(t, unixSocket(t, h, stream).Bind(sockets.Inet4{}), sockets.EINVAL)
	wantErrno(t, tcpSocket(t, h).Bind(sockets.UnixAddr{Name: "x"}), sockets.EAFNOSUPPORT)
}

func TestUnixAutobind(t *testing.T) {
	h, _ := pair(t)
	s := unixSocket(t, h, sockets.SOCK_DGRAM)
	if name := must[sockets.Sockaddr](t)(s.GetSockName()); name != (sockets.UnixAddr{}) {
		t.Errorf("a fresh socket has the name %q", name)
	}
	check(t, s.Bind(sockets.UnixAddr{}))
	name := must[sockets.Sockaddr](t)(s.GetSockName()).(sockets.UnixAddr)
	if len(name.Name) != 6 || name.Name[0] != 0 || strings.Trim(name.Name[1:], "0123456789abcdef") != "" {
		t.Errorf("autobind chose %q, want a zero byte and five hexadecimal digits", name.Name)
	}
	if name.String() != "@"+name.Name[1:] || name.Network() != "unix" {
		t.Errorf("it is written %v, %q", name, name.Network())
	}
	check(t, s.Bind(sockets.UnixAddr{})) // does nothing, as on Linux
}

// TestUnixSenders checks who a message is said to be from.
func TestUnixSenders(t *testing.T) {
	h, _ := pair(t)
	r := bound(t, h, sockets.SOCK_DGRAM, "receiver")
	for _, name := range []string{"", "sender"} {
		s := unixSocket(t, h, sockets.SOCK_DGRAM)
		want := sockets.Sockaddr(nil)
		if name != "" {
			check(t, s.Bind(sockets.UnixAddr{Name: name}))
			want = sockets.UnixAddr{Name: name}
		}
		check(t, must2(s.SendTo([]byte("x"), sockets.UnixAddr{Name: "receiver"})))
		_, from, err := r.RecvFrom(10)
		if err != nil || from != want {
			t.Errorf("RecvFrom: from %v, %v, want %v", from, err, want)
		}
	}
	l := bound(t, h, sockets.SOCK_STREAM, "listener")
	c := unixSocket(t, h, sockets.SOCK_STREAM)
	check(t, c.Connect(sockets.UnixAddr{Name: "listener"}))
	n, from, err := l.Accept()
	check(t, err)
	defer n.Close()
	if from != (sockets.UnixAddr{}) {
		t.Errorf("accepted from %v, want an unbound socket", from)
	}
	if peer := must[sockets.Sockaddr](t)(c.GetPeerName()); peer != (sockets.UnixAddr{Name: "listener"}) {
		t.Errorf("the client's peer is %v", peer)
	}
	if own := must[sockets.Sockaddr](t)(n.GetSockName()); own != (sockets.UnixAddr{Name: "listener"}) {
		t.Errorf("the accepted socket is called %v", own)
	}
}

// TestUnixCalls runs the calls of a stream that have their own way to it.
func TestUnixCalls(t *testing.T) {
	h, _ := pair(t)
	a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
	check(t, must2(a.Write([]byte("one\ntwo\nthree"))))
	if line := must[[]byte](t)(b.ReadLine(0)); string(line) != "one\n" {
		t.Errorf("ReadLine = %q", line)
	}
	if n := must[any](t)(b.Ioctl(sockets.FIONREAD, nil)); n != 9 {
		t.Errorf("FIONREAD = %v, want 9", n)
	}
	if p := must[[]byte](t)(b.Recv(2, sockets.MSG_PEEK)); string(p) != "tw" {
		t.Errorf("peeked %q", p)
	}
	if p := must[[]byte](t)(b.ReadN(4)); string(p) != "two\n" {
		t.Errorf("ReadN = %q", p)
	}
	check(t, a.Shutdown(sockets.SHUT_WR))
	if p := must[[]byte](t)(b.ReadAll()); string(p) != "three" {
		t.Errorf("ReadAll = %q", p)
	}
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("Read at the end: %v", err)
	}
	if n := must[any](t)(a.Ioctl(sockets.SIOCOUTQ, nil)); n != 0 {
		t.Errorf("SIOCOUTQ = %v when all is read", n)
	}
	_, err := a.Send([]byte("x"), sockets.MSG_OOB)
	wantErrno(t, err, sockets.EOPNOTSUPP)
}

// TestUnixTimedOutLineIsKept checks that a piece of a line stays in the socket.
func TestUnixTimedOutLineIsKept(t *testing.T) {
	h, _ := pair(t)
	a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
	check(t, must2(a.Send([]byte("half"))))
	b.SetBlocking(false)
	if _, err := b.ReadLine(0); !errors.Is(err, sockets.EAGAIN) {
		t.Fatalf("ReadLine of half a line: %v", err)
	}
	if out := events(t, h, b); out&sockets.POLLIN == 0 {
		t.Errorf("poll says %v while half a line waits", out)
	}
	if p := must[[]byte](t)(b.Recv(100)); string(p) != "half" {
		t.Errorf("Recv = %q", p)
	}
}

// events returns what the socket is ready for.
func events(t testing.TB, h *sockets.Host, s *sockets.Socket) sockets.PollEvents {
	t.Helper()
	d := []sockets.PollDesc{{Sock: s, In: ^sockets.PollEvents(0)}}
	check(t, must2(h.Poll(d, 0)))
	return d[0].Out
}

// TestUnixPollStates is row O22: fresh, connected, and the peer closed.
func TestUnixPollStates(t *testing.T) {
	h, _ := pair(t)
	const both = sockets.POLLIN | sockets.POLLOUT | sockets.POLLHUP | sockets.POLLRDHUP
	for _, tc := range []struct {
		typ          sockets.Type
		fresh, ended sockets.PollEvents
	}{
		{sockets.SOCK_STREAM, sockets.POLLOUT | sockets.POLLHUP, both},
		{sockets.SOCK_SEQPACKET, sockets.POLLOUT | sockets.POLLHUP, both},
		{sockets.SOCK_DGRAM, sockets.POLLOUT, sockets.POLLOUT},
	} {
		a, b := socketPair(t, h, sockets.AF_UNIX, tc.typ)
		fresh := events(t, h, unixSocket(t, h, tc.typ)) & both
		idle := events(t, h, a) & both
		check(t, b.Close())
		ended := events(t, h, a) & both
		if fresh != tc.fresh || idle != sockets.POLLOUT || ended != tc.ended {
			t.Errorf("type %d: fresh %v, idle %v, ended %v", tc.typ, fresh, idle, ended)
		}
	}
}

// TestUnixConn runs the contract of net.Conn over AF_UNIX.
func TestUnixConn(t *testing.T) {
	for _, network := range []string{"unix"} {
		h, _ := pair(t)
		nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
			l, err := h.Listen(network, "@test")
			if err != nil {
				return nil, nil, nil, err
			}
			defer l.Close()
			if c1, err = h.DialContext(t.Context(), network, "@test"); err != nil {
				return nil, nil, nil, err
			}
			if c2, err = l.Accept(); err != nil {
				c1.Close()
				return nil, nil, nil, err
			}
			return c1, c2, func() { c1.Close(); c2.Close() }, nil
		})
	}
}

// TestUnixAdapters listens on a path with package net's interfaces.
func TestUnixAdapters(t *testing.T) {
	h, _ := pair(t)
	l := must[net.Listener](t)(h.Listen("unixpacket", "path"))
	if l.Addr().String() != "path" || l.Addr().Network() != "unixpacket" {
		t.Errorf("the listener's address is %v %v", l.Addr().Network(), l.Addr())
	}
	check(t, l.Close())
	l = must[net.Listener](t)(h.Listen("unix", "path")) // Close has removed the path
	defer l.Close()
	_, err := h.Dial("unix", "nowhere")
	var oe *net.OpError
	if !errors.As(err, &oe) || oe.Addr.String() != "nowhere" || !errors.Is(err, sockets.ENOENT) {
		t.Errorf("dialling a name that does not exist: %v", err)
	}

	p := must[net.PacketConn](t)(h.ListenPacket("unixgram", "@p"))
	defer p.Close()
	q := must[net.PacketConn](t)(h.ListenPacket("unixgram", "@q"))
	defer q.Close()
	check(t, must2(p.WriteTo([]byte("hello"), q.LocalAddr())))
	buf := make([]byte, 10)
	n, from, err := q.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "hello" || from.String() != "@p" || from.Network() != "unixgram" {
		t.Errorf("ReadFrom = %q, %v, %v", buf[:n], from, err)
	}
	_, err = p.WriteTo([]byte("x"), &net.UDPAddr{})
	wantErrno(t, err, sockets.EINVAL)
}

// TestUnixOptions checks the options that only AF_UNIX has.
func TestUnixOptions(t *testing.T) {
	h, _ := pair(t)
	a, _ := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
	fresh, udp := unixSocket(t, h, sockets.SOCK_STREAM), udpSocket(t, h)
	const none = "\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"
	for _, s := range []*sockets.Socket{fresh, udp} {
		if p := must[[]byte](t)(s.GetSockOpt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, 12)); string(p) != none {
			t.Errorf("SO_PEERCRED without a peer: %x", p)
		}
		_, err := s.GetSockOpt(sockets.SOL_SOCKET, sockets.SO_PEERGROUPS, 64)
		wantErrno(t, err, sockets.ENODATA)
		_, err = s.GetSockOpt(sockets.SOL_SOCKET, sockets.SO_PEERPIDFD, 4)
		wantErrno(t, err, sockets.ENODATA)
	}
	if p := must[[]byte](t)(a.GetSockOpt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, 12)); string(p) != string(ownCredentials()) {
		t.Errorf("SO_PEERCRED of a pair: %x, want %x", p, ownCredentials())
	}
	check(t, must2(a.GetSockOpt(sockets.SOL_SOCKET, sockets.SO_PEERGROUPS, 1024)))
	for name, initial := range map[int]int{sockets.SO_PASSCRED: 0, sockets.SO_PASSRIGHTS: 1, sockets.SO_PASSSEC: 0, sockets.SO_PASSPIDFD: 0} {
		if v := must[int](t)(a.GetSockOptInt(sockets.SOL_SOCKET, name)); v != initial {
			t.Errorf("option %d is %d at first, want %d", name, v, initial)
		}
		wantErrno(t, udp.SetSockOptInt(sockets.SOL_SOCKET, name, 1), sockets.EOPNOTSUPP)
		_, err := udp.GetSockOptInt(sockets.SOL_SOCKET, name)
		wantErrno(t, err, sockets.EOPNOTSUPP)
	}
}

// TestUnixPoller checks that an edge-triggered Poller hears of each message, and
// of room in a queue of another socket.
func TestUnixPoller(t *testing.T) {
	h, _ := pair(t)
	p := must[*sockets.Poller](t)(h.NewPoller())
	defer p.Close()
	a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
	check(t, p.Register(b, sockets.POLLIN|sockets.EPOLLET))
	for range 2 {
		check(t, must2(a.Send([]byte("x"))))
		if got := must[[]sockets.PollDesc](t)(p.Poll(0)); len(got) != 1 || got[0].Sock != b {
			t.Errorf("after a message: %v", got)
		}
		if got := must[[]sockets.PollDesc](t)(p.Poll(0)); len(got) != 0 {
			t.Errorf("without another: %v", got)
		}
	}
	r := bound(t, h, sockets.SOCK_DGRAM, "\x00r")
	s := unixSocket(t, h, sockets.SOCK_DGRAM)
	check(t, s.Connect(sockets.UnixAddr{Name: "\x00r"}))
	fill(t, s, 1)
	check(t, p.Register(s, sockets.POLLOUT|sockets.EPOLLET))
	if got := must[[]sockets.PollDesc](t)(p.Poll(0)); len(got) != 0 {
		t.Errorf("a full queue is writable: %v", got)
	}
	check(t, recvTimes(r, 1))
	if got := must[[]sockets.PollDesc](t)(p.Poll(0)); len(got) != 1 || got[0].Sock != s {
		t.Errorf("after room was made: %v", got)
	}
}
