package sockets_test

import (
	"errors"
	"fmt"

	"github.com/userstack/userstack/stack/sockets"
)

func ExampleHost_SocketPair() {
	host, end := loopbackHost()
	defer end()
	a, b, err := host.SocketPair(sockets.AF_UNIX, sockets.SOCK_SEQPACKET, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close()
	defer b.Close()
	a.Send([]byte("first record"))
	a.Send([]byte("second"))
	for range 2 {
		record, _ := b.Recv(100)
		fmt.Printf("%s\n", record)
	}
	// Output:
	// first record
	// second
}

func ExampleHost_NewTCPPair() {
	host, end := loopbackHost()
	defer end()
	a, b, err := host.NewTCPPair()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close()
	defer b.Close()
	a.Send([]byte("over the loopback interface"))
	data, _ := b.Recv(100)
	fmt.Printf("%s\n", data)
	// Output: over the loopback interface
}

func ExampleUnixAddr() {
	host, end := loopbackHost()
	defer end()
	listener, _ := host.Socket(sockets.AF_UNIX, sockets.SOCK_STREAM, 0)
	defer listener.Close()
	listener.Bind(sockets.UnixAddr{Name: "\x00printer"}) // in the abstract namespace of the host
	listener.Listen(1)

	client, _ := host.Socket(sockets.AF_UNIX, sockets.SOCK_STREAM, 0)
	defer client.Close()
	fmt.Println(client.Connect(sockets.UnixAddr{Name: "/run/printer"}))
	fmt.Println(client.Connect(sockets.UnixAddr{Name: "\x00printer"}))
	fmt.Println(client.GetPeerName())
	// Output:
	// connect /run/printer: [Errno 2] No such file or directory
	// <nil>
	// @printer <nil>
}

func ExampleHost_UnlinkUnix() {
	host, end := loopbackHost()
	defer end()
	name := sockets.UnixAddr{Name: "/run/service"}
	bind := func() error {
		s, _ := host.Socket(sockets.AF_UNIX, sockets.SOCK_STREAM, 0)
		defer s.Close()
		return s.Bind(name)
	}
	fmt.Println(bind())
	fmt.Println(errors.Is(bind(), sockets.EADDRINUSE)) // the path outlives the socket
	fmt.Println(host.UnlinkUnix(name.Name))
	fmt.Println(bind())
	// Output:
	// <nil>
	// true
	// <nil>
	// <nil>
}

func ExampleRights() {
	host, end := loopbackHost()
	defer end()
	a, b, _ := host.SocketPair(sockets.AF_UNIX, sockets.SOCK_STREAM, 0)
	defer a.Close()
	defer b.Close()
	udp, _ := host.UDP()
	a.SendMsg(&sockets.Msg{Buffers: [][]byte{{0}}, Control: []sockets.ControlMessage{sockets.Rights(udp)}})
	udp.Close() // the message has a descriptor of its own

	m, _ := b.RecvMsg([][]byte{make([]byte, 1)}, 64)
	fds, _ := m.Control[0].FDs()
	s, _ := host.Adopt(fds[0])
	defer s.Close()
	fmt.Println(s.Type() == sockets.SOCK_DGRAM, s.Bind(sockets.Inet4{Port: 9999}))
	// Output: true <nil>
}

func ExampleHost_FromFD() {
	host, end := loopbackHost()
	defer end()
	s, _ := host.UDP()
	dup, err := host.FromFD(s.Fileno(), sockets.AF_INET, sockets.SOCK_DGRAM, 0)
	fmt.Println(err, dup.Fileno() != s.Fileno())
	s.Close()
	fmt.Println(dup.Bind(sockets.Inet4{Port: 9999}))
	dup.Close()
	_, err = host.FromFD(0, sockets.AF_INET, sockets.SOCK_DGRAM, 0) // the system's standard input is not a socket of the host
	fmt.Println(err)
	// Output:
	// <nil> true
	// <nil>
	// fromfd: [Errno 9] Bad file descriptor
}

func ExampleSocket_Detach() {
	host, end := loopbackHost()
	defer end()
	s, _ := host.TCP()
	number := s.Fileno()
	fd := s.Detach() // whoever has the number has the socket
	fmt.Println(fd == number, s.Fileno())
	owner, err := host.ImportTCPSocket(fd)
	fmt.Println(owner.Fileno() == number, err)
	fmt.Println(host.CloseFD(fd), owner.Fileno())
	// Output:
	// true -1
	// true <nil>
	// <nil> -1
}
