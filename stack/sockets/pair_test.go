package sockets

import (
	"errors"
	"testing"
)

// TestTCPPairRefusesStrangers connects two strangers to the listener of a TCP
// pair before its own end comes.
func TestTCPPairRefusesStrangers(t *testing.T) {
	h := newOurUnix(t).h
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	open := func() *Socket {
		s, err := h.TCP()
		fail(err)
		t.Cleanup(func() { s.Close() })
		return s
	}
	l, a, first, second := open(), open(), open(), open()
	fail(l.Bind(Inet4{Host: "127.0.0.1"}))
	fail(l.Listen(8))
	name, err := l.GetSockName()
	fail(err)
	for _, s := range []*Socket{first, second, a} {
		fail(s.Connect(name))
	}
	b, err := l.acceptFrom(a.localAddr())
	fail(err)
	defer b.Close()
	if peer, _ := b.GetPeerName(); peer != must1(a.GetSockName()) {
		t.Errorf("the pair's other end is connected to %v", peer)
	}
	if p, err := first.Recv(1); len(p) != 0 || err != nil && !errors.Is(err, ECONNRESET) {
		t.Errorf("a stranger received %q, %v", p, err)
	}
}

func must1[T any](v T, _ error) T { return v }

// TestUnixBlockedAreForgotten lets many sockets find a queue full and close: the
// queue must not remember them all.
func TestUnixBlockedAreForgotten(t *testing.T) {
	w := newOurUnix(t)
	r, _ := w.socket(SOCK_DGRAM)
	if err := w.bind(r, "@r"); err != nil {
		t.Fatal(err)
	}
	full := false
	for range 1000 {
		s, _ := w.socket(SOCK_DGRAM)
		_, err := w.send(s, []byte("x"), "@r", 0, 0)
		full = full || errors.Is(err, EAGAIN)
		w.close(s)
	}
	if !full {
		t.Error("the queue took a thousand datagrams")
	}
	if n := len(w.socks[r].d.unix.blocked); n > 2*leastPrune {
		t.Errorf("%d closed senders are remembered", n)
	}
}
