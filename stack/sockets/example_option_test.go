package sockets_test

import (
	"errors"
	"fmt"

	"github.com/userstack/userstack/stack/sockets"
)

func ExampleSocket_SetSockOptInt() {
	host, end := loopbackHost()
	defer end()

	s, _ := host.TCP()
	defer s.Close()
	fmt.Println(s.SetSockOptInt(sockets.SOL_TCP, sockets.TCP_KEEPIDLE, 30))
	fmt.Println(s.SetSockOptInt(sockets.SOL_TCP, sockets.TCP_KEEPIDLE, 0))

	// What Linux has and userstack does not is refused as a Linux without it
	// would, and the error says so.
	err := s.SetSockOptInt(sockets.SOL_TCP, sockets.TCP_REPAIR, 1)
	fmt.Println(err, errors.Is(err, sockets.ErrUnsupported))
	// Output:
	// <nil>
	// setsockopt: [Errno 22] Invalid argument
	// setsockopt: [Errno 92] Protocol not available: TCP_REPAIR is refused by userstack: netstack cannot save and restore a connection true
}

func ExampleSocket_SetSockOpt() {
	host, end := loopbackHost()
	defer end()

	s, _ := host.UDP()
	defer s.Close()
	fmt.Println(s.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_BINDTODEVICE, []byte("lo")))
	fmt.Println(s.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_BINDTODEVICE, []byte("eth0")))
	// Output:
	// <nil>
	// setsockopt: [Errno 19] No such device
}

func ExampleSocket_GetSockOpt() {
	host, end := loopbackHost()
	defer end()

	s, _ := host.TCP()
	defer s.Close()
	v, err := s.GetSockOpt(sockets.SOL_TCP, sockets.TCP_CONGESTION, 16)
	fmt.Printf("%q %v\n", v, err)
	v, err = s.GetSockOpt(sockets.SOL_TCP, sockets.TCP_CONGESTION, 5) // a short buffer gets the beginning
	fmt.Printf("%q %v\n", v, err)
	_, err = s.GetSockOpt(sockets.SOL_TCP, sockets.TCP_CONGESTION, -1)
	fmt.Println(err)
	// Output:
	// "cubic\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" <nil>
	// "cubic" <nil>
	// getsockopt: [Errno 22] Invalid argument
}

func ExampleSocket_GetSockOptInt() {
	host, end := loopbackHost()
	defer end()

	s, _ := host.TCP()
	defer s.Close()
	fmt.Println(s.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_PROTOCOL))
	fmt.Println(s.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 100_000))
	fmt.Println(s.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_RCVBUF)) // doubled, as on Linux
	// Output:
	// 6 <nil>
	// <nil>
	// 200000 <nil>
}
