package link

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/raw"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

const (
	testNIC     = 1
	testTimeout = time.Minute
)

// A host is a bare netstack on one link, with 10.0.0.n and fd00::n.
type host struct {
	*stack.Stack
	link   stack.LinkEndpoint
	v4, v6 tcpip.Address
}

func newHost(t testing.TB, n byte, l stack.LinkEndpoint) *host {
	t.Helper()
	h := &host{
		Stack: stack.New(stack.Options{
			NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol, arp.NewProtocol},
			TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocolCUBIC, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
			RawFactory:         raw.EndpointFactory{},
			HandleLocal:        true,
		}),
		link: l,
		v4:   tcpip.AddrFrom4([4]byte{10, 0, 0, n}),
		v6:   tcpip.AddrFrom16([16]byte{0: 0xfd, 15: n}),
	}
	t.Cleanup(h.stop)
	sack := tcpip.TCPSACKEnabled(true)
	h.SetTransportProtocolOption(tcp.ProtocolNumber, &sack)
	rcv := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4 << 10, Default: 1 << 20, Max: 6 << 20}
	h.SetTransportProtocolOption(tcp.ProtocolNumber, &rcv)
	snd := tcpip.TCPSendBufferSizeRangeOption{Min: 4 << 10, Default: 1 << 20, Max: 6 << 20}
	h.SetTransportProtocolOption(tcp.ProtocolNumber, &snd)
	if err := h.CreateNIC(testNIC, l); err != nil {
		t.Fatal(err)
	}
	for _, a := range []tcpip.ProtocolAddress{
		{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddressWithPrefix{Address: h.v4, PrefixLen: 24}},
		{Protocol: ipv6.ProtocolNumber, AddressWithPrefix: tcpip.AddressWithPrefix{Address: h.v6, PrefixLen: 64}},
	} {
		if err := h.AddProtocolAddress(testNIC, a, stack.AddressProperties{}); err != nil {
			t.Fatal(err)
		}
	}
	h.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: testNIC},
		{Destination: header.IPv6EmptySubnet, NIC: testNIC},
	})
	return h
}

// stop follows the order that loses nothing: netstack, link, netstack's rest.
func (h *host) stop() {
	h.Stack.Close()
	h.link.Close()
	h.link.Wait()
	h.Stack.Wait()
}

// addr returns the host's address for "4" or "6".
func (h *host) addr(v string, port uint16) (tcpip.FullAddress, tcpip.NetworkProtocolNumber) {
	if v == "4" {
		return tcpip.FullAddress{Addr: h.v4, Port: port}, ipv4.ProtocolNumber
	}
	return tcpip.FullAddress{Addr: h.v6, Port: port}, ipv6.ProtocolNumber
}

// connect returns both ends of a TCP connection.
func connect(t testing.TB, from, to *host, v string) (near, far net.Conn) {
	t.Helper()
	addr, proto := to.addr(v, 0)
	ln, err := gonet.ListenTCP(to.Stack, addr, proto)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	addr.Port = uint16(ln.Addr().(*net.TCPAddr).Port)
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	near, err = gonet.DialContextTCP(ctx, from.Stack, addr, proto)
	if err != nil {
		ln.Close()
		<-accepted
		t.Fatal(err)
	}
	far = <-accepted
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// transfer sends n seeded random bytes and compares hashes.
func transfer(t testing.TB, from, to net.Conn, n int64) {
	t.Helper()
	deadline := time.Now().Add(testTimeout)
	from.SetDeadline(deadline)
	to.SetDeadline(deadline)
	sent, got := sha256.New(), sha256.New()
	errs := make(chan error, 1)
	go func() {
		rng := rand.NewChaCha8([32]byte{byte(n)})
		_, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(from, sent)},
			io.LimitReader(rng, n), make([]byte, 128<<10))
		errs <- err
	}()
	m, err := io.Copy(got, io.LimitReader(to, n))
	if err := <-errs; err != nil {
		t.Fatalf("writing: %v", err)
	}
	if err != nil || m != n {
		t.Fatalf("read %d of %d bytes: %v", m, n, err)
	}
	if fmt.Sprintf("%x", sent.Sum(nil)) != fmt.Sprintf("%x", got.Sum(nil)) {
		t.Fatal("bytes differ")
	}
}

// exchange sends datagrams of the given sizes there and back.
func exchange(t testing.TB, from, to *host, v string, sizes ...int) {
	t.Helper()
	addr, proto := to.addr(v, 4000)
	server, err := gonet.DialUDP(to.Stack, &addr, nil, proto)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := gonet.DialUDP(from.Stack, nil, &addr, proto)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	deadline := time.Now().Add(testTimeout)
	server.SetDeadline(deadline)
	client.SetDeadline(deadline)
	rng := rand.NewChaCha8([32]byte{})
	for _, size := range sizes {
		want := make([]byte, size)
		rng.Read(want)
		if _, err := client.Write(want); err != nil {
			t.Fatalf("sending %d bytes: %v", size, err)
		}
		buf := make([]byte, 1<<16)
		n, peer, err := server.ReadFrom(buf)
		if err != nil || string(buf[:n]) != string(want) {
			t.Fatalf("%d bytes there: got %d, %v", size, n, err)
		}
		if _, err := server.WriteTo(buf[:n], peer); err != nil {
			t.Fatalf("answering with %d bytes: %v", size, err)
		}
		n, err = client.Read(buf)
		if err != nil || string(buf[:n]) != string(want) {
			t.Fatalf("%d bytes back: got %d, %v", size, n, err)
		}
	}
}
