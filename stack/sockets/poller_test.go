package sockets_test

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

const (
	edge    = sockets.EPOLLET
	oneShot = sockets.EPOLLONESHOT
)

func newPoller(t testing.TB, h *sockets.Host) *sockets.Poller {
	t.Helper()
	p := must[*sockets.Poller](t)(h.NewPoller())
	t.Cleanup(func() { p.Close() })
	return p
}

// wantPolled fails unless the Poller reports s with want, or nothing if want is
// 0.
func wantPolled(t testing.TB, p *sockets.Poller, s *sockets.Socket, want sockets.PollEvents) {
	t.Helper()
	d := must[[]sockets.PollDesc](t)(p.Poll(0))
	switch {
	case want == 0 && len(d) != 0:
		t.Errorf("Poll says %v, want nothing", d)
	case want != 0 && (len(d) != 1 || d[0].Sock != s || d[0].Out != want):
		t.Errorf("Poll says %v, want %v", d, want)
	}
}

// A correspondence is a bound UDP socket of one host and one of the other that
// sends to it. What is sent has arrived when deliver returns.
type correspondence struct {
	to, from *sockets.Socket
	addr     sockets.Sockaddr
}

func correspond(t testing.TB, a, b *sockets.Host) correspondence {
	t.Helper()
	c := correspondence{to: udpSocket(t, a), from: udpSocket(t, b)}
	c.to.SetBlocking(false)
	check(t, c.to.Bind(sockets.Inet4{Host: addrA}))
	c.addr = must[sockets.Sockaddr](t)(c.to.GetSockName())
	return c
}

func (c correspondence) deliver(t testing.TB, data string) {
	t.Helper()
	seen := make(chan struct{})
	p := must[*sockets.Poller](t)(c.to.Host().NewPoller())
	defer p.Close()
	check(t, p.Register(c.to, in|edge))
	must[[]sockets.PollDesc](t)(p.Poll(0))
	go func() {
		defer close(seen)
		if d, err := p.Poll(patience); err != nil || len(d) != 1 {
			t.Errorf("nothing arrived: %v", err)
		}
	}()
	must[int](t)(c.from.SendTo([]byte(data), c.addr))
	<-seen
}

func TestPollerLevel(t *testing.T) {
	a, b := pair(t)
	p, c := newPoller(t, a), correspond(t, a, b)
	check(t, p.Register(c.to, in))
	wantPolled(t, p, c.to, 0)
	c.deliver(t, "1")
	wantPolled(t, p, c.to, in)
	wantPolled(t, p, c.to, in)
	must[[]byte](t)(c.to.Recv(9))
	wantPolled(t, p, c.to, 0)
	c.deliver(t, "2")
	wantPolled(t, p, c.to, in)
	check(t, p.Modify(c.to, out))
	wantPolled(t, p, c.to, out)
	check(t, p.Unregister(c.to))
	wantPolled(t, p, c.to, 0)
	check(t, p.Register(c.to, in|out))
	wantPolled(t, p, c.to, in|out)
}

// TestPollerEdge compares with epoll(7): one report for each arrival, read or
// not; none for a partial read; one after Modify.
func TestPollerEdge(t *testing.T) {
	a, b := pair(t)
	p, c := newPoller(t, a), correspond(t, a, b)
	check(t, p.Register(c.to, in|out|edge))
	wantPolled(t, p, c.to, out)
	wantPolled(t, p, c.to, 0)
	for range 2 {
		c.deliver(t, "x")
		wantPolled(t, p, c.to, in|out)
		wantPolled(t, p, c.to, 0)
	}
	must[[]byte](t)(c.to.Recv(9))
	wantPolled(t, p, c.to, 0)
	check(t, p.Modify(c.to, in|edge))
	wantPolled(t, p, c.to, in)
	wantPolled(t, p, c.to, 0)
	must[[]byte](t)(c.to.Recv(9))
	check(t, p.Modify(c.to, in|edge))
	wantPolled(t, p, c.to, 0)
}

// TestPollerEdgeOfConnection is TestPollerEdge for a connection's life.
func TestPollerEdgeOfConnection(t *testing.T) {
	a, b := pair(t)
	l, addr := listener(t, b, addrB)
	p, s := newPoller(t, a), tcpSocket(t, a)
	check(t, p.Register(s, in|out|rdhup|edge))
	wantPolled(t, p, s, out|hup)
	wantPolled(t, p, s, 0)
	check(t, s.Connect(addr))
	wantPolled(t, p, s, out)
	wantPolled(t, p, s, 0)
	server, _, err := l.Accept()
	check(t, err)
	must[int](t)(server.Send([]byte("x")))
	wantPoll(t, s, in|out)
	wantPolled(t, p, s, in|out)
	wantPolled(t, p, s, 0)
	check(t, s.Shutdown(sockets.SHUT_RD))
	wantPolled(t, p, s, in|out|rdhup)
	wantPolled(t, p, s, 0)
	check(t, s.Shutdown(sockets.SHUT_WR))
	wantPolled(t, p, s, ended)
	wantPolled(t, p, s, 0)
	check(t, server.Close())
}

// TestPollerEdgeOfOther: who waits for room to send alone is not told of
// arrivals.
func TestPollerEdgeOfOther(t *testing.T) {
	a, b := pair(t)
	p, c := newPoller(t, a), correspond(t, a, b)
	check(t, p.Register(c.to, out|edge))
	wantPolled(t, p, c.to, out)
	c.deliver(t, "x")
	wantPolled(t, p, c.to, 0)
}

func TestPollerOneShot(t *testing.T) {
	a, b := pair(t)
	for _, mode := range []sockets.PollEvents{oneShot, oneShot | edge} {
		p, c := newPoller(t, a), correspond(t, a, b)
		check(t, p.Register(c.to, in|mode))
		c.deliver(t, "1")
		wantPolled(t, p, c.to, in)
		wantPolled(t, p, c.to, 0)
		c.deliver(t, "2")
		wantPolled(t, p, c.to, 0)
		check(t, p.Modify(c.to, in|mode))
		wantPolled(t, p, c.to, in)
		wantPolled(t, p, c.to, 0)
		for range 2 {
			must[[]byte](t)(c.to.Recv(9))
		}
		check(t, p.Modify(c.to, in|mode))
		wantPolled(t, p, c.to, 0)
		c.deliver(t, "3")
		wantPolled(t, p, c.to, in)
	}
}

func TestPollerErrors(t *testing.T) {
	a, b := pair(t)
	p, s := newPoller(t, a), udpSocket(t, a)
	check(t, p.Register(s, in))
	wantErrno(t, p.Register(s, in), sockets.EEXIST)
	wantErrno(t, p.Register(udpSocket(t, b), in), sockets.EINVAL)
	wantErrno(t, p.Register(nil, in), sockets.EBADF)
	check(t, p.Unregister(s))
	wantErrno(t, p.Unregister(s), sockets.ENOENT)
	wantErrno(t, p.Modify(s, in), sockets.ENOENT)
	wantErrno(t, p.Modify(nil, in), sockets.EBADF)
	_, err := p.PollInto(nil, 0)
	wantErrno(t, err, sockets.EINVAL)
	check(t, s.Close())
	wantErrno(t, p.Register(s, in), sockets.EBADF)
	wantErrno(t, p.Unregister(s), sockets.EBADF)
	check(t, p.Close())
	check(t, p.Close())
	s = udpSocket(t, a)
	_, pollErr := p.Poll(0)
	for _, err := range []error{p.Register(s, in), p.Modify(s, in), p.Unregister(s), pollErr} {
		if !errors.Is(err, sockets.ErrClosed) {
			t.Errorf("on a closed Poller: %v", err)
		}
	}
	check(t, a.Close())
	if _, err := a.NewPoller(); !errors.Is(err, sockets.ErrClosed) {
		t.Errorf("a Poller of a closed Host: %v", err)
	}
}

// TestPollerForgetsClosed closes a registered socket, with and without another
// descriptor of it.
func TestPollerForgetsClosed(t *testing.T) {
	a, b := pair(t)
	p, c := newPoller(t, a), correspond(t, a, b)
	c.deliver(t, "x")
	dup := must[*sockets.Socket](t)(c.to.Dup())
	defer dup.Close()
	check(t, p.Register(c.to, in))
	check(t, p.Register(dup, in|edge))
	if d := must[[]sockets.PollDesc](t)(p.Poll(0)); len(d) != 2 {
		t.Errorf("Poll says %v, want both descriptors", d)
	}
	check(t, c.to.Close())
	wantPolled(t, p, dup, 0)
	check(t, p.Modify(dup, in|edge))
	wantPolled(t, p, dup, in)
}

// TestPollerIsWoken lets Poll wait for what is done to the Poller itself.
func TestPollerIsWoken(t *testing.T) {
	a, b := pair(t)
	for _, tc := range []struct {
		name   string
		change func(p *sockets.Poller, s *sockets.Socket) error
		closed bool
	}{
		{"Modify", func(p *sockets.Poller, s *sockets.Socket) error { return p.Modify(s, out|edge) }, false},
		{"Register", func(p *sockets.Poller, s *sockets.Socket) error { return p.Register(udpSocket(t, a), out) }, false},
		{"Close", func(p *sockets.Poller, s *sockets.Socket) error { return p.Close() }, true},
		{"the Host's Close", func(p *sockets.Poller, s *sockets.Socket) error { return a.Close() }, true},
		{"the Stack's Close", func(p *sockets.Poller, s *sockets.Socket) error { return b.Stack().Close() }, true},
	} {
		h := a
		if tc.name == "the Stack's Close" {
			h = b
		}
		p, s := newPoller(t, h), udpSocket(t, h)
		check(t, p.Register(s, in))
		errs := make(chan error, 1)
		go func() {
			d, err := p.Poll(sockets.NoTimeout)
			if err == nil && len(d) != 1 {
				err = errors.New("nothing")
			}
			errs <- err
		}()
		awaitPolling(t, 1)
		check(t, tc.change(p, s))
		if err := within(t, errs); tc.closed && !errors.Is(err, sockets.ErrClosed) || !tc.closed && err != nil {
			t.Errorf("%s: Poll gives %v", tc.name, err)
		}
	}
}

// TestPollerHold checks that nothing that happens during a Hold is lost, and that
// who waits hears of it afterwards.
func TestPollerHold(t *testing.T) {
	h, end := loopbackHost()
	defer end()
	to, addr := loopbackUDP(t, h)
	from := udpSocket(t, h)
	p := newPoller(t, h)
	check(t, p.Register(to, in|edge))
	var released atomic.Bool
	woken := make(chan error, 1)
	go func() {
		_, err := p.Poll(lostAfter)
		if err == nil && !released.Load() {
			err = errors.New("Poll was woken during Hold")
		}
		woken <- err
	}()
	awaitPolling(t, 1)
	p.Hold()
	p.Hold()
	must[int](t)(from.SendTo([]byte("x"), addr))
	p.Release()
	select {
	case err := <-woken:
		t.Errorf("the first Release of two woke Poll: %v", err)
	default:
	}
	released.Store(true)
	p.Release()
	check(t, <-woken)
	p.Hold()
	must[int](t)(from.SendTo([]byte("y"), addr))
	wantPolled(t, p, to, in) // who holds can look
	p.Release()
	wantPolled(t, p, to, 0)
}

// TestPollerLevelWakesAll: every goroutine in Poll is told of a socket that stays
// ready.
func TestPollerLevelWakesAll(t *testing.T) {
	const pollers = 3
	a, b := pair(t)
	p, c := newPoller(t, a), correspond(t, a, b)
	check(t, p.Register(c.to, in))
	found := make(chan int, pollers)
	for range pollers {
		go func() {
			d, _ := p.Poll(sockets.NoTimeout)
			found <- len(d)
		}()
	}
	awaitPolling(t, pollers)
	c.deliver(t, "x")
	for range pollers {
		if n := within(t, found); n != 1 {
			t.Errorf("Poll says %d sockets are ready, want 1", n)
		}
	}
}

// TestPollIntoTakesTurns: what does not fit comes first the next time, so that
// nothing that is ready starves.
func TestPollIntoTakesTurns(t *testing.T) {
	a, _ := pair(t)
	p := newPoller(t, a)
	for range 3 {
		check(t, p.Register(udpSocket(t, a), out))
	}
	seen := map[*sockets.Socket]int{}
	d := make([]sockets.PollDesc, 2)
	for range 3 {
		for _, d := range d[:must[int](t)(p.PollInto(d, 0))] {
			seen[d.Sock]++
		}
	}
	for s, n := range seen {
		if n != 2 {
			t.Errorf("%d was reported %d times, want 2", s.Fileno(), n)
		}
	}
	if len(seen) != 3 {
		t.Errorf("%d sockets were reported, want 3", len(seen))
	}
}

// TestPollerWorkers shares sockets between goroutines: with EPOLLONESHOT each
// arrival is handled by one goroutine at a time.
func TestPollerWorkers(t *testing.T) {
	const workers, socks, each = 4, 8, 50
	a, b := pair(t)
	p := newPoller(t, a)
	var handled atomic.Int64
	var busy [socks]atomic.Int32
	index := map[*sockets.Socket]int{}
	var all []correspondence
	for i := range socks {
		c := correspond(t, a, b)
		index[c.to] = i
		all = append(all, c)
		check(t, p.Register(c.to, in|oneShot))
	}
	handle := func(s *sockets.Socket) {
		i := index[s]
		if busy[i].Add(1) != 1 {
			t.Error("two goroutines have the same socket")
		}
		for {
			if _, err := s.Recv(9); err != nil {
				break
			}
			if handled.Add(1) == socks*each {
				p.Close()
			}
		}
		busy[i].Add(-1)
		p.Modify(s, in|oneShot)
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			d := make([]sockets.PollDesc, 2)
			for {
				n, err := p.PollInto(d, patience)
				if err != nil {
					return // closed: all is handled
				}
				if n == 0 {
					t.Error("a worker starved")
					return
				}
				for _, d := range d[:n] {
					handle(d.Sock)
				}
			}
		})
	}
	for range each {
		for _, c := range all {
			must[int](t)(c.from.SendTo([]byte("x"), c.addr))
		}
		runtime.Gosched()
	}
	wg.Wait()
	if n := handled.Load(); n != socks*each {
		t.Errorf("%d datagrams were handled, want %d", n, socks*each)
	}
}

// TestPollerLooksAtTheReady registers many sockets and counts those that Poll
// looks at.
func TestPollerLooksAtTheReady(t *testing.T) {
	const idle, ready = 1000, 10
	a, b := pair(t)
	p := newPoller(t, a)
	for range idle {
		check(t, p.Register(udpSocket(t, a), in))
	}
	for range ready {
		c := correspond(t, a, b)
		check(t, p.Register(c.to, in))
		c.deliver(t, "x")
	}
	for range 2 {
		if n := sockets.QueuedIn(p); n != ready {
			t.Errorf("the next Poll looks at %d sockets, want %d", n, ready)
		}
		if d := must[[]sockets.PollDesc](t)(p.Poll(0)); len(d) != ready {
			t.Errorf("Poll says %d are ready, want %d", len(d), ready)
		}
	}
}
