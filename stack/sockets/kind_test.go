package sockets_test

import (
	"fmt"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// Socket creation, family by family (A1.1).
func TestSocketErrors(t *testing.T) {
	h := twoLinkHost(t)
	for _, tc := range []struct {
		f           sockets.Family
		typ         sockets.Type
		p           sockets.Protocol
		want        sockets.Errno
		unsupported bool
	}{
		{sockets.AF_INET, sockets.SOCK_RAW, 0, sockets.EPROTONOSUPPORT, false},
		{sockets.AF_INET6, sockets.SOCK_RAW, 0, sockets.EPROTONOSUPPORT, false},
		{sockets.AF_INET, sockets.SOCK_RAW, 1, 0, false},
		{sockets.AF_INET, sockets.SOCK_RAW, 58, 0, false},
		{sockets.AF_INET6, sockets.SOCK_RAW, 1, 0, false},
		{sockets.AF_INET6, sockets.SOCK_RAW, 255, 0, false},
		{sockets.AF_INET, sockets.SOCK_RAW, 256, sockets.EPROTONOSUPPORT, true},
		{sockets.AF_INET, sockets.SOCK_RAW, 263, sockets.EINVAL, false},
		{sockets.AF_INET, sockets.SOCK_RAW, -1, sockets.EINVAL, false},
		{sockets.AF_INET, sockets.SOCK_STREAM, 17, sockets.EPROTONOSUPPORT, false},
		{sockets.AF_INET, sockets.SOCK_DGRAM, 6, sockets.EPROTONOSUPPORT, false},
		{sockets.AF_INET, sockets.SOCK_DGRAM, 132, sockets.EPROTONOSUPPORT, false},
		{sockets.AF_INET6, sockets.SOCK_DGRAM, 1, sockets.EPROTONOSUPPORT, false},
		{sockets.AF_INET6, sockets.SOCK_DGRAM, 58, 0, false},
		{sockets.AF_INET, sockets.SOCK_RDM, 0, sockets.ESOCKTNOSUPPORT, false},
		{sockets.AF_INET, sockets.SOCK_SEQPACKET, 132, sockets.ESOCKTNOSUPPORT, false},
		{sockets.AF_INET, 6, 0, sockets.ESOCKTNOSUPPORT, false},
		{sockets.AF_INET, 11, 0, sockets.EINVAL, false},
		{sockets.AF_INET, 0, 0, sockets.ESOCKTNOSUPPORT, false},
		{sockets.AF_PACKET, sockets.SOCK_STREAM, 0, sockets.ESOCKTNOSUPPORT, false},
		{sockets.AF_PACKET, 11, 0, sockets.EINVAL, false},
		{sockets.AF_PACKET, sockets.SOCK_RAW, 0x300, 0, false},
		{sockets.AF_NETLINK, sockets.SOCK_RAW, 0, sockets.EAFNOSUPPORT, true},
		{sockets.AF_TIPC, sockets.SOCK_RDM, 0, sockets.EAFNOSUPPORT, true},
		{sockets.AF_TIPC, 11, 0, sockets.EINVAL, false},
		{40, sockets.SOCK_STREAM, 0, sockets.EAFNOSUPPORT, true},
		{46, 11, 0, sockets.EAFNOSUPPORT, true},
		{-1, sockets.SOCK_STREAM, 0, sockets.EAFNOSUPPORT, true},
	} {
		t.Run(fmt.Sprintf("%v,%d,%d", tc.f, tc.typ, tc.p), func(t *testing.T) {
			s, err := h.Socket(tc.f, tc.typ, tc.p)
			if tc.want == 0 {
				check(t, err)
				check(t, s.Close())
				return
			}
			answer(t, err, tc.want)
			if got := isUnsupported(err); got != tc.unsupported {
				t.Errorf("%v: is ErrUnsupported: %v", err, got)
			}
		})
	}
}

// Every IP protocol can be opened on both families, also ICMP of the other.
func TestRawEndpoints(t *testing.T) {
	h := twoLinkHost(t)
	for p := sockets.Protocol(1); p <= 255; p++ {
		for _, f := range []sockets.Family{sockets.AF_INET, sockets.AF_INET6} {
			s := must[*sockets.Socket](t)(h.Socket(f, sockets.SOCK_RAW, p))
			if n := must[int](t)(s.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_PROTOCOL)); n != int(p) {
				t.Errorf("SO_PROTOCOL is %d, want %d", n, p)
			}
			check(t, s.Close())
		}
	}
}

// The addresses of families that are refused are there for programs to name.
func TestRefusedAddresses(t *testing.T) {
	h := twoLinkHost(t)
	s := udpSocket(t, h)
	for _, tc := range []struct {
		a             sockets.Sockaddr
		f             sockets.Family
		network, text string
	}{
		{sockets.NetlinkAddr{PID: 7, Groups: 0x11}, sockets.AF_NETLINK, "netlink", "7 0x11"},
		{sockets.TIPCAddr{AddrType: sockets.TIPC_ADDR_NAME, V1: 1, V2: 2, V3: 3, Scope: sockets.TIPC_NODE_SCOPE}, sockets.AF_TIPC, "tipc", "2 1 2 3 3"},
		{sockets.LinkAddr{Ifindex: 2, Protocol: sockets.ETH_P_IP, Addr: []byte{2, 0, 0, 0, 0, 1}}, sockets.AF_PACKET, "packet", "%2 0x0800 02:00:00:00:00:01"},
	} {
		if tc.a.Family() != tc.f || tc.a.Network() != tc.network || tc.a.String() != tc.text {
			t.Errorf("%v, %s, %q; want %v, %s, %q", tc.a.Family(), tc.a.Network(), tc.a, tc.f, tc.network, tc.text)
		}
		wantErrno(t, s.Bind(tc.a), sockets.EAFNOSUPPORT)
		wantErrno(t, s.Connect(tc.a), sockets.EAFNOSUPPORT)
		_, err := s.SendTo([]byte("x"), tc.a)
		wantErrno(t, err, sockets.EAFNOSUPPORT)
	}
}
