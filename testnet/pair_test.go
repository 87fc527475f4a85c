package testnet_test

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/userstack/userstack/testnet"
)

func TestMain(m *testing.M) {
	if job := os.Getenv(dialerVariable); job != "" {
		os.Exit(dialerMain(job))
	}
	testnet.Main(m)
}

// TestDatagrams sends a datagram there and one back.
func TestDatagrams(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, client, server side, on string) {
		bound, err := server.listenPacket("udp", on)
		if err != nil {
			t.Fatal(err)
		}
		defer bound.Close()
		c, err := client.dial(t.Context(), "udp", bound.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("there")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 16)
		n, from, err := bound.ReadFrom(buf)
		if err != nil || string(buf[:n]) != "there" || from.String() != c.LocalAddr().String() {
			t.Fatalf("got %q from %v, %v; want it from %v", buf[:n], from, err, c.LocalAddr())
		}
		if _, err := bound.WriteTo([]byte("back"), from); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(buf); err != nil || string(buf[:n]) != "back" {
			t.Errorf("got %q, %v", buf[:n], err)
		}
	})
}

// TestRefused: a port where nobody listens is ECONNREFUSED, by whichever stack is asked.
func TestRefused(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, client, _ side, on string) {
		host, _, err := net.SplitHostPort(on)
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.dial(t.Context(), "tcp", net.JoinHostPort(host, "9")) // discard: nobody has it here
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v, want ECONNREFUSED", err)
		}
	})
}

// waiters is how many goroutines block in one call.
const waiters = 8

// TestCloseWakes: closing a socket returns net.ErrClosed to every call that is blocked on it.
func TestCloseWakes(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, client, server side, on string) {
		ln, err := server.listen("tcp", on)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		c, err := client.dial(t.Context(), "tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		pc, err := client.listenPacket("udp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		for _, blocked := range []struct {
			name  string
			call  func() error
			close func() error
		}{
			{"Read", func() error { _, err := c.Read(make([]byte, 1)); return err }, c.Close},
			{"Accept", func() error { _, err := ln.Accept(); return err }, ln.Close},
			{"ReadFrom", func() error { _, _, err := pc.ReadFrom(make([]byte, 1)); return err }, pc.Close},
		} {
			var begun, done sync.WaitGroup
			begun.Add(waiters)
			for range waiters {
				done.Go(func() {
					begun.Done()
					if err := blocked.call(); !errors.Is(err, net.ErrClosed) {
						t.Errorf("%s: got %v, want net.ErrClosed", blocked.name, err)
					}
				})
			}
			begun.Wait()
			if err := blocked.close(); err != nil {
				t.Errorf("closing under %s: %v", blocked.name, err)
			}
			done.Wait()
		}
	})
}
