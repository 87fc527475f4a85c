package sockets_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// The events as the tables of tests have them.
const (
	in    = sockets.POLLIN
	out   = sockets.POLLOUT
	fault = sockets.POLLERR
	hup   = sockets.POLLHUP
	rdhup = sockets.POLLRDHUP
	nval  = sockets.POLLNVAL
	ended = in | out | hup | rdhup // both directions are shut

	everything = in | sockets.POLLPRI | out | rdhup
)

// polled is poll(2) of one socket that does not wait.
func polled(t testing.TB, s *sockets.Socket, ask sockets.PollEvents) sockets.PollEvents {
	t.Helper()
	d := []sockets.PollDesc{{Sock: s, In: ask}}
	n := must[int](t)(s.Host().Poll(d, 0))
	if (n == 1) != (d[0].Out != 0) {
		t.Fatalf("Poll returned %d with %v", n, d[0].Out)
	}
	return d[0].Out
}

// wantPoll fails unless poll of s says want soon, when packets have arrived.
func wantPoll(t testing.TB, s *sockets.Socket, want sockets.PollEvents) {
	t.Helper()
	wantPollOf(t, s, everything, want)
}

func wantPollOf(t testing.TB, s *sockets.Socket, ask, want sockets.PollEvents) {
	t.Helper()
	got := polled(t, s, ask)
	for end := time.Now().Add(patience); got != want && time.Now().Before(end); got = polled(t, s, ask) {
		runtime.Gosched()
	}
	if got != want {
		t.Fatalf("poll of %v says %v, want %v", ask, got, want)
	}
}

// soError takes the pending error.
func soError(t testing.TB, s *sockets.Socket) sockets.Errno {
	t.Helper()
	return sockets.Errno(must[int](t)(s.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_ERROR)))
}

// reset closes s so that the peer sees a reset.
func reset(t testing.TB, s *sockets.Socket) {
	t.Helper()
	check(t, s.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_LINGER, []byte{1, 0, 0, 0, 0, 0, 0, 0}))
	check(t, s.Close())
}

// nobody is an address of the wire at which no host is.
const nobody = "10.77.0.99"

// connecting returns a socket in SYN_SENT.
func connecting(t testing.TB, h *sockets.Host) *sockets.Socket {
	t.Helper()
	s := tcpSocket(t, h)
	s.SetBlocking(false)
	if err := s.Connect(sockets.Inet4{Host: nobody, Port: 80}); !errors.Is(err, sockets.EINPROGRESS) {
		t.Fatal(err)
	}
	return s
}

// TestPollStates compares poll with what Linux says in the same state, as
// measured there.
func TestPollStates(t *testing.T) {
	for _, part := range [][]pollState{freshStates, connectedStates, failedStates, datagramStates, unixStates} {
		for _, st := range part {
			t.Run(st.id+" "+st.what, func(t *testing.T) {
				t.Parallel()
				a, b := pair(t)
				st.steps(t, a, b)
			})
		}
	}
}

// A pollState is one row of Linux's poll in a state: steps reach it and compare.
type pollState struct {
	id, what string
	steps    func(t *testing.T, a, b *sockets.Host)
}

var freshStates = []pollState{
	{"O1", "fresh and bound", func(t *testing.T, a, b *sockets.Host) {
		s := tcpSocket(t, a)
		wantPoll(t, s, out|hup)
		check(t, s.Bind(sockets.Inet4{Host: addrA}))
		wantPoll(t, s, out|hup)
	}},
	{"O1", "fresh and shut", func(t *testing.T, a, b *sockets.Host) {
		s := tcpSocket(t, a)
		wantErrno(t, s.Shutdown(sockets.SHUT_RD), sockets.ENOTCONN)
		wantPoll(t, s, ended)
		if p := must[[]byte](t)(s.Recv(1)); len(p) != 0 {
			t.Errorf("received %q", p)
		}
		_, addr := listener(t, b, addrB)
		check(t, s.Connect(addr))
		wantPoll(t, s, in|out|rdhup)
		s = tcpSocket(t, a)
		wantErrno(t, s.Shutdown(sockets.SHUT_WR), sockets.ENOTCONN)
		wantPoll(t, s, out|hup)
		check(t, s.Connect(addr))
		wantPoll(t, s, out)
		_, err := s.Send([]byte("x"))
		wantErrno(t, err, sockets.EPIPE)
	}},
	{"O2 O3", "listening", func(t *testing.T, a, b *sockets.Host) {
		l, addr := listener(t, b, addrB)
		wantPoll(t, l, 0)
		check(t, tcpSocket(t, a).Connect(addr))
		wantPoll(t, l, in)
		s, _, err := l.Accept()
		check(t, err)
		check(t, s.Close())
		wantPoll(t, l, 0)
	}},
	{"O4", "listener after SHUT_RD", func(t *testing.T, a, b *sockets.Host) {
		l, addr := listener(t, b, addrB)
		client := tcpSocket(t, a)
		check(t, client.Connect(addr))
		check(t, l.Shutdown(sockets.SHUT_RD))
		wantPoll(t, l, out|hup)
		wantPoll(t, client, ended|fault)
		check(t, l.Listen(1))
		wantPoll(t, l, 0)
		check(t, l.Shutdown(sockets.SHUT_RDWR))
		wantErrno(t, l.Shutdown(sockets.SHUT_RDWR), sockets.ENOTCONN)
		wantPoll(t, l, ended)
	}},
	{"O5", "listener after SHUT_WR", func(t *testing.T, a, b *sockets.Host) {
		l, addr := listener(t, b, addrB)
		check(t, l.Shutdown(sockets.SHUT_WR))
		wantPoll(t, l, 0)
		check(t, tcpSocket(t, a).Connect(addr))
		wantPoll(t, l, in)
	}},
	{"O6", "SYN_SENT", func(t *testing.T, a, b *sockets.Host) {
		wantPoll(t, connecting(t, a), 0)
	}},
	{"O6", "SYN_SENT and shut", func(t *testing.T, a, b *sockets.Host) {
		s := connecting(t, a)
		check(t, s.Shutdown(sockets.SHUT_RD))
		wantPoll(t, s, out|fault|hup)
		if errno := soError(t, s); errno != sockets.ECONNRESET {
			t.Errorf("SO_ERROR is %v", errno)
		}
		wantPoll(t, s, out|hup)
	}},
	{"O23", "closed", func(t *testing.T, a, b *sockets.Host) {
		s := tcpSocket(t, a)
		check(t, s.Close())
		wantPollOf(t, s, 0, nval)
	}},
}

var connectedStates = []pollState{
	{"O7", "connected", func(t *testing.T, a, b *sockets.Host) {
		client, server := connected(t, a, b)
		wantPoll(t, client, out)
		must[int](t)(server.Send([]byte("x")))
		wantPoll(t, client, in|out)
		must[[]byte](t)(client.Recv(1))
		wantPoll(t, client, out)
	}},
	{"O8", "CLOSE_WAIT", func(t *testing.T, a, b *sockets.Host) {
		client, server := connected(t, a, b)
		must[int](t)(server.Send([]byte("x")))
		check(t, server.Shutdown(sockets.SHUT_WR))
		wantPoll(t, client, in|out|rdhup)
		wantPollOf(t, client, in|out, in|out)
		wantPollOf(t, client, rdhup, rdhup)
		must[[]byte](t)(client.Recv(2))
		wantPoll(t, client, in|out|rdhup)
		wantPoll(t, server, out)
	}},
	{"O9", "own SHUT_RD", func(t *testing.T, a, b *sockets.Host) {
		client, server := connected(t, a, b)
		check(t, client.Shutdown(sockets.SHUT_RD))
		wantPoll(t, client, in|out|rdhup)
		must[int](t)(server.Send([]byte("later")))
		for len(must[[]byte](t)(client.Recv(9, sockets.MSG_PEEK))) == 0 {
			runtime.Gosched()
		}
		wantPoll(t, client, in|out|rdhup)
	}},
	{"O10", "FIN_WAIT2 and LAST_ACK", func(t *testing.T, a, b *sockets.Host) {
		client, server := connected(t, a, b)
		check(t, client.Shutdown(sockets.SHUT_RDWR))
		wantPoll(t, client, ended)
		check(t, server.Shutdown(sockets.SHUT_WR))
		wantPoll(t, server, ended)
		wantPoll(t, client, ended)
	}},
	{"O10", "unread data and both shut", func(t *testing.T, a, b *sockets.Host) {
		client, server := connected(t, a, b)
		must[int](t)(server.Send([]byte("x")))
		wantPoll(t, client, in|out)
		check(t, client.Shutdown(sockets.SHUT_RDWR))
		wantPoll(t, client, ended)
		if p := must[[]byte](t)(client.Recv(9)); string(p) != "x" {
			t.Errorf("received %q", p)
		}
	}},
	{"O11", "TIME_WAIT and CLOSED", func(t *testing.T, a, b *sockets.Host) {
		client, server := connected(t, a, b)
		check(t, client.Shutdown(sockets.SHUT_WR))
		wantPoll(t, client, out)
		wantPoll(t, server, in|out|rdhup)
		check(t, server.Shutdown(sockets.SHUT_WR))
		for _, s := range []*sockets.Socket{client, server} {
			wantPoll(t, s, ended)
			for _, err := s.GetPeerName(); err == nil; _, err = s.GetPeerName() {
				runtime.Gosched() // the last ACK is on its way
			}
			wantPoll(t, s, ended)
			if errno := soError(t, s); errno != 0 {
				t.Errorf("SO_ERROR is %v", errno)
			}
		}
	}},
	{"O15", "reset, with data and without", func(t *testing.T, a, b *sockets.Host) {
		for _, data := range []string{"abc", ""} {
			client, server := connected(t, a, b)
			must[int](t)(server.Send([]byte(data)))
			for data != "" && polled(t, client, in) == 0 {
				runtime.Gosched()
			}
			reset(t, server)
			wantPoll(t, client, ended|fault)
			if errno := soError(t, client); errno != sockets.ECONNRESET {
				t.Errorf("SO_ERROR is %v", errno)
			}
			wantPoll(t, client, ended)
			for _, want := range []string{data, ""} {
				if p := must[[]byte](t)(client.Recv(9)); string(p) != want {
					t.Errorf("received %q, want %q", p, want)
				}
			}
			wantPoll(t, client, ended)
		}
	}},
	{"O16", "reset in CLOSE_WAIT", func(t *testing.T, a, b *sockets.Host) {
		client, server := connected(t, a, b)
		check(t, server.Shutdown(sockets.SHUT_WR))
		wantPoll(t, client, in|out|rdhup)
		reset(t, server)
		wantPoll(t, client, ended|fault)
		if p := must[[]byte](t)(client.Recv(9)); len(p) != 0 {
			t.Errorf("received %q", p)
		}
		if errno := soError(t, client); errno != sockets.EPIPE {
			t.Errorf("SO_ERROR is %v", errno)
		}
		wantPoll(t, client, ended)
	}},
	{"O17", "peer closed with unread data", func(t *testing.T, a, b *sockets.Host) {
		client, server := connected(t, a, b)
		must[int](t)(client.Send([]byte("x")))
		wantPoll(t, server, in|out)
		check(t, server.Close())
		wantPoll(t, client, ended|fault)
		_, err := client.Recv(1)
		wantErrno(t, err, sockets.ECONNRESET)
		wantPoll(t, client, ended)
		if p := must[[]byte](t)(client.Recv(1)); len(p) != 0 {
			t.Errorf("received %q", p)
		}
	}},
	{"O15", "disconnected", func(t *testing.T, a, b *sockets.Host) {
		client, server := connected(t, a, b)
		check(t, client.Connect(nil))
		wantPoll(t, client, out|fault|hup)
		wantPoll(t, server, ended|fault)
		_, err := client.Recv(1)
		wantErrno(t, err, sockets.ECONNRESET)
		wantPoll(t, client, out|hup)
		_, err = client.Recv(1)
		wantErrno(t, err, sockets.ENOTCONN)

		client, _ = connected(t, a, b)
		check(t, client.Connect(nil))
		_, addr := listener(t, b, addrB)
		check(t, client.Connect(addr)) // which forgets the error
		wantPoll(t, client, out)
		if errno := soError(t, client); errno != 0 {
			t.Errorf("SO_ERROR is %v", errno)
		}
	}},
}

var failedStates = []pollState{
	{"O12 O13", "connect refused, non-blocking", func(t *testing.T, a, b *sockets.Host) {
		s, dst := tcpSocket(t, a), refusing(t, b, addrB)
		s.SetBlocking(false)
		wantErrno(t, s.Connect(dst), sockets.EINPROGRESS)
		wantPoll(t, s, ended|fault)
		wantPollOf(t, s, out, out|fault|hup)
		wantPollOf(t, s, 0, fault|hup)
		if errno := soError(t, s); errno != sockets.ECONNREFUSED {
			t.Errorf("SO_ERROR is %v", errno)
		}
		wantPoll(t, s, ended)
		wantErrno(t, s.Connect(dst), sockets.ECONNABORTED)
		wantPoll(t, s, out|hup)
	}},
	{"O14", "connect refused, blocking", func(t *testing.T, a, b *sockets.Host) {
		s := tcpSocket(t, a)
		wantErrno(t, s.Connect(refusing(t, b, addrB)), sockets.ECONNREFUSED)
		wantPoll(t, s, out|hup)
	}},
}

var datagramStates = []pollState{
	{"O18", "UDP", func(t *testing.T, a, b *sockets.Host) {
		to, from := udpSocket(t, a), udpSocket(t, b)
		wantPoll(t, to, out)
		check(t, to.Bind(sockets.Inet4{Host: addrA}))
		for _, data := range []string{"x", ""} {
			must[int](t)(from.SendTo([]byte(data), must[sockets.Sockaddr](t)(to.GetSockName())))
			wantPoll(t, to, in|out)
			must[[]byte](t)(to.Recv(1))
			wantPoll(t, to, out)
		}
	}},
	{"O19", "UDP refused", func(t *testing.T, a, b *sockets.Host) {
		s := udpSocket(t, a)
		check(t, s.Connect(sockets.Inet4{Host: addrB, Port: 9}))
		for _, take := range []func() sockets.Errno{
			func() sockets.Errno { return soError(t, s) },
			func() sockets.Errno { _, err := s.Recv(1); return errnoOf(err) },
			func() sockets.Errno { _, err := s.Send(nil); return errnoOf(err) },
		} {
			must[int](t)(s.Send([]byte("x")))
			wantPoll(t, s, out|fault)
			if errno := take(); errno != sockets.ECONNREFUSED {
				t.Errorf("the error is %v", errno)
			}
			wantPoll(t, s, out)
		}
	}},
	{"O18", "raw and packet", func(t *testing.T, a, b *sockets.Host) {
		raw := mustSocket(t, a, sockets.AF_INET, sockets.SOCK_RAW, sockets.IPPROTO_UDP)
		wantPoll(t, raw, out)
		must[int](t)(udpSocket(t, b).SendTo([]byte("x"), sockets.Inet4{Host: addrA, Port: 9}))
		wantPoll(t, raw, in|out)
		must[[]byte](t)(raw.Recv(99))
		wantPoll(t, raw, out)
		wantErrno(t, raw.Shutdown(sockets.SHUT_RDWR), sockets.ENOTCONN)
		wantPoll(t, raw, ended)
		wantPoll(t, mustSocket(t, a, sockets.AF_PACKET, sockets.SOCK_DGRAM, 0), out)
	}},
	{"O20", "UDP error queue", func(t *testing.T, a, b *sockets.Host) {
		s := udpSocket(t, a)
		check(t, s.SetSockOptInt(sockets.SOL_IP, sockets.IP_RECVERR, 1))
		check(t, s.Connect(sockets.Inet4{Host: addrB, Port: 9}))
		must[int](t)(s.Send([]byte("x")))
		wantPoll(t, s, out|fault)
		if errno := soError(t, s); errno != sockets.ECONNREFUSED {
			t.Errorf("SO_ERROR is %v", errno)
		}
		wantPoll(t, s, out|fault)
		check(t, s.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_SELECT_ERR_QUEUE, 1))
		wantPoll(t, s, out|fault|sockets.POLLPRI)
		must[*sockets.Msg](t)(s.RecvMsg([][]byte{make([]byte, 9)}, 100, sockets.MSG_ERRQUEUE))
		wantPoll(t, s, out)
	}},
	{"O21", "UDP shut", func(t *testing.T, a, b *sockets.Host) {
		s := udpSocket(t, a)
		wantErrno(t, s.Shutdown(sockets.SHUT_RD), sockets.ENOTCONN)
		wantPoll(t, s, in|out|rdhup)
		wantErrno(t, s.Shutdown(sockets.SHUT_WR), sockets.ENOTCONN)
		wantPoll(t, s, ended)
		check(t, s.Connect(sockets.Inet4{Host: addrB, Port: 9}))
		wantPoll(t, s, ended)
		_, err := s.Send([]byte("x"))
		wantErrno(t, err, sockets.EPIPE)
		s = udpSocket(t, a)
		check(t, s.Connect(sockets.Inet4{Host: addrB, Port: 9}))
		check(t, s.Shutdown(sockets.SHUT_WR))
		wantPoll(t, s, out)
	}},
}

var unixStates = []pollState{
	{"O22", "AF_UNIX", func(t *testing.T, a, b *sockets.Host) {
		wantPoll(t, mustSocket(t, a, sockets.AF_UNIX, sockets.SOCK_STREAM, 0), out|hup)
		wantPoll(t, mustSocket(t, a, sockets.AF_UNIX, sockets.SOCK_DGRAM, 0), out)
		for typ, after := range map[sockets.Type]sockets.PollEvents{
			sockets.SOCK_STREAM: ended, sockets.SOCK_SEQPACKET: ended, sockets.SOCK_DGRAM: out,
		} {
			p, q, err := a.SocketPair(sockets.AF_UNIX, typ, 0)
			check(t, err)
			wantPoll(t, p, out)
			must[int](t)(q.Send([]byte("x")))
			wantPoll(t, p, in|out)
			must[[]byte](t)(p.Recv(1))
			wantPoll(t, p, out)
			check(t, q.Close())
			wantPoll(t, p, after)
			check(t, p.Close())
			wantPoll(t, p, nval)
		}
	}},
	{"O22", "AF_UNIX, a direction shut", func(t *testing.T, a, b *sockets.Host) {
		p, q, err := a.SocketPair(sockets.AF_UNIX, sockets.SOCK_STREAM, 0)
		check(t, err)
		defer p.Close()
		defer q.Close()
		check(t, q.Shutdown(sockets.SHUT_WR))
		wantPoll(t, p, in|out|rdhup)
		wantPoll(t, q, out)
		check(t, p.Shutdown(sockets.SHUT_WR))
		wantPoll(t, p, ended)
		wantPoll(t, q, ended)
	}},
}

// errnoOf returns the errno in an error of the package, 0 without one.
func errnoOf(err error) sockets.Errno {
	var se sockets.SocketError
	if errors.As(err, &se) {
		return se.Errno()
	}
	return 0
}

// TestPollContext ends a wait with a context, and before it when there is
// something to report.
func TestPollContext(t *testing.T) {
	h, _ := pair(t)
	a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	d := []sockets.PollDesc{{Sock: a, In: in}}
	ended := make(chan error)
	go func() {
		_, err := h.PollContext(ctx, d)
		ended <- err
	}()
	awaitPolling(t, 1)
	cancel(why)
	if err := <-ended; err != why || d[0].Out != 0 {
		t.Errorf("PollContext: %v with %v, want %v and no events", err, d[0].Out, why)
	}
	check(t, must2(b.Send([]byte("x"))))
	if n, err := h.PollContext(ctx, d); n != 1 || err != nil || d[0].Out != in {
		t.Errorf("PollContext of a ready socket: %d, %v, %v", n, err, d[0].Out)
	}
}
