package sockets_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// watchedPair returns the ends of a connection.
func watchedPair(t *testing.T) (near, far *sockets.Socket) {
	t.Helper()
	a, b := pair(t)
	l := tcpSocket(t, b)
	check(t, l.Bind(sockets.Inet4{Host: addrB}))
	check(t, l.Listen(1))
	near = tcpSocket(t, a)
	check(t, near.Connect(must[sockets.Sockaddr](t)(l.GetSockName()), sockets.Within(hang)))
	far, _, err := l.Accept(sockets.Within(hang))
	check(t, err)
	t.Cleanup(func() { far.Close() })
	return near, far
}

func TestWatchErrors(t *testing.T) {
	a, _ := pair(t)
	fresh, closed := tcpSocket(t, a), tcpSocket(t, a)
	closed.Close()
	own := tcpSocket(t, a)
	check(t, own.Bind(sockets.Inet4{Host: addrA}))
	check(t, own.Listen(1))
	local := tcpSocket(t, a)
	check(t, local.Connect(must[sockets.Sockaddr](t)(own.GetSockName()), sockets.Within(hang)))
	busy, _ := watchedPair(t)
	defer must[*sockets.Watch](t)(busy.Watch()).Close()
	unix, _ := socketPair(t, a, sockets.AF_UNIX, sockets.SOCK_STREAM)
	for _, c := range []struct {
		name string
		s    *sockets.Socket
		want sockets.Errno
	}{
		{"UDP", udpSocket(t, a), sockets.EOPNOTSUPP}, {"AF_UNIX", unix, sockets.EOPNOTSUPP},
		{"not connected", fresh, sockets.ENOTCONN}, {"listening", own, sockets.ENOTCONN},
		{"inside the stack", local, sockets.EOPNOTSUPP}, {"watched already", busy, sockets.EBUSY},
		{"closed", closed, sockets.EBADF},
	} {
		if w, err := c.s.Watch(); !errors.Is(err, c.want) || w != nil {
			t.Errorf("%s: %v, %v; want %v", c.name, w, err, c.want)
		}
	}
}

// TestWatchAgain watches twice at once, which leaves the first Watch what it was,
// closes it and watches anew; what the first saw stays.
func TestWatchAgain(t *testing.T) {
	near, far := watchedPair(t)
	conn := must[net.Conn](t)(near.Conn()).(*sockets.Conn)
	first := must[*sockets.Watch](t)(conn.Watch())
	if _, err := conn.Watch(); !errors.Is(err, sockets.EBUSY) {
		t.Errorf("a second Watch: %v, want EBUSY", err)
	}
	must[int](t)(near.Write(make([]byte, 1000)))
	must[int](t)(far.ReadInto(make([]byte, 1000)))
	check(t, first.Close())
	check(t, first.Close())
	second := must[*sockets.Watch](t)(conn.Watch())
	must[int](t)(near.Write(make([]byte, 500)))
	must[int](t)(far.ReadInto(make([]byte, 500)))
	check(t, near.Close())
	if n, m := first.Explain().Sending.Bytes, second.Explain().Sending.Bytes; n != 1000 || m != 500 {
		t.Errorf("the Watches saw %d and %d bytes, want 1,000 and 500", n, m)
	}
	check(t, second.Close())
	if _, err := conn.Watch(); err == nil {
		t.Error("a closed connection can be watched")
	}
}

// TestWatchCounts looks at counters that are known exactly.
func TestWatchCounts(t *testing.T) {
	near, far := watchedPair(t)
	w := must[*sockets.Watch](t)(near.Watch())
	defer w.Close()
	const sent, received = 3 * 1448, 700
	must[int](t)(near.Write(make([]byte, sent)))
	must[int](t)(far.ReadInto(make([]byte, sent)))
	must[int](t)(far.Write(make([]byte, received)))
	must[int](t)(near.ReadInto(make([]byte, received)))
	e := w.Explain()
	if s := e.Sending; s.Bytes != sent || s.Segments < 3 || s.Retransmitted != 0 || s.Unsent != 0 {
		t.Errorf("sending: %+v", s)
	}
	if r := e.Receiving; r.Bytes != received || r.Packets != 1 || r.Duplicates != 0 || r.Reordered != 0 {
		t.Errorf("receiving: %+v", r)
	}
	if p := e.Path; p.MTU != 1500 || p.LinkMTU != 1500 || p.MSS != 1448 || p.Offload != 0 || p.BaseRTT <= 0 || p.RTO <= 0 {
		t.Errorf("path: %+v", p)
	}
	if p := e.Processors; p.Cores < 1 || p.Used < 0 || p.Missed < 0 {
		t.Errorf("processors: %+v", p)
	}
	text := e.String()
	for _, want := range []string{"sending: 4.34 kB", "receiving: 700 bytes", "held back by: ", "time: ", "MSS 1448, offload none", "cores"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if v := e.Verdict(); v != e.Sending.Verdict {
		t.Errorf("the verdict is %v, want that of the direction that carried more", v)
	}
	w.Restart()
	if e := w.Explain(); e.Sending.Bytes != 0 || e.Receiving.Bytes != 0 || e.Interval > hang {
		t.Errorf("after Restart: %+v", e)
	}
}

// TestWatchEnds: the peer's end, the Socket's and the Host's each leave a Watch
// that still explains, and no goroutine, which TestMain looks for.
func TestWatchEnds(t *testing.T) {
	for _, end := range []func(near, far *sockets.Socket){
		func(near, far *sockets.Socket) { far.Close() },
		func(near, far *sockets.Socket) { near.Close() },
		func(near, far *sockets.Socket) { near.Host().Close() },
	} {
		near, far := watchedPair(t)
		w := must[*sockets.Watch](t)(near.Watch())
		must[int](t)(far.Write([]byte("x")))
		must[int](t)(near.ReadInto(make([]byte, 1)))
		end(near, far)
		if e := w.Explain(); e.Receiving.Bytes != 1 || e.Interval <= 0 {
			t.Errorf("%+v", e.Receiving)
		}
		near.Close()
		check(t, w.Close())
	}
}

// TestWatchConcurrently is for the race detector.
func TestWatchConcurrently(t *testing.T) {
	near, far := watchedPair(t)
	w := must[*sockets.Watch](t)(near.Watch())
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(io.Discard, far)
	}()
	buf := make([]byte, 10_000)
	for range 100 {
		must[int](t)(near.Write(buf))
		if e := w.Explain(); e.Sending.Bytes > 100*uint64(len(buf)) || e.Interval > time.Hour {
			t.Errorf("%+v", e.Sending)
		}
	}
	check(t, near.Close())
	check(t, w.Close())
	<-done
}

// TestWatchLeavesNothing: whom nobody watches has nobody to tell.
func TestWatchLeavesNothing(t *testing.T) {
	near, far := watchedPair(t)
	must[int](t)(near.Write([]byte("x")))
	if sockets.Watched(near) {
		t.Error("watched before Watch")
	}
	w := must[*sockets.Watch](t)(near.Watch())
	if !sockets.Watched(near) || sockets.Watched(far) {
		t.Error("not watched, or both ends are")
	}
	check(t, w.Close())
	if sockets.Watched(near) {
		t.Error("watched after Close")
	}
}
