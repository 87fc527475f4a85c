package link

import (
	"runtime"
	"sync"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// TestForward has a stack forward between a device with every offload and a
// pipe with large segments. What it forwards must be in wire form, because
// netstack drops what exceeds the MTU of the other link.
func TestForward(t *testing.T) {
	x, y := newFakePair(allOffloads, 1)
	x.strict(t, DefaultMTU)
	y.strict(t, DefaultMTU)
	a, b := NewPipe(PipeConfig{GSOMaxSize: MaxGSOSize})
	one := newEndpointHost(t, 1, x, Config{})
	two := newHost(t, 2, a)
	near, err := New(Config{Device: y})
	if err != nil {
		t.Fatal(err)
	}
	near.RequireWireForm()
	b.RequireWireForm()
	newRouter(t, []stack.LinkEndpoint{near, b}, []*host{one, two})
	// Only IPv6. Netstack's forwarding of IPv4 (ipv4.go, forwardPacketWithRoute)
	// reads a header that it has given back to its pool, which is a race, and
	// puts a new checksum into each fragment as if it were a datagram.
	from, to := connect(t, one, two, "6")
	transfer(t, from, to, 1<<20)
	transfer(t, to, from, 1<<20)
	exchange(t, one, two, "6", 0, 1452, 9000)
	if s := near.Stats(); s.RxSplit == 0 || s.RxVouched > 0 {
		t.Errorf("stats %+v", s)
	}
}

// newRouter starts a stack that forwards between links, each of which leads to
// one host.
func newRouter(t *testing.T, links []stack.LinkEndpoint, hosts []*host) {
	t.Helper()
	r := stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
	})
	t.Cleanup(func() {
		r.Close()
		for _, l := range links {
			l.Close()
			l.Wait()
		}
		r.Wait()
	})
	var routes []tcpip.Route
	for i, l := range links {
		id := tcpip.NICID(i + 1)
		if err := r.CreateNIC(id, l); err != nil {
			t.Fatal(err)
		}
		for proto, addr := range map[tcpip.NetworkProtocolNumber][2]tcpip.Address{
			header.IPv4ProtocolNumber: {hosts[i].v4, tcpip.AddrFrom4([4]byte{10, 0, 1, byte(i)})},
			header.IPv6ProtocolNumber: {hosts[i].v6, tcpip.AddrFrom16([16]byte{0: 0xfc, 15: byte(i)})},
		} {
			routes = append(routes, tcpip.Route{Destination: addr[0].WithPrefix().Subnet(), NIC: id})
			own := tcpip.ProtocolAddress{Protocol: proto, AddressWithPrefix: addr[1].WithPrefix()}
			if err := r.AddProtocolAddress(id, own, stack.AddressProperties{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.SetRouteTable(routes)
	for _, proto := range []tcpip.NetworkProtocolNumber{header.IPv4ProtocolNumber, header.IPv6ProtocolNumber} {
		if err := r.SetForwardingDefaultAndAllNICs(proto, true); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBurst sends datagrams faster than they are read while the garbage
// collector runs; TestMain sees a reference that is lost or dropped twice.
func TestBurst(t *testing.T) {
	a, b := NewPipe(PipeConfig{QueueBytes: 1 << 20})
	one, two := newHost(t, 1, a), newHost(t, 2, b)
	addr, proto := two.addr("4", 4000)
	server, err := gonet.DialUDP(two.Stack, &addr, nil, proto)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	for range 2 {
		client, err := gonet.DialUDP(one.Stack, nil, &addr, proto)
		if err != nil {
			t.Fatal(err)
		}
		for range 5000 {
			if _, err := client.Write(make([]byte, 1200)); err != nil {
				t.Fatal(err)
			}
		}
		client.Close()
	}
	close(stop)
	wg.Wait()
}
