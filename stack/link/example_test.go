package link_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"

	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/tun/tuntest"
)

// start runs a host with one address on a link.
func start(wire gstack.LinkEndpoint, addr string) (host *sockets.Host, stop func()) {
	s, err := stack.New(stack.Config{NICs: []stack.NIC{{
		Name: "eth0", Link: wire, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)},
	}}})
	if err != nil {
		panic(err)
	}
	host, err = sockets.New(sockets.Config{Stack: s})
	if err != nil {
		panic(err)
	}
	return host, func() { host.Close(); s.Close() }
}

// greet has one host greet the other over TCP.
func greet(from, to *sockets.Host, addr string) {
	ln, err := to.Listen("tcp", addr)
	if err != nil {
		panic(err)
	}
	go func() {
		c, err := from.DialContext(context.Background(), "tcp", addr)
		if err != nil {
			panic(err)
		}
		fmt.Fprint(c, "hello over ", addr)
		c.Close()
	}()
	c, err := ln.Accept()
	if err != nil {
		panic(err)
	}
	b, err := io.ReadAll(c)
	fmt.Println(string(b), err)
	c.Close()
	ln.Close()
}

func ExampleNewPipe() {
	a, b := link.NewPipe(link.PipeConfig{GSOMaxSize: link.MaxGSOSize})
	one, stopOne := start(a, "10.0.0.1/24")
	defer stopOne()
	two, stopTwo := start(b, "10.0.0.2/24")
	defer stopTwo()
	greet(one, two, "10.0.0.2:80")
	// Output: hello over 10.0.0.2:80 <nil>
}

func ExampleNew() {
	device, far := tuntest.NewPair(tuntest.Config{}) // or tun.Open(tun.Config{Name: "tun0"})
	wire, err := link.New(link.Config{Device: device})
	if err != nil {
		fmt.Println(err)
		return
	}
	one, stopOne := start(wire, "fd00::1/64")
	defer stopOne()
	other, err := link.New(link.Config{Device: far})
	if err != nil {
		fmt.Println(err)
		return
	}
	two, stopTwo := start(other, "fd00::2/64")
	defer stopTwo()
	greet(one, two, "[fd00::2]:80")
	// Output: hello over [fd00::2]:80 <nil>
}

func ExampleNewEthernet() {
	device, far := tuntest.NewPair(tuntest.Config{}) // or tun.Open(tun.Config{Mode: tun.TAP})
	near, err := link.NewEthernet(link.EthernetConfig{Config: link.Config{Device: device}})
	if err != nil {
		fmt.Println(err)
		return
	}
	one, stopOne := start(near, "10.0.0.1/24")
	defer stopOne()
	other, err := link.NewEthernet(link.EthernetConfig{Config: link.Config{Device: far}})
	if err != nil {
		fmt.Println(err)
		return
	}
	two, stopTwo := start(other, "10.0.0.2/24")
	defer stopTwo()
	greet(one, two, "10.0.0.2:80") // they find each other by ARP
	// Output: hello over 10.0.0.2:80 <nil>
}

func ExampleNewLoopback() {
	host, stop := start(link.NewLoopback(), "192.0.2.1/32")
	defer stop()
	greet(host, host, "192.0.2.1:80")
	// Output: hello over 192.0.2.1:80 <nil>
}

func ExamplePipeEnd_Stats() {
	a, b := link.NewPipe(link.PipeConfig{})
	one, stopOne := start(a, "10.0.0.1/24")
	pc, err := one.ListenPacket("udp", "10.0.0.1:9")
	if err != nil {
		panic(err)
	}
	// Nothing is attached to b yet.
	pc.WriteTo([]byte("is anybody there?"), net.UDPAddrFromAddrPort(netip.MustParseAddrPort("10.0.0.2:9")))
	pc.Close()
	stopOne()
	fmt.Printf("%+v\n", b.Stats())
	b.Close()
	// Output: {Delivered:0 DeliveredBytes:0 QueueFull:0 Detached:1 Oversize:0}
}
