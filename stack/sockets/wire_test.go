package sockets_test

import (
	"context"
	"net/netip"
	"sync"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack/sockets"
)

// A handWire is a wire whose other end is the test: it sees every packet that
// the host sends and sends what it likes.
type handWire struct {
	t  *testing.T
	ep *channel.Endpoint
}

// wired returns a host, with addrA and addrA6 and the wire for everything else.
func wired(t *testing.T) (*sockets.Host, *handWire) {
	t.Helper()
	ep := channel.New(1024, 1500, "")
	t.Cleanup(func() { ep.Drain() })
	return newHost(t, ep, addrA, addrA6), &handWire{t, ep}
}

// inject delivers a packet to the host. What comes of it has come when inject
// returns.
func (w *handWire) inject(p []byte) {
	proto := header.IPv4ProtocolNumber
	if p[0]>>4 == header.IPv6Version {
		proto = header.IPv6ProtocolNumber
	}
	pkt := gstack.NewPacketBuffer(gstack.PacketBufferOptions{Payload: buffer.MakeWithData(p)})
	defer pkt.DecRef()
	w.ep.InjectInbound(proto, pkt)
}

// sent returns the next packet that the host sends.
func (w *handWire) sent() []byte {
	w.t.Helper()
	pkt := w.ep.ReadContext(w.t.Context())
	if pkt == nil {
		w.t.Fatal("the host sends nothing")
	}
	return packetBytes(pkt)
}

func packetBytes(pkt *gstack.PacketBuffer) []byte {
	defer pkt.DecRef()
	v := pkt.ToView()
	defer v.Release()
	return v.ToSlice()
}

// answer makes the wire answer each IPv4 packet but multicast ones, from now to
// the end of the test.
func (w *handWire) answer(with func([]byte) [][]byte) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for {
			pkt := w.ep.ReadContext(ctx)
			if pkt == nil {
				return
			}
			p := packetBytes(pkt)
			if p[0]>>4 != header.IPv4Version || header.IsV4MulticastAddress(header.IPv4(p).DestinationAddress()) {
				continue
			}
			for _, a := range with(p) {
				w.inject(a)
			}
		}
	})
	w.t.Cleanup(func() {
		cancel()
		done.Wait()
	})
}

// ip4 puts an IPv4 header in front of a payload.
func ip4(src, dst string, proto uint8, payload []byte) []byte {
	p := make([]byte, header.IPv4MinimumSize, header.IPv4MinimumSize+len(payload))
	h := header.IPv4(p)
	h.Encode(&header.IPv4Fields{
		TotalLength: uint16(header.IPv4MinimumSize + len(payload)), TTL: 61, Protocol: proto,
		SrcAddr: addr4(src), DstAddr: addr4(dst),
	})
	h.SetChecksum(^h.CalculateChecksum())
	return append(p, payload...)
}

// icmp4 is an ICMP error about a packet of the host's, from src to its sender.
func icmp4(src string, about []byte, typ, code uint8, field uint32) []byte {
	quoted := header.IPv4(about)
	m := make([]byte, header.ICMPv4MinimumSize, header.ICMPv4MinimumSize+len(about))
	m[0], m[1] = typ, code
	m[4], m[5], m[6], m[7] = byte(field>>24), byte(field>>16), byte(field>>8), byte(field)
	m = append(m, about...)
	header.ICMPv4(m).SetChecksum(^checksum.Checksum(m, 0))
	return ip4(src, netip.AddrFrom4(quoted.SourceAddress().As4()).String(), uint8(header.ICMPv4ProtocolNumber), m)
}

func timeExceeded(about []byte, router string) []byte { return icmp4(router, about, 11, 0, 0) }

func addr4(s string) tcpip.Address { return tcpip.AddrFrom4(netip.MustParseAddr(s).As4()) }

func addr6(s string) tcpip.Address { return tcpip.AddrFrom16(netip.MustParseAddr(s).As16()) }
