package dnsforward_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/dnsresolver/dnsforward"
)

// A server answers from a table. Sockets of a stack (sockets.Host.ListenPacket) do
// as well as these of the machine.
func Example() {
	r, err := dnsresolver.New(dnsresolver.Config{
		Transport: new(net.Dialer), HostsText: "192.0.2.80 www.example.test",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	server, err := dnsforward.New(dnsforward.Config{Resolver: r})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go server.ServePacket(pc) // ends with Close

	client := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
	fmt.Println(client.LookupNetIP(context.Background(), "ip4", "www.example.test"))
	// Output: [192.0.2.80] <nil>
}
