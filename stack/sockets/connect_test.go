package sockets_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// wantErrno fails unless err is the errno, to errors.Is and to
// syscall.Errno's users as well.
func wantErrno(t *testing.T, err error, want sockets.Errno) {
	t.Helper()
	var se sockets.SocketError
	switch {
	case !errors.Is(err, want):
		t.Fatalf("error %v, want %s", err, want.Name())
	case !errors.Is(err, syscall.Errno(want)):
		t.Fatalf("%v is not syscall.Errno(%d)", err, want)
	case !errors.As(err, &se) || se.Errno() != want:
		t.Fatalf("%v is not a SocketError with errno %d", err, want)
	}
}

// refusing returns an address of the host on which nobody listens.
func refusing(t *testing.T, h *sockets.Host, addr string) sockets.Inet4 {
	t.Helper()
	l, name := listener(t, h, addr)
	check(t, l.Close())
	return name
}

func TestConnectRefused(t *testing.T) {
	a, b := pair(t)
	s := tcpSocket(t, a)
	err := s.Connect(refusing(t, b, addrB))
	wantErrno(t, err, sockets.ECONNREFUSED)
	var e *sockets.Error
	if !errors.As(err, &e) || e.Op != "connect" || e.Remote == nil {
		t.Errorf("error %#v does not name the call and the peer", err)
	}
	if v := must[int](t)(s.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_ERROR)); v != 0 {
		t.Errorf("SO_ERROR = %d after connect reported the error, want 0", v)
	}
}

// T3: a failed connect kills netstack's endpoint. The same socket must be able
// to try again, from the port and with the options it had.
func TestT3ConnectAgainAfterFailure(t *testing.T) {
	a, b := pair(t)
	s := tcpSocket(t, a)
	check(t, s.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1))
	check(t, s.Bind(sockets.Inet4{Host: addrA}))
	before := must[sockets.Sockaddr](t)(s.GetSockName())
	wantErrno(t, s.Connect(refusing(t, b, addrB)), sockets.ECONNREFUSED)
	_, err := s.Recv(1)
	wantErrno(t, err, sockets.ENOTCONN)

	_, addr := listener(t, b, addrB)
	check(t, s.Connect(addr))
	if after := must[sockets.Sockaddr](t)(s.GetSockName()); after != before {
		t.Errorf("the socket moved from %v to %v", before, after)
	}
	if v := must[int](t)(s.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE)); v != 1 {
		t.Error("SO_KEEPALIVE was lost with the first endpoint")
	}
}

// T1: netstack gives a failed connect's error again and again.
func TestT1ErrorIsReportedOnce(t *testing.T) {
	a, b := pair(t)
	s := tcpSocket(t, a)
	s.SetBlocking(false)
	dst := refusing(t, b, addrB)
	wantErrno(t, s.Connect(dst), sockets.EINPROGRESS)
	got := waitSoError(t, s)
	if got != sockets.ECONNREFUSED {
		t.Fatalf("SO_ERROR = %v, want ECONNREFUSED", got)
	}
	if v := must[int](t)(s.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_ERROR)); v != 0 {
		t.Errorf("second SO_ERROR = %d, want 0", v)
	}
	wantErrno(t, s.Connect(dst), sockets.ECONNABORTED) // as on Linux: SO_ERROR has told why
	wantErrno(t, s.Connect(dst), sockets.EINPROGRESS)  // a new attempt
}

// waitSoError reads SO_ERROR until it is set.
func waitSoError(t *testing.T, s *sockets.Socket) sockets.Errno {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if v := must[int](t)(s.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_ERROR)); v != 0 {
			return sockets.Errno(v)
		}
	}
	t.Fatal("SO_ERROR stayed 0")
	return 0
}

// T28: the end of a non-blocking connect is told once, then EISCONN.
func TestT28NonBlockingConnect(t *testing.T) {
	a, b := pair(t)
	_, addr := listener(t, b, addrB)
	s := tcpSocket(t, a)
	s.SetBlocking(false)
	wantErrno(t, s.Connect(addr), sockets.EINPROGRESS)
	err := error(sockets.EALREADY)
	for end := time.Now().Add(patience); errors.Is(err, sockets.EALREADY) && time.Now().Before(end); {
		err = s.Connect(addr)
	}
	check(t, err)
	wantErrno(t, s.Connect(addr), sockets.EISCONN)
	if errno, err := s.ConnectEx(addr); errno != sockets.EISCONN || err != nil {
		t.Errorf("ConnectEx = %v, %v; want EISCONN", errno, err)
	}
}

// silent returns a host whose link nobody answers on.
func silent(t *testing.T) *sockets.Host {
	t.Helper()
	left, right := link.NewPipe(link.PipeConfig{})
	t.Cleanup(right.Close)
	return newHost(t, left, addrA, addrA6)
}

func TestConnectTimesOut(t *testing.T) {
	h := silent(t)
	dst := sockets.Inet4{Host: addrB, Port: 80}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		name string
		opt  sockets.CallOption
		want []error
	}{
		{"Within", sockets.Within(time.Millisecond),
			[]error{sockets.ErrTimeout, os.ErrDeadlineExceeded, context.DeadlineExceeded, sockets.ETIMEDOUT, syscall.ETIMEDOUT}},
		{"context", sockets.WithContext(cancelled), []error{context.Canceled}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := tcpSocket(t, h)
			err := s.Connect(dst, tc.opt)
			for _, want := range tc.want {
				if !errors.Is(err, want) {
					t.Errorf("error %v is not %v", err, want)
				}
			}
			s.SetBlocking(false)
			wantErrno(t, s.Connect(dst), sockets.EINPROGRESS) // the first attempt is gone
		})
	}
	s := tcpSocket(t, h)
	check(t, s.SetTimeout(time.Millisecond))
	if err := s.Connect(dst); !errors.Is(err, sockets.ErrTimeout) {
		t.Errorf("with SetTimeout: %v, want ErrTimeout", err)
	}
	if errno, err := s.ConnectEx(dst); errno != sockets.EAGAIN || err != nil {
		t.Errorf("ConnectEx = %v, %v; want EAGAIN", errno, err)
	}
	timeval := make([]byte, 16)
	timeval[8] = 100 // 100 µs
	check(t, s.SetTimeout(sockets.NoTimeout))
	check(t, s.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_SNDTIMEO, timeval))
	wantErrno(t, s.Connect(dst), sockets.EINPROGRESS)
}

// T18: netstack would send SYNs to such addresses until it times out.
func TestT18ConnectNeedsUnicast(t *testing.T) {
	a, _ := pair(t)
	for _, host := range []string{"<broadcast>", "255.255.255.255", "224.0.0.1", "10.77.0.255"} {
		wantErrno(t, tcpSocket(t, a).Connect(sockets.Inet4{Host: host, Port: 80}), sockets.ENETUNREACH)
	}
	s := mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_STREAM, 0)
	wantErrno(t, s.Connect(sockets.Inet6{Host: "ff02::1", Port: 80}), sockets.ENETUNREACH)
}

// Small networks have broadcast addresses too, down to /30 (RFC 3021).
func TestBroadcastOfSmallNetworks(t *testing.T) {
	for _, c := range []struct {
		network string
		others  map[string]bool // true: for many
	}{
		{"10.88.0.1/30", map[string]bool{"10.88.0.2": false, "10.88.0.3": true}},
		{"10.88.0.1/29", map[string]bool{"10.88.0.3": false, "10.88.0.7": true}},
		{"10.88.0.2/31", map[string]bool{"10.88.0.3": false}},
	} {
		left, _ := link.NewPipe(link.PipeConfig{})
		s := must[*stack.Stack](t)(stack.New(stack.Config{NICs: []stack.NIC{{Link: left, Addrs: []netip.Prefix{netip.MustParsePrefix(c.network)}}}}))
		t.Cleanup(func() { s.Close() })
		h := must[*sockets.Host](t)(sockets.New(sockets.Config{Stack: s}))
		t.Cleanup(func() { h.Close() })
		for host, many := range c.others {
			want := sockets.EINPROGRESS
			if many {
				want = sockets.ENETUNREACH
			}
			client := tcpSocket(t, h)
			client.SetBlocking(false)
			wantErrno(t, client.Connect(sockets.Inet4{Host: host, Port: 80}), want)
		}
	}
}

// T20, and the other states that connect refuses.
func TestT20ConnectInOtherStates(t *testing.T) {
	a, b := pair(t)
	l, addr := listener(t, a, addrA)
	wantErrno(t, l.Connect(addr), sockets.EISCONN)
	client, _ := connected(t, a, b)
	wantErrno(t, client.Connect(addr), sockets.EISCONN)
	wantErrno(t, client.Connect(sockets.Inet6{Host: "::1", Port: 1}), sockets.EISCONN) // the address does not come to be looked at
	wantErrno(t, tcpSocket(t, a).Connect(sockets.Inet6{Host: "::1", Port: 1}), sockets.EAFNOSUPPORT)
	wantErrno(t, tcpSocket(t, a).Connect(sockets.Inet4{Host: addrB, Port: 70000}), sockets.EINVAL)
	var gai *sockets.GAIError
	if err := tcpSocket(t, a).Connect(sockets.Inet4{Host: "www.example", Port: 1}); !errors.As(err, &gai) || gai.Code != sockets.EAI_NONAME {
		t.Errorf("a name without a resolver gives %v, want EAI_NONAME", err)
	}
}

// The unspecified address means this host (connect(2) on Linux).
func TestConnectUnspecified(t *testing.T) {
	a, _ := pair(t)
	l := tcpSocket(t, a)
	check(t, l.Bind(sockets.Inet4{}))
	check(t, l.Listen(1))
	addr := must[sockets.Sockaddr](t)(l.GetSockName()).(sockets.Inet4)
	s := tcpSocket(t, a)
	check(t, s.Connect(sockets.Inet4{Host: "0.0.0.0", Port: addr.Port}))
	if peer := must[sockets.Sockaddr](t)(s.GetPeerName()).(sockets.Inet4); peer.Host != "127.0.0.1" {
		t.Errorf("peer %v, want 127.0.0.1", peer)
	}
}

// connect(AF_UNSPEC) (T31).
func TestT31Disconnect(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	check(t, client.Connect(nil))
	_, err := client.GetPeerName()
	wantErrno(t, err, sockets.ENOTCONN)
	_, err = server.Recv(1)
	wantErrno(t, err, sockets.ECONNRESET)
	_, addr := listener(t, b, addrB)
	check(t, client.Connect(addr))

	u := udpSocket(t, a)
	check(t, u.Connect(sockets.Inet4{Host: addrB, Port: 9}))
	check(t, u.Connect(nil))
	_, err = u.Send([]byte("x"))
	wantErrno(t, err, sockets.EDESTADDRREQ)
}

// T9: SO_BINDTODEVICE must steer a connect, although netstack ignores it there.
func TestT9BindToDevice(t *testing.T) {
	left, right := link.NewPipe(link.PipeConfig{})
	other, far := link.NewPipe(link.PipeConfig{})
	newHost(t, right, addrB, addrB6)
	t.Cleanup(far.Close)
	s := must[*stack.Stack](t)(stack.New(stack.Config{NICs: []stack.NIC{
		{Name: "good", Link: left, Addrs: []netip.Prefix{netip.MustParsePrefix(addrA + "/24")}},
		{Name: "dead", Link: other, Addrs: []netip.Prefix{netip.MustParsePrefix("10.88.0.1/24")}},
	}, Routes: []stack.Route{
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), NIC: "good"},
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), NIC: "dead"},
	}}))
	h := must[*sockets.Host](t)(sockets.New(sockets.Config{Stack: s}))
	t.Cleanup(func() { h.Close(); s.Close() })

	u := udpSocket(t, h)
	check(t, u.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_BINDTODEVICE, []byte("dead\x00")))
	check(t, u.Connect(sockets.Inet4{Host: "192.0.2.1", Port: 9}))
	if name := must[sockets.Sockaddr](t)(u.GetSockName()).(sockets.Inet4); name.Host != "10.88.0.1" {
		t.Errorf("the socket sends from %v, want from the address of the device", name)
	}
	if v := must[[]byte](t)(u.GetSockOpt(sockets.SOL_SOCKET, sockets.SO_BINDTODEVICE, 16)); string(v) != "dead\x00" {
		t.Errorf("SO_BINDTODEVICE = %q", v)
	}
	wantErrno(t, u.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_BINDTODEVICE, []byte("nope")), sockets.ENODEV)
}

func TestDialErrors(t *testing.T) {
	a, b := pair(t)
	addr := refusing(t, b, addrB)
	_, err := a.DialContext(t.Context(), "tcp", addr.String())
	var op *net.OpError
	if !errors.Is(err, syscall.ECONNREFUSED) || !errors.As(err, &op) || op.Op != "dial" || op.Addr.String() != addr.String() {
		t.Errorf("refused dial: %v (%#v)", err, err)
	}
	for network, address := range map[string]string{
		"tcp": "", "udp": addrB, "tcp4": addrB + ":http", "unix": "/x", "tcp6": addrB + ":80",
	} {
		if c, err := a.DialContext(t.Context(), network, address); err == nil {
			c.Close()
			t.Errorf("dialling %s %q succeeds", network, address)
		} else if !errors.As(err, &op) {
			t.Errorf("dialling %s %q: %T is not a *net.OpError", network, address, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = silent(t).DialContext(ctx, "tcp", addrB+":80")
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("dialling past the deadline: %v", err)
	}
	if ne, ok := err.(net.Error); !ok || !ne.Timeout() {
		t.Errorf("%v is not a timeout to package net", err)
	}
}

type fixedResolver []netip.Addr

func (r fixedResolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return r, nil
}

func TestDialTriesEveryAddress(t *testing.T) {
	a, b := pair(t)
	_, addr := listener(t, b, addrB)
	a.SetResolver(fixedResolver{netip.MustParseAddr(addrB6), netip.MustParseAddr(addrB)})
	_, port, _ := net.SplitHostPort(addr.String())
	c, err := a.DialContext(t.Context(), "tcp", "b.test:"+port)
	check(t, err)
	defer c.Close()
	if got := c.RemoteAddr().String(); got != addr.String() {
		t.Errorf("connected to %s, want %v", got, addr)
	}
	a.SetResolver(fixedResolver{netip.MustParseAddr("10.77.0.98"), netip.MustParseAddr("fd77::98"), netip.MustParseAddr(addrB)})
	ctx, cancel := context.WithTimeout(t.Context(), patience) // a dead address alone takes two minutes
	defer cancel()
	c2, err := a.DialContext(ctx, "tcp", "b.test:"+port)
	check(t, err)
	c2.Close()
	a.SetResolver(fixedResolver{netip.MustParseAddr(addrB6)})
	if _, err := a.DialContext(t.Context(), "tcp", "b.test:"+port); !errors.Is(err, sockets.ECONNREFUSED) {
		t.Errorf("error %v, want that of the only address", err)
	}
}
