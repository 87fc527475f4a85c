package testnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/testnet"
)

// fewPorts is how many ports the dialers of these tests have, and moreConnections how many connections they make: more
// than there are ports, all within one TIME_WAIT.
const (
	fewPorts        = 16
	moreConnections = 3 * fewPorts
)

// Ours connects to a kernel and closes first, so that each port is in TIME_WAIT here. A kernel takes connections from a
// port that it has seen a second ago.
func TestPortsAreTakenAgain(t *testing.T) {
	l := testnet.Namespaces(t)
	near, far := ours(l.Node), kernels(l.Kernel)
	if terr := l.Host.Stack().GVisor().SetPortRange(40000, 40000+fewPorts-1); terr != nil {
		t.Fatal(terr)
	}
	addr := serveEnds(t, far, func(c net.Conn) { io.Copy(io.Discard, c) })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // half of TIME_WAIT
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for n := range moreConnections {
		c, err := near.dial(ctx, "tcp4", addr)
		for errors.Is(err, sockets.EADDRNOTAVAIL) && ctx.Err() == nil { // no port is a second old
			<-again.C
			c, err = near.dial(ctx, "tcp4", addr)
		}
		if err != nil {
			t.Fatalf("after %d connections: %v", n, err)
		}
		c.Close()
	}
}

// A kernel connects to ours, which closes first, so that the TIME_WAIT is here too, and the kernel's ports are free.
func TestServerTakesPortsAgain(t *testing.T) {
	l := testnet.Namespaces(t, testnet.WithSysctl(map[string]string{"net.ipv4.ip_local_port_range": "40000 40015"}))
	near, far := kernels(l.Kernel), ours(l.Node)
	addr := serveEnds(t, far, func(net.Conn) {})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for n := range moreConnections {
		c, err := near.dial(ctx, "tcp4", addr)
		if err != nil {
			t.Fatalf("after %d connections: %v", n, err)
		}
		if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
			t.Fatalf("%q, %v, want the end", b, err)
		}
		c.Close()
	}
}

// serveEnds accepts connections one after the other, does one thing with each and closes it, and returns where.
func serveEnds(t *testing.T, s side, with func(net.Conn)) string {
	t.Helper()
	ln, err := s.listen("tcp4", netip.AddrPortFrom(s.addr4, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			with(c)
			c.Close()
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-ended
	})
	return ln.Addr().String()
}
