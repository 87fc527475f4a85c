package sockets_test

import (
	"net/netip"
	"runtime"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/userstack/userstack/stack/sockets"
)

// T2: netstack destroys an error by reading it, and keeps saying that there is
// one. Looking must not take it, and taking it must end POLLERR.
func TestT02PollLeavesTheError(t *testing.T) {
	a, b := pair(t)
	for _, tc := range []struct {
		name string
		take func(s *sockets.Socket) sockets.Errno
	}{
		{"SO_ERROR", func(s *sockets.Socket) sockets.Errno { return soError(t, s) }},
		{"recv", func(s *sockets.Socket) sockets.Errno { _, err := s.Recv(1); return errnoOf(err) }},
		{"send", func(s *sockets.Socket) sockets.Errno { _, err := s.Send([]byte("x")); return errnoOf(err) }},
	} {
		client, server := connected(t, a, b)
		reset(t, server)
		refused := udpSocket(t, a)
		check(t, refused.Connect(sockets.Inet4{Host: addrB, Port: 9}))
		must[int](t)(refused.Send([]byte("x")))
		for _, s := range []struct {
			*sockets.Socket
			before, after sockets.PollEvents
			errno         sockets.Errno
		}{
			{client, ended | fault, ended, sockets.ECONNRESET},
			{refused, out | fault, out, sockets.ECONNREFUSED},
		} {
			for range 3 {
				wantPoll(t, s.Socket, s.before)
			}
			if errno := tc.take(s.Socket); errno != s.errno {
				t.Errorf("%s tells %v, want %v", tc.name, errno, s.errno)
			}
			if got := polled(t, s.Socket, everything); got != s.after {
				t.Errorf("after %s has told: %v, want %v", tc.name, got, s.after)
			}
			if errno := soError(t, s.Socket); errno != 0 {
				t.Errorf("after %s SO_ERROR tells %v again", tc.name, errno)
			}
		}
	}
}

// T16: in TIME_WAIT netstack is ready for everything, errors included.
func TestT16PollInTimeWait(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	check(t, client.Shutdown(sockets.SHUT_WR))
	wantPoll(t, server, in|out|rdhup)
	check(t, server.Close())
	wantPoll(t, client, ended)
	if got := polled(t, client, sockets.POLLPRI); got != hup {
		t.Errorf("poll says %v, want POLLHUP", got)
	}
	if errno := soError(t, client); errno != 0 {
		t.Errorf("SO_ERROR is %v", errno)
	}
	_, err := client.Send([]byte("x"))
	wantErrno(t, err, sockets.EPIPE)
}

// T25: netstack's Accept may give a connection that was reset while it waited.
// The peer's address is known all the same, and the first receive tells.
func TestT25AcceptOfReset(t *testing.T) {
	a, b := pair(t)
	l, addr := listener(t, b, addrB)
	client := tcpSocket(t, a)
	check(t, client.Connect(addr))
	wantPoll(t, l, in)
	local := must[sockets.Sockaddr](t)(client.GetSockName())
	reset(t, client)
	for b.Stack().GVisor().Stats().TCP.CurrentConnected.Value() != 0 {
		runtime.Gosched()
	}
	s, peer, err := l.Accept(sockets.Within(patience))
	check(t, err)
	defer s.Close()
	if peer != local {
		t.Errorf("the peer is %v, want %v", peer, local)
	}
	wantPoll(t, s, ended|fault)
	_, err = s.Recv(1)
	wantErrno(t, err, sockets.ECONNRESET)
	wantPoll(t, s, ended)
}

// barrier returns when packets that one host sent before have been delivered to
// the other, which has the address addr.
func barrier(t testing.TB, from, h *sockets.Host, addr string) {
	t.Helper()
	to := udpSocket(t, h)
	check(t, to.Bind(sockets.Inet4{Host: addr}))
	must[int](t)(udpSocket(t, from).SendTo(nil, must[sockets.Sockaddr](t)(to.GetSockName())))
	must[[]byte](t)(to.Recv(1, sockets.Within(patience)))
}

// T30: an ICMP error ends an attempt to connect, but a connection survives it:
// then only SO_ERROR tells, and poll does not say that there is an error.
func TestT30SoftErrors(t *testing.T) {
	a, b := pair(t)
	for _, tc := range []struct {
		code header.ICMPv4Code
		want sockets.Errno
	}{
		{header.ICMPv4HostUnreachable, sockets.EHOSTUNREACH},
		{header.ICMPv4NetUnreachable, sockets.ENETUNREACH},
	} {
		s := connecting(t, a)
		unreachable(t, b, tc.code, must[sockets.Sockaddr](t)(s.GetSockName()), sockets.Inet4{Host: nobody, Port: 80})
		wantPoll(t, s, ended|fault)
		if errno := soError(t, s); errno != tc.want {
			t.Errorf("SO_ERROR of the attempt is %v, want %v", errno, tc.want)
		}
		wantPoll(t, s, ended)

		client, server := connected(t, a, b)
		unreachable(t, b, tc.code, must[sockets.Sockaddr](t)(client.GetSockName()), must[sockets.Sockaddr](t)(client.GetPeerName()))
		barrier(t, b, a, addrA)
		wantPoll(t, client, out)
		if errno := soError(t, client); errno != tc.want {
			t.Errorf("SO_ERROR of the connection is %v, want %v", errno, tc.want)
		}
		if errno := soError(t, client); errno != 0 {
			t.Errorf("SO_ERROR tells %v again", errno)
		}
		must[int](t)(client.Send([]byte("alive")))
		if p := must[[]byte](t)(server.Recv(9)); string(p) != "alive" {
			t.Errorf("received %q", p)
		}
	}
}

// T44: FIONREAD is the length of the next datagram alone, of a connection all that
// waits, and EINVAL on a listener: as netstack has it, and Linux.
func TestT44QueueSize(t *testing.T) {
	a, b := pair(t)
	wantReadable := func(s *sockets.Socket, want int) {
		t.Helper()
		if n := must[any](t)(s.Ioctl(sockets.FIONREAD, nil)); n != want {
			t.Errorf("FIONREAD is %v, want %d", n, want)
		}
	}
	c := correspond(t, a, b)
	wantReadable(c.to, 0)
	for _, data := range []string{"abc", "", "defgh"} {
		c.deliver(t, data)
	}
	for _, want := range []int{3, 0, 5, 0} {
		wantReadable(c.to, want)
		c.to.Recv(9)
	}
	client, server := connected(t, a, b)
	for range 2 {
		must[int](t)(server.Send([]byte("abcd")))
	}
	must[[]byte](t)(client.Recv(8, sockets.MSG_PEEK, sockets.MSG_WAITALL))
	for n := must[any](t)(client.Ioctl(sockets.FIONREAD, nil)); n == 4; n = must[any](t)(client.Ioctl(sockets.FIONREAD, nil)) {
		runtime.Gosched() // MSG_PEEK does not wait for the rest
	}
	wantReadable(client, 8)
	l, addr := listener(t, b, addrB)
	check(t, tcpSocket(t, a).Connect(addr))
	_, err := l.Ioctl(sockets.FIONREAD, nil)
	wantErrno(t, err, sockets.EINVAL)
}

// With IP_RECVERR an ICMP error is one of the connection, and every call tells it.
func TestErrorOfLiveConnection(t *testing.T) {
	a, b := pair(t)
	for name, tell := range map[string]func(s *sockets.Socket) error{
		"recv": func(s *sockets.Socket) error { _, err := s.Recv(1); return err },
		"send": func(s *sockets.Socket) error { _, err := s.Send([]byte("x")); return err },
	} {
		client, _ := connected(t, a, b)
		check(t, client.SetSockOptInt(sockets.SOL_IP, sockets.IP_RECVERR, 1))
		unreachable(t, b, header.ICMPv4HostUnreachable, must[sockets.Sockaddr](t)(client.GetSockName()), must[sockets.Sockaddr](t)(client.GetPeerName()))
		wantPoll(t, client, out|fault)
		if err := tell(client); errnoOf(err) != sockets.EHOSTUNREACH {
			t.Errorf("%s tells %v", name, err)
		}
		wantPoll(t, client, out)
	}
}

// unreachable lets h send an ICMP error about a TCP segment from one address to
// another.
func unreachable(t *testing.T, h *sockets.Host, code header.ICMPv4Code, from, to sockets.Sockaddr) {
	t.Helper()
	src, dst := netip.MustParseAddr(from.(sockets.Inet4).Host), netip.MustParseAddr(to.(sockets.Inet4).Host)
	const quoted = header.IPv4MinimumSize + header.TCPMinimumSize
	p := make([]byte, header.IPv4MinimumSize+header.ICMPv4MinimumSize+quoted)
	ip := func(p []byte, proto tcpip.TransportProtocolNumber, src, dst netip.Addr) {
		h := header.IPv4(p)
		h.Encode(&header.IPv4Fields{TotalLength: uint16(len(p)), TTL: 64, Protocol: uint8(proto),
			SrcAddr: tcpip.AddrFrom4(src.As4()), DstAddr: tcpip.AddrFrom4(dst.As4())})
		h.SetChecksum(^h.CalculateChecksum())
	}
	ip(p, header.ICMPv4ProtocolNumber, netip.MustParseAddr(addrB), src)
	icmp := header.ICMPv4(p[header.IPv4MinimumSize:])
	icmp.SetType(header.ICMPv4DstUnreachable)
	icmp.SetCode(code)
	quote := icmp[header.ICMPv4MinimumSize:]
	ip(quote, header.TCPProtocolNumber, src, dst)
	header.TCP(quote[header.IPv4MinimumSize:]).Encode(&header.TCPFields{
		SrcPort: uint16(from.(sockets.Inet4).Port), DstPort: uint16(to.(sockets.Inet4).Port), DataOffset: header.TCPMinimumSize})
	icmp.SetChecksum(^checksum.Checksum(icmp, 0))
	for nic, info := range h.Stack().GVisor().NICInfo() {
		if info.Flags.Loopback {
			continue
		}
		if terr := h.Stack().GVisor().WriteRawPacket(nic, header.IPv4ProtocolNumber, buffer.MakeWithData(p)); terr != nil {
			t.Fatal(terr)
		}
	}
}
