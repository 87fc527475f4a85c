package sockets_test

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// talk sends a word from one socket to the other.
func talk(t testing.TB, from, to *sockets.Socket) {
	t.Helper()
	check(t, must2(from.SendAll([]byte("word"))))
	if p := must[[]byte](t)(to.Recv(100)); string(p) != "word" {
		t.Errorf("received %q, want word", p)
	}
}

func must2[T any](_ T, err error) error { return err }

// socketPair returns a pair that the test closes.
func socketPair(t testing.TB, h *sockets.Host, f sockets.Family, typ sockets.Type) (a, b *sockets.Socket) {
	t.Helper()
	a, b, err := h.SocketPair(f, typ, 0)
	check(t, err)
	t.Cleanup(func() {
		a.Close()
		b.Close()
	})
	return a, b
}

func TestSocketPair(t *testing.T) {
	h, _ := pair(t)
	for _, typ := range []sockets.Type{sockets.SOCK_STREAM, sockets.SOCK_DGRAM, sockets.SOCK_SEQPACKET} {
		a, b := socketPair(t, h, sockets.AF_UNIX, typ|sockets.SOCK_NONBLOCK)
		talk(t, a, b)
		talk(t, b, a)
		if a.Blocking() || b.Blocking() || a.Type() != typ || a.Family() != sockets.AF_UNIX {
			t.Errorf("a pair of type %d: blocking %v %v, type %d, family %v", typ, a.Blocking(), b.Blocking(), a.Type(), a.Family())
		}
	}
	for _, bad := range []struct {
		family sockets.Family
		typ    sockets.Type
		proto  sockets.Protocol
		errno  sockets.Errno
	}{
		{sockets.AF_INET, sockets.SOCK_DGRAM, 0, sockets.EOPNOTSUPP},
		{sockets.AF_INET6, sockets.SOCK_STREAM, 0, sockets.EOPNOTSUPP},
		{sockets.AF_UNIX, sockets.SOCK_RDM, 0, sockets.ESOCKTNOSUPPORT},
		{sockets.AF_UNIX, sockets.SOCK_STREAM, sockets.IPPROTO_TCP, sockets.EPROTONOSUPPORT},
		{sockets.AF_NETLINK, sockets.SOCK_RAW, 0, sockets.EAFNOSUPPORT},
	} {
		_, _, err := h.SocketPair(bad.family, bad.typ, bad.proto)
		wantErrno(t, err, bad.errno)
	}
}

func TestNewTCPPair(t *testing.T) {
	h, _ := pair(t)
	a, b, err := h.NewTCPPair()
	check(t, err)
	defer a.Close()
	defer b.Close()
	talk(t, a, b)
	talk(t, b, a)
	name, peer := must[sockets.Sockaddr](t)(a.GetSockName()), must[sockets.Sockaddr](t)(b.GetPeerName())
	if name != peer {
		t.Errorf("the peer of b is %v, a is %v", peer, name)
	}
	check(t, a.Close())
	if p := must[[]byte](t)(b.Recv(1)); len(p) != 0 {
		t.Errorf("received %q after the peer closed", p)
	}
}

func TestFromFD(t *testing.T) {
	h, _ := pair(t)
	a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
	n := must[*sockets.Socket](t)(h.FromFD(a.Fileno(), sockets.AF_INET6, sockets.SOCK_DGRAM, sockets.IPPROTO_UDP))
	if n.Family() != sockets.AF_INET6 || n.Type() != sockets.SOCK_DGRAM || n.Proto() != sockets.IPPROTO_UDP {
		t.Errorf("it is %v, %d, %d, not what FromFD was told", n.Family(), n.Type(), n.Proto())
	}
	if n.Fileno() == a.Fileno() {
		t.Error("FromFD did not make a descriptor of its own")
	}
	check(t, a.Close())
	talk(t, n, b)
	check(t, n.Close())
	if p := must[[]byte](t)(b.Recv(1)); len(p) != 0 {
		t.Errorf("received %q after the last descriptor was closed", p)
	}
	for _, fd := range []int{-1, 0, 999, n.Fileno()} {
		_, err := h.FromFD(fd, sockets.AF_INET, sockets.SOCK_STREAM, 0)
		wantErrno(t, err, sockets.EBADF)
	}
}

func TestImportTCPSocket(t *testing.T) {
	h, _ := pair(t)
	tcp := tcpSocket(t, h)
	if s := must[*sockets.Socket](t)(h.ImportTCPSocket(tcp.Fileno())); s != tcp {
		t.Error("a number that a Socket has was given to another")
	}
	fd := tcp.Detach()
	s := must[*sockets.Socket](t)(h.ImportTCPSocket(fd))
	if s.Fileno() != fd || s.Family() != sockets.AF_INET {
		t.Errorf("imported as %d, %v, want %d, AF_INET", s.Fileno(), s.Family(), fd)
	}
	check(t, s.Bind(sockets.Inet4{Host: addrA}))
	check(t, s.Close())
	_, err := h.ImportTCPSocket(fd)
	wantErrno(t, err, sockets.EBADF)
	_, err = h.ImportTCPSocket(udpSocket(t, h).Fileno())
	wantErrno(t, err, sockets.ENOTSOCK)
	if !errors.Is(err, sockets.ErrUnsupported) {
		t.Errorf("%v is not ErrUnsupported", err)
	}
}

func TestFileno(t *testing.T) {
	h, _ := pair(t)
	a, b := udpSocket(t, h), udpSocket(t, h)
	first := a.Fileno()
	if first != 3 || b.Fileno() != 4 {
		t.Errorf("the first descriptors are %d and %d, want 3 and 4", first, b.Fileno())
	}
	check(t, a.Close())
	if a.Fileno() != -1 {
		t.Errorf("a closed socket has the number %d", a.Fileno())
	}
	if c := udpSocket(t, h); c.Fileno() != first {
		t.Errorf("the next socket got %d, not the lowest free number", c.Fileno())
	}
}

func TestDetachAndDup(t *testing.T) {
	h, _ := pair(t)
	a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
	dup := must[*sockets.Socket](t)(a.Dup())
	defer dup.Close()
	check(t, a.SetTimeout(time.Minute))
	if dup.Timeout() != time.Minute {
		t.Error("the duplicate does not share the timeout")
	}
	fd := a.Detach()
	if a.Fileno() != -1 || a.Detach() != -1 {
		t.Error("a detached socket still has a number")
	}
	_, err := a.Send([]byte("x"))
	wantErrno(t, err, sockets.EBADF)
	_, err = a.Dup()
	wantErrno(t, err, sockets.EBADF)
	check(t, a.Close()) // does nothing
	talk(t, dup, b)
	n := must[*sockets.Socket](t)(h.Adopt(fd))
	if n.Fileno() != fd || n == a {
		t.Errorf("adopted as %d, want %d", n.Fileno(), fd)
	}
	talk(t, n, b)
	check(t, dup.Close())
	talk(t, b, n)
	check(t, h.CloseFD(fd))
	wantErrno(t, h.CloseFD(fd), sockets.EBADF)
	_, err = n.Recv(1)
	wantErrno(t, err, sockets.EBADF)
	if p := must[[]byte](t)(b.Recv(1)); len(p) != 0 {
		t.Errorf("received %q after the last descriptor was closed", p)
	}
}

// TestDetachWakes checks that Detach ends what waits on the Socket, and that a
// Poller forgets it.
func TestDetachWakes(t *testing.T) {
	h, _ := pair(t)
	a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
	_ = b
	got := make(chan error)
	go func() {
		_, err := a.Recv(1)
		got <- err
	}()
	fd := a.Detach()
	wantErrno(t, <-got, sockets.EBADF)
	check(t, h.CloseFD(fd))
}

// TestForgottenSocketIsClosed makes a socket, forgets it, and waits until the
// garbage collector has closed it: the peer sees the end.
func TestForgottenSocketIsClosed(t *testing.T) {
	h, _ := pair(t)
	b := forget(t, h)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if p, err := b.Recv(1); err != nil || len(p) != 0 {
			t.Errorf("Recv = %q, %v, want the end", p, err)
		}
	}()
	for end := time.Now().Add(patience); ; {
		runtime.GC()
		select {
		case <-ended:
		default:
			if time.Now().After(end) {
				t.Fatal("the garbage collector has not closed it")
			}
			continue
		}
		break
	}
	if s := udpSocket(t, h); s.Fileno() != 3 {
		t.Errorf("the forgotten number was not freed: the next is %d", s.Fileno())
	}
}

// forget returns one end of a pair whose other end, number 3, is unreachable.
func forget(t *testing.T, h *sockets.Host) *sockets.Socket {
	t.Helper()
	_, b, err := h.SocketPair(sockets.AF_UNIX, sockets.SOCK_STREAM, 0)
	check(t, err)
	t.Cleanup(func() { b.Close() })
	return b
}

// TestDetachedNumberIsKept checks that the garbage collector leaves a number
// alone that somebody may know.
func TestDetachedNumberIsKept(t *testing.T) {
	h, _ := pair(t)
	a, b := socketPair(t, h, sockets.AF_UNIX, sockets.SOCK_STREAM)
	fd := a.Detach()
	for range 3 {
		runtime.GC()
	}
	talk(t, must[*sockets.Socket](t)(h.Adopt(fd)), b)
	check(t, h.CloseFD(fd))
}
