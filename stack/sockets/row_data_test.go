package sockets_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// A6.3: sending datagrams, and a connection that ignores the address.
func TestSendTo(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	must[int](t)(client.SendTo([]byte("tcp"), sockets.Inet4{Host: "192.0.2.1", Port: 1}))
	if p := must[[]byte](t)(server.Recv(9)); string(p) != "tcp" {
		t.Errorf("received %q", p)
	}
	_, err := tcpSocket(t, a).SendTo([]byte("x"), sockets.Inet4{Host: addrB, Port: 1})
	wantErrno(t, err, sockets.EPIPE)
	u, to := udpSocket(t, a), udpSocket(t, b)
	check(t, to.Bind(sockets.Inet4{Host: addrB, Port: 99}))
	must[int](t)(u.SendTo(make([]byte, 65507), sockets.Inet4{Host: addrB, Port: 99}))
	if name := must[sockets.Sockaddr](t)(u.GetSockName()).(sockets.Inet4); name.Port == 0 {
		t.Error("sending does not bind")
	}
	_, err = u.SendTo(make([]byte, 65508), sockets.Inet4{Host: addrB, Port: 99})
	wantErrno(t, err, sockets.EMSGSIZE)
	_, err = u.SendTo([]byte("x"), sockets.Inet4{Host: "10.77.0.255", Port: 99})
	wantErrno(t, err, sockets.EACCES)
	check(t, u.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_BROADCAST, 1))
	must[int](t)(u.SendTo([]byte("x"), sockets.Inet4{Host: "10.77.0.255", Port: 99}))
	if n, err := u.SendTo(nil, sockets.Inet4{Host: addrB, Port: 99}); n != 0 || err != nil {
		t.Errorf("an empty datagram: %d, %v", n, err)
	}
}

// A6.4 to A6.7: the receiving calls, with what they say of sizes and senders.
func TestReceivingCalls(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	must[int](t)(client.Send([]byte("0123456789")))
	awaitReadable(t, server, 10)
	p, from, err := server.RecvFrom(4)
	if string(p) != "0123" || from != nil || err != nil {
		t.Errorf("RecvFrom on a connection: %q from %v, %v", p, from, err)
	}
	buf := make([]byte, 8)
	if n := must[int](t)(server.RecvInto(buf[:2])); n != 2 || string(buf[:2]) != "45" {
		t.Errorf("RecvInto: %q", buf[:n])
	}
	n, from, err := server.RecvFromInto(buf)
	if string(buf[:n]) != "6789" || from != nil || err != nil {
		t.Errorf("RecvFromInto on a connection: %q from %v, %v", buf[:n], from, err)
	}
	for _, err := range []error{second(server.Recv(-1)), func() error { _, _, err := server.RecvFrom(-1); return err }()} {
		wantErrno(t, err, sockets.EINVAL)
	}
	u, to := udpSocket(t, a), udpSocket(t, b)
	check(t, to.Bind(sockets.Inet4{Host: addrB, Port: 99}))
	check(t, u.Bind(sockets.Inet4{Host: addrA, Port: 98}))
	for range 3 {
		must[int](t)(u.SendTo([]byte("0123456789"), sockets.Inet4{Host: addrB, Port: 99}))
	}
	sender := sockets.Sockaddr(sockets.Inet4{Host: addrA, Port: 98})
	if p, from, err := to.RecvFrom(4); string(p) != "0123" || from != sender || err != nil {
		t.Errorf("RecvFrom: %q from %v, %v", p, from, err)
	}
	if n, from, err := to.RecvFromInto(buf, sockets.MSG_TRUNC); n != 10 || string(buf) != "01234567" || from != sender || err != nil {
		t.Errorf("RecvFromInto with MSG_TRUNC: %d bytes from %v, %v", n, from, err)
	}
	if p, err := to.Recv(4, sockets.MSG_TRUNC); string(p) != "0123" || err != nil {
		t.Errorf("Recv with MSG_TRUNC: %q, %v", p, err)
	}
}

// A6.2: one time limit over all pieces.
func TestSendAllHasOneDeadline(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { // a reader that lets a little through all the time
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				server.Recv(1000, sockets.Within(time.Millisecond))
			}
		}
	}()
	start := time.Now()
	n, err := client.SendAll(make([]byte, 1<<30), sockets.Within(200*time.Millisecond))
	if passed := time.Since(start); !errors.Is(err, sockets.ErrTimeout) || n == 0 || passed > patience {
		t.Errorf("sent %d bytes in %v, %v", n, passed, err)
	}
	close(stop)
	<-done
}

// A7.1 to A7.3: the modes, seen by duplicates, which change later calls alone.
func TestModes(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	again := must[*sockets.Socket](t)(client.Dup())
	t.Cleanup(func() { again.Close() })
	for _, tc := range []struct {
		set      func()
		timeout  time.Duration
		blocking bool
	}{
		{func() {}, sockets.NoTimeout, true},
		{func() { again.SetBlocking(false) }, 0, false},
		{func() { client.SetBlocking(true) }, sockets.NoTimeout, true},
		{func() { check(t, again.SetTimeout(0)) }, 0, false},
		{func() { check(t, client.SetTimeout(time.Second)) }, time.Second, true},
		{func() { check(t, client.SetTimeout(sockets.NoTimeout)) }, sockets.NoTimeout, true},
	} {
		tc.set()
		for _, s := range []*sockets.Socket{client, again} {
			if s.Timeout() != tc.timeout || s.Blocking() != tc.blocking {
				t.Errorf("timeout %v, blocking %v, want %v, %v", s.Timeout(), s.Blocking(), tc.timeout, tc.blocking)
			}
		}
	}
	got := make(chan error, 1)
	go func() { got <- second(client.Recv(1)) }()
	awaitBlocked(t, "recv")
	check(t, client.SetTimeout(time.Millisecond)) // not for the call that is under way
	_, err := again.Recv(1)
	if !errors.Is(err, sockets.ErrTimeout) {
		t.Errorf("a later call: %v", err)
	}
	must[int](t)(server.Send([]byte("x")))
	check(t, <-got)
	for _, bad := range []time.Duration{-2, -time.Second} {
		wantErrno(t, client.SetTimeout(bad), sockets.EINVAL)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	client.SetBlocking(true)
	if _, err := client.Recv(1, sockets.WithContext(ctx)); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: %v", err)
	}
	short, stop := context.WithTimeout(t.Context(), time.Millisecond)
	defer stop()
	if _, err := client.Recv(1, sockets.WithContext(short)); !errors.Is(err, sockets.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a context's deadline: %v", err)
	}
}

// A11.1, A11.5: what errors are.
func TestErrorKinds(t *testing.T) {
	a, _ := pair(t)
	s := udpSocket(t, a)
	check(t, s.Bind(sockets.Inet4{}))
	err := second(s.Recv(1, sockets.Within(time.Millisecond)))
	var se sockets.SocketError
	if !errors.As(err, &se) || se.Errno() != sockets.ETIMEDOUT || !se.Timeout() || err.Error() != "recv: timed out" {
		t.Errorf("a timeout is %v", err)
	}
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, sockets.ETIMEDOUT) || sockets.ErrTimeout.Error() != "timed out" {
		t.Errorf("%v is not every kind of timeout", err)
	}
	if errors.Is(sockets.ETIMEDOUT, sockets.ErrTimeout) || errors.Is(&sockets.Error{Num: sockets.ETIMEDOUT}, sockets.ErrTimeout) {
		t.Error("the network's ETIMEDOUT is ErrTimeout")
	}
	var e *sockets.Error
	refused := tcpSocket(t, a).Connect(sockets.Inet4{Host: addrB, Port: 1})
	if !errors.As(refused, &e) || e.Errno() != sockets.ECONNREFUSED || e.Timeout() ||
		refused.Error() != "connect "+addrB+":1: [Errno 111] Connection refused" {
		t.Errorf("a refusal is %v", refused)
	}
}

// A receive that need not wait does not allocate, beyond what netstack does.
func TestReceivingDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("needs a build without the race detector, which empties pools")
	}
	a, b := pair(t)
	client, server := connected(t, a, b)
	u, to := udpSocket(t, a), udpSocket(t, b)
	check(t, to.Bind(sockets.Inet4{Host: addrB, Port: 99}))
	must[int](t)(client.Send([]byte("stays")))
	must[int](t)(u.SendTo([]byte("stays"), sockets.Inet4{Host: addrB, Port: 99}))
	awaitReadable(t, server, 5)
	awaitReadable(t, to, 5)
	buf, peek := make([]byte, 5), []sockets.CallOption{sockets.MSG_PEEK}
	for name, s := range map[string]*sockets.Socket{"TCP": server, "UDP": to} {
		if n := testing.AllocsPerRun(1000, func() { s.RecvInto(buf, peek...) }); n >= 1 {
			t.Errorf("%s: %v allocations for each receive", name, n)
		}
	}
}
