package sockets_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

func TestPollEventsString(t *testing.T) {
	for e, want := range map[sockets.PollEvents]string{
		0: "0x0", in | rdhup: "POLLIN|POLLRDHUP", in | sockets.EPOLLET: "POLLIN|EPOLLET", 0x10000 | out: "POLLOUT|0x10000",
	} {
		if e.String() != want {
			t.Errorf("%#x is %q, want %q", uint32(e), e, want)
		}
	}
}

// TestPollSeveral polls ready, unready and closed sockets and a gap together.
func TestPollSeveral(t *testing.T) {
	a, _ := pair(t)
	ready, idle, closed := udpSocket(t, a), udpSocket(t, a), udpSocket(t, a)
	check(t, closed.Close())
	d := []sockets.PollDesc{{Sock: ready, In: out}, {Sock: idle, In: in}, {In: everything, Out: in}, {Sock: closed}, {Sock: ready, In: in | out}}
	if n := must[int](t)(a.Poll(d, sockets.NoTimeout)); n != 3 {
		t.Errorf("Poll returned %d, want 3", n)
	}
	for i, want := range []sockets.PollEvents{out, 0, 0, nval, out} {
		if d[i].Out != want {
			t.Errorf("number %d: %v, want %v", i, d[i].Out, want)
		}
	}
}

// TestPollTimeout: when the time is over every result is 0, also one that was
// left there.
func TestPollTimeout(t *testing.T) {
	a, _ := pair(t)
	d := []sockets.PollDesc{{Sock: udpSocket(t, a), In: in, Out: everything}}
	for _, timeout := range []time.Duration{0, time.Millisecond} {
		if n := must[int](t)(a.Poll(d, timeout)); n != 0 || d[0].Out != 0 {
			t.Errorf("Poll returned %d with %v", n, d[0].Out)
		}
	}
	if n := must[int](t)(a.Poll(nil, time.Millisecond)); n != 0 {
		t.Errorf("Poll of nothing returned %d", n)
	}
}

// TestNSPRPoll walks the flags, and compares PR_Poll's results in the documented
// cases.
func TestNSPRPoll(t *testing.T) {
	for f := range sockets.NSPRPoll(0x40) {
		if got := sockets.FromNSPR(f).NSPR(); got != f {
			t.Errorf("FromNSPR(%#x).NSPR() is %#x", f, got)
		}
	}
	a, b := pair(t)
	client, server := connected(t, a, b)
	const readWrite = sockets.PR_POLL_READ | sockets.PR_POLL_WRITE | sockets.PR_POLL_EXCEPT
	for _, st := range []struct {
		do   func()
		ask  sockets.NSPRPoll
		want sockets.NSPRPoll
	}{
		{func() {}, sockets.PR_POLL_READ, 0}, // the time runs out
		{func() {}, readWrite, sockets.PR_POLL_WRITE},
		{func() { must[int](t)(server.Send([]byte("x"))) }, sockets.PR_POLL_READ, sockets.PR_POLL_READ},
		{func() { reset(t, server) }, sockets.PR_POLL_WRITE, sockets.PR_POLL_WRITE | sockets.PR_POLL_ERR | sockets.PR_POLL_HUP},
		{func() { check(t, client.Close()) }, readWrite, sockets.PR_POLL_NVAL},
	} {
		st.do()
		ask := sockets.FromNSPR(st.ask)
		if st.want&^sockets.PR_POLL_WRITE != 0 {
			wantPollOf(t, client, ask, sockets.FromNSPR(st.want)) // packets need their time
		}
		d := []sockets.PollDesc{{Sock: client, In: ask}}
		if must[int](t)(a.Poll(d, time.Millisecond)); d[0].Out.NSPR() != st.want {
			t.Errorf("PR_Poll for %#x says %#x, want %#x", st.ask, d[0].Out.NSPR(), st.want)
		}
	}
}

// TestPollIsWoken lets Poll wait for each kind of change.
func TestPollIsWoken(t *testing.T) {
	a, b := pair(t)
	for _, tc := range []struct {
		name  string
		ask   sockets.PollEvents
		want  sockets.PollEvents
		setup func(t *testing.T) (s *sockets.Socket, change func())
	}{
		{"arrival", in, in, func(t *testing.T) (*sockets.Socket, func()) {
			client, server := connected(t, a, b)
			return client, func() { server.Send([]byte("x")) }
		}},
		{"FIN, with only RDHUP asked", rdhup, rdhup, func(t *testing.T) (*sockets.Socket, func()) {
			client, server := connected(t, a, b)
			return client, func() { server.Shutdown(sockets.SHUT_WR) }
		}},
		{"FIN of both, with nothing asked", 0, hup, func(t *testing.T) (*sockets.Socket, func()) {
			client, server := connected(t, a, b)
			check(t, client.Shutdown(sockets.SHUT_WR))
			return client, func() { server.Shutdown(sockets.SHUT_WR) }
		}},
		{"own shutdown", in, in, func(t *testing.T) (*sockets.Socket, func()) {
			client, _ := connected(t, a, b)
			return client, func() { client.Shutdown(sockets.SHUT_RD) }
		}},
		{"own shutdown of both, with nothing asked", 0, hup, func(t *testing.T) (*sockets.Socket, func()) {
			client, _ := connected(t, a, b)
			return client, func() { client.Shutdown(sockets.SHUT_RDWR) }
		}},
		{"reset", 0, fault | hup, func(t *testing.T) (*sockets.Socket, func()) {
			client, server := connected(t, a, b)
			return client, func() { server.Connect(nil) }
		}},
		{"own disconnect", 0, fault | hup, func(t *testing.T) (*sockets.Socket, func()) {
			client, _ := connected(t, a, b)
			return client, func() { client.Connect(nil) }
		}},
		{"own shutdown in SYN_SENT", 0, fault | hup, func(t *testing.T) (*sockets.Socket, func()) {
			s := connecting(t, a)
			return s, func() { s.Shutdown(sockets.SHUT_RD) }
		}},
		{"connection to accept", in, in, func(t *testing.T) (*sockets.Socket, func()) {
			l, addr := listener(t, b, addrB)
			return l, func() { tcpSocket(t, a).Connect(addr) }
		}},
		{"listener shut", in, hup, func(t *testing.T) (*sockets.Socket, func()) {
			l, _ := listener(t, b, addrB)
			return l, func() { l.Shutdown(sockets.SHUT_RD) }
		}},
		{"room to send", out, out, func(t *testing.T) (*sockets.Socket, func()) {
			client, server := connected(t, a, b)
			client.SetBlocking(false)
			full := []sockets.PollDesc{{Sock: client, In: out}}
			for must[int](t)(a.Poll(full, 500*time.Millisecond)) != 0 { // until the peer's buffer is full as well
				client.Send(make([]byte, 1<<20))
			}
			return client, func() {
				for polled(t, client, out) == 0 {
					server.Recv(1<<20, sockets.MSG_DONTWAIT)
				}
			}
		}},
		{"datagram", in, in, func(t *testing.T) (*sockets.Socket, func()) {
			s := udpSocket(t, a)
			check(t, s.Bind(sockets.Inet4{Host: addrA}))
			return s, func() { udpSocket(t, b).SendTo(nil, must[sockets.Sockaddr](t)(s.GetSockName())) }
		}},
		{"ICMP error, with nothing asked", 0, fault, func(t *testing.T) (*sockets.Socket, func()) {
			s := udpSocket(t, a)
			check(t, s.Connect(sockets.Inet4{Host: addrB, Port: 9}))
			return s, func() { s.Send([]byte("x")) }
		}},
		{"shutdown of a datagram socket", rdhup, rdhup, func(t *testing.T) (*sockets.Socket, func()) {
			s := udpSocket(t, a)
			return s, func() { s.Shutdown(sockets.SHUT_RD) }
		}},
		{"close", in, nval, func(t *testing.T) (*sockets.Socket, func()) {
			s := udpSocket(t, a)
			return s, func() { s.Close() }
		}},
		{"close of one of two descriptors", in, nval, func(t *testing.T) (*sockets.Socket, func()) {
			s := udpSocket(t, a)
			d := must[*sockets.Socket](t)(s.Dup())
			return d, func() { d.Close() }
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, change := tc.setup(t)
			if got := polled(t, s, tc.ask); got != 0 {
				t.Fatalf("ready with %v before the change", got)
			}
			d := []sockets.PollDesc{{Sock: s, In: tc.ask}}
			errs := make(chan error, 1)
			go func() {
				_, err := s.Host().Poll(d, sockets.NoTimeout)
				errs <- err
			}()
			awaitPolling(t, 1)
			change()
			check(t, within(t, errs))
			if d[0].Out != tc.want {
				t.Errorf("Poll says %v, want %v", d[0].Out, tc.want)
			}
		})
	}
}

// TestPollHostCloses ends a Poll by closing the Host: its sockets say so, or the
// error does when there is none.
func TestPollHostCloses(t *testing.T) {
	a, _ := pair(t)
	d := []sockets.PollDesc{{Sock: udpSocket(t, a), In: in}}
	errs := make(chan error, 2)
	go func() { _, err := a.Poll(d, sockets.NoTimeout); errs <- err }()
	awaitPolling(t, 1)
	check(t, a.Close())
	if err := <-errs; err != nil || d[0].Out != nval {
		t.Errorf("Poll says %v and %v, want POLLNVAL", d[0].Out, err)
	}
	if _, err := a.Poll(nil, sockets.NoTimeout); !errors.Is(err, sockets.ErrClosed) {
		t.Errorf("Poll of nothing on a closed Host: %v", err)
	}
}

func TestPollStackCloses(t *testing.T) {
	a, _ := pair(t)
	d := []sockets.PollDesc{{Sock: udpSocket(t, a), In: in}}
	errs := make(chan error, 1)
	go func() { _, err := a.Poll(d, sockets.NoTimeout); errs <- err }()
	awaitPolling(t, 1)
	check(t, a.Stack().Close())
	if err := <-errs; err != nil || d[0].Out != nval {
		t.Errorf("Poll says %v and %v, want POLLNVAL", d[0].Out, err)
	}
}

func TestSelect(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	idle := udpSocket(t, b)
	l, addr := listener(t, b, addrB)
	check(t, tcpSocket(t, a).Connect(addr))
	wantPoll(t, l, in)
	must[int](t)(client.Send([]byte("x")))
	wantPoll(t, server, in|out)
	same := func(what string, got []*sockets.Socket, want ...*sockets.Socket) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d sockets %v, want %d", what, len(got), got, len(want))
		}
	}
	r, w, x, err := b.Select([]*sockets.Socket{idle, l, server}, []*sockets.Socket{l, server}, []*sockets.Socket{server}, sockets.NoTimeout)
	check(t, err)
	same("to read", r, l, server)
	same("to write", w, server)
	same("exceptional", x)

	r, w, x, err = b.Select([]*sockets.Socket{idle}, nil, []*sockets.Socket{idle}, time.Millisecond)
	check(t, err)
	if r != nil || w != nil || x != nil {
		t.Errorf("after the timeout: %v %v %v, want nil", r, w, x)
	}

	reset(t, client)
	wantPoll(t, server, ended|fault)
	r, w, _, err = b.Select([]*sockets.Socket{server}, []*sockets.Socket{server}, nil, 0)
	check(t, err)
	same("to read after a reset", r, server)
	same("to write after a reset", w, server)

	_, _, _, err = b.Select([]*sockets.Socket{idle, nil}, nil, nil, 0)
	wantErrno(t, err, sockets.EBADF)
	errs := make(chan error, 1)
	go func() {
		_, _, _, err := b.Select([]*sockets.Socket{idle}, nil, nil, sockets.NoTimeout)
		errs <- err
	}()
	awaitPolling(t, 1)
	check(t, idle.Close())
	wantErrno(t, <-errs, sockets.EBADF)
	_, _, _, err = b.Select(nil, []*sockets.Socket{idle}, nil, 0)
	wantErrno(t, err, sockets.EBADF)
}

// TestPollFromSeveralGoroutines has every one of them told of the same state.
func TestPollFromSeveralGoroutines(t *testing.T) {
	const pollers = 8
	a, b := pair(t)
	s := udpSocket(t, a)
	check(t, s.Bind(sockets.Inet4{Host: addrA}))
	var wg sync.WaitGroup
	for range pollers {
		wg.Go(func() {
			if n, err := a.Poll([]sockets.PollDesc{{Sock: s, In: in}}, patience); n != 1 || err != nil {
				t.Errorf("Poll: %d, %v", n, err)
			}
		})
	}
	awaitPolling(t, pollers)
	must[int](t)(udpSocket(t, b).SendTo(nil, must[sockets.Sockaddr](t)(s.GetSockName())))
	wg.Wait()
}

// within returns what comes from a call that was blocked.
func within[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("the call still blocks")
		panic("unreachable")
	}
}

// awaitPolling returns once n goroutines sleep in Poll, Select or Poller.Poll.
func awaitPolling(t testing.TB, n int) {
	t.Helper()
	awaitStacks(t, n, func(g string) bool {
		return strings.Contains(g, " [select") &&
			(strings.Contains(g, "sockets.(*Host).await(") || strings.Contains(g, "sockets.(*Poller).poll("))
	})
}
