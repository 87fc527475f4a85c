package sockets

import (
	"fmt"
	"net"
)

// LinkAddr is an AF_PACKET address (packet(7), struct sockaddr_ll).
type LinkAddr struct {
	// Ifindex is the interface. In Bind, 0 is every one.
	Ifindex int
	// Protocol is the EtherType, ETH_P_IP or another, in the order of the host,
	// as Python has it. In Bind, 0 leaves the one that the socket has.
	Protocol uint16
	// PktType says whom a received packet was for: PACKET_HOST or another.
	PktType uint8
	// HaType is the kind of the interface: ARPHRD_ETHER or another.
	HaType uint16
	// Addr is the sender of a received packet, or whom to send to: 6 bytes on
	// Ethernet, none on other links.
	Addr net.HardwareAddr
}

// Family returns AF_PACKET.
func (LinkAddr) Family() Family { return AF_PACKET }

// Network returns "packet".
func (LinkAddr) Network() string { return "packet" }

// String returns the interface, the EtherType and the address.
func (a LinkAddr) String() string {
	return fmt.Sprintf("%%%d %#04x %v", a.Ifindex, a.Protocol, a.Addr)
}

// NetlinkAddr is an AF_NETLINK address (netlink(7)). It is there so that
// programs compile: Host.Socket refuses AF_NETLINK, as there is no kernel to
// talk to.
type NetlinkAddr struct {
	PID, Groups uint32
}

// Family returns AF_NETLINK.
func (NetlinkAddr) Family() Family { return AF_NETLINK }

// Network returns "netlink".
func (NetlinkAddr) Network() string { return "netlink" }

// String returns "pid groups".
func (a NetlinkAddr) String() string { return fmt.Sprintf("%d %#x", a.PID, a.Groups) }

// TIPCAddr is an AF_TIPC address, as Python has it: what V1 to V3 mean depends
// on AddrType, one of TIPC_ADDR_NAMESEQ, TIPC_ADDR_NAME and TIPC_ADDR_ID. It is
// there so that programs compile: Host.Socket refuses AF_TIPC, as a kernel
// without the module does.
type TIPCAddr struct {
	AddrType, V1, V2, V3 uint32
	Scope                int
}

// Family returns AF_TIPC.
func (TIPCAddr) Family() Family { return AF_TIPC }

// Network returns "tipc".
func (TIPCAddr) Network() string { return "tipc" }

// String returns "type v1 v2 v3 scope".
func (a TIPCAddr) String() string {
	return fmt.Sprintf("%d %d %d %d %d", a.AddrType, a.V1, a.V2, a.V3, a.Scope)
}
