package sockets_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// fill sends until the socket takes no more.
func fill(t testing.TB, s *sockets.Socket, size int) (sent int) {
	t.Helper()
	for p := make([]byte, size); ; sent++ {
		switch _, err := s.Send(p, sockets.MSG_DONTWAIT); {
		case errors.Is(err, sockets.EAGAIN):
			return sent
		case err != nil:
			t.Fatal(err)
		}
	}
}

// TestUnixWaits blocks each call that can wait, once until what it waits for
// comes, and once until the socket is closed.
func TestUnixWaits(t *testing.T) {
	h, _ := pair(t)
	for _, tc := range []struct {
		name, op string
		setup    func(t *testing.T) (s *sockets.Socket, call, free func() error)
	}{
		{"stream recv", "recvUnixStream", func(t *testing.T) (*sockets.Socket, func() error, func() error) {
			a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
			return b, func() error { return must2(b.Recv(1)) }, func() error { return must2(a.Send([]byte("x"))) }
		}},
		{"record recv", "recvUnixRecord", func(t *testing.T) (*sockets.Socket, func() error, func() error) {
			a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_SEQPACKET)
			return b, func() error { return must2(b.Recv(1)) }, func() error { return must2(a.Send([]byte("x"))) }
		}},
		{"recv until shutdown", "recvUnixStream", func(t *testing.T) (*sockets.Socket, func() error, func() error) {
			a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
			return b, func() error { return must2(b.Recv(1)) }, func() error { return a.Shutdown(sockets.SHUT_WR) }
		}},
		{"stream send", "sendUnix", func(t *testing.T) (*sockets.Socket, func() error, func() error) {
			a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
			n := fill(t, a, 1000)
			return a, func() error { return must2(a.SendAll(make([]byte, 1000))) }, func() error { return must2(b.Recv(1000*n, sockets.MSG_WAITALL)) }
		}},
		{"datagram send to a pair", "sendUnix", func(t *testing.T) (*sockets.Socket, func() error, func() error) {
			a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_DGRAM)
			n := fill(t, a, 1000)
			return a, func() error { return must2(a.Send(make([]byte, 1000))) }, func() error { return recvTimes(b, n) }
		}},
		{"datagram send to a full queue", "sendUnix", func(t *testing.T) (*sockets.Socket, func() error, func() error) {
			r := bound(t, h, sockets.SOCK_DGRAM, fmt.Sprint("\x00", t.Name()))
			s, other := unixSocket(t, h, sockets.SOCK_DGRAM), unixSocket(t, h, sockets.SOCK_DGRAM)
			check(t, s.Connect(must[sockets.Sockaddr](t)(r.GetSockName())))
			check(t, other.Connect(must[sockets.Sockaddr](t)(r.GetSockName())))
			if n := fill(t, other, 1); n != 11 {
				t.Errorf("the queue took %d datagrams, want 11", n)
			}
			return s, func() error { return must2(s.Send([]byte("x"))) }, func() error { return recvTimes(r, 1) }
		}},
		{"connect to a full listener", "connectUnix", func(t *testing.T) (*sockets.Socket, func() error, func() error) {
			l := unixSocket(t, h, sockets.SOCK_STREAM)
			check(t, l.Bind(sockets.UnixAddr{}))
			check(t, l.Listen(0))
			name := must[sockets.Sockaddr](t)(l.GetSockName())
			check(t, unixSocket(t, h, sockets.SOCK_STREAM).Connect(name))
			s := unixSocket(t, h, sockets.SOCK_STREAM)
			return s, func() error { return s.Connect(name) }, func() error {
				n, _, err := l.Accept()
				if err == nil {
					n.Close()
				}
				return err
			}
		}},
		{"accept", "acceptUnix", func(t *testing.T) (*sockets.Socket, func() error, func() error) {
			l := bound(t, h, sockets.SOCK_STREAM, fmt.Sprint("\x00", t.Name()))
			name := must[sockets.Sockaddr](t)(l.GetSockName())
			accept := func() error {
				n, _, err := l.Accept()
				if err == nil {
					n.Close()
				}
				return err
			}
			return l, accept, func() error { return unixSocket(t, h, sockets.SOCK_STREAM).Connect(name) }
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, end := range []string{"free", "close"} {
				t.Run(end, func(t *testing.T) {
					s, call, free := tc.setup(t)
					got := make(chan error)
					go func() { got <- call() }()
					awaitBlocked(t, tc.op)
					if end == "free" {
						check(t, free())
						check(t, <-got)
						return
					}
					check(t, s.Close())
					if err := <-got; !errors.Is(err, sockets.ErrClosed) {
						t.Errorf("the call ended with %v, want ErrClosed", err)
					}
				})
			}
		})
	}
}

// TestUnixBlockedByClosed closes what calls wait for.
func TestUnixBlockedByClosed(t *testing.T) {
	h, _ := pair(t)
	for _, tc := range []struct {
		op  string
		typ sockets.Type
	}{{"connectUnix", sockets.SOCK_STREAM}, {"sendUnix", sockets.SOCK_DGRAM}} {
		r := unixSocket(t, h, tc.typ)
		check(t, r.Bind(sockets.UnixAddr{}))
		name := must[sockets.Sockaddr](t)(r.GetSockName())
		s := unixSocket(t, h, tc.typ)
		call := func() error { return s.Connect(name) }
		if tc.typ == sockets.SOCK_STREAM {
			check(t, r.Listen(0))
			check(t, unixSocket(t, h, tc.typ).Connect(name))
		} else {
			other := unixSocket(t, h, tc.typ)
			check(t, other.Connect(name))
			fill(t, other, 1)
			call = func() error { return must2(s.SendTo([]byte("x"), name)) }
		}
		got := make(chan error)
		go func() { got <- call() }()
		awaitBlocked(t, tc.op)
		check(t, r.Close())
		wantErrno(t, <-got, sockets.ECONNREFUSED)
	}
}

// TestUnixUnreadElsewhere lets a sender wait whose buffer is mostly taken by
// datagrams that nobody reads. It must go on when those that somebody reads are
// read, although three quarters of the buffer will never be free.
func TestUnixUnreadElsewhere(t *testing.T) {
	h, _ := pair(t)
	idle, busy := bound(t, h, sockets.SOCK_DGRAM, "idle"), bound(t, h, sockets.SOCK_DGRAM, "busy")
	s := unixSocket(t, h, sockets.SOCK_DGRAM)
	p := make([]byte, 20_000)
	for range 6 { // more than half of the buffer
		check(t, must2(s.SendTo(p, sockets.UnixAddr{Name: "idle"})))
	}
	sent := 0
	for ; ; sent++ {
		if _, err := s.SendTo(p, sockets.UnixAddr{Name: "busy"}, sockets.MSG_DONTWAIT); err != nil {
			break
		}
	}
	got := make(chan error)
	go func() { got <- must2(s.SendTo(p, sockets.UnixAddr{Name: "busy"})) }()
	awaitBlocked(t, "sendUnix")
	check(t, recvTimes(busy, sent))
	check(t, <-got)
	check(t, recvTimes(idle, 6))
}

func recvTimes(s *sockets.Socket, n int) error {
	for range n {
		if _, err := s.Recv(1 << 20); err != nil {
			return err
		}
	}
	return nil
}

// TestUnixTimeouts checks which error ends a wait.
func TestUnixTimeouts(t *testing.T) {
	h, _ := pair(t)
	a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
	fill(t, a, 1000)
	if _, err := a.Send([]byte("x"), sockets.Within(time.Millisecond)); err != sockets.ErrTimeout && !errors.Is(err, sockets.ErrTimeout) {
		t.Errorf("Send: %v, want ErrTimeout", err)
	}
	timeval := make([]byte, 16)
	timeval[8] = 1 // microsecond
	check(t, a.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_RCVTIMEO, timeval))
	_, err := a.Recv(1)
	wantErrno(t, err, sockets.EAGAIN)
	check(t, a.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_SNDTIMEO, timeval))
	_, err = a.Send([]byte("x"))
	wantErrno(t, err, sockets.EAGAIN)
	check(t, b.SetTimeout(time.Millisecond))
	if p, err := b.Recv(1<<22, sockets.MSG_WAITALL); err != nil || len(p) == 0 {
		t.Errorf("MSG_WAITALL past the timeout: %d bytes, %v", len(p), err)
	}
}

// TestUnixHostClose ends calls, and the references in messages, with the Host.
func TestUnixHostClose(t *testing.T) {
	h, _ := pair(t)
	a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
	check(t, pass(b, tcpSocket(t, h), b))
	got := make(chan error)
	go func() { got <- must2(b.Recv(1)) }()
	awaitBlocked(t, "recvUnixStream")
	check(t, h.Close())
	if err := <-got; !errors.Is(err, sockets.ErrClosed) {
		t.Errorf("Recv: %v, want ErrClosed", err)
	}
	_, err := a.Send([]byte("x"))
	wantErrno(t, err, sockets.EBADF)
	_, _, err = h.SocketPair(sockets.AF_UNIX, sockets.SOCK_STREAM, 0)
	wantErrno(t, err, sockets.EBADF)
}

// TestUnixMemoryIsBounded sends tiny messages, which cost more than they hold,
// until each kind of queue is full.
func TestUnixMemoryIsBounded(t *testing.T) {
	h, _ := pair(t)
	const most = 212992/768 + 1 // what Linux takes of messages up to 192 bytes
	for _, typ := range []sockets.Type{sockets.SOCK_STREAM, sockets.SOCK_DGRAM, sockets.SOCK_SEQPACKET} {
		for _, size := range []int{0, 1, 192} {
			if size == 0 && typ == sockets.SOCK_STREAM {
				continue
			}
			a, _ := socketPair(t, h, sockets.AF_UNIX, typ)
			if n := fill(t, a, size); n != most {
				t.Errorf("type %d took %d messages of %d bytes, want %d", typ, n, size, most)
			}
		}
	}
}

// TestUnixWakeups passes a token around, one byte at a time, with everything
// full or empty all the time: a lost wake-up hangs it.
func TestUnixWakeups(t *testing.T) {
	rounds := 100_000
	if raceEnabled || testing.Short() {
		rounds = 10_000
	}
	h, _ := pair(t)
	for _, typ := range []sockets.Type{sockets.SOCK_STREAM, sockets.SOCK_SEQPACKET} {
		a, b := socketPair(t, h, sockets.AF_UNIX, typ)
		var wg sync.WaitGroup
		wg.Go(func() {
			buf := make([]byte, 1)
			for range rounds {
				if n, err := b.RecvInto(buf); n != 1 || err != nil {
					t.Errorf("RecvInto = %d, %v", n, err)
					return
				}
				b.Send(buf)
			}
		})
		buf := make([]byte, 1)
		for range rounds {
			check(t, must2(a.Send(buf)))
			if n, err := a.RecvInto(buf); n != 1 || err != nil {
				t.Fatalf("RecvInto = %d, %v", n, err)
			}
		}
		wg.Wait()
	}
}

// TestUnixManySenders lets many datagram senders wait for one slow receiver, and
// a stream carry more than its buffers hold both ways at once.
func TestUnixManySenders(t *testing.T) {
	const senders, each = 10, 200
	h, _ := pair(t)
	r := bound(t, h, sockets.SOCK_DGRAM, "\x00r")
	var wg sync.WaitGroup
	for range senders {
		s := unixSocket(t, h, sockets.SOCK_DGRAM)
		wg.Go(func() {
			for range each {
				if _, err := s.SendTo([]byte("x"), sockets.UnixAddr{Name: "\x00r"}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	check(t, recvTimes(r, senders*each))
	wg.Wait()
	a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
	const size = 4 << 20
	for _, end := range []struct{ from, to *sockets.Socket }{{a, b}, {b, a}} {
		wg.Go(func() {
			if n, err := end.from.SendAll(make([]byte, size)); n != size || err != nil {
				t.Errorf("SendAll = %d, %v", n, err)
			}
		})
		wg.Go(func() {
			for got := 0; got < size; {
				p, err := end.to.Recv(10_000)
				if err != nil {
					t.Error(err)
					return
				}
				got += len(p)
			}
		})
	}
	wg.Wait()
}

// TestUnixConcurrently calls everything from many goroutines while sockets come
// and go; the race detector and the clock are the judges.
func TestUnixConcurrently(t *testing.T) {
	h, _ := pair(t)
	l := bound(t, h, sockets.SOCK_STREAM, "\x00l")
	d := bound(t, h, sockets.SOCK_DGRAM, "\x00d")
	var clients, servers sync.WaitGroup
	servers.Go(func() {
		for {
			n, _, err := l.Accept()
			if err != nil {
				return
			}
			servers.Go(func() {
				defer n.Close()
				for {
					m, err := n.RecvMsg([][]byte{make([]byte, 100)}, 100)
					if err != nil || m.N == 0 {
						return
					}
					for _, c := range m.Control {
						fds, _ := c.FDs()
						for _, fd := range fds {
							h.CloseFD(fd)
						}
					}
				}
			})
		}
	})
	servers.Go(func() {
		for {
			if _, err := d.Recv(10); err != nil {
				return
			}
		}
	})
	for range 8 {
		clients.Go(func() {
			for range 200 {
				c, err := h.Socket(sockets.AF_UNIX, sockets.SOCK_STREAM, 0)
				if err != nil {
					t.Error(err)
					return
				}
				c.Connect(sockets.UnixAddr{Name: "\x00l"})
				c.Send(make([]byte, 500))
				pass(c, c, l)
				events(t, h, c)
				g, err := h.Socket(sockets.AF_UNIX, sockets.SOCK_DGRAM, 0)
				if err != nil {
					t.Error(err)
					return
				}
				g.Connect(sockets.UnixAddr{Name: "\x00d"})
				g.Send([]byte("x"), sockets.MSG_DONTWAIT)
				events(t, h, g)
				g.Close()
				c.Shutdown(sockets.SHUT_WR)
				c.Close()
			}
		})
	}
	clients.Wait()
	check(t, l.Close())
	check(t, d.Close())
	check(t, h.Close())
	servers.Wait()
}

// TestUnixAllocations sends and receives without allocating.
func TestUnixAllocations(t *testing.T) {
	if raceEnabled {
		return // it allocates itself
	}
	h, _ := pair(t)
	for _, typ := range []sockets.Type{sockets.SOCK_STREAM, sockets.SOCK_DGRAM, sockets.SOCK_SEQPACKET} {
		a, b := socketPair(t, h, sockets.AF_UNIX, typ)
		buf := make([]byte, 1000)
		if n := testing.AllocsPerRun(1000, func() {
			a.Send(buf)
			b.RecvInto(buf)
		}); n != 0 {
			t.Errorf("type %d: %v allocations for a message", typ, n)
		}
	}
}
