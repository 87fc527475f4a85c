package sockets_test

import (
	"errors"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// A peekStep is a receive and the offset after it.
type peekStep struct {
	set   int // SO_PEEK_OFF before, −2 = as it is
	size  int
	flags sockets.MsgFlags
	want  string // "EAGAIN" when there is nothing
	off   int
}

func walkPeeks(t *testing.T, s *sockets.Socket, steps []peekStep) {
	t.Helper()
	for i, st := range steps {
		if st.set > -2 {
			check(t, s.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_PEEK_OFF, st.set))
		}
		p, err := s.Recv(st.size, st.flags|sockets.MSG_DONTWAIT)
		got := string(p)
		if errors.Is(err, sockets.EAGAIN) {
			got = "EAGAIN"
		} else {
			check(t, err)
		}
		if off := must[int](t)(s.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_PEEK_OFF)); got != st.want || off != st.off {
			t.Errorf("step %d: %q and offset %d, want %q and %d", i, got, off, st.want, st.off)
		}
	}
}

// S42: SO_PEEK_OFF on datagrams, step by step as Linux 6.18 was seen to do it.
func TestPeekOffset(t *testing.T) {
	const peek = sockets.MSG_PEEK
	h, w := wired(t)
	s := udpSocket(t, h)
	check(t, s.Bind(sockets.Inet4{Host: addrA, Port: 4000}))
	if v := must[int](t)(s.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_PEEK_OFF)); v != -1 {
		t.Errorf("by default SO_PEEK_OFF is %d", v)
	}
	send := func(texts ...string) {
		for _, text := range texts {
			p := udpTo(4000, len(text))
			copy(p[28:], text)
			w.inject(p)
		}
	}
	send("abcdef", "ghijkl", "mn")
	walkPeeks(t, s, []peekStep{
		{0, 4, peek, "abcd", 4}, {-2, 4, peek, "ef", 6}, {-2, 4, peek, "ghij", 10}, {-2, 4, peek, "kl", 12}, {-2, 4, peek, "mn", 14},
		{-2, 4, peek, "EAGAIN", 14}, {7, 4, peek, "hijk", 11}, {8, 2, 0, "ab", 6}, {-2, 4, peek, "mn", 8}, {-2, 4, 0, "ghij", 4}, {-2, 4, 0, "mn", 2},
	})
	send("zz")
	walkPeeks(t, s, []peekStep{{100, 4, peek, "EAGAIN", 100}, {-1, 4, peek, "zz", -1}, {-2, 9, 0, "zz", -1}})
	send("")
	walkPeeks(t, s, []peekStep{{0, 4, peek, "", 0}, {-2, 4, 0, "", 0}})
	send("12345")
	check(t, s.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_PEEK_OFF, 1))
	m := must[*sockets.Msg](t)(s.RecvMsg([][]byte{make([]byte, 2)}, 0, peek))
	if m.N != 2 || string(m.Buffers[0]) != "23" || m.Flags != sockets.MSG_TRUNC {
		t.Errorf("%q, flags %#x", m.Buffers[0], m.Flags)
	}
}

// S42 on a connection, also with bytes that ReadLine has left in the socket.
func TestPeekOffsetOnConnection(t *testing.T) {
	const peek = sockets.MSG_PEEK
	a, b := pair(t)
	client, server := connected(t, a, b)
	must[int](t)(client.SendAll([]byte("abcdefghij")))
	must[[]byte](t)(server.Recv(10, peek|sockets.MSG_WAITALL))
	walkPeeks(t, server, []peekStep{
		{0, 4, peek, "abcd", 4}, {-2, 4, peek, "efgh", 8}, {-2, 4, peek, "ij", 10}, {-2, 4, peek, "EAGAIN", 10}, {-2, 3, 0, "abc", 7},
		{2, 3, peek, "fgh", 5}, {-2, 3, peek | sockets.MSG_TRUNC, "\x00\x00", 7},
	})
	check(t, client.Close())
	if p := must[[]byte](t)(server.Recv(3, peek)); len(p) != 0 {
		t.Errorf("at the end: %q", p)
	}
	if got := recvString(t, server); got != "defghij" {
		t.Errorf("received %q", got)
	}
}
