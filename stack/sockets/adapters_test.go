package sockets_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// TestAdapterErrors accepts only the nesting that package net's users know: a
// *net.OpError around net.ErrClosed, os.ErrDeadlineExceeded or an *Error.
func TestAdapterErrors(t *testing.T) {
	a, b := pair(t)
	l := must[net.Listener](t)(b.Listen("tcp", addrB+":0"))
	c := must[net.Conn](t)(a.DialContext(t.Context(), "tcp", l.Addr().String()))
	u := must[net.PacketConn](t)(a.ListenPacket("udp", addrA+":0"))
	past := time.Now().Add(-time.Second)
	check(t, c.SetDeadline(past))
	check(t, u.SetDeadline(past))
	check(t, l.(*sockets.Listener).SetDeadline(past))
	calls := map[string]func() error{
		"read":     func() error { _, err := c.Read(make([]byte, 1)); return err },
		"write":    func() error { _, err := c.Write(make([]byte, 1)); return err },
		"accept":   func() error { _, err := l.Accept(); return err },
		"readfrom": func() error { _, _, err := u.ReadFrom(make([]byte, 1)); return err },
		"writeto":  func() error { _, err := u.WriteTo(make([]byte, 1), u.LocalAddr()); return err },
	}
	for name, call := range calls {
		wantNesting(t, name, call(), os.ErrDeadlineExceeded)
	}
	for _, closer := range []io.Closer{c, u, l} {
		check(t, closer.Close())
	}
	for name, call := range calls {
		wantNesting(t, name, call(), net.ErrClosed)
	}
	for _, closer := range []io.Closer{c, u, l} {
		wantNesting(t, "close", closer.Close(), net.ErrClosed)
	}
	wantNesting(t, "set", c.SetDeadline(past), net.ErrClosed)
}

func wantNesting(t *testing.T, name string, err, want error) {
	t.Helper()
	var op *net.OpError
	if !errors.As(err, &op) {
		// SetDeadline joins two errors.
		t.Errorf("%s: %v (%T) is not a *net.OpError", name, err, err)
		return
	}
	if op.Err != want {
		t.Errorf("%s: the error inside is %v (%T), want %v", name, op.Err, op.Err, want)
	}
	if want == os.ErrDeadlineExceeded && !op.Timeout() {
		t.Errorf("%s: %v is not a timeout", name, err)
	}
}

func TestConnErrorsKeepTheErrno(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	c := must[net.Conn](t)(client.Conn())
	check(t, server.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_LINGER, []byte{1, 0, 0, 0, 0, 0, 0, 0}))
	check(t, server.Close())
	_, err := c.Read(make([]byte, 1))
	var inner *sockets.Error
	if !errors.Is(err, syscall.ECONNRESET) || !errors.As(err, &inner) {
		t.Errorf("read after a reset: %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the next read: %v, want io.EOF", err)
	}
	if _, err := tcpSocket(t, a).Conn(); !errors.Is(err, sockets.ENOTCONN) {
		t.Errorf("Conn of an unconnected socket: %v", err)
	}
	if _, err := tcpSocket(t, a).Listener(); !errors.Is(err, sockets.EINVAL) {
		t.Errorf("Listener of a socket that does not listen: %v", err)
	}
	if _, err := tcpSocket(t, a).PacketConn(); !errors.Is(err, sockets.EOPNOTSUPP) {
		t.Errorf("PacketConn of a TCP socket: %v", err)
	}
}

// The end of one direction must leave the other.
func TestConnHalfClose(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	c, s := must[net.Conn](t)(client.Conn()), must[net.Conn](t)(server.Conn())
	check(t, c.(interface{ CloseWrite() error }).CloseWrite())
	if p := must[[]byte](t)(io.ReadAll(s)); len(p) != 0 {
		t.Errorf("read %q", p)
	}
	must[int](t)(s.Write([]byte("answer")))
	check(t, s.Close())
	if p := must[[]byte](t)(io.ReadAll(c)); string(p) != "answer" {
		t.Errorf("read %q after CloseWrite", p)
	}
}

// A deadline that is moved while a call waits ends the wait, or lets it go on.
func TestDeadlineMoves(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	c := must[net.Conn](t)(client.Conn())
	check(t, c.SetReadDeadline(time.Now().Add(time.Hour)))
	errs := make(chan error, 1)
	read := func() {
		_, err := c.Read(make([]byte, 1))
		errs <- err
	}
	go read()
	awaitBlocked(t, "recv")
	check(t, c.SetReadDeadline(time.Now()))
	if err := <-errs; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read past its deadline: %v", err)
	}
	check(t, c.SetReadDeadline(time.Time{}))
	go read()
	awaitBlocked(t, "recv")
	must[int](t)(server.Send([]byte("x")))
	check(t, <-errs)
}

// The first deadline of an adapter is made when it is set, and calls that began
// before learn of it, whether it has passed or is to come.
func TestFirstDeadlineEndsWaits(t *testing.T) {
	a, b := pair(t)
	type waiter struct {
		name, blocks string
		set          func(time.Time) error
		call         func() error
	}
	for _, in := range []time.Duration{0, time.Millisecond} {
		client, _ := connected(t, a, b)
		conn := must[net.Conn](t)(client.Conn())
		packets := must[net.PacketConn](t)(b.ListenPacket("udp4", addrB+":0"))
		listening := must[net.Listener](t)(b.Listen("tcp4", addrB+":0")).(*sockets.Listener)
		one, _ := socketPair(t, a, sockets.AF_UNIX, sockets.SOCK_STREAM)
		local := must[net.Conn](t)(one.Conn())
		buf := make([]byte, 1)
		for _, w := range []waiter{
			{"Conn", "recv", conn.SetReadDeadline, func() error { _, err := conn.Read(buf); return err }},
			{"PacketConn", "recv", packets.SetReadDeadline, func() error { _, _, err := packets.ReadFrom(buf); return err }},
			{"Listener", "accept", listening.SetDeadline, func() error { _, err := listening.Accept(); return err }},
			{"Conn of AF_UNIX", "recv", local.SetReadDeadline, func() error { _, err := local.Read(buf); return err }},
		} {
			ended := make(chan error, 1)
			go func() { ended <- w.call() }()
			awaitBlocked(t, w.blocks)
			check(t, w.set(time.Now().Add(in)))
			select {
			case err := <-ended:
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s: %v, want the deadline", w.name, err)
				}
			case <-time.After(patience):
				t.Fatalf("%s waits on after its deadline", w.name)
			}
		}
		packets.Close()
		listening.Close()
	}
}

func TestPacketConn(t *testing.T) {
	a, b := pair(t)
	for _, tc := range []struct{ network, at, from string }{
		{"udp4", addrB + ":0", addrA}, {"udp6", "[" + addrB6 + "]:0", addrA6}, {"udp", addrB + ":0", addrA},
	} {
		pc := must[net.PacketConn](t)(b.ListenPacket(tc.network, tc.at))
		c := must[net.Conn](t)(a.DialContext(t.Context(), "udp", pc.LocalAddr().String()))
		must[int](t)(c.Write([]byte("ping")))
		buf := make([]byte, 10)
		n, from, err := pc.ReadFrom(buf)
		check(t, err)
		if string(buf[:n]) != "ping" || from.(*net.UDPAddr).IP.String() != tc.from {
			t.Errorf("%s: received %q from %v", tc.network, buf[:n], from)
		}
		must[int](t)(pc.WriteTo([]byte("pong"), from))
		n = must[int](t)(c.Read(buf))
		if string(buf[:n]) != "pong" {
			t.Errorf("%s: answer %q", tc.network, buf[:n])
		}
		if _, err := pc.WriteTo(nil, &net.TCPAddr{}); !errors.Is(err, sockets.EINVAL) {
			t.Errorf("WriteTo a TCP address: %v", err)
		}
		if _, err := pc.(*sockets.PacketConn).WriteToUDPAddrPort(nil, netip.AddrPort{}); !errors.Is(err, sockets.EINVAL) {
			t.Errorf("WriteTo the zero address: %v", err)
		}
		check(t, c.Close())
		check(t, pc.Close())
	}
}

func TestListenAnywhere(t *testing.T) {
	_, b := pair(t)
	l := must[net.Listener](t)(b.Listen("tcp", ""))
	defer l.Close()
	pc := must[net.PacketConn](t)(b.ListenPacket("udp4", ""))
	defer pc.Close()
	if l.Addr().(*net.TCPAddr).Port == 0 || !pc.LocalAddr().(*net.UDPAddr).IP.IsUnspecified() {
		t.Errorf("listening on %v and %v", l.Addr(), pc.LocalAddr())
	}
}

func TestListenErrors(t *testing.T) {
	_, b := pair(t)
	l := must[net.Listener](t)(b.Listen("tcp", ":0"))
	defer l.Close()
	for network, address := range map[string]string{
		"tcp": l.Addr().String(), "tcp4": "192.0.2.1:80", "udp": ":0", "tcp6": "80",
	} {
		if l, err := b.Listen(network, address); err == nil {
			l.Close()
			t.Errorf("listening on %s %s succeeds", network, address)
		} else if op := (*net.OpError)(nil); !errors.As(err, &op) || op.Op != "listen" {
			t.Errorf("listening on %s %s: %v", network, address, err)
		}
	}
	if _, err := b.Listen("tcp", l.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listening twice: %v", err)
	}
}
