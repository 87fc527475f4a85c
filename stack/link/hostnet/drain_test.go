package hostnet

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestDrain: what the stack has sent is the machine's when Drain returns, though
// nobody has read it.
func TestDrain(t *testing.T) {
	h, u := newHost(t, open)
	inner, outer := join(t, h, "127.0.0.1", "10.0.2.2")
	join(t, h, "127.0.0.1", "10.0.2.2") // nobody has ended this one
	want := strings.Repeat("x", 1<<20)  // more than a receiver takes that does not read
	write(t, inner, want)
	inner.(closeWriter).CloseWrite()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	eventually(t, "the FIN is at the gateway", func() bool { return len(u.tcp.ending()) == 1 })
	if err := u.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	u.Close() // resets what has not ended
	if b, err := io.ReadAll(outer); err != nil || string(b) != want {
		t.Errorf("%d of %d bytes that the stack had sent are there: %v", len(b), len(want), err)
	}
	if err := u.Drain(ctx); err != nil {
		t.Error("draining what is closed: ", err)
	}
}

// TestDrainDatagrams: the last datagrams of a program that ends leave.
func TestDrainDatagrams(t *testing.T) {
	const datagrams = 50
	h, u := newHost(t, open)
	server, to := listenPacket(t, "127.0.0.1", "10.0.2.2")
	inner := innerPacket(t, h, "0.0.0.0:0")
	for range datagrams {
		inner.WriteTo([]byte("last words"), net.UDPAddrFromAddrPort(to))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := u.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	u.Close()
	server.SetReadDeadline(time.Now().Add(patience))
	for i := range datagrams {
		if _, _, err := server.ReadFromUDPAddrPort(make([]byte, 20)); err != nil {
			t.Fatalf("datagram %d of %d: %v", i+1, datagrams, err)
		}
	}
}

func TestDrainGivesUp(t *testing.T) {
	_, u := newHost(t, Config{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	// A mark may pass before the context is looked at.
	if err := u.Drain(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if n := len(u.marks.open); n != 0 {
		t.Errorf("%d marks are left", n)
	}
}
