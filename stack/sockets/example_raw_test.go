package sockets_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/sockets"
)

// A raw socket pings this host.
func ExampleHost_Socket_raw() {
	s, err := stack.New(stack.Config{})
	if err != nil {
		panic(err)
	}
	defer s.Close()
	h, err := sockets.New(sockets.Config{Stack: s})
	if err != nil {
		panic(err)
	}
	defer h.Close()
	raw, err := h.Socket(sockets.AF_INET, sockets.SOCK_RAW, sockets.IPPROTO_ICMP)
	if err != nil {
		panic(err)
	}
	defer raw.Close()
	request := []byte{8, 0, 0xf7, 0xfd, 0, 1, 0, 1} // echo, checksum, identifier 1, number 1
	if _, err := raw.SendTo(request, sockets.Inet4{Host: "127.0.0.1"}); err != nil {
		panic(err)
	}
	for range 2 {
		packet, from, err := raw.RecvFrom(1500)
		if err != nil {
			panic(err)
		}
		fmt.Printf("type %d from %v, %d bytes with the IP header\n", packet[20], from, len(packet))
	}
	_, err = h.Socket(sockets.AF_NETLINK, sockets.SOCK_RAW, 0)
	fmt.Println(err)
	// Output:
	// type 8 from 127.0.0.1:0, 28 bytes with the IP header
	// type 0 from 127.0.0.1:0, 28 bytes with the IP header
	// socket: [Errno 97] Address family not supported by protocol: there is no kernel here to talk to; Stack.Routes and Stack.Interfaces tell what rtnetlink would
}

// A packet socket sees what passes an interface; its program of classic BPF
// lets in UDP alone: "ldb [9]; jeq #17, 0, 1; ret #65535; ret #0".
func ExampleSocket_SetSockOpt_filter() {
	s, err := stack.New(stack.Config{})
	if err != nil {
		panic(err)
	}
	defer s.Close()
	h, err := sockets.New(sockets.Config{Stack: s})
	if err != nil {
		panic(err)
	}
	defer h.Close()
	eye, err := h.Socket(sockets.AF_PACKET, sockets.SOCK_DGRAM, sockets.Protocol(sockets.Htons(sockets.ETH_P_IP)))
	if err != nil {
		panic(err)
	}
	defer eye.Close()
	program := []byte{
		0x30, 0, 0, 0, 9, 0, 0, 0,
		0x15, 0, 0, 1, 17, 0, 0, 0,
		0x06, 0, 0, 0, 0xff, 0xff, 0, 0,
		0x06, 0, 0, 0, 0, 0, 0, 0,
	}
	if err := eye.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_ATTACH_FILTER, program); err != nil {
		panic(err)
	}
	ping, err := h.Socket(sockets.AF_INET, sockets.SOCK_DGRAM, sockets.IPPROTO_ICMP)
	if err != nil {
		panic(err)
	}
	defer ping.Close()
	ping.SendTo([]byte{8, 0, 0, 0, 0, 0, 0, 1}, sockets.Inet4{Host: "127.0.0.1"})
	udp, err := h.UDP()
	if err != nil {
		panic(err)
	}
	defer udp.Close()
	udp.SendTo([]byte("hello"), sockets.Inet4{Host: "127.0.0.1", Port: 9})
	packet, from, err := eye.RecvFrom(1500)
	if err != nil {
		panic(err)
	}
	link := from.(sockets.LinkAddr)
	fmt.Printf("interface %d, EtherType %#04x: %q\n", link.Ifindex, link.Protocol, packet[28:])
	// Output:
	// interface 1, EtherType 0x0800: "hello"
}

// A socket joins a group on the loopback interface and wants one sender alone.
func ExampleSocket_SourceFilter() {
	s, err := stack.New(stack.Config{})
	if err != nil {
		panic(err)
	}
	defer s.Close()
	h, err := sockets.New(sockets.Config{Stack: s})
	if err != nil {
		panic(err)
	}
	defer h.Close()
	udp, err := h.UDP()
	if err != nil {
		panic(err)
	}
	defer udp.Close()
	// struct ip_mreq_source: group, interface, sender
	request := []byte{239, 1, 2, 3, 127, 0, 0, 1, 127, 0, 0, 7}
	if err := udp.SetSockOpt(sockets.SOL_IP, sockets.IP_ADD_SOURCE_MEMBERSHIP, request); err != nil {
		panic(err)
	}
	fmt.Println(udp.SourceFilter(1, netip.MustParseAddr("239.1.2.3")))
	// struct ip_mreqn: group, no address, interface 1
	leave := binary.LittleEndian.AppendUint32([]byte{239, 1, 2, 3, 0, 0, 0, 0}, 1)
	fmt.Println(udp.SetSockOpt(sockets.SOL_IP, sockets.IP_DROP_MEMBERSHIP, leave))
	// Output:
	// [127.0.0.7] true <nil>
	// <nil>
}
