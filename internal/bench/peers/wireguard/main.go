// Wireguard is a near end of "userstack bench" on wireguard-go's netstack, without the tunnel: what netstack puts into its
// tun.Device is written to the kernel's TUN device, which is inherited as descriptor 3, and the other way round, both by
// wireguard-go's own code, with the offload that it has. Encryption would come on top.
package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.zx2c4.com/wireguard/tun"
	"golang.zx2c4.com/wireguard/tun/netstack"

	"github.com/userstack/userstack/internal/bench/peers/load"
)

const (
	descriptor = 3     // of the device
	mtu        = 1500  // bytes, as the other wires have
	headroom   = 16    // bytes in front of a packet, for the virtio-net header: wireguard-go's MessageTransportHeaderSize
	packetSize = 65535 // bytes, the most that a device hands in
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "wireguard:", err)
		os.Exit(1)
	}
}

func serve() error {
	device, _, err := tun.CreateUnmonitoredTUNFromFD(descriptor)
	if err != nil {
		return err
	}
	address, err := netip.ParseAddr(os.Args[1])
	if err != nil {
		return err
	}
	stack, network, err := netstack.CreateNetTUN([]netip.Addr{address}, nil, mtu)
	if err != nil {
		return err
	}
	// The pumps end with the process.
	go pump(stack, device)
	go pump(device, stack)
	return load.Serve(os.Stdin, os.Stdout, load.Ends{Near: peer{network}, Account: load.SelfAccount})
}

// pump carries packets from one device to another, as many at a time as the first one gives.
func pump(from, to tun.Device) {
	n := from.BatchSize()
	buffers, sizes, packets := make([][]byte, n), make([]int, n), make([][]byte, 0, n)
	for i := range buffers {
		buffers[i] = make([]byte, headroom+packetSize)
	}
	for {
		n, err := from.Read(buffers, sizes, headroom)
		if err != nil {
			return
		}
		packets = packets[:0]
		for i := range n {
			packets = append(packets, buffers[i][:headroom+sizes[i]])
		}
		to.Write(packets, headroom) // an error is a packet lost, as anywhere
	}
}

// peer is netstack's sockets.
type peer struct{ *netstack.Net }

func (p peer) DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return p.DialContextTCPAddrPort(ctx, to)
}

func (p peer) ListenTCP(at netip.AddrPort) (net.Listener, error) { return p.ListenTCPAddrPort(at) }

func (p peer) DialUDP(to netip.AddrPort) (load.Packets, error) {
	c, err := p.DialUDPAddrPort(netip.AddrPort{}, to)
	return packets{c}, err
}

func (p peer) ListenUDP(netip.AddrPort) (load.PacketListener, error) {
	return nil, fmt.Errorf("this is never a far end")
}

// packets is a datagram socket, which sends and receives one at a time.
type packets struct{ net.Conn }

func (p packets) Send(batch [][]byte) (int, error) {
	for i, b := range batch {
		if _, err := p.Write(b); err != nil {
			return i, err
		}
	}
	return len(batch), nil
}

func (p packets) Receive(batch [][]byte) (int, error) {
	n, err := p.Read(batch[0][:cap(batch[0])])
	if err != nil {
		return 0, err
	}
	batch[0] = batch[0][:n]
	return 1, nil
}
