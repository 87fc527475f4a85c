package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"time"

	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/internal/bench/load"
	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/tun"
)

// MTU is that of every wire of ours, in bytes: Ethernet's.
const MTU = 1500

// The addresses of a wire's ends: private (RFC 1918), so that a packet that got out would go nowhere.
var (
	NearAddr = netip.MustParsePrefix("10.77.0.1/24")
	FarAddr  = netip.MustParsePrefix("10.77.0.2/24")

	// FarAddrs begins with FarAddr. More connections than there are ports to connect from go to several.
	FarAddrs = []netip.Prefix{
		FarAddr, netip.MustParsePrefix("10.77.0.3/24"), netip.MustParsePrefix("10.77.0.4/24"),
		netip.MustParsePrefix("10.77.0.5/24"), netip.MustParsePrefix("10.77.0.6/24"),
	}
)

// busyPoll is what Latency has: longer than a round trip on this wire.
const busyPoll = 100 * time.Microsecond

// host is a stack of ours.
type host struct{ *sockets.Host }

// stackNear makes a stack on the inherited device.
func stackNear(cfg Config) (load.Ends, func(), error) {
	l, err := openLink(cfg.Link)
	if err != nil {
		return load.Ends{}, nil, err
	}
	h, closeHost, err := newHost(stack.NIC{Link: l, Addrs: []netip.Prefix{NearAddr}})
	return load.Ends{Near: h}, closeHost, err
}

// openLink adopts the descriptor and makes a link of it.
func openLink(how Link) (gstack.LinkEndpoint, error) {
	var device tun.Config
	cfg := link.Config{MTU: MTU}
	switch how {
	case Latency:
		cfg.BusyPoll = busyPoll
		runtime.GOMAXPROCS(1) // as link.Config.BusyPoll advises
	case Naive:
		device.Backend = tun.Water
	case GRO:
		device.Offload = tun.OffloadNone
	}
	var err error
	if cfg.Device, err = tun.FromFD(Descriptor, device); err != nil {
		return nil, err
	}
	l, err := link.New(cfg)
	if err != nil || how != Naive {
		return l, err
	}
	return plain{l}, nil
}

// plain is a link whose stack does not know that it takes large segments, and so makes small ones.
type plain struct{ gstack.LinkEndpoint }

// stackBoth makes two stacks and a wire in memory.
func stackBoth(Config) (load.Ends, func(), error) {
	a, b := link.NewPipe(link.PipeConfig{MTU: MTU, GSOMaxSize: link.MaxGSOSize})
	far, closeFar, err := newHost(stack.NIC{Link: b, Addrs: FarAddrs})
	if err != nil {
		a.Close()
		return load.Ends{}, nil, err
	}
	near, closeNear, err := newHost(stack.NIC{Link: a, Addrs: []netip.Prefix{NearAddr}})
	if err != nil {
		closeFar()
		return load.Ends{}, nil, err
	}
	return load.Ends{Near: near, Far: far, At: netip.IPv4Unspecified()}, func() { closeNear(); closeFar() }, nil
}

func newHost(nic stack.NIC) (host, func(), error) {
	s, err := stack.New(stack.Config{NICs: []stack.NIC{nic}})
	if err != nil {
		return host{}, nil, err
	}
	h, err := sockets.New(sockets.Config{Stack: s})
	if err != nil {
		return host{}, nil, errors.Join(err, s.Close())
	}
	return host{h}, func() { h.Close(); s.Close() }, nil
}

func (h host) DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return h.DialContext(ctx, "tcp4", to.String())
}

func (h host) ListenTCP(at netip.AddrPort) (net.Listener, error) {
	return h.Listen("tcp4", at.String())
}

func (h host) DialUDP(to netip.AddrPort) (load.Packets, error) {
	s, err := h.packetSocket()
	if err != nil {
		return nil, err
	}
	return newPackets(s), s.Connect(sockaddr(to))
}

func (h host) ListenUDP(at netip.AddrPort) (load.PacketListener, error) {
	s, err := h.packetSocket()
	if err != nil {
		return nil, err
	}
	return &packetListener{newPackets(s)}, s.Bind(sockaddr(at))
}

// packetBufferForce is the receive buffer of datagrams: as large as the kernel's in kernel_linux.go.
const packetBufferForce = 4 << 20

func (h host) packetSocket() (*sockets.Socket, error) {
	s, err := h.UDP()
	if err != nil {
		return nil, err
	}
	return s, s.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_RCVBUFFORCE, packetBufferForce)
}

func sockaddr(a netip.AddrPort) sockets.Sockaddr {
	return sockets.Inet4{Host: a.Addr().String(), Port: int(a.Port())}
}

// Offsets in struct tcp_info (<linux/tcp.h>).
const (
	infoRetransmitted = 100 // tcpi_total_retrans
	infoSent          = 136 // tcpi_segs_out
	infoSize          = 232
)

// Info asks for TCP_INFO, which netstack fills in part.
func (h host) Info(c net.Conn) (i load.Connection) {
	conn, ok := c.(*sockets.Conn)
	if !ok {
		return i
	}
	b, err := conn.Socket().GetSockOpt(sockets.SOL_TCP, sockets.TCP_INFO, infoSize)
	if err != nil || len(b) < infoSize {
		return i
	}
	i.Retransmitted = uint64(binary.LittleEndian.Uint32(b[infoRetransmitted:]))
	i.Sent = uint64(binary.LittleEndian.Uint32(b[infoSent:]))
	return i
}
