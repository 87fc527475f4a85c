package sockets_test

import (
	"fmt"

	"github.com/userstack/userstack/stack/sockets"
)

// The documents' echo server, for one client.
func ExampleHost_echoServer() {
	host, end := documentHost()
	defer end()

	s, err := host.Socket(sockets.AF_INET, sockets.SOCK_STREAM, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	_ = s.Bind(sockets.Inet4{Host: "", Port: 50007}) // "" is every address of the host
	_ = s.Listen(1)
	answer := askEchoServer(host) // the client, elsewhere
	conn, addr, err := s.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("Connected by", addr.(sockets.Inet4).Host)
	for {
		data, err := conn.Recv(1024)
		if err != nil || len(data) == 0 {
			break
		}
		_, _ = conn.Send(data)
	}
	conn.Close()
	fmt.Println(<-answer)
	// Output:
	// Connected by 127.0.0.1
	// echo me
}

func askEchoServer(host *sockets.Host) <-chan string {
	answer := make(chan string, 1)
	go func() {
		s, _ := host.TCP()
		defer s.Close()
		_ = s.Connect(sockets.Inet4{Host: "localhost", Port: 50007})
		_, _ = s.Send([]byte("echo me"))
		data, _ := s.Recv(1024)
		answer <- string(data)
	}()
	return answer
}

// The documents' echo client. The server's name is looked up; here a hosts table
// has it.
func ExampleHost_echoClient() {
	host, end := documentHost()
	defer end()
	defer echoServer(host)()

	s, err := host.Socket(sockets.AF_INET, sockets.SOCK_STREAM, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := s.Connect(sockets.Inet4{Host: "daring.cwi.nl", Port: 50007}); err != nil {
		fmt.Println(err)
		return
	}
	_, _ = s.Send([]byte("Hello, world"))
	data, err := s.Recv(1024)
	s.Close()
	fmt.Printf("Received %q %v\n", data, err)
	// Output: Received "Hello, world" <nil>
}

// echoServer answers one client.
func echoServer(host *sockets.Host) (end func()) {
	s, _ := host.TCP()
	_ = s.Bind(sockets.Inet4{Port: 50007})
	_ = s.Listen(1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, _, err := s.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			data, err := conn.Recv(1024)
			if err != nil || len(data) == 0 {
				return
			}
			_, _ = conn.Send(data)
		}
	}()
	return func() { s.Close(); <-done }
}
