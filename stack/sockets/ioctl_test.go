package sockets_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

func ExampleSocket_Ioctl() {
	host, end := loopbackHost()
	defer end()
	s, _ := host.UDP()
	defer s.Close()
	s.Bind(sockets.Inet4{Host: "127.0.0.1"})
	name, _ := s.GetSockName()
	s.SendTo([]byte("five!"), name)
	waiting, err := s.Ioctl(sockets.FIONREAD, nil)
	fmt.Println(waiting, err)
	addr, err := s.Ioctl(sockets.SIOCGIFADDR, "lo")
	fmt.Println(addr, err)
	_, err = s.Ioctl(sockets.SIO_RCVALL, sockets.RCVALL_ON)
	fmt.Println(err)
	// Output:
	// 5 <nil>
	// 127.0.0.1 <nil>
	// ioctl: [Errno 95] Operation not supported: SIO_RCVALL is for Windows only; use an AF_PACKET socket with PACKET_MR_PROMISC
}

// K1 to K5 and K8, as Linux 6.18 answers.
func TestIoctl(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	l, _ := listener(t, b, addrB)
	udp := udpSocket(t, b)
	check(t, udp.Bind(sockets.Inet4{Host: addrB, Port: 4000}))
	must[int](t)(client.SendAll([]byte("hello")))
	must[[]byte](t)(server.Recv(5, sockets.MSG_PEEK|sockets.MSG_WAITALL))
	from := udpSocket(t, a)
	for _, tc := range []struct {
		name    string
		s       *sockets.Socket
		control uint32
		arg     any
		want    any
		errno   sockets.Errno
	}{
		{"FIONREAD tcp", server, sockets.FIONREAD, nil, 5, 0},
		{"FIONREAD fresh", tcpSocket(t, a), sockets.FIONREAD, nil, 0, 0},
		{"FIONREAD listening", l, sockets.FIONREAD, nil, nil, sockets.EINVAL},
		{"FIONREAD udp", udp, sockets.SIOCINQ, nil, 0, 0},
		{"SIOCOUTQ listening", l, sockets.SIOCOUTQ, nil, nil, sockets.EINVAL},
		{"SIOCOUTQ tcp", client, sockets.SIOCOUTQ, nil, nil, sockets.ENOTTY},
		{"SIOCATMARK tcp", server, sockets.SIOCATMARK, nil, 0, 0},
		{"SIOCATMARK udp", udp, sockets.SIOCATMARK, nil, nil, sockets.ENOTTY},
		{"SIOCGSTAMP before", udp, sockets.SIOCGSTAMP, nil, nil, sockets.ENOENT},
		{"SIOCGSTAMP tcp", server, sockets.SIOCGSTAMPNS, nil, nil, sockets.ENOENT},
		{"FIONBIO", from, sockets.FIONBIO, 1, nil, 0},
		{"FIONBIO of nothing", from, sockets.FIONBIO, nil, nil, sockets.EINVAL},
		{"unknown", udp, 0x1234, nil, nil, sockets.ENOTTY},
		{"FIOASYNC", udp, 0x5452, 1, nil, sockets.ENOTTY},
	} {
		got, err := tc.s.Ioctl(tc.control, tc.arg)
		if tc.errno != 0 {
			if !errors.Is(err, tc.errno) {
				t.Errorf("%s: %v, want %v", tc.name, err, tc.errno)
			}
			continue
		}
		if err != nil || got != tc.want {
			t.Errorf("%s: %v %v, want %v", tc.name, got, err, tc.want)
		}
	}
	if from.Blocking() {
		t.Error("FIONBIO left the socket blocking")
	}
	must[any](t)(from.Ioctl(sockets.FIONBIO, []byte{0, 0, 0, 0}))
	if !from.Blocking() {
		t.Error("FIONBIO with 0 left the socket non-blocking")
	}

	must[int](t)(from.SendTo([]byte("1234567"), sockets.Inet4{Host: addrB, Port: 4000}))
	recvMsg(t, udp, sockets.MSG_PEEK)
	if n := must[any](t)(udp.Ioctl(sockets.FIONREAD, nil)); n != 7 {
		t.Errorf("FIONREAD is %v, want the next datagram's 7", n)
	}
	if at := must[any](t)(udp.Ioctl(sockets.SIOCGSTAMP, nil)).(time.Time); time.Since(at) < 0 || time.Since(at) > time.Minute {
		t.Errorf("SIOCGSTAMP is %v", at)
	}
	check(t, udp.Close())
	_, err := udp.Ioctl(sockets.FIONREAD, nil)
	wantErrno(t, err, sockets.EBADF)
}

// K6: the stack's interfaces, as typed values and in struct ifreq.
func TestIoctlInterfaces(t *testing.T) {
	a, _ := pair(t)
	s, six := udpSocket(t, a), mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	other := a.Stack().Interfaces()[1]
	for _, tc := range []struct {
		control uint32
		arg     any
		want    any
	}{
		{sockets.SIOCGIFADDR, "lo", netip.MustParseAddr("127.0.0.1")},
		{sockets.SIOCGIFNETMASK, "lo", netip.MustParseAddr("255.0.0.0")},
		{sockets.SIOCGIFBRDADDR, "lo", netip.MustParseAddr("0.0.0.0")},
		{sockets.SIOCGIFDSTADDR, "lo", netip.MustParseAddr("127.0.0.1")},
		{sockets.SIOCGIFADDR, other.Name, netip.MustParseAddr(addrA)},
		{sockets.SIOCGIFNETMASK, other.Name, netip.MustParseAddr("255.255.255.0")},
		{sockets.SIOCGIFMTU, other.Name, other.MTU},
		{sockets.SIOCGIFINDEX, other.Name, other.Index},
		{sockets.SIOCGIFNAME, other.Index, other.Name},
		{sockets.SIOCGIFMETRIC, "lo", 0},
		{sockets.SIOCGIFFLAGS, "lo", sockets.IFF_UP | sockets.IFF_LOOPBACK | sockets.IFF_RUNNING},
		{sockets.SIOCGIFHWADDR, "lo", net.HardwareAddr(nil)},
		{sockets.SIOCGIFCONF, nil, []sockets.IfConf{
			{Name: "lo", Addr: netip.MustParseAddr("127.0.0.1")}, {Name: other.Name, Addr: netip.MustParseAddr(addrA)},
		}},
	} {
		if got := must[any](t)(s.Ioctl(tc.control, tc.arg)); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%#x %v: %v, want %v", tc.control, tc.arg, got, tc.want)
		}
	}

	ifreq := make([]byte, 40)
	copy(ifreq, "lo")
	for control, want := range map[uint32][]byte{
		sockets.SIOCGIFADDR:   {2, 0, 0, 0, 127, 0, 0, 1},
		sockets.SIOCGIFINDEX:  {1, 0, 0, 0},
		sockets.SIOCGIFFLAGS:  {0x49, 0, 0, 0},
		sockets.SIOCGIFHWADDR: {4, 3, 0, 0},
	} {
		got := must[any](t)(s.Ioctl(control, ifreq)).([]byte)
		if len(got) != 40 || !bytes.HasPrefix(got[16:], want) || string(got[:3]) != "lo\x00" {
			t.Errorf("%#x in struct ifreq: % x, want % x", control, got, want)
		}
	}
	index := make([]byte, 40)
	binary.LittleEndian.PutUint32(index[16:], 1)
	if got := must[any](t)(s.Ioctl(sockets.SIOCGIFNAME, index)).([]byte); string(got[:3]) != "lo\x00" {
		t.Errorf("SIOCGIFNAME in struct ifreq: % x", got)
	}

	for _, tc := range []struct {
		s       *sockets.Socket
		control uint32
		arg     any
		want    sockets.Errno
	}{
		{s, sockets.SIOCGIFADDR, "nope", sockets.ENODEV},
		{s, sockets.SIOCGIFNAME, 99, sockets.ENODEV},
		{s, sockets.SIOCGIFADDR, make([]byte, 39), sockets.EINVAL},
		{s, sockets.SIOCGIFADDR, nil, sockets.EINVAL},
		{six, sockets.SIOCGIFADDR, "lo", sockets.ENOTTY},
		{s, 0x8916, "lo", sockets.EPERM}, // SIOCSIFADDR
	} {
		_, err := tc.s.Ioctl(tc.control, tc.arg)
		wantErrno(t, err, tc.want)
	}
	must[any](t)(six.Ioctl(sockets.SIOCGIFMTU, "lo"))
}

// K7: Windows' requests.
func TestIoctlWindows(t *testing.T) {
	a, _ := pair(t)
	s := tcpSocket(t, a)
	get := func(level, name int) int { return must[int](t)(s.GetSockOptInt(level, name)) }
	must[any](t)(s.Ioctl(sockets.SIO_KEEPALIVE_VALS, sockets.KeepaliveVals{On: true, Idle: 10 * time.Second, Interval: 1500 * time.Millisecond}))
	if on, idle, interval := get(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE), get(sockets.SOL_TCP, sockets.TCP_KEEPIDLE),
		get(sockets.SOL_TCP, sockets.TCP_KEEPINTVL); on != 1 || idle != 10 || interval != 2 {
		t.Errorf("keepalive %d, idle %d s, interval %d s", on, idle, interval)
	}
	must[any](t)(s.Ioctl(sockets.SIO_KEEPALIVE_VALS, make([]byte, 12)))
	if get(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE) != 0 {
		t.Error("SIO_KEEPALIVE_VALS did not turn keepalive off")
	}
	_, err := s.Ioctl(sockets.SIO_KEEPALIVE_VALS, 1)
	wantErrno(t, err, sockets.EINVAL)
	_, err = udpSocket(t, a).Ioctl(sockets.SIO_KEEPALIVE_VALS, sockets.KeepaliveVals{On: true, Idle: time.Second, Interval: time.Second})
	wantErrno(t, err, sockets.ENOPROTOOPT)
	for _, control := range []uint32{sockets.SIO_RCVALL, sockets.SIO_LOOPBACK_FAST_PATH} {
		_, err := s.Ioctl(control, sockets.RCVALL_ON)
		wantErrno(t, err, sockets.EOPNOTSUPP)
		if !errors.Is(err, sockets.ErrUnsupported) {
			t.Errorf("%v does not wrap ErrUnsupported", err)
		}
	}
}

// K1 to K4 on AF_UNIX, as Linux 6.18 answers.
func TestIoctlUnix(t *testing.T) {
	h, end := loopbackHost()
	defer end()
	for _, tc := range []struct {
		typ    sockets.Type
		unread int
		atMark sockets.Errno
	}{{sockets.SOCK_STREAM, 8, 0}, {sockets.SOCK_DGRAM, 5, sockets.EOPNOTSUPP}, {sockets.SOCK_SEQPACKET, 8, sockets.EOPNOTSUPP}} {
		a, b, err := h.SocketPair(sockets.AF_UNIX, tc.typ, 0)
		check(t, err)
		must[int](t)(a.Send([]byte("12345")))
		must[int](t)(a.Send([]byte("678")))
		if n := must[any](t)(b.Ioctl(sockets.FIONREAD, nil)); n != tc.unread {
			t.Errorf("type %d: FIONREAD %v, want %d", tc.typ, n, tc.unread)
		}
		if n := must[any](t)(a.Ioctl(sockets.SIOCOUTQ, nil)).(int); n < 8 {
			t.Errorf("type %d: SIOCOUTQ %d", tc.typ, n)
		}
		if n := must[any](t)(b.Ioctl(sockets.SIOCOUTQ, nil)); n != 0 {
			t.Errorf("type %d: SIOCOUTQ of who sent nothing is %v", tc.typ, n)
		}
		if _, err := a.Ioctl(sockets.SIOCATMARK, nil); tc.atMark == 0 {
			check(t, err)
		} else {
			wantErrno(t, err, tc.atMark)
		}
		_, err = a.Ioctl(sockets.SIOCGSTAMP, nil)
		wantErrno(t, err, sockets.ENOTTY)
		a.Close()
		b.Close()
	}
}
