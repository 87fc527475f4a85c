package acks

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

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

// hangs bounds a test in which something waits for ever.
const hangs = time.Minute

// smallFlight sends two segments of which the first is lost, and returns how often
// the timer of the sender, which is behind a wrapped link, had to fire.
func smallFlight(t *testing.T, leastRTO time.Duration, wrap func(stack.LinkEndpoint) stack.LinkEndpoint) uint64 {
	near, far := link.NewPipe(link.PipeConfig{})
	us, peer := newStack(t, wrap(near), us4), newStack(t, newDropper(far, 0), peer4)
	rto := tcpip.TCPMinRTOOption(leastRTO)
	us.SetTransportProtocolOption(tcp.ProtocolNumber, &rto)
	at := tcpip.FullAddress{Addr: peer4, Port: 80}
	ln, err := gonet.ListenTCP(peer, at, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := gonet.DialTCP(us, at, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var answering net.Conn
	// A first byte, because netstack has the timer for whatever is lost of a first flight.
	for i, size := range []int{1, 2800} {
		if _, err := conn.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if answering, err = ln.Accept(); err != nil {
				t.Fatal(err)
			}
			defer answering.Close()
			answering.SetDeadline(time.Now().Add(hangs))
		}
		if _, err := io.ReadFull(answering, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	return us.Stats().TCP.Timeouts.Value()
}

func TestEarlyRetransmit(t *testing.T) {
	var l *Link
	wrap := func(lower stack.LinkEndpoint) stack.LinkEndpoint { l = New(lower); return l }
	if n := smallFlight(t, 2*hangs, wrap); n != 0 {
		t.Errorf("the sender's timer fired %d times", n)
	}
	if l.Early() == 0 {
		t.Error("no acknowledgement came in parts")
	}
}

// TestNetstackNeedsParts fails when netstack has learned RFC 5827: then they can go.
func TestNetstackNeedsParts(t *testing.T) {
	if n := smallFlight(t, tcp.MinRTO, func(lower stack.LinkEndpoint) stack.LinkEndpoint { return lower }); n == 0 {
		t.Error("netstack did without its timer; are the parts still needed?")
	}
}

// unheard loses the acknowledgement of each answer to a SYN, which has neither data
// nor the end of it, and the first of the data as well.
type unheard struct {
	nestedLink
	mu      sync.Mutex
	lost    map[uint16]int // packets of a port lost so far
	data    map[uint16]int // packets of a port that came with data
	lose    int            // of each port
	stall   sync.Once
	stalled chan struct{} // closed when data of a port comes again and again
}

func newUnheard(lower stack.LinkEndpoint, lose int) *unheard {
	u := &unheard{lost: map[uint16]int{}, data: map[uint16]int{}, lose: lose, stalled: make(chan struct{})}
	u.Init(lower, u)
	return u
}

func (u *unheard) DeliverNetworkPacket(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	if seg, ok := receivedSegment(protocol, pkt); ok && seg.flags&header.TCPFlagSyn == 0 && u.loses(&seg) {
		return
	}
	u.nestedLink.DeliverNetworkPacket(protocol, pkt)
}

func (u *unheard) loses(seg *segment) bool {
	const repeats = 6
	u.mu.Lock()
	defer u.mu.Unlock()
	port := seg.key.remotePort
	if u.lost[port] < u.lose {
		u.lost[port]++
		return true
	}
	if seg.payload > 0 {
		if u.data[port]++; u.data[port] == repeats && u.stalled != nil {
			u.stall.Do(func() { close(u.stalled) })
		}
	}
	return false
}

// callAShortListener has calls made, one after the other, to a listener that answers
// with SYN cookies, over a wire that loses the first packets of each after the SYN,
// and returns how many were served before the wire saw one stall.
func callAShortListener(t *testing.T, calls int, wire *unheard, wrapped, far stack.LinkEndpoint) int {
	us, peer := newStack(t, wrapped, us4), newStack(t, far, peer4)
	cookies := tcpip.TCPAlwaysUseSynCookies(true)
	us.SetTransportProtocolOption(tcp.ProtocolNumber, &cookies)
	ln := listenWithLittleRoom(t, us)
	defer ln.Close()
	for served := range calls {
		conn, err := gonet.DialTCP(peer, tcpip.FullAddress{Addr: us4, Port: 80}, ipv4.ProtocolNumber)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(hangs))
		ended := make(chan error, 1)
		go func() { ended <- ask(conn, ln) }()
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("call %d: %v", served, err)
			}
		case <-wire.stalled:
			ln.Close()
			conn.Close()
			<-ended
			return served
		}
	}
	return calls
}

// ask sends two segments, which the next connection of a listener has to receive.
func ask(conn net.Conn, ln net.Listener) error {
	const size = 100
	for range 2 {
		if _, err := conn.Write(make([]byte, size)); err != nil {
			return err
		}
	}
	answering, err := ln.Accept()
	if err != nil {
		return err
	}
	defer answering.Close()
	answering.SetDeadline(time.Now().Add(hangs))
	_, err = io.ReadFull(answering, make([]byte, 2*size))
	return err
}

// listenWithLittleRoom makes a listener with the smallest of receive buffers.
func listenWithLittleRoom(t *testing.T, s *stack.Stack) net.Listener {
	t.Helper()
	var queue waiter.Queue
	ep, err := s.NewEndpoint(tcp.ProtocolNumber, ipv4.ProtocolNumber, &queue)
	if err != nil {
		t.Fatal(err)
	}
	ep.SocketOptions().SetReceiveBufferSize(tcp.MinBufferSize, true)
	if err := ep.Bind(tcpip.FullAddress{Addr: us4, Port: 80}); err != nil {
		t.Fatal(err)
	}
	const backlog = 100
	if err := ep.Listen(backlog); err != nil {
		t.Fatal(err)
	}
	return gonet.NewTCPListener(s, &queue, ep)
}

const (
	shortCalls = 12
	lostAnswer = 1 // the acknowledgement of the answer to the SYN
	lostData   = 2 // and the first data
)

func TestShortListenerServes(t *testing.T) {
	for name, lose := range map[string]int{"answer lost": lostAnswer, "answer and data lost": lostData} {
		t.Run(name, func(t *testing.T) {
			near, far := link.NewPipe(link.PipeConfig{})
			wire := newUnheard(near, lose)
			wire.stalled = nil // however long it takes
			l := New(wire)
			if n := callAShortListener(t, shortCalls, wire, l, far); n != shortCalls {
				t.Errorf("%d of %d calls were served", n, shortCalls)
			}
			if l.Bare() < shortCalls {
				t.Errorf("%d acknowledgements were handed up, want %d", l.Bare(), shortCalls)
			}
		})
	}
}

// TestNetstackNeedsBare fails when a listener of netstack serves whose first
// acknowledgement is lost: then opening.go can go.
func TestNetstackNeedsBare(t *testing.T) {
	near, far := link.NewPipe(link.PipeConfig{})
	wire := newUnheard(near, lostAnswer)
	if n := callAShortListener(t, shortCalls, wire, wire, far); n == shortCalls {
		t.Errorf("netstack served all of %d calls; are bare acknowledgements still needed?", n)
	}
}
