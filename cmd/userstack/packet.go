package main

import (
	"fmt"
	"net/netip"
	"strings"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
)

// arrows show which way a packet goes.
var arrows = [...]string{sent: "->", received: "<-"}

// packetLine describes a packet in one line, much as tcpdump(1) does.
func packetLine(d direction, proto tcpip.NetworkProtocolNumber, pkt *gstack.PacketBuffer) string {
	view := pkt.ToView()
	defer view.Release()
	b := view.AsSlice()[len(pkt.LinkHeader().Slice()):]
	switch {
	case proto == header.IPv4ProtocolNumber && header.IPv4(b).IsValid(len(b)):
		ip := header.IPv4(b)
		if ip.FragmentOffset() != 0 {
			return fmt.Sprintf("%s IP %s > %s: fragment, %d bytes", arrows[d], ip.SourceAddress(), ip.DestinationAddress(), len(b))
		}
		return arrows[d] + " IP " + transportLine(ip.TransportProtocol(), ip.SourceAddress(), ip.DestinationAddress(), b[ip.HeaderLength():])
	case proto == header.IPv6ProtocolNumber && header.IPv6(b).IsValid(len(b)):
		ip := header.IPv6(b)
		return arrows[d] + " IP6 " + transportLine(tcpip.TransportProtocolNumber(ip.NextHeader()), ip.SourceAddress(), ip.DestinationAddress(), b[header.IPv6MinimumSize:])
	case proto == header.ARPProtocolNumber && header.ARP(b).IsValid():
		arp := header.ARP(b)
		return fmt.Sprintf("%s ARP %s > %s", arrows[d], ip(arp.ProtocolAddressSender()), ip(arp.ProtocolAddressTarget()))
	}
	return fmt.Sprintf("%s protocol %#04x, %d bytes", arrows[d], uint32(proto), len(b))
}

func ip(b []byte) string {
	a, _ := netip.AddrFromSlice(b)
	return a.String()
}

// transportLine describes what an IP packet carries.
func transportLine(proto tcpip.TransportProtocolNumber, src, dst tcpip.Address, b []byte) string {
	switch {
	case proto == header.TCPProtocolNumber && len(b) >= header.TCPMinimumSize && int(header.TCP(b).DataOffset()) <= len(b):
		t := header.TCP(b)
		return fmt.Sprintf("%s.%d > %s.%d: TCP [%s] seq %d ack %d win %d, %d bytes", src, t.SourcePort(), dst, t.DestinationPort(),
			strings.ReplaceAll(t.Flags().String(), " ", ""), t.SequenceNumber(), t.AckNumber(), t.WindowSize(), len(b)-int(t.DataOffset()))
	case proto == header.UDPProtocolNumber && len(b) >= header.UDPMinimumSize:
		u := header.UDP(b)
		return fmt.Sprintf("%s.%d > %s.%d: UDP, %d bytes", src, u.SourcePort(), dst, u.DestinationPort(), len(b)-header.UDPMinimumSize)
	case proto == header.ICMPv4ProtocolNumber && len(b) >= header.ICMPv4MinimumSize:
		i := header.ICMPv4(b)
		return fmt.Sprintf("%s > %s: ICMP type %d code %d, %d bytes", src, dst, i.Type(), i.Code(), len(b))
	case proto == header.ICMPv6ProtocolNumber && len(b) >= header.ICMPv6MinimumSize:
		i := header.ICMPv6(b)
		return fmt.Sprintf("%s > %s: ICMP6 type %d code %d, %d bytes", src, dst, i.Type(), i.Code(), len(b))
	}
	return fmt.Sprintf("%s > %s: protocol %d, %d bytes", src, dst, proto, len(b))
}
