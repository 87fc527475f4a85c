package sockets_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// lostAfter is how long a wait may last before its wake-up is called lost. Who
// waits looks once more in the end, so that only the time shows it.
const lostAfter = patience

var errLost = errors.New("a wake-up was lost")

// waits are the ways to wait until s can be received from or is closed. Each
// returns an error when the time is over.
var waits = map[string]func(s *sockets.Socket) error{
	"Poll": func(s *sockets.Socket) error {
		d := [1]sockets.PollDesc{{Sock: s, In: in}}
		n, err := s.Host().Poll(d[:], lostAfter)
		return slept(n, err)
	},
	"Select": func(s *sockets.Socket) error {
		r, _, _, err := s.Host().Select([]*sockets.Socket{s}, nil, nil, lostAfter)
		return slept(len(r), err)
	},
	"Recv": func(s *sockets.Socket) error {
		_, err := s.Recv(1, sockets.MSG_PEEK, sockets.Within(lostAfter))
		return slept(1, err)
	},
}

// slept makes an error of a wait that ended with nothing.
func slept(n int, err error) error {
	if err == nil && n == 0 || errors.Is(err, sockets.ErrTimeout) {
		return errLost
	}
	return nil
}

// rounds returns how often a race of wake-ups is run: n times, fewer with the
// race detector, which makes each round slow and other orders likely.
func rounds(n int) int {
	if raceEnabled {
		return n / 10
	}
	return n
}

// compete runs wait and change at the same time, the one or the other a little
// earlier, and returns wait's error.
func compete(round int, wait func() error, change func()) error {
	errs := make(chan error, 1)
	go func() {
		for range round % 5 {
			runtime.Gosched()
		}
		start := time.Now()
		err := wait()
		if time.Since(start) >= lostAfter {
			err = errLost
		}
		errs <- err
	}()
	for range round % 7 {
		runtime.Gosched()
	}
	change()
	return <-errs
}

// TestWakeUpByArrival races datagrams with waits for them.
func TestWakeUpByArrival(t *testing.T) {
	h, end := loopbackHost()
	defer end()
	from := udpSocket(t, h)
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			to, addr := loopbackUDP(t, h)
			for i := range rounds(10_000) {
				check(t, compete(i, func() error { return wait(to) }, func() { from.SendTo(nil, addr) }))
				must[[]byte](t)(to.Recv(1))
			}
		})
	}
	for name, mode := range map[string]sockets.PollEvents{"Poller": 0, "Poller, edge": edge, "Poller, one shot": oneShot} {
		t.Run(name, func(t *testing.T) {
			to, addr := loopbackUDP(t, h)
			p := newPoller(t, h)
			check(t, p.Register(to, in|mode))
			for i := range rounds(10_000) {
				check(t, compete(i, func() error { return waitIn(p, to) }, func() { from.SendTo(nil, addr) }))
				must[[]byte](t)(to.Recv(1))
				if mode == oneShot {
					check(t, p.Modify(to, in|mode))
				}
			}
		})
	}
}

// TestWakeUpOfUnix races messages, and the end of the peer, with waits for them.
func TestWakeUpOfUnix(t *testing.T) {
	h, end := loopbackHost()
	defer end()
	for _, typ := range []sockets.Type{sockets.SOCK_STREAM, sockets.SOCK_DGRAM, sockets.SOCK_SEQPACKET} {
		for name, wait := range waits {
			t.Run(fmt.Sprint(name, " ", int(typ)), func(t *testing.T) {
				p := newPoller(t, h)
				for i := range rounds(2000) {
					s, peer, err := h.SocketPair(sockets.AF_UNIX, typ, 0)
					check(t, err)
					check(t, compete(i, func() error { return wait(s) }, func() { peer.Send([]byte("x")) }))
					must[[]byte](t)(s.Recv(1))
					check(t, p.Register(s, in|rdhup|edge))
					check(t, compete(i, func() error { return waitIn(p, s) }, func() { peer.Send([]byte("x")) }))
					must[[]byte](t)(s.Recv(1))
					if typ != sockets.SOCK_DGRAM { // which a peer's end does not show
						check(t, compete(i, func() error { return waitIn(p, s) }, func() { peer.Close() }))
					}
					check(t, peer.Close())
					check(t, s.Close())
				}
			})
		}
	}
}

// TestWakeUpWhileRegistering races datagrams with Register and Modify.
func TestWakeUpWhileRegistering(t *testing.T) {
	h, end := loopbackHost()
	defer end()
	from := udpSocket(t, h)
	to, addr := loopbackUDP(t, h)
	p := newPoller(t, h)
	register := func() error {
		if err := p.Register(to, in|edge|oneShot); err != nil {
			return err
		}
		return waitIn(p, to)
	}
	modify := func() error {
		if err := p.Modify(to, in|edge|oneShot); err != nil {
			return err
		}
		return waitIn(p, to)
	}
	for i := range rounds(10_000) {
		for _, wait := range []func() error{register, modify} {
			check(t, compete(i, wait, func() { from.SendTo(nil, addr) }))
			must[[]byte](t)(to.Recv(1))
		}
		check(t, p.Unregister(to))
	}
}

// waitIn waits until the Poller reports s.
func waitIn(p *sockets.Poller, s *sockets.Socket) error {
	d, err := p.Poll(lostAfter)
	return slept(len(d), err)
}

func loopbackUDP(t testing.TB, h *sockets.Host) (*sockets.Socket, sockets.Sockaddr) {
	t.Helper()
	s := udpSocket(t, h)
	check(t, s.Bind(sockets.Inet4{Host: "127.0.0.1"}))
	return s, must[sockets.Sockaddr](t)(s.GetSockName())
}

// TestWakeUpByClose races Close with waits.
func TestWakeUpByClose(t *testing.T) {
	h, end := loopbackHost()
	defer end()
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			for i := range rounds(10_000) {
				s := must[*sockets.Socket](t)(h.UDP())
				check(t, compete(i, func() error { return wait(s) }, func() { s.Close() }))
			}
		})
	}
}

// TestWakeUpByShutdown races Shutdown with waits.
func TestWakeUpByShutdown(t *testing.T) {
	h, end := loopbackHost()
	defer end()
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			for i := range rounds(10_000) {
				s := must[*sockets.Socket](t)(h.UDP())
				check(t, compete(i, func() error { return wait(s) }, func() { s.Shutdown(sockets.SHUT_RD) }))
				check(t, s.Close())
			}
		})
	}
	t.Run("Poller, edge", func(t *testing.T) {
		p := newPoller(t, h)
		for i := range rounds(10_000) {
			s := must[*sockets.Socket](t)(h.UDP())
			check(t, p.Register(s, rdhup|edge))
			check(t, compete(i, func() error { return waitIn(p, s) }, func() { s.Shutdown(sockets.SHUT_RD) }))
			check(t, s.Close())
		}
	})
}

// TestWakeUpByRefusal races a connect that is refused with a Poller's look at
// it, which must not lose why.
func TestWakeUpByRefusal(t *testing.T) {
	h, end := loopbackHost()
	defer end()
	dead := refusing(t, h, "127.0.0.1")
	p := newPoller(t, h)
	refused := func() error {
		for {
			d, err := p.Poll(lostAfter)
			if err := slept(len(d), err); err != nil || d[0].Out&fault != 0 {
				return err
			}
		}
	}
	for i := range rounds(5000) {
		s := must[*sockets.Socket](t)(h.TCP())
		s.SetBlocking(false)
		check(t, p.Register(s, out|edge))
		check(t, compete(i, refused, func() { s.Connect(dead) }))
		if errno := soError(t, s); errno != sockets.ECONNREFUSED {
			t.Fatalf("SO_ERROR is %v after %d rounds", errno, i)
		}
		check(t, s.Close())
	}
}

// TestWakeUpByReplacing races what puts a new endpoint in the place of another
// with waits. The old endpoint is closed first, which wakes too early.
func TestWakeUpByReplacing(t *testing.T) {
	h, end := loopbackHost()
	defer end()
	p := newPoller(t, h)
	for i := range rounds(2000) {
		l, addr := listener(t, h, "127.0.0.1")
		s := must[*sockets.Socket](t)(h.TCP())
		check(t, s.Connect(addr))
		check(t, p.Register(s, edge))
		gone := func() error { return waitOut(s, hup|fault) }
		check(t, compete(i, gone, func() { s.Connect(nil) }))
		if d := must[[]sockets.PollDesc](t)(p.Poll(lostAfter)); len(d) != 1 || d[0].Out != hup|fault {
			t.Fatalf("after a disconnect the Poller says %v", d)
		}
		shut := func() error { return waitOut(l, hup) }
		check(t, compete(i, shut, func() { l.Shutdown(sockets.SHUT_RD) }))
		check(t, s.Close())
		check(t, l.Close())
	}
}

// waitOut waits until poll says want of s when nothing is asked for. What is on
// the way there may be seen for a moment.
func waitOut(s *sockets.Socket, want sockets.PollEvents) error {
	d := [1]sockets.PollDesc{{Sock: s}}
	for start := time.Now(); d[0].Out != want; {
		n, err := s.Host().Poll(d[:], lostAfter)
		if err := slept(n, err); err != nil {
			return err
		}
		if time.Since(start) > lostAfter {
			return fmt.Errorf("poll says %v, want %v", d[0].Out, want)
		}
	}
	return nil
}

// TestWakeUpOfConnection races what a peer does with waits for it.
func TestWakeUpOfConnection(t *testing.T) {
	h, end := loopbackHost()
	defer end()
	l, addr := listener(t, h, "127.0.0.1")
	for i := range rounds(500) {
		client := must[*sockets.Socket](t)(h.TCP())
		check(t, compete(i, func() error { return waits["Poll"](l) }, func() { client.Connect(addr) }))
		server, _, err := l.Accept()
		check(t, err)
		p := newPoller(t, h)
		check(t, p.Register(client, in|edge))
		check(t, compete(i, func() error { return waitIn(p, client) }, func() { server.Send([]byte("x")) }))
		must[[]byte](t)(client.Recv(1))
		check(t, client.Shutdown(sockets.SHUT_WR))
		hangUp := func() error { return waitOut(client, hup) } // which netstack announces before it is true
		check(t, compete(i, hangUp, func() { server.Shutdown(sockets.SHUT_WR) }))
		check(t, p.Close())
		check(t, server.Close())
		check(t, client.Close())
	}
}
