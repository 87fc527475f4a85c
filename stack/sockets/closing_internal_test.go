package sockets

import (
	"errors"
	"testing"
	"weak"
)

// What can happen between two steps of closing, brought about on purpose.

// tcpPair returns connected sockets of two Hosts on one stack.
func tcpPair(t *testing.T) (a, b *Socket) {
	t.Helper()
	h := newOurUnix(t).h
	other, err := New(Config{Stack: h.stack})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	l, a := must1(other.TCP()), must1(h.TCP())
	t.Cleanup(func() { a.Close() })
	defer l.Close()
	if err := errors.Join(l.Bind(Inet4{Host: "127.0.0.1"}), l.Listen(1), a.Connect(must1(l.GetSockName()))); err != nil {
		t.Fatal(err)
	}
	b, _, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return a, b
}

// A Poll that looks while a socket is being closed says nothing of it.
func TestPollDuringClose(t *testing.T) {
	a, _ := tcpPair(t)
	p := must1(a.host.NewPoller())
	defer p.Close()
	if err := p.Register(a, POLLOUT); err != nil {
		t.Fatal(err)
	}
	a.shut(func(s *Socket) {
		s.host.table.remove(s)
		if found, err := p.Poll(0); len(found) != 0 || err != nil {
			t.Errorf("Poll during Close = %v, %v", found, err)
		}
	}, (*description).release)
}

// An option that is set when the socket has just been closed leaves nothing
// behind.
func TestHearErrorsAfterClose(t *testing.T) {
	a, _ := tcpPair(t)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if errno := a.d.setOption(options[optionKey{SOL_IP, IP_RECVERR}], intBytes(1)); errno != 0 {
		t.Fatal(errno)
	}
	tap := &a.host.tap
	tap.mu.RLock()
	defer tap.mu.RUnlock()
	if tap.sockets[a.d.endpoint()] != nil {
		t.Error("the closed socket still hears of errors")
	}
}

// Host.Close resets also the connection of a Socket that is gone and that the
// garbage collector has not told of yet.
func TestHostCloseResetsForgotten(t *testing.T) {
	a, b := tcpPair(t)
	tab := &a.host.table
	tab.mu.Lock()
	tab.slotOf(a.Fileno()).sock = weak.Pointer[Socket]{}
	tab.mu.Unlock()
	if err := a.host.Close(); err != nil {
		t.Fatal(err)
	}
	if p, err := b.Recv(1); !errors.Is(err, ECONNRESET) {
		t.Errorf("the peer received %q, %v; want ECONNRESET", p, err)
	}
}
