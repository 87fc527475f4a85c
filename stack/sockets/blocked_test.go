package sockets_test

import (
	"errors"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// awaitBlocked returns once n goroutines of this process, 1 by default, sleep
// in the one place where sockets wait, below a method whose name contains op.
func awaitBlocked(t testing.TB, op string, n ...int) {
	t.Helper()
	want := 1
	if len(n) > 0 {
		want = n[0]
	}
	awaitStacks(t, want, func(g string) bool {
		return strings.Contains(g, " [select") && strings.Contains(g, "sockets.(*call).again") &&
			strings.Contains(g, "sockets.(*Socket)."+op)
	})
}

// awaitStacks returns once n goroutines of this process have a stack that
// matches.
func awaitStacks(t testing.TB, n int, matches func(stack string) bool) {
	t.Helper()
	buf := make([]byte, 4<<20)
	for end := time.Now().Add(patience); time.Now().Before(end); runtime.Gosched() {
		found := 0
		for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if matches(g) {
				found++
			}
		}
		if found >= n {
			return
		}
	}
	t.Fatalf("fewer than %d goroutines block as they should", n)
}

// TestCloseWakesEveryWaiter closes a socket under several calls of each kind.
func TestCloseWakesEveryWaiter(t *testing.T) {
	const waiters = 5
	a, b := pair(t)
	for _, tc := range []struct {
		op    string
		setup func(t *testing.T) (s *sockets.Socket, call func() error)
	}{
		{"recv", func(t *testing.T) (*sockets.Socket, func() error) {
			s, _ := connected(t, a, b)
			return s, func() error { _, err := s.Recv(1); return err }
		}},
		{"send", func(t *testing.T) (*sockets.Socket, func() error) {
			s, _ := connected(t, a, b)
			big := make([]byte, 32<<20)
			return s, func() error { _, err := s.SendAll(big); return err }
		}},
		{"accept", func(t *testing.T) (*sockets.Socket, func() error) {
			s, _ := listener(t, b, addrB)
			return s, func() error { _, _, err := s.Accept(); return err }
		}},
		{"connect", func(t *testing.T) (*sockets.Socket, func() error) {
			s := tcpSocket(t, silent(t))
			return s, func() error { return s.Connect(sockets.Inet4{Host: addrB, Port: 80}) }
		}},
		{"recv", func(t *testing.T) (*sockets.Socket, func() error) {
			s := udpSocket(t, a)
			check(t, s.Bind(sockets.Inet4{Host: addrA}))
			return s, func() error { _, _, err := s.RecvFrom(1); return err }
		}},
	} {
		t.Run(tc.op, func(t *testing.T) {
			s, call := tc.setup(t)
			errs := make(chan error, waiters)
			var wg sync.WaitGroup
			for range waiters {
				wg.Go(func() { errs <- call() })
			}
			awaitBlocked(t, tc.op, waiters)
			check(t, s.Close())
			wg.Wait()
			for range waiters {
				if err := <-errs; !errors.Is(err, sockets.ErrClosed) || !errors.Is(err, net.ErrClosed) || !errors.Is(err, sockets.EBADF) {
					t.Errorf("a waiter got %v, want ErrClosed", err)
				}
			}
			if err := call(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("a call after Close gives %v, want net.ErrClosed", err)
			}
			if s.Fileno() != -1 {
				t.Errorf("Fileno after Close = %d, want -1", s.Fileno())
			}
			check(t, s.Close())
		})
	}
}

// TestDupKeepsTheSocketOpen closes one of two descriptors.
func TestDupKeepsTheSocketOpen(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	dup := must[*sockets.Socket](t)(client.Dup())
	defer dup.Close()
	if dup.Fileno() == client.Fileno() {
		t.Error("a duplicate has the same number")
	}
	check(t, dup.SetTimeout(time.Minute))
	if client.Timeout() != time.Minute {
		t.Error("the timeout is not shared")
	}
	check(t, client.Close())
	if _, err := client.Send([]byte("x")); !errors.Is(err, sockets.ErrClosed) {
		t.Errorf("sending on the closed descriptor: %v", err)
	}
	must[int](t)(dup.Send([]byte("still here")))
	if got := must[[]byte](t)(server.Recv(100)); string(got) != "still here" {
		t.Errorf("received %q", got)
	}
	check(t, dup.Close())
	if got := must[[]byte](t)(server.Recv(1)); len(got) != 0 {
		t.Errorf("received %q after the last close, want the end", got)
	}
	if _, err := dup.Dup(); !errors.Is(err, sockets.ErrClosed) {
		t.Errorf("duplicating a closed socket: %v", err)
	}
}

// TestNumbersAreLowestFirst checks the descriptor numbers of POSIX's open.
func TestNumbersAreLowestFirst(t *testing.T) {
	a, _ := pair(t)
	var socks []*sockets.Socket
	for i := range 5 {
		s := udpSocket(t, a)
		if s.Fileno() != 3+i {
			t.Errorf("socket %d has number %d", i, s.Fileno())
		}
		socks = append(socks, s)
	}
	check(t, socks[3].Close())
	check(t, socks[1].Close())
	for _, want := range []int{4, 6, 8} {
		if s := udpSocket(t, a); s.Fileno() != want {
			t.Errorf("got number %d, want %d", s.Fileno(), want)
		}
	}
}

func TestHostClose(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	errs := make(chan error, 1)
	go func() {
		_, err := client.Recv(1)
		errs <- err
	}()
	awaitBlocked(t, "recv")
	check(t, a.Close())
	check(t, a.Close())
	if err := <-errs; !errors.Is(err, sockets.ErrClosed) {
		t.Errorf("a blocked call got %v", err)
	}
	_, err := server.Recv(1)
	wantErrno(t, err, sockets.ECONNRESET)
	if _, err := a.TCP(); !errors.Is(err, sockets.ErrClosed) {
		t.Errorf("a socket of a closed host: %v", err)
	}
}

// TestStackClose closes the stack under blocked calls, with its Host still open.
func TestStackClose(t *testing.T) {
	a, b := pair(t)
	client, _ := connected(t, a, b)
	u := udpSocket(t, a)
	check(t, u.Bind(sockets.Inet4{Host: addrA}))
	errs := make(chan error, 2)
	go func() { _, err := client.Recv(1); errs <- err }()
	go func() { _, err := u.Recv(1); errs <- err }()
	awaitBlocked(t, "recv", 2)
	check(t, a.Stack().Close())
	for range 2 {
		if err := <-errs; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a blocked call got %v, want net.ErrClosed", err)
		}
	}
	if err := client.Connect(sockets.Inet4{Host: addrB, Port: 1}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("connect on a closed stack: %v", err)
	}
	if _, err := a.TCP(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a socket of a closed stack: %v", err)
	}
}

// TestCloseRaces closes sockets under every call at once; the race detector and
// the leak checks of TestMain look on.
func TestCloseRaces(t *testing.T) {
	a, b := pair(t)
	l, addr := listener(t, b, addrB)
	var servers sync.WaitGroup
	servers.Go(func() {
		for {
			s, _, err := l.Accept()
			if err != nil {
				return
			}
			servers.Go(func() { s.Send([]byte("hello")); s.Close() })
		}
	})
	for range 200 {
		s := tcpSocket(t, a)
		var wg sync.WaitGroup
		for _, call := range []func(){
			func() { s.Connect(addr) },
			func() { s.Recv(10) },
			func() { s.Send([]byte("x")) },
			func() { s.Shutdown(sockets.SHUT_RDWR) },
			func() { s.GetPeerName(); s.GetSockName(); s.Fileno() },
			func() { s.SetSockOptInt(sockets.SOL_TCP, sockets.TCP_NODELAY, 1) },
			func() {
				if d, err := s.Dup(); err == nil {
					d.Close()
				}
			},
			func() { s.Close() },
		} {
			wg.Go(call)
		}
		wg.Wait()
	}
	check(t, l.Close())
	servers.Wait()
}
