package sockets_test

import (
	"errors"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// TestOptions walks rows of what Linux does with an option: its value on a
// fresh socket, and what a following get says of each value that is set.
func TestOptions(t *testing.T) {
	const einval = -int(sockets.EINVAL)
	type step struct{ set, want int } // want < 0 is an errno
	for _, tc := range []struct {
		name         string
		level, opt   int
		typ          sockets.Type
		family       sockets.Family
		def          int
		steps        []step
		notOnTheRest bool
	}{
		{name: "SO_REUSEADDR", level: sockets.SOL_SOCKET, opt: sockets.SO_REUSEADDR, steps: []step{{1, 1}, {7, 1}, {0, 0}}},
		{name: "SO_KEEPALIVE", level: sockets.SOL_SOCKET, opt: sockets.SO_KEEPALIVE, steps: []step{{-1, 1}, {0, 0}}},
		{name: "SO_SNDBUF", level: sockets.SOL_SOCKET, opt: sockets.SO_SNDBUF, def: 1 << 20,
			steps: []step{{1, 4608}, {10000, 20000}, {1 << 30, 425984}, {-1, 425984}, {0, 4608}}},
		{name: "SO_RCVBUF", level: sockets.SOL_SOCKET, opt: sockets.SO_RCVBUF, def: 1 << 20,
			steps: []step{{5000, 10000}, {1 << 30, 425984}, {-1, 425984}}},
		{name: "IP_TTL", level: sockets.SOL_IP, opt: sockets.IP_TTL, def: 64,
			steps: []step{{255, 255}, {0, einval}, {256, einval}, {-2, einval}, {-1, 64}}},
		{name: "IP_TOS tcp", level: sockets.SOL_IP, opt: sockets.IP_TOS, steps: []step{{255, 252}, {0x10, 0x10}, {256, 0}}},
		{name: "IP_TOS udp", level: sockets.SOL_IP, opt: sockets.IP_TOS, typ: sockets.SOCK_DGRAM, steps: []step{{255, 255}}},
		{name: "IPV6_UNICAST_HOPS", level: sockets.SOL_IPV6, opt: sockets.IPV6_UNICAST_HOPS, family: sockets.AF_INET6, def: 64,
			steps: []step{{0, 0}, {255, 255}, {256, einval}, {-2, einval}, {-1, 64}}},
		{name: "IPV6_V6ONLY", level: sockets.SOL_IPV6, opt: sockets.IPV6_V6ONLY, family: sockets.AF_INET6, steps: []step{{1, 1}, {0, 0}}},
		{name: "TCP_NODELAY", level: sockets.SOL_TCP, opt: sockets.TCP_NODELAY, steps: []step{{1, 1}, {0, 0}}}, // T17: Nagle is on
		{name: "TCP_CORK", level: sockets.SOL_TCP, opt: sockets.TCP_CORK, steps: []step{{1, 1}, {0, 0}}},
		{name: "TCP_KEEPIDLE", level: sockets.SOL_TCP, opt: sockets.TCP_KEEPIDLE, def: 7200,
			steps: []step{{1, 1}, {32767, 32767}, {0, einval}, {32768, einval}}},
		{name: "TCP_KEEPINTVL", level: sockets.SOL_TCP, opt: sockets.TCP_KEEPINTVL, def: 75, steps: []step{{9, 9}, {0, einval}}},
		{name: "TCP_KEEPCNT", level: sockets.SOL_TCP, opt: sockets.TCP_KEEPCNT, def: 9,
			steps: []step{{127, 127}, {128, einval}, {0, einval}}},
		{name: "TCP_USER_TIMEOUT", level: sockets.SOL_TCP, opt: sockets.TCP_USER_TIMEOUT, steps: []step{{1500, 1500}, {-1, einval}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, _ := pair(t)
			if tc.typ == 0 {
				tc.typ = sockets.SOCK_STREAM
			}
			if tc.family == 0 {
				tc.family = sockets.AF_INET
			}
			s := mustSocket(t, a, tc.family, tc.typ, 0)
			if v := must[int](t)(s.GetSockOptInt(tc.level, tc.opt)); v != tc.def {
				t.Errorf("default %d, want %d", v, tc.def)
			}
			before := tc.def
			for _, st := range tc.steps {
				err := s.SetSockOptInt(tc.level, tc.opt, st.set)
				want := st.want
				if st.want < 0 {
					wantErrno(t, err, sockets.Errno(-st.want))
					want = before
				} else {
					check(t, err)
				}
				if v := must[int](t)(s.GetSockOptInt(tc.level, tc.opt)); v != want {
					t.Errorf("after setting %d: %d, want %d", st.set, v, want)
				}
				before = want
			}
		})
	}
}

// T23: netstack accepts options that it does not have. Nothing outside the table
// may reach it.
func TestT23UnknownOptions(t *testing.T) {
	a, _ := pair(t)
	tcp, udp := tcpSocket(t, a), udpSocket(t, a)
	for _, tc := range []struct {
		s           *sockets.Socket
		level, name int
		get, set    sockets.Errno
	}{
		{tcp, sockets.SOL_SOCKET, 99, sockets.ENOPROTOOPT, sockets.ENOPROTOOPT},
		{tcp, sockets.SOL_TCP, 99, sockets.ENOPROTOOPT, sockets.ENOPROTOOPT},
		{tcp, sockets.SOL_SOCKET, sockets.SO_TYPE, 0, sockets.ENOPROTOOPT},
		{tcp, sockets.SOL_SOCKET, sockets.SO_ERROR, 0, sockets.ENOPROTOOPT},
		{tcp, sockets.SOL_IPV6, sockets.IPV6_V6ONLY, sockets.EOPNOTSUPP, sockets.ENOPROTOOPT},
		{udp, sockets.SOL_TCP, sockets.TCP_NODELAY, sockets.EOPNOTSUPP, sockets.ENOPROTOOPT},
		{tcp, 4242, 1, sockets.EOPNOTSUPP, sockets.ENOPROTOOPT},
	} {
		_, err := tc.s.GetSockOptInt(tc.level, tc.name)
		if tc.get == 0 {
			check(t, err)
		} else {
			wantErrno(t, err, tc.get)
		}
		err = tc.s.SetSockOptInt(tc.level, tc.name, 1)
		wantErrno(t, err, tc.set)
	}
	err := tcp.SetSockOptInt(sockets.SOL_SOCKET, 99, 1)
	if !errors.Is(err, sockets.ErrUnsupported) {
		t.Errorf("%v does not say that it is userstack that lacks the option", err)
	}
}

func TestOptionLengths(t *testing.T) {
	a, _ := pair(t)
	s := tcpSocket(t, a)
	for _, level := range []int{sockets.SOL_SOCKET, sockets.SOL_TCP} {
		wantErrno(t, s.SetSockOpt(level, 99, []byte{1, 0, 0}), sockets.EINVAL)
	}
	check(t, s.SetSockOpt(sockets.SOL_IP, sockets.IP_TTL, []byte{77}))
	if v := must[[]byte](t)(s.GetSockOpt(sockets.SOL_IP, sockets.IP_TTL, 2)); len(v) != 1 || v[0] != 77 {
		t.Errorf("a short get of IP_TTL gives % x, want one byte", v)
	}
	wantErrno(t, s.SetSockOpt(sockets.SOL_IP, sockets.IP_TTL, nil), sockets.EINVAL)
	check(t, s.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, []byte{1, 0, 0, 0, 9, 9}))
	wantErrno(t, s.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_LINGER, make([]byte, 7)), sockets.EINVAL)
	timeval := make([]byte, 16)
	timeval[8], timeval[9], timeval[10] = 0x40, 0x42, 0x0f // 1,000,000 µs
	wantErrno(t, s.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_RCVTIMEO, timeval), sockets.EDOM)
	_, err := s.GetSockOpt(sockets.SOL_SOCKET, sockets.SO_TYPE, -1)
	wantErrno(t, err, sockets.EINVAL)
	check(t, s.SetSockOpt(sockets.SOL_TCP, sockets.TCP_CONGESTION, []byte("reno")))
	if v := must[[]byte](t)(s.GetSockOpt(sockets.SOL_TCP, sockets.TCP_CONGESTION, 16)); string(v[:4]) != "reno" || len(v) != 16 {
		t.Errorf("TCP_CONGESTION = %q", v)
	}
	wantErrno(t, s.SetSockOpt(sockets.SOL_TCP, sockets.TCP_CONGESTION, []byte("vegas")), sockets.ENOENT)
}

func TestSocketFacts(t *testing.T) {
	a, _ := pair(t)
	for _, tc := range []struct {
		f     sockets.Family
		typ   sockets.Type
		p     sockets.Protocol
		proto int
	}{
		{sockets.AF_INET, sockets.SOCK_STREAM, 0, 6},
		{sockets.AF_INET6, sockets.SOCK_DGRAM | sockets.SOCK_CLOEXEC, sockets.IPPROTO_UDP, 17},
		{sockets.AF_INET, sockets.SOCK_DGRAM | sockets.SOCK_NONBLOCK, sockets.IPPROTO_ICMP, 1},
		{sockets.AF_INET6, sockets.SOCK_DGRAM, sockets.IPPROTO_ICMPV6, 58},
	} {
		s := mustSocket(t, a, tc.f, tc.typ, tc.p)
		bare := tc.typ &^ (sockets.SOCK_NONBLOCK | sockets.SOCK_CLOEXEC)
		if s.Family() != tc.f || s.Type() != bare || s.Proto() != tc.p || s.Blocking() != (tc.typ&sockets.SOCK_NONBLOCK == 0) {
			t.Errorf("%v %d %d: Family %v, Type %d, Proto %d, Blocking %v", tc.f, tc.typ, tc.p, s.Family(), s.Type(), s.Proto(), s.Blocking())
		}
		for name, want := range map[int]int{
			sockets.SO_DOMAIN: int(tc.f), sockets.SO_TYPE: int(bare), sockets.SO_PROTOCOL: tc.proto, sockets.SO_ACCEPTCONN: 0,
		} {
			if v := must[int](t)(s.GetSockOptInt(sockets.SOL_SOCKET, name)); v != want {
				t.Errorf("%v %d %d: option %d is %d, want %d", tc.f, tc.typ, tc.p, name, v, want)
			}
		}
	}
}

func TestSocketRefusals(t *testing.T) {
	a, _ := pair(t)
	for _, tc := range []struct {
		f    sockets.Family
		typ  sockets.Type
		p    sockets.Protocol
		want sockets.Errno
	}{
		{99, sockets.SOCK_STREAM, 0, sockets.EAFNOSUPPORT},
		{sockets.AF_NETLINK, sockets.SOCK_DGRAM, 0, sockets.EAFNOSUPPORT},
		{sockets.AF_INET, 11, 0, sockets.EINVAL},
		{sockets.AF_INET, -1, 0, sockets.EINVAL},
		{sockets.AF_INET, sockets.SOCK_STREAM, 263, sockets.EINVAL},
		{sockets.AF_INET, sockets.SOCK_RDM, 0, sockets.ESOCKTNOSUPPORT},
		{sockets.AF_INET, sockets.SOCK_SEQPACKET, 0, sockets.ESOCKTNOSUPPORT},
		{sockets.AF_INET, sockets.SOCK_STREAM, sockets.IPPROTO_UDP, sockets.EPROTONOSUPPORT},
		{sockets.AF_INET, sockets.SOCK_DGRAM, sockets.IPPROTO_TCP, sockets.EPROTONOSUPPORT},
		{sockets.AF_INET, sockets.SOCK_RAW, 0, sockets.EPROTONOSUPPORT},
		{sockets.AF_INET6, sockets.SOCK_DGRAM, sockets.IPPROTO_ICMP, sockets.EPROTONOSUPPORT},
	} {
		_, err := a.Socket(tc.f, tc.typ, tc.p)
		wantErrno(t, err, tc.want)
	}
}
