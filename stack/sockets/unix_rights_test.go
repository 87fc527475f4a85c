package sockets_test

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

func ownCredentials() []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(os.Getpid()))
	b = binary.LittleEndian.AppendUint32(b, uint32(os.Getuid()))
	return binary.LittleEndian.AppendUint32(b, uint32(os.Getgid()))
}

// pass sends sockets with one byte.
func pass(s *sockets.Socket, what ...*sockets.Socket) error {
	_, err := s.SendMsg(&sockets.Msg{Buffers: [][]byte{{'x'}}, Control: []sockets.ControlMessage{sockets.Rights(what...)}})
	return err
}

// passed receives a message and adopts what came with it.
func passed(t testing.TB, s *sockets.Socket, room int, flags ...sockets.CallOption) ([]*sockets.Socket, sockets.MsgFlags) {
	t.Helper()
	m := must[*sockets.Msg](t)(s.RecvMsg([][]byte{make([]byte, 8)}, room, flags...))
	var socks []*sockets.Socket
	for _, c := range m.Control {
		if c.Level != sockets.SOL_SOCKET || c.Type != sockets.SCM_RIGHTS {
			continue
		}
		for _, fd := range must[[]int](t)(c.FDs()) {
			n := must[*sockets.Socket](t)(s.Host().Adopt(fd))
			t.Cleanup(func() { n.Close() })
			socks = append(socks, n)
		}
	}
	return socks, m.Flags
}

// peerGone reports whether the peer of a stream is gone.
func peerGone(t testing.TB, s *sockets.Socket) bool {
	t.Helper()
	return events(t, s.Host(), s)&sockets.POLLHUP != 0
}

func TestUnixRights(t *testing.T) {
	h, _ := pair(t)
	for _, typ := range []sockets.Type{sockets.SOCK_STREAM, sockets.SOCK_DGRAM, sockets.SOCK_SEQPACKET} {
		a, b := socketPair(t, h, sockets.AF_UNIX, typ)
		p, q := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
		udp := udpSocket(t, h)
		check(t, pass(a, p, udp))
		check(t, p.Close())
		if peerGone(t, q) {
			t.Fatal("a socket in a message was closed")
		}
		got, _ := passed(t, b, 100)
		if len(got) != 2 || got[1].Type() != sockets.SOCK_DGRAM {
			t.Fatalf("received %d sockets", len(got))
		}
		talk(t, got[0], q)
		check(t, got[0].Close())
		if !peerGone(t, q) {
			t.Error("the last descriptor was closed and the peer does not see it")
		}
	}
}

// TestUnixRightsUnread checks that references in messages that nobody reads, or
// reads without room for them, are dropped.
func TestUnixRightsUnread(t *testing.T) {
	h, _ := pair(t)
	for name, take := range map[string]func(t *testing.T, b *sockets.Socket){
		"close": func(t *testing.T, b *sockets.Socket) { check(t, b.Close()) },
		"recv":  func(t *testing.T, b *sockets.Socket) { check(t, must2(b.Recv(10))) },
		"line":  func(t *testing.T, b *sockets.Socket) { check(t, must2(b.ReadN(1))) },
		"no room": func(t *testing.T, b *sockets.Socket) {
			if got, flags := passed(t, b, 0); len(got) != 0 || flags&sockets.MSG_CTRUNC == 0 {
				t.Errorf("without room: %d sockets, flags %#x", len(got), int(flags))
			}
		},
		"little room": func(t *testing.T, b *sockets.Socket) {
			got, flags := passed(t, b, 16+4)
			if len(got) != 1 || flags&sockets.MSG_CTRUNC == 0 {
				t.Errorf("with room for one: %d sockets, flags %#x", len(got), int(flags))
			}
			for _, s := range got {
				s.Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
			p, q := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
			check(t, pass(a, p, p))
			check(t, p.Close())
			take(t, b)
			if !peerGone(t, q) {
				t.Error("the references were not dropped")
			}
		})
	}
}

func TestUnixRightsPeek(t *testing.T) {
	h, _ := pair(t)
	a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_DGRAM)
	p, q := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
	check(t, pass(a, p))
	check(t, p.Close())
	for range 2 {
		got, _ := passed(t, b, 100, sockets.MSG_PEEK)
		talk(t, got[0], q)
		check(t, got[0].Close())
	}
	got, _ := passed(t, b, 100)
	talk(t, got[0], q)
	check(t, got[0].Close())
	if !peerGone(t, q) {
		t.Error("peeking has left a reference")
	}
}

func TestUnixRightsErrors(t *testing.T) {
	h, _ := pair(t)
	a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
	many := make([]*sockets.Socket, 254)
	for i := range many {
		many[i] = a
	}
	wantErrno(t, pass(a, many...), sockets.EINVAL)
	check(t, pass(a, many[:253]...))
	if got, _ := passed(t, b, 2000); len(got) != 253 {
		t.Errorf("received %d sockets, want 253", len(got))
	}
	closed := unixSocket(t, h, sockets.SOCK_STREAM)
	check(t, closed.Close())
	wantErrno(t, pass(a, closed), sockets.EBADF)
	for _, m := range []struct {
		c     sockets.ControlMessage
		errno sockets.Errno
	}{
		{sockets.ControlMessage{Level: sockets.SOL_SOCKET, Type: 99}, sockets.EINVAL},
		{sockets.ControlMessage{Level: sockets.SOL_SOCKET, Type: sockets.SCM_CREDENTIALS, Data: make([]byte, 4)}, sockets.EINVAL},
		{sockets.ControlMessage{Level: sockets.SOL_SOCKET, Type: sockets.SCM_CREDENTIALS, Data: make([]byte, 12)}, sockets.EPERM},
	} {
		_, err := a.SendMsg(&sockets.Msg{Buffers: [][]byte{{1}}, Control: []sockets.ControlMessage{m.c}})
		wantErrno(t, err, m.errno)
	}
	check(t, must2(a.SendMsg(&sockets.Msg{Buffers: [][]byte{{1}}, Control: []sockets.ControlMessage{{Level: sockets.SOL_IP, Type: 1}}})))
	check(t, b.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_PASSRIGHTS, 0))
	wantErrno(t, pass(a, a), sockets.EPERM)
}

func TestUnixCredentials(t *testing.T) {
	h, _ := pair(t)
	a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
	check(t, must2(a.Send([]byte("before"))))
	check(t, b.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_PASSCRED, 1))
	check(t, must2(a.Send([]byte("after"))))
	check(t, must2(a.SendMsg(&sockets.Msg{Buffers: [][]byte{[]byte("more")}, Control: []sockets.ControlMessage{
		{Level: sockets.SOL_SOCKET, Type: sockets.SCM_CREDENTIALS, Data: ownCredentials()}}})))
	unknown := "\x00\x00\x00\x00\xfe\xff\x00\x00\xfe\xff\x00\x00"
	for _, want := range []struct{ data, cred string }{{"before", unknown}, {"aftermore", string(ownCredentials())}} {
		m := must[*sockets.Msg](t)(b.RecvMsg([][]byte{make([]byte, 100)}, 100))
		if got := string(m.Buffers[0][:m.N]); got != want.data || len(m.Control) != 1 || string(m.Control[0].Data) != want.cred {
			t.Errorf("received %q with %v, want %q with %x", got, m.Control, want.data, want.cred)
		}
	}
}

// TestUnixRightsCycles closes sockets that ride in each other's queues: nobody
// can reach them any more, and their peers see the end.
func TestUnixRightsCycles(t *testing.T) {
	h, _ := pair(t)
	stream := sockets.SOCK_STREAM
	for name, build := range map[string]func(t *testing.T) (witness *sockets.Socket, unreachable []*sockets.Socket){
		"itself": func(t *testing.T) (*sockets.Socket, []*sockets.Socket) {
			a, b := socketPair(t, h, sockets.AF_UNIX, stream)
			check(t, pass(a, b)) // b rides in its own queue
			return a, []*sockets.Socket{b}
		},
		"each other": func(t *testing.T) (*sockets.Socket, []*sockets.Socket) {
			a, b := socketPair(t, h, sockets.AF_UNIX, stream)
			c, d := socketPair(t, h, sockets.AF_UNIX, stream)
			p, q := socketPair(t, h, sockets.AF_UNIX, stream)
			check(t, pass(a, d, q))
			check(t, pass(c, b))
			return p, []*sockets.Socket{a, b, c, d, q}
		},
		"not accepted": func(t *testing.T) (*sockets.Socket, []*sockets.Socket) {
			l := bound(t, h, stream, "")
			c := unixSocket(t, h, stream)
			check(t, c.Connect(must[sockets.Sockaddr](t)(l.GetSockName())))
			check(t, pass(c, l)) // l rides in a connection that waits for l
			return c, []*sockets.Socket{l}
		},
	} {
		t.Run(name, func(t *testing.T) {
			witness, unreachable := build(t)
			for i, s := range unreachable {
				if peerGone(t, witness) {
					t.Fatalf("collected while %d descriptors were open", len(unreachable)-i)
				}
				check(t, s.Close())
			}
			if !peerGone(t, witness) {
				t.Error("the cycle was not collected")
			}
		})
	}
}

// TestUnixRightsReachable checks that what a descriptor leads to is not taken
// for garbage, however many queues are between.
func TestUnixRightsReachable(t *testing.T) {
	h, _ := pair(t)
	a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
	for range 3 { // b leads to c, and c to what b led to before
		c, d := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
		check(t, pass(c, d)) // a cycle on the way
		check(t, pass(c, b))
		check(t, b.Close())
		check(t, c.Close())
		b = d
	}
	for range 3 {
		got, _ := passed(t, b, 100)
		check(t, got[0].Close())
		next, _ := passed(t, b, 100)
		check(t, b.Close())
		b = next[0]
	}
	talk(t, a, b)
}

// TestUnixRightsChain drops a long chain at once: a message with a socket with a
// message with a socket, and so on.
func TestUnixRightsChain(t *testing.T) {
	const length = 5_000
	h, _ := pair(t)
	witness, held := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
	for range length {
		a, b, err := h.SocketPair(sockets.AF_UNIX, sockets.SOCK_STREAM, 0)
		check(t, err)
		check(t, pass(a, held))
		check(t, held.Close())
		check(t, a.Close())
		held = b
	}
	check(t, held.Close())
	if !peerGone(t, witness) {
		t.Error("the end of the chain was not released")
	}
}

// FuzzUnixControl sends ancillary data as it comes. Nothing but the references
// that were sent may arrive, and all are dropped in the end.
func FuzzUnixControl(f *testing.F) {
	f.Add(1, 1, []byte{3, 0, 0, 0, 4, 0, 0, 0})
	f.Add(1, 2, ownCredentials())
	f.Add(1, 1, []byte{255, 255, 255})
	f.Add(0, 8, []byte{})
	h, end := loopbackHost()
	f.Cleanup(end)
	f.Fuzz(func(t *testing.T, level, typ int, data []byte) {
		a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
		_, err := a.SendMsg(&sockets.Msg{Buffers: [][]byte{{1}}, Control: []sockets.ControlMessage{{Level: level, Type: typ, Data: data}}})
		if err != nil {
			return
		}
		got, _ := passed(t, b, 4096)
		if want := len(data) / 4; len(got) > want || level == 1 && typ == 1 && len(got) != want {
			t.Errorf("received %d descriptors", len(got))
		}
		for _, s := range got {
			s.Close()
		}
		b.Close()
		if !peerGone(t, a) {
			t.Error("a reference to b is left")
		}
	})
}
