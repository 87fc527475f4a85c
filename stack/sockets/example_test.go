package sockets_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/sockets"
)

// loopbackHost is a host with nothing but its loopback interface.
func loopbackHost() (h *sockets.Host, end func()) {
	s, err := stack.New(stack.Config{})
	if err != nil {
		panic(err)
	}
	if h, err = sockets.New(sockets.Config{Stack: s}); err != nil {
		panic(err)
	}
	return h, func() { h.Close(); s.Close() }
}

func Example() {
	host, end := loopbackHost()
	defer end()

	l, err := host.Listen("tcp", "127.0.0.1:80")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello from ", r.Host)
	})}
	go server.Serve(l)
	defer server.Close()

	transport := &http.Transport{DialContext: host.DialContext}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("http://127.0.0.1/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(string(body))
	// Output: hello from 127.0.0.1
}

func ExampleHost_Socket() {
	host, end := loopbackHost()
	defer end()

	s, err := host.Socket(sockets.AF_INET, sockets.SOCK_STREAM, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	err = s.Connect(sockets.Inet4{Host: "127.0.0.1", Port: 80})
	fmt.Println(err)
	fmt.Println(errors.Is(err, sockets.ECONNREFUSED), errors.Is(err, syscall.ECONNREFUSED))
	// Output:
	// connect 127.0.0.1:80: [Errno 111] Connection refused
	// true true
}

func ExampleWithin() {
	host, end := loopbackHost()
	defer end()

	s, _ := host.UDP()
	defer s.Close()
	_ = s.Bind(sockets.Inet4{Host: "127.0.0.1", Port: 5353})
	_, _, err := s.RecvFrom(1500, sockets.Within(time.Millisecond))
	fmt.Println(err)
	// Output: recvfrom: timed out
}

func ExampleSocket_SendTo() {
	host, end := loopbackHost()
	defer end()

	server, _ := host.UDP()
	defer server.Close()
	_ = server.Bind(sockets.Inet4{Host: "127.0.0.1", Port: 7})
	client, _ := host.UDP()
	defer client.Close()
	_, _ = client.SendTo([]byte("echo"), sockets.Inet4{Host: "127.0.0.1", Port: 7})
	p, from, err := server.RecvFrom(1500)
	fmt.Printf("%s %s %v\n", p, from.(sockets.Inet4).Host, err)
	// Output: echo 127.0.0.1 <nil>
}

func ExampleInet4_AddrPort() {
	ap, ok := sockets.Inet4{Host: "192.0.2.1", Port: 80}.AddrPort()
	fmt.Println(ap, ok, ap == netip.MustParseAddrPort("192.0.2.1:80"))
	_, ok = sockets.Inet4{Host: "www.example.org", Port: 80}.AddrPort()
	fmt.Println(ok)
	// Output:
	// 192.0.2.1:80 true true
	// false
}
