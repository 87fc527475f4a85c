package sockets

import (
	"errors"
	"testing"
	"time"

	"github.com/userstack/userstack/stack"
)

// Without a descriptor number left, accept fails before it takes a connection, which
// waits for another time (accept(2)).
func TestAcceptWithoutNumbers(t *testing.T) {
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
	ln, err := h.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := h.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	listener := ln.(*Listener).s
	free := h.table.free
	h.table.free = maxFDs
	if _, _, err := listener.Accept(); !errors.Is(err, EMFILE) {
		t.Errorf("error %v, want EMFILE", err)
	}
	h.table.free = free
	accepted, _, err := listener.Accept(Within(time.Minute)) // the end of the handshake may be on its way
	if err != nil {
		t.Fatalf("the connection was lost: %v", err)
	}
	accepted.Close()
}
