package load

import (
	"context"
	"net"
	"net/netip"
)

// Network is the sockets of one stack.
type Network interface {
	DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	ListenTCP(at netip.AddrPort) (net.Listener, error)
	DialUDP(to netip.AddrPort) (Packets, error)
	ListenUDP(at netip.AddrPort) (PacketListener, error)
}

// Packets is a connected socket of datagrams. Both directions may be used at once, each by one goroutine.
type Packets interface {
	// Send sends the datagrams and returns how many went out, which without an error is at least one.
	Send(batch [][]byte) (int, error)
	// Receive waits for at least one datagram and returns how many it put into the first slices of batch, each of which is
	// cut or extended, within its capacity, to its datagram's length.
	Receive(batch [][]byte) (int, error)
	Close() error
}

// PacketListener is a socket of datagrams that has no peer yet.
type PacketListener interface {
	// Accept waits for the first datagram, copies it into hello and returns its length and the socket, now connected to
	// the sender. It can be called once.
	Accept(hello []byte) (Packets, int, error)
	Addr() netip.AddrPort
	Close() error
}
