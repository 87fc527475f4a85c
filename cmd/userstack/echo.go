package main

import (
	"io"
	"net"
	"sync"
)

// echoServer sends back what it gets, over TCP and UDP (RFC 862).
type echoServer struct {
	ln net.Listener
	pc net.PacketConn
	wg sync.WaitGroup // acceptAll, one copy per connection, answerAll; Close ends and joins them

	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil once closed
}

func (e *echoServer) serve(p place) (err error) {
	e.conns = map[net.Conn]struct{}{}
	if e.ln, err = p.listen("tcp", "[::]:"+echoPort); err != nil {
		return err
	}
	e.wg.Go(e.acceptAll)
	if e.pc, err = p.listenPacket("udp", "[::]:"+echoPort); err != nil {
		return err
	}
	e.wg.Go(e.answerAll)
	return nil
}

func (e *echoServer) acceptAll() {
	for {
		c, err := e.ln.Accept()
		if err != nil {
			return
		}
		if !e.add(c) {
			c.Close()
			return
		}
		e.wg.Go(func() {
			defer e.remove(c)
			io.Copy(c, c)
		})
	}
}

func (e *echoServer) add(c net.Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conns == nil {
		return false
	}
	e.conns[c] = struct{}{}
	return true
}

func (e *echoServer) remove(c net.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, c)
	c.Close()
}

func (e *echoServer) answerAll() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := e.pc.ReadFrom(buf)
		if err != nil {
			return
		}
		e.pc.WriteTo(buf[:n], from) // a lost answer is what UDP is like
	}
}

func (e *echoServer) Close() {
	if e.ln != nil {
		e.ln.Close()
	}
	if e.pc != nil {
		e.pc.Close()
	}
	e.mu.Lock()
	for c := range e.conns {
		c.Close()
	}
	e.conns = nil
	e.mu.Unlock()
	e.wg.Wait()
}
