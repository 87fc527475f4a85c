package sockets_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

func ExampleSocket_SetOption() {
	host, end := loopbackHost()
	defer end()

	s, _ := host.TCP()
	defer s.Close()
	for _, o := range []sockets.Option{
		sockets.ReuseAddr(true), sockets.Linger{On: true, Timeout: 1500 * time.Millisecond}, sockets.TTL(7),
	} {
		if err := s.SetOption(o); err != nil {
			fmt.Println(err)
		}
	}
	linger, err := sockets.GetOption[sockets.Linger](s)
	fmt.Println(linger, err)
	ttl, err := sockets.GetOption[sockets.TTL](s)
	fmt.Println(ttl, err)
	fmt.Println(s.SetOption(sockets.TTL(256)))
	// Output:
	// {true 2s} <nil>
	// 7 <nil>
	// setsockopt: [Errno 22] Invalid argument
}

// An option and what GetOption says before and after it is set.
type nsprStep struct {
	set    sockets.Option
	get    func(*sockets.Socket) (any, error)
	before any
	after  any
	also   map[[2]int]int // level and name: what GetSockOptInt says then
}

func reads[T sockets.Option](s *sockets.Socket) (any, error) { return sockets.GetOption[T](s) }

var (
	linger3  = sockets.Linger{On: true, Timeout: 3 * time.Second}
	lingerOn = sockets.Linger{On: true, Timeout: sockets.NoTimeout}
)

func nsprSteps(f sockets.Family) []nsprStep {
	hops := map[[2]int]int{{sockets.SOL_IP, sockets.IP_TTL}: 9}
	tos := map[[2]int]int{{sockets.SOL_IP, sockets.IP_TOS}: 0x10, {sockets.SOL_SOCKET, sockets.SO_PRIORITY}: 6}
	if f == sockets.AF_INET6 {
		hops[[2]int{sockets.SOL_IPV6, sockets.IPV6_UNICAST_HOPS}] = 9
		tos[[2]int{sockets.SOL_IPV6, sockets.IPV6_TCLASS}] = 0x10
	}
	return []nsprStep{
		{sockets.Nonblocking(true), reads[sockets.Nonblocking], sockets.Nonblocking(false), sockets.Nonblocking(true), nil},
		{sockets.Nonblocking(false), reads[sockets.Nonblocking], sockets.Nonblocking(true), sockets.Nonblocking(false), nil},
		{linger3, reads[sockets.Linger], sockets.Linger{}, linger3, nil},
		{lingerOn, reads[sockets.Linger], linger3, lingerOn, nil},
		{sockets.ReuseAddr(true), reads[sockets.ReuseAddr], sockets.ReuseAddr(false), sockets.ReuseAddr(true),
			map[[2]int]int{{sockets.SOL_SOCKET, sockets.SO_REUSEADDR}: 1}},
		{sockets.KeepAlive(true), reads[sockets.KeepAlive], sockets.KeepAlive(false), sockets.KeepAlive(true),
			map[[2]int]int{{sockets.SOL_SOCKET, sockets.SO_KEEPALIVE}: 1}},
		{sockets.RecvBuffer(10000), reads[sockets.RecvBuffer], sockets.RecvBuffer(1 << 20), sockets.RecvBuffer(20000), nil},
		{sockets.SendBuffer(10000), reads[sockets.SendBuffer], sockets.SendBuffer(1 << 20), sockets.SendBuffer(20000), nil},
		{sockets.TTL(9), reads[sockets.TTL], sockets.TTL(64), sockets.TTL(9), hops},
		{sockets.TOS(0x10), reads[sockets.TOS], sockets.TOS(0), sockets.TOS(0x10), tos},
		{sockets.NoDelay(true), reads[sockets.NoDelay], sockets.NoDelay(false), sockets.NoDelay(true),
			map[[2]int]int{{sockets.SOL_TCP, sockets.TCP_NODELAY}: 1}},
		{sockets.MaxSegment(1000), reads[sockets.MaxSegment], sockets.MaxSegment(536), sockets.MaxSegment(1000), nil},
		{sockets.Broadcast(true), reads[sockets.Broadcast], sockets.Broadcast(false), sockets.Broadcast(true),
			map[[2]int]int{{sockets.SOL_SOCKET, sockets.SO_BROADCAST}: 1}},
	}
}

func TestNSPROptions(t *testing.T) {
	a, _ := pair(t)
	for _, f := range []sockets.Family{sockets.AF_INET, sockets.AF_INET6} {
		s := mustSocket(t, a, f, sockets.SOCK_STREAM, 0)
		for _, step := range nsprSteps(f) {
			if v := must[any](t)(step.get(s)); v != step.before {
				t.Errorf("%T is %v at first, want %v", step.set, v, step.before)
			}
			check(t, s.SetOption(step.set))
			if v := must[any](t)(step.get(s)); v != step.after {
				t.Errorf("%T is %v, want %v", step.set, v, step.after)
			}
			for key, want := range step.also {
				wantInt(t, s, key[0], key[1], want)
			}
		}
	}
}

func TestNSPROptionErrors(t *testing.T) {
	a, _ := pair(t)
	tcp, udp, gone := tcpSocket(t, a), udpSocket(t, a), udpSocket(t, a)
	check(t, gone.Close())
	for _, tc := range []struct {
		s    *sockets.Socket
		o    sockets.Option
		want sockets.Errno
	}{
		{tcp, nil, sockets.EINVAL},
		{tcp, sockets.Linger{On: true, Timeout: -2 * time.Second}, sockets.EINVAL},
		{tcp, sockets.Linger{On: true, Timeout: 1 << 62}, sockets.EINVAL},
		{tcp, sockets.TTL(0), sockets.EINVAL},
		{tcp, sockets.TOS(-1), sockets.EINVAL},
		{tcp, sockets.TOS(256), sockets.EINVAL},
		{tcp, sockets.MaxSegment(87), sockets.EINVAL},
		{udp, sockets.NoDelay(true), sockets.ENOPROTOOPT},
		{udp, sockets.McastTTL(256), sockets.EINVAL},
		{udp, sockets.AddMember{}, sockets.EINVAL},
		{udp, sockets.DropMember{}, sockets.EINVAL},
		{gone, sockets.Broadcast(true), sockets.EBADF},
		{gone, sockets.Nonblocking(true), sockets.EBADF},
	} {
		if err := tc.s.SetOption(tc.o); err == nil {
			t.Errorf("%T %v is accepted", tc.o, tc.o)
		} else {
			wantErrno(t, err, tc.want)
		}
	}
	wantErrno(t, second(sockets.GetOption[sockets.NoDelay](udp)), sockets.EOPNOTSUPP)
	wantErrno(t, second(sockets.GetOption[sockets.AddMember](udp)), sockets.ENOPROTOOPT)
	wantErrno(t, second(sockets.GetOption[sockets.DropMember](udp)), sockets.ENOPROTOOPT)
	wantErrno(t, second(sockets.GetOption[sockets.Nonblocking](gone)), sockets.EBADF)
}
