//go:build amd64 || arm64

package supervise_test

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// tcpPair returns the two ends of a connection and the socket that listens.
func tcpPair(t *testing.T) (client, server, listener int) {
	t.Helper()
	listener = tcp(t)
	if err := unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal("bind:", err)
	}
	if err := unix.Listen(listener, 1); err != nil {
		t.Fatal("listen:", err)
	}
	client = tcp(t)
	if err := unix.Connect(client, name4(t, listener)); err != nil {
		t.Fatal("connect:", err)
	}
	server, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal("accept:", err)
	}
	t.Cleanup(func() { unix.Close(server) })
	return client, server, listener
}

func tcp(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal("socket:", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// outcome describes what a receiving call gave.
func outcome(b []byte, n int, from unix.Sockaddr, err error) string {
	if err != nil {
		return unix.ErrnoName(err.(unix.Errno))
	}
	return fmt.Sprintf("%d %q %v", n, b[:min(n, len(b))], from)
}

func recvFrom(fd, size, flags int) string {
	b := make([]byte, size)
	for {
		n, from, err := unix.Recvfrom(fd, b, flags)
		if err != unix.EINTR { // which it is with SO_RCVTIMEO when the runtime sends a signal
			return outcome(b, n, from, err)
		}
	}
}

func recvMsg(fd, size, flags int) string {
	b, control := make([]byte, size), make([]byte, 64)
	for {
		n, controlLen, out, from, err := unix.Recvmsg(fd, b, control, flags)
		switch err {
		case unix.EINTR:
		case nil:
			return fmt.Sprint(outcome(b, n, from, err), " ", controlLen, " ", out)
		default:
			return outcome(nil, 0, nil, err)
		}
	}
}

func sent(n int, err error) string {
	if err != nil {
		return unix.ErrnoName(err.(unix.Errno))
	}
	return fmt.Sprint(n)
}

// TestStreamMessages checks the calls on TCP that the kernel cannot do itself on
// the AF_UNIX socket in its place, in the order of the table.
func TestStreamMessages(t *testing.T) {
	inside(t, func(t *testing.T) {
		client, server, listener := tcpPair(t)
		elsewhere := &unix.SockaddrInet4{Port: 9, Addr: [4]byte{192, 0, 2, 1}}
		if _, err := unix.Write(server, []byte("0123456789")); err != nil {
			t.Fatal("write:", err)
		}
		if got := recvMsg(client, 10, unix.MSG_PEEK|unix.MSG_WAITALL); got != `10 "0123456789" <nil> 0 0` {
			t.Fatal("not all has come:", got)
		}
		for _, step := range []struct {
			what, want string
			do         func() string
		}{
			{"a name that is not there", `2 "01" <nil>`, func() string { return recvFrom(client, 2, 0) }},
			{"peek", `2 "23" <nil>`, func() string { return recvFrom(client, 2, unix.MSG_PEEK) }},
			{"discard", `2 "\x00\x00" <nil>`, func() string { return recvFrom(client, 2, unix.MSG_TRUNC) }},
			{"urgent data", "EINVAL", func() string { return recvFrom(client, 1, unix.MSG_OOB) }},
			{"queued errors", "EAGAIN", func() string { return recvMsg(client, 1, unix.MSG_ERRQUEUE) }},
			{"message", `6 "456789" <nil> 0 0`, func() string { return recvMsg(client, 10, 0) }},
			{"nothing", "EAGAIN", func() string { return recvFrom(client, 1, unix.MSG_DONTWAIT) }},
			{"address", "3", func() string { return sent(unix.SendmsgN(client, []byte("abc"), nil, elsewhere, 0)) }},
			{"descriptor", "3", func() string { return sent(unix.SendmsgN(client, []byte("def"), unix.UnixRights(client), nil, 0)) }},
			{"received", `6 "abcdef" <nil> 0 0`, func() string { return recvMsg(server, 6, unix.MSG_WAITALL) }},
			{"bad control message", "EINVAL", func() string { return sent(unix.SendmsgN(client, []byte("x"), make([]byte, 16), nil, 0)) }},
			{"unconnected recvfrom", "ENOTCONN", func() string { return recvFrom(tcp(t), 1, 0) }},
			{"unconnected recvmsg", "ENOTCONN", func() string { return recvMsg(tcp(t), 1, 0) }},
			{"listening recvmsg", "ENOTCONN", func() string { return recvMsg(listener, 1, 0) }},
			{"unconnected sendmsg", "EPIPE", func() string { return sent(unix.SendmsgN(tcp(t), []byte("x"), nil, nil, unix.MSG_NOSIGNAL)) }},
			{"shut sendmsg", "EPIPE", func() string {
				unix.Shutdown(client, unix.SHUT_WR)
				return sent(unix.SendmsgN(client, []byte("x"), nil, elsewhere, unix.MSG_NOSIGNAL))
			}},
			{"end", `0 "" <nil>`, func() string { return recvFrom(server, 1, 0) }},
		} {
			if got := step.do(); got != step.want {
				t.Errorf("%s: %s, want %s", step.what, got, step.want)
			}
		}
	})
}
