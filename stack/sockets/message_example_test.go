package sockets_test

import (
	"fmt"
	"net/netip"

	"github.com/userstack/userstack/stack/sockets"
)

// An answer from the address that was asked, whichever of the host's it was.
func ExampleSocket_RecvMsg() {
	host, end := loopbackHost()
	defer end()
	server, _ := host.UDP()
	defer server.Close()
	server.Bind(sockets.Inet4{Port: 53})
	server.SetSockOptInt(sockets.SOL_IP, sockets.IP_PKTINFO, 1)

	client, _ := host.UDP()
	defer client.Close()
	client.SendTo([]byte("question"), sockets.Inet4{Host: "127.0.0.7", Port: 53})

	question, err := server.RecvMsg([][]byte{make([]byte, 512)}, 128)
	if err != nil {
		fmt.Println(err)
		return
	}
	asked, _ := question.Control[0].PacketInfo()
	fmt.Printf("%s, asked of %v\n", question.Buffers[0][:question.N], asked.Local)
	server.SendMsg(&sockets.Msg{
		Buffers: [][]byte{[]byte("answer")}, Addr: question.Addr,
		Control: []sockets.ControlMessage{sockets.ControlPacketInfo(sockets.PacketInfo{Local: asked.Local})},
	})
	p, from, err := client.RecvFrom(512)
	fmt.Println(string(p), from, err)
	// Output:
	// question, asked of 127.0.0.7
	// answer 127.0.0.7:53 <nil>
}

func ExampleSocket_SendMsg() {
	host, end := loopbackHost()
	defer end()
	to, _ := host.UDP()
	defer to.Close()
	to.Bind(sockets.Inet4{Host: "127.0.0.1"})
	name, _ := to.GetSockName()
	to.SetSockOptInt(sockets.SOL_IP, sockets.IP_RECVTTL, 1)

	from, _ := host.UDP()
	defer from.Close()
	n, err := from.SendMsg(&sockets.Msg{
		Buffers: [][]byte{[]byte("two "), []byte("buffers")}, Addr: name,
		Control: []sockets.ControlMessage{sockets.ControlInt(sockets.SOL_IP, sockets.IP_TTL, 9)},
	})
	fmt.Println(n, err)
	m, err := to.RecvMsg([][]byte{make([]byte, 512)}, sockets.ControlLen(4))
	ttl, _ := m.Control[0].Int()
	fmt.Printf("%s, TTL %d %v\n", m.Buffers[0][:m.N], ttl, err)
	// Output:
	// 11 <nil>
	// two buffers, TTL 9 <nil>
}

func ExampleSocket_SendMMsg() {
	host, end := loopbackHost()
	defer end()
	to, _ := host.UDP()
	defer to.Close()
	to.Bind(sockets.Inet4{Host: "127.0.0.1"})
	name, _ := to.GetSockName()
	from, _ := host.UDP()
	defer from.Close()
	sent, err := from.SendMMsg([]*sockets.Msg{
		{Buffers: [][]byte{[]byte("one")}, Addr: name}, {Buffers: [][]byte{[]byte("two")}, Addr: name},
	})
	fmt.Println(sent, err)

	in := make([]*sockets.Msg, 8)
	for i := range in {
		in[i] = &sockets.Msg{Buffers: [][]byte{make([]byte, 512)}}
	}
	received, err := to.RecvMMsg(in, 0, sockets.MSG_WAITFORONE)
	fmt.Println(received, err)
	for _, m := range in[:received] {
		fmt.Printf("%s\n", m.Buffers[0][:m.N])
	}
	// Output:
	// 2 <nil>
	// 2 <nil>
	// one
	// two
}

// A datagram to a port that nobody has, and what the error queue says of it.
func ExampleControlMessage_ExtendedError() {
	host, end := loopbackHost()
	defer end()
	s, _ := host.UDP()
	defer s.Close()
	s.SetSockOptInt(sockets.SOL_IP, sockets.IP_RECVERR, 1)
	s.SendTo([]byte("anyone?"), sockets.Inet4{Host: "127.0.0.1", Port: 9})
	host.Poll([]sockets.PollDesc{{Sock: s}}, sockets.NoTimeout)
	m, err := s.RecvMsg([][]byte{make([]byte, 512)}, 128, sockets.MSG_ERRQUEUE)
	if err != nil {
		fmt.Println(err)
		return
	}
	e, _ := m.Control[0].ExtendedError()
	fmt.Printf("%q to %v: %v, says %v\n", m.Buffers[0][:m.N], m.Addr, e.Errno, e.Offender)
	// Output: "anyone?" to 127.0.0.1:9: Connection refused, says 127.0.0.1:0
}

func ExampleControlPacketInfo() {
	m := sockets.ControlPacketInfo(sockets.PacketInfo{Interface: 2, Local: netip.MustParseAddr("fd00::1")})
	fmt.Println(m.Level == sockets.SOL_IPV6, m.Type == sockets.IPV6_PKTINFO, len(m.Data))
	fmt.Println(m.PacketInfo())
	// Output:
	// true true 20
	// {2 fd00::1 fd00::1} true
}
