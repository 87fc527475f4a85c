package sockets_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

func ExampleMarshalControl() {
	b := sockets.MarshalControl([]sockets.ControlMessage{
		sockets.ControlInt(sockets.SOL_IP, sockets.IP_TTL, 9),
		sockets.ControlSegment(1200),
	})
	messages, err := sockets.ParseControl(b)
	fmt.Println(len(b), messages, err)
	ttl, _ := messages[0].Int()
	fmt.Println(ttl, sockets.ControlLen(4))
	// Output:
	// 48 [{0 2 [9 0 0 0]} {17 103 [176 4]}] <nil>
	// 9 24
}

// The wire form is that of a 64-bit Linux: CMSG_FIRSTHDR and CMSG_NXTHDR.
func TestParseControl(t *testing.T) {
	one := []byte{17, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0, 0, 67, 0, 0, 0, 5}
	for _, tc := range []struct {
		name string
		in   []byte
		want int // messages, −1 is EINVAL
	}{
		{"nothing", nil, 0},
		{"less than a header", make([]byte, 15), 0},
		{"last without padding", one, 1},
		{"padded", append(bytes.Clone(one), make([]byte, 7)...), 1},
		{"two", append(append(bytes.Clone(one), make([]byte, 7)...), one...), 2},
		{"rest shorter than a header", append(append(bytes.Clone(one), make([]byte, 7)...), 1, 2, 3), 1},
		{"length 0", make([]byte, 16), -1},
		{"length 15", append([]byte{15}, make([]byte, 23)...), -1},
		{"longer than the buffer", append([]byte{18}, one[1:]...), -1},
		{"huge", append(bytes.Repeat([]byte{0xff}, 8), one[8:]...), -1},
	} {
		got, err := sockets.ParseControl(tc.in)
		if tc.want < 0 {
			wantErrno(t, err, sockets.EINVAL)
			continue
		}
		check(t, err)
		if len(got) != tc.want {
			t.Errorf("%s: %d messages, want %d", tc.name, len(got), tc.want)
		}
		for _, m := range got {
			if m.Level != sockets.SOL_IPV6 || m.Type != sockets.IPV6_TCLASS || !bytes.Equal(m.Data, []byte{5}) {
				t.Errorf("%s: %+v", tc.name, m)
			}
		}
	}
}

// Whatever a program passes is taken apart without a panic, and what comes out
// goes in again. Typed readers hold out against any data.
func FuzzControlMessages(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 16))
	f.Add(sockets.MarshalControl([]sockets.ControlMessage{
		sockets.ControlPacketInfo(sockets.PacketInfo{Interface: 2, Local: netip.MustParseAddr("10.0.0.1")}),
		sockets.ControlPacketInfo(sockets.PacketInfo{Interface: 2, Local: netip.MustParseAddr("fd00::1")}),
		{Level: sockets.SOL_IP, Type: sockets.IP_RECVERR, Data: make([]byte, 32)},
		{Level: sockets.SOL_SOCKET, Type: sockets.SCM_TIMESTAMP, Data: bytes.Repeat([]byte{0xff}, 16)},
		{Level: sockets.SOL_IPV6, Type: sockets.IPV6_RECVORIGDSTADDR, Data: []byte{10, 0, 1}},
	}))
	f.Fuzz(func(t *testing.T, b []byte) {
		messages, err := sockets.ParseControl(b)
		if err != nil {
			return
		}
		again, err := sockets.ParseControl(sockets.MarshalControl(messages))
		if err != nil || len(again) != len(messages) {
			t.Fatalf("%v became %v, %v", messages, again, err)
		}
		for i, m := range messages {
			if m.Level != again[i].Level || m.Type != again[i].Type || !bytes.Equal(m.Data, again[i].Data) {
				t.Fatalf("%v became %v", m, again[i])
			}
			m.Int()
			m.Time()
			m.OriginalDst()
			m.ExtendedError()
			if p, ok := m.PacketInfo(); ok && m.Level == sockets.SOL_IPV6 {
				if back, ok := sockets.ControlPacketInfo(p).PacketInfo(); !ok || back != p {
					t.Fatalf("%v became %v", p, back)
				}
			}
		}
	})
}

func TestTypedControl(t *testing.T) {
	at := []byte{10, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0}
	for _, tc := range []struct {
		m    sockets.ControlMessage
		want time.Time
	}{
		{sockets.ControlMessage{Level: sockets.SOL_SOCKET, Type: sockets.SCM_TIMESTAMP, Data: at}, time.Unix(10, 5000)},
		{sockets.ControlMessage{Level: sockets.SOL_SOCKET, Type: sockets.SCM_TIMESTAMPNS, Data: at}, time.Unix(10, 5)},
		{sockets.ControlMessage{Level: sockets.SOL_SOCKET, Type: sockets.SO_TIMESTAMPING_NEW, Data: at}, time.Unix(10, 5)},
	} {
		if got, ok := tc.m.Time(); !ok || !got.Equal(tc.want) {
			t.Errorf("%+v: %v %v", tc.m, got, ok)
		}
	}
	for _, m := range []sockets.ControlMessage{
		{Level: sockets.SOL_SOCKET, Type: sockets.SCM_TIMESTAMP, Data: at[:15]},
		{Level: sockets.SOL_SOCKET, Type: sockets.SCM_RIGHTS, Data: at},
		{Level: sockets.SOL_IP, Type: sockets.IP_PKTINFO, Data: at[:11]},
		{Level: sockets.SOL_IP, Type: sockets.IP_RECVERR, Data: at[:15]},
		{Level: sockets.SOL_IP, Type: sockets.IP_RECVORIGDSTADDR, Data: at[:15]},
	} {
		_, isTime := m.Time()
		_, isInfo := m.PacketInfo()
		_, isErr := m.ExtendedError()
		_, isDst := m.OriginalDst()
		if isTime || isInfo || isErr || isDst {
			t.Errorf("%+v passes for something that it is too short for", m)
		}
	}
	v4 := sockets.ControlPacketInfo(sockets.PacketInfo{Interface: 7, Local: netip.MustParseAddr("10.1.2.3")})
	if want := []byte{7, 0, 0, 0, 10, 1, 2, 3, 0, 0, 0, 0}; !reflect.DeepEqual(v4.Data, want) {
		t.Errorf("struct in_pktinfo is % x, want % x", v4.Data, want)
	}
}

// What a program passes to SendMsg, in whatever form, is sent or refused.
func FuzzSendMsg(f *testing.F) {
	h, end := loopbackHost()
	f.Cleanup(end)
	f.Add([]byte{}, []byte("data"))
	f.Add(sockets.MarshalControl([]sockets.ControlMessage{
		sockets.ControlPacketInfo(sockets.PacketInfo{Local: netip.MustParseAddr("127.0.0.9")}),
		sockets.ControlInt(sockets.SOL_IP, sockets.IP_TTL, 4), sockets.ControlInt(sockets.SOL_IP, sockets.IP_TOS, 4),
		sockets.ControlSegment(2),
	}), []byte("segments"))
	f.Add(sockets.MarshalControl([]sockets.ControlMessage{
		sockets.ControlPacketInfo(sockets.PacketInfo{Interface: 1, Local: netip.IPv6Loopback()}),
		sockets.ControlInt(sockets.SOL_IPV6, sockets.IPV6_TCLASS, 4), sockets.ControlInt(sockets.SOL_IPV6, sockets.IPV6_HOPLIMIT, 0),
	}), []byte{128, 0, 0, 0, 0, 0, 0, 0, 1})
	type target struct {
		s  *sockets.Socket
		to sockets.Sockaddr
	}
	var targets []target
	open := func(family sockets.Family, p sockets.Protocol, to sockets.Sockaddr) {
		targets = append(targets, target{mustSocket(f, h, family, sockets.SOCK_DGRAM, p), to})
	}
	open(sockets.AF_INET, 0, sockets.Inet4{Host: "127.0.0.1", Port: 9})
	open(sockets.AF_INET6, 0, sockets.Inet6{Host: "::1", Port: 9})
	open(sockets.AF_INET6, 0, sockets.Inet4{Host: "127.0.0.1", Port: 9})
	open(sockets.AF_INET, sockets.IPPROTO_ICMP, sockets.Inet4{Host: "127.0.0.1"})
	open(sockets.AF_INET6, sockets.IPPROTO_ICMPV6, sockets.Inet6{Host: "::1"})
	f.Fuzz(func(t *testing.T, control, data []byte) {
		messages, err := sockets.ParseControl(control)
		if err != nil {
			return
		}
		for _, x := range targets {
			n, err := x.s.SendMsg(&sockets.Msg{Buffers: [][]byte{data}, Control: messages, Addr: x.to})
			if err == nil && n != len(data) {
				t.Fatalf("sent %d of %d bytes", n, len(data))
			}
		}
	})
}
