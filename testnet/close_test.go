package testnet_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/testnet"
)

const (
	openSockets = 1000        // that a closing stack has
	closeTime   = time.Second // within which it must be gone, with every blocked call
)

// crowd is sockets of every kind on a host, each with a call blocked on it.
type crowd struct {
	t       *testing.T
	blocked sync.WaitGroup

	mu       sync.Mutex
	outcomes map[string]int // what ended calls returned, to how many
}

// block starts a call that is to end with an error when its stack is closed.
func (c *crowd) block(what string, call func() error) {
	c.blocked.Go(func() {
		outcome := what + ": no error"
		if err := call(); err != nil {
			outcome = what + ": an error"
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.outcomes == nil {
			c.outcomes = map[string]int{}
		}
		c.outcomes[outcome]++
	})
}

// fill opens n sockets on a: connections from a to ln, both ends reading, listeners and UDP sockets.
func (c *crowd) fill(a *testnet.Node, ln net.Listener, n int) {
	c.t.Helper()
	for i := range n {
		switch i % 4 {
		case 0, 1:
			near, err := a.Host.DialContext(c.t.Context(), "tcp", ln.Addr().String())
			if err != nil {
				c.t.Fatal(err)
			}
			far, err := ln.Accept()
			if err != nil {
				c.t.Fatal(err)
			}
			c.block("Read", func() error { _, err := near.Read(make([]byte, 1)); return err })
			c.t.Cleanup(func() { far.Close() })
		case 2:
			l, err := a.Host.Listen("tcp", ":0")
			if err != nil {
				c.t.Fatal(err)
			}
			c.block("Accept", func() error { _, err := l.Accept(); return err })
		case 3:
			pc, err := a.Host.ListenPacket("udp", ":0")
			if err != nil {
				c.t.Fatal(err)
			}
			c.block("ReadFrom", func() error { _, _, err := pc.ReadFrom(make([]byte, 1)); return err })
		}
	}
}

// gone waits for every blocked call, and fails if that takes too long.
func (c *crowd) gone(since time.Time) {
	c.t.Helper()
	done := make(chan struct{})
	go func() { c.blocked.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute): // a hang
		c.mu.Lock()
		defer c.mu.Unlock()
		c.t.Fatalf("calls are still blocked; others returned %v", c.outcomes)
	}
	for outcome, n := range c.outcomes {
		if strings.HasSuffix(outcome, "no error") {
			c.t.Errorf("%s, %d times", outcome, n)
		}
	}
	if took := time.Since(since); took > closeTime && !raceEnabled {
		c.t.Errorf("closing took %v, more than %v", took, closeTime)
	}
}

// TestCloseWithManySockets closes a stack that has 1,000 sockets open, each with a blocked call. Its Host is closed
// first, or later, or by somebody else at the same time: each must do. What is left behind, testnet finds.
func TestCloseWithManySockets(t *testing.T) {
	for _, c := range []struct {
		name  string
		close func(*testnet.Node)
	}{
		{"Host first", func(n *testnet.Node) { n.Host.Close(); n.Stack.Close() }},
		{"Stack first", func(n *testnet.Node) { n.Stack.Close(); n.Host.Close() }},
		{"together", func(n *testnet.Node) {
			var both sync.WaitGroup
			both.Go(func() { n.Host.Close() })
			both.Go(func() { n.Stack.Close() })
			both.Wait()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := testnet.Pair(t)
			ln, err := b.Host.Listen("tcp", netip.AddrPortFrom(b.Addr4, 0).String())
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			crowd := crowd{t: t}
			crowd.fill(a, ln, openSockets)
			start := time.Now()
			c.close(a)
			crowd.gone(start)
			if _, err := a.Host.Listen("tcp", ":0"); err == nil {
				t.Error("a closed host listens")
			}
		})
	}
}

// TestCloseFacingKernel does the same through a TUN device: the kernel sees every connection end.
func TestCloseFacingKernel(t *testing.T) {
	l := testnet.Namespaces(t)
	ln, err := l.Kernel.Listen("tcp", netip.AddrPortFrom(l.Kernel.Addr6, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var served sync.WaitGroup
	c := crowd{t: t}
	accepted := make(chan net.Conn, openSockets)
	served.Go(func() {
		defer close(accepted)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			accepted <- conn
			served.Go(func() {
				if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, net.ErrClosed) {
					t.Errorf("the kernel's read returned %v, want the end of the connection", err)
				}
				conn.Close()
			})
		}
	})
	for range openSockets {
		near, err := l.Host.DialContext(t.Context(), "tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.block("Read", func() error { _, err := near.Read(make([]byte, 1)); return err })
	}
	for range openSockets {
		<-accepted
	}
	start := time.Now()
	l.Host.Close()
	l.Stack.Close()
	c.gone(start)
	ln.Close()
	served.Wait()
}

// TestCloseWhileConnecting: connections to a peer that says nothing end with their stack.
func TestCloseWhileConnecting(t *testing.T) {
	a, b := testnet.Pair(t, testnet.WithImpair(link.ImpairConfig{Out: link.Impairment{Blackhole: true}}))
	c := crowd{t: t}
	var begun sync.WaitGroup
	begun.Add(openSockets)
	for range openSockets {
		c.block("DialContext", func() error {
			begun.Done()
			conn, err := a.Host.DialContext(t.Context(), "tcp", netip.AddrPortFrom(b.Addr4, 9).String())
			if err == nil {
				conn.Close()
			}
			return err
		})
	}
	begun.Wait()
	start := time.Now()
	a.Stack.Close()
	c.gone(start)
}
