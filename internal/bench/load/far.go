package load

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
)

// Far is the end that serves.
type Far struct {
	counter
	listener net.Listener
	packets  PacketListener
	serving  sync.WaitGroup

	mu     sync.Mutex
	open   map[io.Closer]struct{}
	closed bool
}

// NewFar serves on an address, where it chooses the ports.
func NewFar(network Network, at netip.Addr) (*Far, error) {
	listener, err := network.ListenTCP(netip.AddrPortFrom(at, 0))
	if err != nil {
		return nil, err
	}
	packets, err := network.ListenUDP(netip.AddrPortFrom(at, 0))
	if err != nil {
		listener.Close()
		return nil, err
	}
	f := &Far{listener: listener, packets: packets, open: map[io.Closer]struct{}{}}
	f.serving.Go(f.accept)
	f.serving.Go(f.acceptPackets)
	return f, nil
}

// TCP and UDP are the ports that far serves on.
func (f *Far) TCP() uint16 { return netip.MustParseAddrPort(f.listener.Addr().String()).Port() }
func (f *Far) UDP() uint16 { return f.packets.Addr().Port() }

// Counts returns what came and went so far.
func (f *Far) Counts() Counts { return f.counts() }

// Conns returns the connections that are open.
func (f *Far) Conns() []net.Conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	return conns(f.open)
}

// Close ends all connections and waits for what serves them.
func (f *Far) Close() error {
	f.listener.Close()
	f.packets.Close()
	f.mu.Lock()
	f.closed = true
	for c := range f.open {
		c.Close()
	}
	f.mu.Unlock()
	f.serving.Wait()
	return nil
}

// keep remembers what Close is to close, and reports whether it is not too late.
func (f *Far) keep(c io.Closer) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		c.Close()
		return false
	}
	f.open[c] = struct{}{}
	return true
}

func (f *Far) drop(c io.Closer) {
	c.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, c)
}

func (f *Far) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		if f.keep(c) {
			f.serving.Go(func() { f.serve(c) })
		}
	}
}

// serve does what the first byte says. An idle connection is left open and costs no goroutine.
func (f *Far) serve(c net.Conn) {
	var kind [1]byte
	if _, err := io.ReadFull(c, kind[:]); err == nil && kind[0] == park {
		f.idle.Add(1)
		return
	}
	defer f.drop(c)
	switch kind[0] {
	case sink:
		pour(c.Read, make([]byte, chunk), &f.counter.bytesIn)
	case source:
		pour(c.Write, make([]byte, chunk), &f.counter.bytesOut)
	case echo:
		f.echo(c)
	case request:
		f.answer(c)
	}
}

func (f *Far) echo(c net.Conn) {
	buf := make([]byte, exchangeSize)
	for {
		n, err := c.Read(buf)
		if err == nil {
			_, err = c.Write(buf[:n])
		}
		if err != nil {
			return
		}
		f.done.Add(1)
	}
}

func (f *Far) answer(c net.Conn) {
	buf := make([]byte, exchangeSize)
	if _, err := io.ReadFull(c, buf[1:]); err != nil {
		return
	}
	if _, err := c.Write(buf); err == nil {
		f.done.Add(1)
	}
}

// acceptPackets serves the one flow of datagrams.
func (f *Far) acceptPackets() {
	hello := make([]byte, maxDatagram)
	flow, n, err := f.packets.Accept(hello)
	if err != nil {
		return
	}
	if !f.keep(flow) {
		return
	}
	defer f.drop(flow)
	switch {
	case hello[0] == source && n >= 3:
		sendAll(flow, int(binary.BigEndian.Uint16(hello[1:])), source, &f.counter)
	case hello[0] == sink:
		f.packetsIn.Add(1)
		f.bytesIn.Add(uint64(n))
		receiveAll(flow, &f.counter)
	}
}
