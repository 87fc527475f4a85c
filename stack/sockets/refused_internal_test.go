package sockets

import (
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/userstack/userstack/stack"
)

// Netstack keeps an ICMP error in the endpoint too, from before it says so until
// the inbox takes it out. What is sent meanwhile must not find it there: the tap
// tells of each error once.
func TestRefusedTwice(t *testing.T) {
	s, err := stack.New(stack.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h, err := New(Config{Stack: s})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	l, err := h.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := h.Dial("udp", l.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	d := c.(*Conn).s.d

	d.in.feeding.Lock() // the inbox is late
	told := make(chan struct{})
	go func() {
		defer close(told)
		pkt := gstack.NewPacketBuffer(gstack.PacketBufferOptions{})
		defer pkt.DecRef()
		pkt.NetworkProtocolNumber = header.IPv4ProtocolNumber
		d.ep.Load().Endpoint.(gstack.TransportEndpoint).HandleError(portError{}, pkt)
	}()
	for start := time.Now(); d.ep.Load().Readiness(waiter.EventErr) == 0; {
		if time.Since(start) > time.Minute {
			t.Fatal("the endpoint has no error")
		}
	}
	_, err = c.Write([]byte("x"))
	d.in.feeding.Unlock()
	<-told
	if err != nil {
		t.Errorf("sending says %v", err)
	}
}

// A portError is an ICMP error about a port on which nobody listens.
type portError struct{ connectError }

// Kind implements stack.TransportError.
func (portError) Kind() gstack.TransportErrorKind {
	return gstack.DestinationPortUnreachableTransportError
}
