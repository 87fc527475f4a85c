package hostnet

import (
	"fmt"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

const nicID tcpip.NICID = 1 // the gateway's only interface

// Settings of the gateway's TCP. Its wire is memory: nothing is lost but where a
// queue is full, nothing overtakes, and the round trip is some microseconds.
const (
	// A connection's buffers begin small and grow with use, up to Linux's
	// tcp_wmem[2] (tcp(7)) each.
	tcpMinBuffer     = 4 << 10
	tcpDefaultBuffer = 256 << 10
	tcpMaxBuffer     = 4 << 20

	tcpMinRTO = 200 * time.Millisecond // Linux's TCP_RTO_MIN
	tcpMaxRTO = 2 * time.Second        // tcp_rto_max_ms can be as low as 1 s

	// As many retransmissions as fill Linux's 924.6 s (tcp_retries2), one in 2 s:
	// a link under test (stack/link.Impair) may be down for a while.
	tcpRetries = 462

	// What TIME_WAIT waits for, late duplicates (RFC 9293 section 3.6.1), cannot
	// come; the stack must be able to use its port again.
	tcpTimeWait = 10 * time.Millisecond
)

// newGateway returns the netstack that takes every packet for its own.
func newGateway(cfg Config, l stack.LinkEndpoint) (*stack.Stack, error) {
	s := stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{
			tcp.NewProtocolCUBIC, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6,
		},
	})
	sack, recovery, moderate := tcpip.TCPSACKEnabled(true), tcpip.TCPRecovery(0), tcpip.TCPModerateReceiveBufferOption(true)
	minRTO, maxRTO := tcpip.TCPMinRTOOption(tcpMinRTO), tcpip.TCPMaxRTOOption(tcpMaxRTO)
	timeWait, retries := tcpip.TCPTimeWaitTimeoutOption(tcpTimeWait), tcpip.TCPMaxRetriesOption(tcpRetries)
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: tcpMinBuffer, Default: tcpDefaultBuffer, Max: tcpMaxBuffer}
	send := tcpip.TCPSendBufferSizeRangeOption{Min: tcpMinBuffer, Default: tcpDefaultBuffer, Max: tcpMaxBuffer}
	for _, opt := range []tcpip.SettableTransportProtocolOption{
		&sack, &recovery, &moderate, &minRTO, &maxRTO, &timeWait, &retries, &receive, &send,
	} {
		if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, opt); err != nil {
			return s, fmt.Errorf("hostnet: setting %T: %v", opt, err)
		}
	}
	if err := s.CreateNIC(nicID, l); err != nil {
		return s, fmt.Errorf("hostnet: creating the gateway's interface: %v", err)
	}
	for _, a := range []netip.Addr{cfg.Gateway4, cfg.Gateway6, cfg.DNS4, cfg.DNS6} {
		pa := tcpip.ProtocolAddress{Protocol: protocolOf(a), AddressWithPrefix: addressOf(a).WithPrefix()}
		if err := s.AddProtocolAddress(nicID, pa, stack.AddressProperties{}); err != nil {
			return s, fmt.Errorf("hostnet: giving the gateway %v: %v", a, err)
		}
	}
	s.SetPromiscuousMode(nicID, true) // fails only for an unknown NIC
	s.SetSpoofing(nicID, true)
	s.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: nicID}, {Destination: header.IPv6EmptySubnet, NIC: nicID},
	})
	return s, nil
}

// addressOf returns a as netstack writes it.
func addressOf(a netip.Addr) tcpip.Address {
	if a.Is4() {
		return tcpip.AddrFrom4(a.As4())
	}
	return tcpip.AddrFrom16(a.As16())
}

// addrOf is the inverse of addressOf; the zero Address is the zero Addr.
func addrOf(a tcpip.Address) netip.Addr {
	addr, _ := netip.AddrFromSlice(a.AsSlice())
	return addr
}

func fullAddress(ap netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nicID, Addr: addressOf(ap.Addr()), Port: ap.Port()}
}

func protocolOf(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return header.IPv4ProtocolNumber
	}
	return header.IPv6ProtocolNumber
}

// ends returns what a packet says of its two ends: the stack's, and that which
// the stack believes to talk to.
func ends(id stack.TransportEndpointID) (from, to netip.AddrPort) {
	return netip.AddrPortFrom(addrOf(id.RemoteAddress), id.RemotePort), netip.AddrPortFrom(addrOf(id.LocalAddress), id.LocalPort)
}
