package sockets_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

func ExampleError_NSPR() {
	host, end := loopbackHost()
	defer end()

	s, _ := host.UDP()
	defer s.Close()
	_ = s.Bind(sockets.Inet4{Host: "127.0.0.1", Port: 5353})
	_, err := s.Recv(1, sockets.Within(sockets.IntervalFromMilliseconds(1).Duration()))
	var e *sockets.Error
	if errors.As(err, &e) {
		fmt.Println(e.NSPR(), e.NSPR() == sockets.PR_IO_TIMEOUT_ERROR)
	}
	// Output: -5990 true
}

func ExampleStrError() {
	fmt.Println(sockets.StrError(sockets.ECONNREFUSED))
	fmt.Println(sockets.StrError(4711))
	// Output:
	// Connection refused
	// Unknown error 4711
}

func nsprCode(t *testing.T, err error) sockets.NSPRCode {
	t.Helper()
	var e *sockets.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no *Error", err)
	}
	return e.NSPR()
}

// The codes of errors that real calls give.
func TestNSPRCodesOfCalls(t *testing.T) {
	a, b := pair(t)
	l, addr := listener(t, b, addrB)
	free := sockets.Inet4{Host: addrB, Port: 1}
	tcp, udp := tcpSocket(t, a), udpSocket(t, a)
	check(t, tcp.Connect(addr))
	closed := tcpSocket(t, a)
	check(t, closed.Close())
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	server, _, err := l.Accept()
	check(t, err)
	t.Cleanup(func() { server.Close() })
	_, _, timedOut := l.Accept(sockets.Within(time.Millisecond))
	for _, tc := range []struct {
		name string
		err  error
		want sockets.NSPRCode
	}{
		{"accept, time out", timedOut, sockets.PR_IO_TIMEOUT_ERROR},
		{"connect, refused", tcpSocket(t, a).Connect(free), sockets.PR_CONNECT_REFUSED_ERROR},
		{"connect, again", tcp.Connect(addr), sockets.PR_IS_CONNECTED_ERROR},
		{"connect, broadcast", tcpSocket(t, a).Connect(sockets.Inet4{Host: "<broadcast>", Port: 1}), sockets.PR_NETWORK_UNREACHABLE_ERROR},
		{"bind, taken", tcpSocket(t, b).Bind(addr), sockets.PR_ADDRESS_IN_USE_ERROR},
		{"bind, twice", l.Bind(addr), sockets.PR_SOCKET_ADDRESS_IS_BOUND_ERROR},
		{"bind, foreign", udp.Bind(sockets.Inet4{Host: "8.8.8.8"}), sockets.PR_ADDRESS_NOT_AVAILABLE_ERROR},
		{"bind, family", udp.Bind(sockets.Inet6{}), sockets.PR_ADDRESS_NOT_SUPPORTED_ERROR},
		{"listen, UDP", udp.Listen(1), sockets.PR_NOT_TCP_SOCKET_ERROR},
		{"getpeername", second(udp.GetPeerName()), sockets.PR_NOT_CONNECTED_ERROR},
		{"recv, non-blocking", second(tcp.Recv(1, sockets.MSG_DONTWAIT)), sockets.PR_WOULD_BLOCK_ERROR},
		{"recv, cancelled", second(tcp.Recv(1, sockets.WithContext(cancelled))), sockets.PR_PENDING_INTERRUPT_ERROR},
		{"recv, closed", second(closed.Recv(1)), sockets.PR_BAD_DESCRIPTOR_ERROR},
		{"recv, negative", second(tcp.Recv(-1)), sockets.PR_INVALID_ARGUMENT_ERROR},
		{"sendto, too long", second(udp.SendTo(make([]byte, 70000), addr)), sockets.PR_INVALID_ARGUMENT_ERROR},
		{"socket, family", second(a.Socket(77, sockets.SOCK_STREAM, 0)), sockets.PR_ADDRESS_NOT_SUPPORTED_ERROR},
		{"socket, protocol", second(a.Socket(sockets.AF_INET, sockets.SOCK_STREAM, sockets.IPPROTO_UDP)), sockets.PR_PROTOCOL_NOT_SUPPORTED_ERROR},
		{"settimeout", tcp.SetTimeout(-2), sockets.PR_INVALID_ARGUMENT_ERROR},
	} {
		if got := nsprCode(t, tc.err); got != tc.want {
			t.Errorf("%s: %v is %v, want %v", tc.name, tc.err, got, tc.want)
		}
	}
}

// second is the error of a call with a result.
func second[T any](_ T, err error) error { return err }

// Every number has a code, and none that prerr.h does not have.
func TestNSPRCodes(t *testing.T) {
	known := 0
	for n := sockets.Errno(-2); n < 200; n++ {
		switch c := (&sockets.Error{Op: "recv", Num: n}).NSPR(); {
		case c == sockets.PR_UNKNOWN_ERROR:
		case c < sockets.PR_OUT_OF_MEMORY_ERROR || c > sockets.PR_HOST_UNREACHABLE_ERROR:
			t.Errorf("%s is %v", n.Name(), c)
		default:
			known++
		}
	}
	if known < 50 {
		t.Errorf("%d numbers have a code", known)
	}
	refusal := &sockets.Error{Op: "ioctl", Num: sockets.EOPNOTSUPP, Err: sockets.ErrUnsupported}
	if c := refusal.NSPR(); c != sockets.PR_OPERATION_NOT_SUPPORTED_ERROR {
		t.Errorf("a refusal is %v", c)
	}
	if c := (&sockets.Error{Op: "setsockopt", Num: sockets.EINVAL}).NSPR(); c != sockets.PR_BUFFER_OVERFLOW_ERROR {
		t.Errorf("setsockopt's EINVAL is %v", c)
	}
}

func TestDescType(t *testing.T) {
	a, _ := pair(t)
	if d := tcpSocket(t, a).DescType(); d != sockets.PR_DESC_SOCKET_TCP {
		t.Errorf("TCP: %d", d)
	}
	if d := udpSocket(t, a).DescType(); d != sockets.PR_DESC_SOCKET_UDP {
		t.Errorf("UDP: %d", d)
	}
}
