package sockets_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/userstack/userstack/dnsresolver/netdb"
	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/sockets"
)

// namedHost is a host with a hosts table and nothing but its loopback interface.
func namedHost() (h *sockets.Host, end func()) {
	s, err := stack.New(stack.Config{})
	if err != nil {
		panic(err)
	}
	h, err = sockets.New(sockets.Config{
		Stack: s, Hostname: "myhost.example.com",
		Hosts: netdb.ParseHosts([]byte("127.0.0.1 localhost\n127.0.0.2 www.example.com www alias.example.com\n::1 www.example.com\n")),
	})
	if err != nil {
		panic(err)
	}
	return h, func() { h.Close(); s.Close() }
}

func ExampleHost_GetAddrInfo() {
	host, end := namedHost()
	defer end()

	list, err := host.GetAddrInfo("www", "http", &sockets.AddrInfoHints{Flags: sockets.AI_CANONNAME})
	for _, e := range list {
		fmt.Println(e.Family, e.Type == sockets.SOCK_STREAM, e.Proto, e.Addr, e.CanonName)
	}
	fmt.Println(err)

	_, err = host.GetAddrInfo("nowhere.example.com", "http", nil)
	var gai *sockets.GAIError
	fmt.Println(errors.As(err, &gai), gai.Code == sockets.EAI_NONAME, gai)
	// Output:
	// AF_INET true 6 127.0.0.2:80 www.example.com
	// <nil>
	// true true nowhere.example.com: Name or service not known
}

func ExampleHost_GetAddrInfoContext() {
	host, end := namedHost()
	defer end()

	// The addresses to listen on, for a server of both families.
	list, _ := host.GetAddrInfoContext(context.Background(), "", "8080", &sockets.AddrInfoHints{
		Type: sockets.SOCK_STREAM, Flags: sockets.AI_PASSIVE,
	})
	for _, e := range list {
		fmt.Println(e.Addr)
	}
	// Output:
	// 0.0.0.0:8080
	// [::]:8080
}

func ExampleHost_GetHostByName() {
	host, end := namedHost()
	defer end()

	addr, _ := host.GetHostByName("www")
	fmt.Println(addr)
	ent, _ := host.GetHostByNameEx("www")
	fmt.Println(ent.Name, ent.Aliases, ent.Addrs)
	ent, _ = host.GetHostByAddr("127.0.0.2")
	fmt.Println(ent.Name, ent.Aliases, ent.Addrs)
	_, err := host.GetHostByAddr("192.0.2.1")
	fmt.Println(err)
	// Output:
	// 127.0.0.2
	// www.example.com [www alias.example.com] [127.0.0.2]
	// www.example.com [www alias.example.com] [127.0.0.2]
	// 192.0.2.1: Unknown host
}

func ExampleHost_GetFQDN() {
	host, end := namedHost()
	defer end()

	fmt.Println(host.GetFQDN("www"), host.GetFQDN(""))
	_ = host.SetHostName("other")
	fmt.Println(host.GetHostName())
	// Output:
	// www.example.com myhost.example.com
	// other
}

func ExampleHost_GetNameInfo() {
	host, end := namedHost()
	defer end()

	name, service, _ := host.GetNameInfo(sockets.Inet4{Host: "127.0.0.2", Port: 80}, 0)
	fmt.Println(name, service)
	name, service, _ = host.GetNameInfo(sockets.Inet4{Host: "127.0.0.2", Port: 80}, sockets.NI_NUMERICHOST|sockets.NI_NUMERICSERV)
	fmt.Println(name, service)
	// Output:
	// www.example.com http
	// 127.0.0.2 80
}

func ExampleHost_GetServByName() {
	host, end := namedHost()
	defer end()

	port, _ := host.GetServByName("domain", "udp")
	service, _ := host.GetServByPort(514, "udp")
	fmt.Println(port, service)
	_, err := host.GetServByName("HTTP", "tcp")
	fmt.Println(err)

	proto, _ := host.GetProtoByName("icmp")
	name, aliases, _ := host.GetProtoByNumber(sockets.IPPROTO_TCP)
	fmt.Println(int(proto), name, aliases)
	// Output:
	// 53 syslog
	// getservbyname: [Errno 2] No such file or directory: service/proto not found: HTTP
	// 1 tcp [TCP]
}

func ExampleHost_CreateConnection() {
	host, end := namedHost()
	defer end()
	l, _ := host.TCP()
	defer l.Close()
	_ = l.Bind(sockets.Inet4{Host: "127.0.0.2", Port: 80})
	_ = l.Listen(1)

	// ::1 refuses, and then 127.0.0.2 answers.
	s, err := host.CreateConnection(sockets.HostPort{Host: "www.example.com", Port: 80}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	fmt.Println(s.GetPeerName())
	// Output: 127.0.0.2:80 <nil>
}

func ExampleHost_ResolveSockaddr() {
	host, end := namedHost()
	defer end()

	fmt.Println(host.ResolveSockaddr(context.Background(), sockets.Inet4{Host: "www", Port: 80}))
	// Output: 127.0.0.2:80 <nil>
}
