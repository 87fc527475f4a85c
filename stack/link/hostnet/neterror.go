package hostnet

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// A netError is what the network, or the machine's kernel, reported about a
// datagram of a flow.
type netError struct {
	to      netip.AddrPort // where it was sent
	sender  netip.Addr     // of the ICMP message; zero when the kernel itself says so
	message icmpMessage
	info    uint32 // of "too big": the MTU
	payload []byte // how the datagram began
}

// passOn sends an error of the network's to the stack, about the packet that the
// stack had sent.
func (u *Uplink) passOn(f *flow, e netError) {
	v4 := f.key.src.Addr().Is4()
	if f.key.dns {
		u.dns.failed(e.to)
		e.to = netip.AddrPortFrom(u.dnsFor(v4), portDNS)
		if !e.sender.IsValid() || e.sender.Is4() != v4 {
			return // the nameserver's family is not the stack's: the other servers will do
		}
	}
	to, sender := u.asSeen(e.to.Addr(), v4), u.asSeen(e.sender, v4)
	if !sender.IsValid() || to.Is4() != v4 || sender.Is4() != v4 {
		sender = u.gatewayFor(v4)
	}
	if to.Is4() != v4 {
		return
	}
	about := u.requote(f, netip.AddrPortFrom(to, e.to.Port()), e.payload)
	u.complain(sender, about, f.key.src.Addr(), e.message, e.info)
}

// asSeen returns the address under which the stack knows one of the machine's
// network: the gateway's for the machine, and for what the link has itself.
func (u *Uplink) asSeen(a netip.Addr, v4 bool) netip.Addr {
	if a = a.Unmap(); a.IsLoopback() || a.IsValid() && u.onLink(a) && !u.isDNS(a) {
		return u.gatewayFor(v4)
	}
	return a
}

// requote makes the beginning of the packet that the stack sent for a datagram.
func (u *Uplink) requote(f *flow, to netip.AddrPort, payload []byte) []byte {
	transport := make([]byte, 0, maxError6)
	if f.key.proto == udp.ProtocolNumber {
		h := header.UDP(transport[:header.UDPMinimumSize])
		h.Encode(&header.UDPFields{SrcPort: f.key.src.Port(), DstPort: to.Port(),
			Length: uint16(header.UDPMinimumSize + len(payload))})
		transport = h
	}
	transport = append(transport, payload[:min(len(payload), maxError6)]...)
	src := f.key.src.Addr()
	if src.Is4() {
		ip := header.IPv4(make([]byte, header.IPv4MinimumSize))
		ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(ip) + len(transport)), TTL: 1, Protocol: uint8(f.key.proto),
			SrcAddr: addressOf(src), DstAddr: addressOf(to.Addr())})
		ip.SetChecksum(^ip.CalculateChecksum())
		return append(ip, transport...)
	}
	ip := header.IPv6(make([]byte, header.IPv6MinimumSize))
	ip.Encode(&header.IPv6Fields{PayloadLength: uint16(len(transport)), TransportProtocol: f.key.proto, HopLimit: 1,
		SrcAddr: addressOf(src), DstAddr: addressOf(to.Addr())})
	return append(ip, transport...)
}
