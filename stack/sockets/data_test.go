package sockets_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// randomBytes returns n bytes that a seed determines.
func randomBytes(seed uint64, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(p)
	return p
}

func TestBulkIsExact(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	want := randomBytes(1, 16<<20)
	errs := make(chan error, 1)
	go func() {
		n, err := client.SendAll(want)
		if err == nil && n != len(want) {
			err = io.ErrShortWrite
		}
		errs <- errors.Join(err, client.Shutdown(sockets.SHUT_WR))
	}()
	h := sha256.New()
	buf := make([]byte, 100_000)
	for {
		n, err := server.RecvInto(buf)
		check(t, err)
		if n == 0 {
			break
		}
		h.Write(buf[:n])
	}
	check(t, <-errs)
	if sum := sha256.Sum256(want); !bytes.Equal(h.Sum(nil), sum[:]) {
		t.Error("the bytes received are not those sent")
	}
}

// T4: shutting both directions down must not reset the connection while data
// waits, nor lose it.
func TestT4ShutdownKeepsData(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	must[int](t)(server.Send([]byte("queued")))
	if got := must[[]byte](t)(client.Recv(6, sockets.MSG_PEEK|sockets.MSG_WAITALL)); string(got) != "queued" {
		t.Fatalf("peeked %q", got)
	}
	check(t, client.Shutdown(sockets.SHUT_RDWR))
	if got := must[[]byte](t)(client.Recv(100)); string(got) != "queued" {
		t.Errorf("received %q after the shutdown, want what was queued", got)
	}
	if got := must[[]byte](t)(client.Recv(100)); len(got) != 0 {
		t.Errorf("received %q, want the end", got)
	}
	if got := must[[]byte](t)(server.Recv(100)); len(got) != 0 {
		t.Errorf("the peer received %q, want the end", got)
	}
	_, err := client.Send([]byte("x"))
	wantErrno(t, err, sockets.EPIPE)
	must[int](t)(server.Send([]byte("late"))) // which nobody will read: Linux resets the connection
	wantPoll(t, client, ended|fault)
	_, err = client.Recv(4)
	wantErrno(t, err, sockets.ECONNRESET)
	wantPoll(t, server, ended|fault)
}

// Unread data that SHUT_RDWR has moved still makes Close reset the connection.
func TestT4CloseResetsUnread(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	must[int](t)(server.Send([]byte("queued")))
	wantPoll(t, client, in|out)
	check(t, client.Shutdown(sockets.SHUT_RDWR))
	wantPoll(t, server, in|out|rdhup)
	check(t, client.Close())
	wantPoll(t, server, ended|fault)
}

func TestShutdownWakesReader(t *testing.T) {
	a, b := pair(t)
	client, _ := connected(t, a, b)
	got := make(chan error, 1)
	go func() {
		p, err := client.Recv(1)
		if err == nil && len(p) != 0 {
			err = errors.New("received data")
		}
		got <- err
	}()
	awaitBlocked(t, "recv")
	check(t, client.Shutdown(sockets.SHUT_RD))
	check(t, <-got)
	wantErrno(t, client.Shutdown(7), sockets.EINVAL)
	wantErrno(t, tcpSocket(t, a).Shutdown(sockets.SHUT_WR), sockets.ENOTCONN)
}

func TestResetIsToldOnceAfterData(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	must[int](t)(server.Send([]byte("last words")))
	must[[]byte](t)(client.Recv(1, sockets.MSG_PEEK))
	linger := []byte{1, 0, 0, 0, 0, 0, 0, 0}
	check(t, server.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_LINGER, linger))
	check(t, server.Close()) // a reset
	var err error
	for err == nil { // the reset may take its time
		_, err = client.Send([]byte("x"))
	}
	if !errors.Is(err, sockets.EPIPE) && !errors.Is(err, sockets.ECONNRESET) {
		t.Errorf("sending after the reset: %v", err)
	}
	client.SetBlocking(false)
	for range 3 {
		if p, err := client.Recv(100); err != nil && !errors.Is(err, sockets.ECONNRESET) {
			t.Errorf("received %q, %v", p, err)
		}
	}
	if p, err := client.Recv(100); err != nil || len(p) != 0 {
		t.Errorf("in the end: %q, %v; want the end of file", p, err)
	}
	if v := must[int](t)(client.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_ERROR)); v != 0 {
		t.Errorf("SO_ERROR = %d after the error was told", v)
	}
	wantErrno(t, client.Connect(sockets.Inet4{Host: addrB, Port: 1}), sockets.EISCONN)
}

func TestModesOfReceiving(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	_, err := client.Recv(1, sockets.MSG_DONTWAIT)
	wantErrno(t, err, sockets.EAGAIN)
	client.SetBlocking(false)
	_, err = client.Recv(1)
	wantErrno(t, err, sockets.EAGAIN)
	if _, err = client.Recv(1, sockets.Within(time.Millisecond)); !errors.Is(err, sockets.ErrTimeout) {
		t.Errorf("Within on a non-blocking socket: %v, want ErrTimeout", err)
	}
	check(t, client.SetTimeout(time.Millisecond))
	if _, err = client.Recv(1); !errors.Is(err, sockets.ErrTimeout) {
		t.Errorf("SetTimeout: %v, want ErrTimeout", err)
	}
	client.SetBlocking(true)
	timeval := make([]byte, 16)
	timeval[8] = 100 // µs
	check(t, client.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_RCVTIMEO, timeval))
	_, err = client.Recv(1)
	wantErrno(t, err, sockets.EAGAIN)
	if errors.Is(err, sockets.ErrTimeout) {
		t.Error("SO_RCVTIMEO's end is ErrTimeout")
	}
	must[int](t)(server.Send([]byte("abc")))
	if p := must[[]byte](t)(client.Recv(10, sockets.Within(patience))); string(p) != "abc" {
		t.Errorf("received %q", p)
	}
	if err := client.SetTimeout(-2); !errors.Is(err, sockets.EINVAL) {
		t.Errorf("SetTimeout(-2): %v", err)
	}
	if _, err := client.Recv(-1); !errors.Is(err, sockets.EINVAL) {
		t.Errorf("Recv(-1): %v", err)
	}
}

func TestWaitAll(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	got := make(chan []byte, 1)
	go func() {
		p, _ := client.Recv(6, sockets.MSG_WAITALL)
		got <- p
	}()
	must[int](t)(server.Send([]byte("abc")))
	awaitBlocked(t, "recv")
	must[int](t)(server.Send([]byte("defg")))
	if p := <-got; string(p) != "abcdef" {
		t.Errorf("received %q, want 6 bytes", p)
	}
	check(t, server.Close())
	if p := must[[]byte](t)(client.Recv(6, sockets.MSG_WAITALL)); string(p) != "g" {
		t.Errorf("received %q before the end, want g", p)
	}
}

// Short writes: a non-blocking socket takes what fits, and SendAll says how
// much it sent when time runs out.
func TestPartialSend(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	big := randomBytes(2, 64<<20)
	client.SetBlocking(false)
	n := must[int](t)(client.Send(big))
	if n == 0 || n == len(big) {
		t.Fatalf("sent %d of %d bytes without blocking", n, len(big))
	}
	sent := n
	for {
		n, err := client.Send(big[sent:])
		sent += n
		if errors.Is(err, sockets.EAGAIN) {
			break
		}
		check(t, err)
	}
	client.SetBlocking(true)
	n, err := client.SendAll(big[sent:], sockets.Within(time.Millisecond))
	if !errors.Is(err, sockets.ErrTimeout) {
		t.Errorf("SendAll: %v, want ErrTimeout", err)
	}
	sent += n
	check(t, client.Shutdown(sockets.SHUT_WR))
	received, buf := 0, make([]byte, 1<<20)
	for {
		n := must[int](t)(server.RecvInto(buf))
		if n == 0 {
			break
		}
		if !bytes.Equal(buf[:n], big[received:received+n]) {
			t.Fatalf("the bytes from %d on differ", received)
		}
		received += n
	}
	if received != sent {
		t.Errorf("received %d bytes, sent %d", received, sent)
	}
}

func TestUnconnectedErrors(t *testing.T) {
	a, _ := pair(t)
	tcp, udp := tcpSocket(t, a), udpSocket(t, a)
	_, err := tcp.Send([]byte("x"))
	wantErrno(t, err, sockets.EPIPE)
	_, err = tcp.Send(nil)
	wantErrno(t, err, sockets.EPIPE)
	_, err = tcp.Recv(1)
	wantErrno(t, err, sockets.ENOTCONN)
	_, err = tcp.GetPeerName()
	wantErrno(t, err, sockets.ENOTCONN)
	_, err = udp.Send([]byte("x"))
	wantErrno(t, err, sockets.EDESTADDRREQ)
	_, err = tcp.Send([]byte("x"), sockets.MSG_OOB)
	wantErrno(t, err, sockets.EOPNOTSUPP)
	_, err = udp.SendTo([]byte("x"), sockets.Inet4{Host: addrB})
	wantErrno(t, err, sockets.EINVAL)
	_, err = udp.SendTo([]byte("x"), sockets.Inet6{Host: addrB6, Port: 9})
	wantErrno(t, err, sockets.EAFNOSUPPORT)
	_, err = udp.SendTo([]byte("x"), sockets.Inet4{Host: "<broadcast>", Port: 9})
	wantErrno(t, err, sockets.EACCES)
	_, err = udp.SendTo(make([]byte, 65508), sockets.Inet4{Host: addrB, Port: 9})
	wantErrno(t, err, sockets.EMSGSIZE)
}

func TestDatagrams(t *testing.T) {
	a, b := pair(t)
	from, to := udpSocket(t, a), udpSocket(t, b)
	check(t, to.Bind(sockets.Inet4{Host: addrB}))
	addr := must[sockets.Sockaddr](t)(to.GetSockName())
	for _, msg := range []string{"hello", "", strings.Repeat("x", 65507)} {
		if n := must[int](t)(from.SendTo([]byte(msg), addr)); n != len(msg) {
			t.Errorf("sent %d of %d bytes", n, len(msg))
		}
		p, sender, err := to.RecvFrom(70000, sockets.Within(patience))
		check(t, err)
		if string(p) != msg || sender.(sockets.Inet4).Host != addrA {
			t.Errorf("received %d bytes from %v, want %d from %s", len(p), sender, len(msg), addrA)
		}
	}
	must[int](t)(from.SendTo([]byte("0123456789"), addr))
	if p := must[[]byte](t)(to.Recv(4, sockets.MSG_PEEK)); string(p) != "0123" {
		t.Errorf("peeked %q", p)
	}
	buf := make([]byte, 4)
	if n := must[int](t)(to.RecvInto(buf, sockets.MSG_TRUNC)); n != 10 || string(buf) != "0123" {
		t.Errorf("RecvInto with MSG_TRUNC = %d, %q; want 10, 0123", n, buf)
	}
	_, err := to.Recv(4, sockets.MSG_DONTWAIT)
	wantErrno(t, err, sockets.EAGAIN) // the rest is lost

	// T19: netstack would take a datagram out for an empty buffer.
	must[int](t)(from.SendTo([]byte("kept"), addr))
	must[[]byte](t)(to.Recv(1, sockets.MSG_PEEK))
	if n := must[int](t)(to.RecvInto(nil)); n != 0 {
		t.Errorf("received %d bytes into nothing", n)
	}
	if p := must[[]byte](t)(to.Recv(10)); string(p) != "kept" {
		t.Errorf("received %q, want what an empty receive must not take", p)
	}
}

// T7: a reader of a connected UDP socket must be woken by an ICMP error.
func TestT7ICMPErrorWakesReader(t *testing.T) {
	a, _ := pair(t)
	s := udpSocket(t, a)
	check(t, s.Connect(sockets.Inet4{Host: addrB, Port: 9}))
	errs := make(chan error, 1)
	go func() {
		_, err := s.Recv(1)
		errs <- err
	}()
	awaitBlocked(t, "recv")
	must[int](t)(s.Send([]byte("anybody?")))
	wantErrno(t, <-errs, sockets.ECONNREFUSED)
}

func TestShutdownDatagram(t *testing.T) {
	a, _ := pair(t)
	s := udpSocket(t, a)
	check(t, s.Bind(sockets.Inet4{Host: addrA}))
	wantErrno(t, s.Shutdown(sockets.SHUT_RD), sockets.ENOTCONN) // but effective
	if p := must[[]byte](t)(s.Recv(1)); len(p) != 0 {
		t.Errorf("received %q", p)
	}
	_, err := s.Recv(1, sockets.MSG_DONTWAIT)
	wantErrno(t, err, sockets.EAGAIN)
}

func TestPing(t *testing.T) {
	a, _ := pair(t)
	for _, tc := range []struct {
		f     sockets.Family
		p     sockets.Protocol
		dst   sockets.Sockaddr
		echo  byte
		reply byte
	}{
		{sockets.AF_INET, sockets.IPPROTO_ICMP, sockets.Inet4{Host: addrB}, 8, 0},
		{sockets.AF_INET6, sockets.IPPROTO_ICMPV6, sockets.Inet6{Host: addrB6}, 128, 129},
	} {
		s := mustSocket(t, a, tc.f, sockets.SOCK_DGRAM, tc.p)
		must[int](t)(s.SendTo([]byte{tc.echo, 0, 0, 0, 0, 0, 0, 7, 'p', 'i', 'n', 'g'}, tc.dst))
		p := must[[]byte](t)(s.Recv(100, sockets.Within(patience)))
		if len(p) != 12 || p[0] != tc.reply || p[7] != 7 || string(p[8:]) != "ping" {
			t.Errorf("echo reply % x", p)
		}
	}
}

// SO_LINGER: close waits until the peer has everything, or until time runs out.
func TestLingerBoundsClose(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	linger := []byte{1, 0, 0, 0, 60, 0, 0, 0}
	check(t, client.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_LINGER, linger))
	msg := randomBytes(3, 100_000)
	must[int](t)(client.SendAll(msg))
	closed := make(chan struct{})
	go func() {
		client.Close()
		close(closed)
	}()
	got := must[[]byte](t)(server.Recv(len(msg), sockets.MSG_WAITALL))
	if !bytes.Equal(got, msg) {
		t.Error("close with SO_LINGER lost data")
	}
	select {
	case <-closed:
	case <-time.After(patience):
		t.Error("close still waits although the peer has everything")
	}
}

// T27: the receive window must grow with the path, to 6 MiB at least, as
// Linux's does. Netstack advertises half of the buffer.
func TestT27WindowGrows(t *testing.T) {
	left, right := link.NewPipe(link.PipeConfig{GSOMaxSize: link.MaxGSOSize})
	far, err := link.NewImpair(right, link.ImpairConfig{In: link.Impairment{Delay: 200 * time.Millisecond}})
	check(t, err)
	tuning := stack.TCP{MaxSendBuffer: 32 << 20} // the sender must not be what limits
	a, b := newTunedHost(t, left, addrA, addrA6, tuning), newTunedHost(t, far, addrB, addrB6, tuning)
	want := 2 * (6 << 20)
	if raceEnabled {
		want = 2 << 20 // twice the initial buffer: the rest takes a speed that the race detector does not have
	}
	for range 5 { // nor may the machine have been too busy for it each time
		if windowGrows(t, a, b, want) {
			return
		}
	}
	t.Errorf("the receive buffer stayed below %d bytes", want)
}

// windowGrows reports whether the receive buffer of a connection grows to want
// bytes while 256 MiB come.
func windowGrows(t *testing.T, a, b *sockets.Host, want int) bool {
	t.Helper()
	client, server := connected(t, a, b)
	done := make(chan struct{})
	go func() {
		defer close(done)
		client.SendAll(make([]byte, 256<<20))
	}()
	defer func() {
		check(t, client.Close())
		<-done
	}()
	buf := make([]byte, 1<<20)
	for received := 0; received < 256<<20; {
		n := must[int](t)(server.RecvInto(buf, sockets.Within(patience)))
		if received += n; n == 0 {
			break
		}
		if size := must[int](t)(server.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_RCVBUF)); size >= want {
			return true
		}
	}
	return false
}

// A size that no memory has room for is only an upper bound.
func TestRecvAnySize(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	must[int](t)(server.Send([]byte("stream")))
	if p := must[[]byte](t)(client.Recv(math.MaxInt)); string(p) != "stream" {
		t.Errorf("received %q", p)
	}
	to := udpSocket(t, a)
	check(t, to.Bind(sockets.Inet4{Host: addrA}))
	must[int](t)(udpSocket(t, b).SendTo([]byte("datagram"), must[sockets.Sockaddr](t)(to.GetSockName())))
	p, _, err := to.RecvFrom(math.MaxInt)
	if check(t, err); string(p) != "datagram" {
		t.Errorf("received %q", p)
	}
}
