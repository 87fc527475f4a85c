package halfclose

import (
	"io"
	"net"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/userstack/userstack/stack/link"
)

// dropper loses one large inbound packet.
type dropper struct {
	nestedLink
	left int // large packets to let pass before
}

func newDropper(lower stack.LinkEndpoint, left int) *dropper {
	d := &dropper{left: left}
	d.Init(lower, d)
	return d
}

func (d *dropper) DeliverNetworkPacket(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	if pkt.Size() > 1000 {
		if d.left--; d.left == -1 {
			return
		}
	}
	d.nestedLink.DeliverNetworkPacket(protocol, pkt)
}

func newStack(t *testing.T, l stack.LinkEndpoint, addr tcpip.Address) *stack.Stack {
	t.Helper()
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocolCUBIC},
	})
	sack, recovery := tcpip.TCPSACKEnabled(true), tcpip.TCPRecovery(0)
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &sack)
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &recovery)
	if err := s.CreateNIC(1, l); err != nil {
		t.Fatal(err)
	}
	address := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: addr.WithPrefix()}
	if err := s.AddProtocolAddress(1, address, stack.AddressProperties{}); err != nil {
		t.Fatal(err)
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: 1}})
	t.Cleanup(func() { s.Close(); l.Close(); l.Wait(); s.Wait() })
	return s
}

// timeouts downloads over a wire that loses one segment, on a connection that
// we have half-closed, and returns how often the sender's timer had to fire.
func timeouts(t *testing.T, wrap func(stack.LinkEndpoint) stack.LinkEndpoint) uint64 {
	near, far := link.NewPipe(link.PipeConfig{})
	us, peer := newStack(t, wrap(newDropper(near, 4)), us4), newStack(t, far, peer4)
	at := tcpip.FullAddress{Addr: peer4, Port: 80}
	ln, err := gonet.ListenTCP(peer, at, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	const size = 40 << 10
	sent := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			sent <- err
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.ReadAll(conn); err != nil { // until we half-close
			sent <- err
			return
		}
		_, err = conn.Write(make([]byte, size))
		sent <- err
	}()
	conn, err := gonet.DialTCP(us, at, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.Copy(io.Discard, net.Conn(conn))
	if err != nil || got != size {
		t.Fatalf("read %d bytes, %v", got, err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	return peer.Stats().TCP.Timeouts.Value()
}

func TestTransfer(t *testing.T) {
	var l *Link
	if n := timeouts(t, func(lower stack.LinkEndpoint) stack.LinkEndpoint { l = New(lower); return l }); n != 0 {
		t.Errorf("the sender's timer fired %d times in spite of SACK", n)
	}
	if l.Added() == 0 {
		t.Error("no acknowledgement got SACK")
	}
}

// TestNetstackNeedsThis fails when netstack has learned to send SACK after a
// half-close: then this package can go.
func TestNetstackNeedsThis(t *testing.T) {
	if n := timeouts(t, func(lower stack.LinkEndpoint) stack.LinkEndpoint { return lower }); n == 0 {
		t.Error("netstack did without its timer; is this package still needed?")
	}
}
