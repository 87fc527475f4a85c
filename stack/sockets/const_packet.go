package sockets

// Options of SOL_RAW and SOL_ICMPV6 (raw(7), RFC 3542 section 3.2).
const (
	ICMP_FILTER   = 1
	ICMPV6_FILTER = 1
)

// Options of SOL_PACKET (packet(7), <linux/if_packet.h>).
const (
	PACKET_ADD_MEMBERSHIP  = 1
	PACKET_DROP_MEMBERSHIP = 2
	PACKET_RX_RING         = 5
	PACKET_STATISTICS      = 6
	PACKET_COPY_THRESH     = 7
	PACKET_AUXDATA         = 8
	PACKET_ORIGDEV         = 9
	PACKET_VERSION         = 10
	PACKET_HDRLEN          = 11
	PACKET_RESERVE         = 12
	PACKET_TX_RING         = 13
	PACKET_LOSS            = 14
	PACKET_VNET_HDR        = 15
	PACKET_TX_TIMESTAMP    = 16
	PACKET_TIMESTAMP       = 17
	PACKET_FANOUT          = 18
	PACKET_TX_HAS_OFF      = 19
	PACKET_QDISC_BYPASS    = 20
	PACKET_ROLLOVER_STATS  = 21
	PACKET_FANOUT_DATA     = 22
	PACKET_IGNORE_OUTGOING = 23
	PACKET_VNET_HDR_SZ     = 24
)

// Types of a struct packet_mreq.
const (
	PACKET_MR_MULTICAST = 0
	PACKET_MR_PROMISC   = 1
	PACKET_MR_ALLMULTI  = 2
	PACKET_MR_UNICAST   = 3
)

// Values of LinkAddr.PktType.
const (
	PACKET_HOST      = 0 // to this host
	PACKET_BROADCAST = 1
	PACKET_MULTICAST = 2
	PACKET_OTHERHOST = 3 // to another host, seen in promiscuous mode
	PACKET_OUTGOING  = 4 // sent by this host
)

// Values of LinkAddr.Protocol (<linux/if_ether.h>), in the order of the host.
// The protocol that Host.Socket takes is in network order, as for socket(2):
// Protocol(Htons(ETH_P_ALL)).
const (
	ETH_P_ALL  = 0x0003 // every packet, also those that this host sends
	ETH_P_IP   = 0x0800
	ETH_P_ARP  = 0x0806
	ETH_P_IPV6 = 0x86dd
)

// Values of LinkAddr.HaType (<linux/if_arp.h>).
const (
	ARPHRD_ETHER    = 1
	ARPHRD_LOOPBACK = 772
	ARPHRD_NONE     = 0xfffe // a TUN device
)

// Names of TIPC (<linux/tipc.h>), which Python has; there are no sockets of it.
const (
	TIPC_ADDR_NAMESEQ = 1
	TIPC_ADDR_NAME    = 2
	TIPC_ADDR_ID      = 3

	TIPC_ZONE_SCOPE    = 1
	TIPC_CLUSTER_SCOPE = 2
	TIPC_NODE_SCOPE    = 3

	TIPC_IMPORTANCE     = 127
	TIPC_SRC_DROPPABLE  = 128
	TIPC_DEST_DROPPABLE = 129
	TIPC_CONN_TIMEOUT   = 130

	TIPC_LOW_IMPORTANCE      = 0
	TIPC_MEDIUM_IMPORTANCE   = 1
	TIPC_HIGH_IMPORTANCE     = 2
	TIPC_CRITICAL_IMPORTANCE = 3

	TIPC_SUB_PORTS    = 1
	TIPC_SUB_SERVICE  = 2
	TIPC_SUB_CANCEL   = 4
	TIPC_WAIT_FOREVER = -1

	TIPC_PUBLISHED      = 1
	TIPC_WITHDRAWN      = 2
	TIPC_SUBSCR_TIMEOUT = 3
	TIPC_CFG_SRV        = 0
	TIPC_TOP_SRV        = 1
)
