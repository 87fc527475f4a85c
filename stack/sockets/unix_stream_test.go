package sockets_test

import (
	"errors"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// Lines, counts and files work on AF_UNIX as on TCP, and leave to RecvMsg what
// belongs to later messages.
func TestUnixStreamReads(t *testing.T) {
	h, end := loopbackHost()
	t.Cleanup(end)
	a, b, err := h.SocketPair(sockets.AF_UNIX, sockets.SOCK_STREAM, 0)
	check(t, err)
	t.Cleanup(func() { a.Close(); b.Close() })
	must[int](t)(a.Write([]byte("one\ntw")))
	if p := must[[]byte](t)(b.ReadLine(0)); string(p) != "one\n" {
		t.Errorf("line %q", p)
	}
	check(t, b.SetTimeout(20*time.Millisecond))
	if p, err := b.ReadLine(0); !errors.Is(err, sockets.ErrTimeout) {
		t.Errorf("half a line: %q, %v", p, err)
	}
	d := []sockets.PollDesc{{Sock: b, In: sockets.POLLIN}}
	if must[int](t)(h.Poll(d, 0)) != 1 {
		t.Error("the half line is not readable")
	}
	if p := must[[]byte](t)(b.Recv(1)); string(p) != "t" {
		t.Errorf("received %q", p)
	}
	must[int](t)(a.Write([]byte("o\n0123456789\n")))
	if p := must[[]byte](t)(b.ReadLine(0)); string(p) != "wo\n" {
		t.Errorf("line %q", p)
	}
	if p := must[[]byte](t)(b.ReadN(4)); string(p) != "0123" {
		t.Errorf("ReadN: %q", p)
	}
	passed := udpSocket(t, h)
	rights := sockets.ControlMessage{Level: sockets.SOL_SOCKET, Type: sockets.SCM_RIGHTS, Data: []byte{byte(passed.Fileno()), 0, 0, 0}}
	must[int](t)(a.SendMsg(&sockets.Msg{Buffers: [][]byte{[]byte("x\n")}, Control: []sockets.ControlMessage{rights}}))
	if p := must[[]byte](t)(b.ReadLine(0)); string(p) != "456789\n" {
		t.Errorf("line %q", p)
	}
	m := must[*sockets.Msg](t)(b.RecvMsg([][]byte{make([]byte, 9)}, 100))
	if m.N != 2 || len(m.Control) != 1 {
		t.Errorf("the message with a descriptor: %d bytes, %d control messages", m.N, len(m.Control))
	}
	f := file(t, a, "w", -1)
	must[int](t)(f.Write([]byte("file\n")))
	check(t, f.Close())
	if p := must[[]byte](t)(b.ReadLine(0)); string(p) != "file\n" {
		t.Errorf("line %q", p)
	}
	check(t, a.Close())
	if p := must[[]byte](t)(b.ReadAll()); len(p) != 0 {
		t.Errorf("after the end: %q", p)
	}
}
