package sockets_test

import (
	"encoding/binary"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// T22: netstack fragments what IP_MTU_DISCOVER and IPV6_DONTFRAG say must not be
// fragmented.
func TestT22DatagramSizes(t *testing.T) {
	const mtu = 1500 // the default of a pipe
	a, b := pair(t)
	sink := mustSocket(t, b, sockets.AF_INET6, sockets.SOCK_DGRAM, 0) // or errors come back
	check(t, sink.Bind(sockets.Inet6{Port: 9}))
	for _, tc := range []struct {
		family        sockets.Family
		to            sockets.Sockaddr
		headers       int
		level, option int
		values        map[int]bool // whether a value refuses what is too big
		mtuOption     int
	}{
		{sockets.AF_INET, sockets.Inet4{Host: addrB, Port: 9}, 28, sockets.SOL_IP, sockets.IP_MTU_DISCOVER,
			map[int]bool{0: false, 1: false, 2: true, 3: true, 4: true, 5: false}, sockets.IP_MTU},
		{sockets.AF_INET6, sockets.Inet6{Host: addrB6, Port: 9}, 48, sockets.SOL_IPV6, sockets.IPV6_MTU_DISCOVER,
			map[int]bool{0: false, 1: false, 2: true, 3: true, 4: true, 5: false}, sockets.IPV6_MTU},
		{sockets.AF_INET6, sockets.Inet6{Host: addrB6, Port: 9}, 48, sockets.SOL_IPV6, sockets.IPV6_DONTFRAG,
			map[int]bool{0: false, 1: true}, sockets.IPV6_MTU},
		{sockets.AF_INET6, sockets.Inet6{Host: "::ffff:" + addrB, Port: 9}, 28, sockets.SOL_IP, sockets.IP_MTU_DISCOVER,
			map[int]bool{1: false, 2: true}, sockets.IP_MTU},
	} {
		s := mustSocket(t, a, tc.family, sockets.SOCK_DGRAM, 0)
		_, err := s.GetSockOptInt(tc.level, tc.mtuOption)
		wantErrno(t, err, sockets.ENOTCONN)
		c := mustSocket(t, a, tc.family, sockets.SOCK_DGRAM, 0)
		check(t, c.Connect(tc.to))
		wantInt(t, c, tc.level, tc.mtuOption, mtu)
		for value, refuses := range tc.values {
			setInt(t, s, tc.level, tc.option, value)
			setInt(t, c, tc.level, tc.option, value)
			if n := must[int](t)(s.SendTo(make([]byte, mtu-tc.headers), tc.to)); n != mtu-tc.headers {
				t.Errorf("%d bytes sent of %d", n, mtu-tc.headers)
			}
			for _, err := range []error{
				second(s.SendTo(make([]byte, mtu-tc.headers+1), tc.to)), second(c.Send(make([]byte, mtu-tc.headers+1))),
			} {
				if refuses {
					wantErrno(t, err, sockets.EMSGSIZE)
				} else {
					check(t, err)
				}
			}
		}
	}
}

func TestPathMTUOption(t *testing.T) {
	a, _ := pair(t)
	s := mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	check(t, s.Connect(sockets.Inet6{Host: addrB6, Port: 9}))
	v := must[[]byte](t)(s.GetSockOpt(sockets.SOL_IPV6, sockets.IPV6_PATHMTU, 100))
	if len(v) != 32 || binary.LittleEndian.Uint32(v[28:]) != 1500 {
		t.Errorf("IPV6_PATHMTU = % x", v)
	}
}
