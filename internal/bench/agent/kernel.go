package agent

import (
	"context"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"

	"github.com/userstack/userstack/internal/bench/load"
)

// kernel is the kernel's sockets, as package net has them.
type kernel struct{}

// Loopback is where the far end of Local listens.
var Loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func kernelFar(Config) (load.Ends, func(), error) {
	return load.Ends{Far: kernel{}, At: netip.IPv4Unspecified()}, func() {}, nil
}

func kernelNear(Config) (load.Ends, func(), error) {
	return load.Ends{Near: kernel{}}, func() {}, nil
}

func kernelBoth(Config) (load.Ends, func(), error) {
	return load.Ends{Near: kernel{}, Far: kernel{}, At: Loopback}, func() {}, nil
}

func (kernel) DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	dialer := net.Dialer{Control: unpaced}
	return dialer.DialContext(ctx, "tcp4", to.String())
}

func (kernel) ListenTCP(at netip.AddrPort) (net.Listener, error) {
	lc := net.ListenConfig{Control: unpaced}
	lc.SetMultipathTCP(false) // plain TCP, as most programs have it
	return lc.Listen(context.Background(), "tcp4", at.String())
}

func (kernel) DialUDP(to netip.AddrPort) (load.Packets, error) {
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return nil, err
	}
	return newKernelPackets(c), nil
}

func (kernel) ListenUDP(at netip.AddrPort) (load.PacketListener, error) {
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	return &kernelPacketListener{newKernelPackets(c)}, nil
}

// kernelPackets sends and receives a batch a call where the system can (sendmmsg(2), recvmmsg(2)).
type kernelPackets struct {
	*net.UDPConn
	batched *ipv4.PacketConn
	out, in []ipv4.Message
}

func newKernelPackets(c *net.UDPConn) *kernelPackets {
	widen(c)
	return &kernelPackets{UDPConn: c, batched: ipv4.NewPacketConn(c)}
}

func (p *kernelPackets) Send(batch [][]byte) (int, error) {
	return p.batched.WriteBatch(messages(&p.out, batch), 0)
}

func (p *kernelPackets) Receive(batch [][]byte) (int, error) {
	for i, b := range batch {
		batch[i] = b[:cap(b)]
	}
	ms := messages(&p.in, batch)
	n, err := p.batched.ReadBatch(ms, 0)
	for i := range max(n, 0) {
		batch[i] = batch[i][:ms[i].N]
	}
	return max(n, 0), err
}

// messages puts a batch into messages that are kept from call to call.
func messages(kept *[]ipv4.Message, batch [][]byte) []ipv4.Message {
	for len(*kept) < len(batch) {
		*kept = append(*kept, ipv4.Message{Buffers: make([][]byte, 1)})
	}
	ms := (*kept)[:len(batch)]
	for i, b := range batch {
		ms[i].Buffers[0] = b
	}
	return ms
}

type kernelPacketListener struct{ *kernelPackets }

func (l *kernelPacketListener) Addr() netip.AddrPort {
	return l.LocalAddr().(*net.UDPAddr).AddrPort()
}

func (l *kernelPacketListener) Accept(hello []byte) (load.Packets, int, error) {
	n, from, err := l.ReadFromUDPAddrPort(hello)
	if err == nil {
		err = connect(l.UDPConn, from)
	}
	return l.kernelPackets, n, err
}
