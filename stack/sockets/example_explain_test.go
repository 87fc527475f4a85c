package sockets_test

import (
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// A client sends to a server that does not read, and finds out why it is slow.
func ExampleConn_Watch() {
	near, far := link.NewPipe(link.PipeConfig{})
	client, server := exampleHost(near, "10.0.0.1/24"), exampleHost(far, "10.0.0.2/24")
	defer server.Close()
	defer client.Close()
	ln, err := server.Listen("tcp", "10.0.0.2:80")
	if err != nil {
		log.Fatal(err)
	}
	defer ln.Close()
	c, err := client.Dial("tcp", "10.0.0.2:80")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	s, err := ln.Accept() // and that is all it does
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	w, err := c.(*sockets.Conn).Watch()
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	go c.Write(make([]byte, 10<<20))
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for w.Explain().Sending.WindowProbes == 0 {
		<-look.C
	}
	w.Restart() // the beginning is over
	for w.Explain().Sending.WindowProbes == 0 {
		<-look.C
	}
	v := w.Explain().Verdict()
	fmt.Println("held back by:", v.Cause)
	fmt.Println("what helps:", v.Remedy)
	// Output:
	// held back by: peer's receive window
	// what helps: look at what the peer waits for
}

// exampleHost is a host on a link. Closing it closes the stack as well.
func exampleHost(l *link.PipeEnd, addr string) *closingHost {
	st, err := stack.New(stack.Config{NICs: []stack.NIC{{Link: l, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}}}})
	if err != nil {
		log.Fatal(err)
	}
	h, err := sockets.New(sockets.Config{Stack: st})
	if err != nil {
		log.Fatal(err)
	}
	return &closingHost{h, st}
}

type closingHost struct {
	*sockets.Host
	stack *stack.Stack
}

func (h *closingHost) Close() {
	h.Host.Close()
	h.stack.Close()
}
