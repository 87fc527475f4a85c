package sockets

// Protocol is an IP protocol number.
type Protocol int

// IP protocol numbers (netinet/in.h). A Host has sockets of ICMP, TCP, UDP and
// ICMPv6, and raw ones of any number; the others name what such packets carry.
const (
	IPPROTO_IP       Protocol = 0 // in Host.Socket: what the type stands for
	IPPROTO_HOPOPTS  Protocol = 0
	IPPROTO_ICMP     Protocol = 1
	IPPROTO_IGMP     Protocol = 2
	IPPROTO_IPIP     Protocol = 4
	IPPROTO_TCP      Protocol = 6
	IPPROTO_EGP      Protocol = 8
	IPPROTO_PUP      Protocol = 12
	IPPROTO_UDP      Protocol = 17
	IPPROTO_IDP      Protocol = 22
	IPPROTO_TP       Protocol = 29
	IPPROTO_DCCP     Protocol = 33
	IPPROTO_IPV6     Protocol = 41
	IPPROTO_ROUTING  Protocol = 43
	IPPROTO_FRAGMENT Protocol = 44
	IPPROTO_RSVP     Protocol = 46
	IPPROTO_GRE      Protocol = 47
	IPPROTO_ESP      Protocol = 50
	IPPROTO_AH       Protocol = 51
	IPPROTO_ICMPV6   Protocol = 58
	IPPROTO_NONE     Protocol = 59
	IPPROTO_DSTOPTS  Protocol = 60
	IPPROTO_MTP      Protocol = 92
	IPPROTO_BEETPH   Protocol = 94
	IPPROTO_ENCAP    Protocol = 98
	IPPROTO_SEC      Protocol = 100 // of WiPy, not of IANA: a TCP socket that is meant for TLS
	IPPROTO_PIM      Protocol = 103
	IPPROTO_COMP     Protocol = 108
	IPPROTO_SCTP     Protocol = 132
	IPPROTO_MH       Protocol = 135
	IPPROTO_UDPLITE  Protocol = 136
	IPPROTO_MPLS     Protocol = 137
	IPPROTO_ETHERNET Protocol = 143
	IPPROTO_RAW      Protocol = 255
	IPPROTO_MPTCP    Protocol = 262

	maxProtocol Protocol = 263 // IPPROTO_MAX
)

// Port numbers of netinet/in.h. IPPORT_RESERVED is the first that needs no
// privilege on Linux; here none does. IPPORT_USERRESERVED is where BSD's
// ephemeral ports ended.
const (
	IPPORT_ECHO         = 7
	IPPORT_DISCARD      = 9
	IPPORT_SYSTAT       = 11
	IPPORT_DAYTIME      = 13
	IPPORT_NETSTAT      = 15
	IPPORT_FTP          = 21
	IPPORT_TELNET       = 23
	IPPORT_SMTP         = 25
	IPPORT_TIMESERVER   = 37
	IPPORT_NAMESERVER   = 42
	IPPORT_WHOIS        = 43
	IPPORT_MTP          = 57
	IPPORT_TFTP         = 69
	IPPORT_RJE          = 77
	IPPORT_FINGER       = 79
	IPPORT_TTYLINK      = 87
	IPPORT_SUPDUP       = 95
	IPPORT_EXECSERVER   = 512
	IPPORT_LOGINSERVER  = 513
	IPPORT_CMDSERVER    = 514
	IPPORT_EFSSERVER    = 520
	IPPORT_BIFFUDP      = 512
	IPPORT_WHOSERVER    = 513
	IPPORT_ROUTESERVER  = 520
	IPPORT_RESERVED     = 1024
	IPPORT_USERRESERVED = 5000
)

// IPv4 addresses of netinet/in.h, in the machine's byte order: Htonl makes them
// what a sockaddr_in holds.
const (
	INADDR_ANY               uint32 = 0
	INADDR_BROADCAST         uint32 = 0xffffffff
	INADDR_NONE              uint32 = 0xffffffff
	INADDR_LOOPBACK          uint32 = 0x7f000001
	INADDR_DUMMY             uint32 = 0xc0000008
	INADDR_UNSPEC_GROUP      uint32 = 0xe0000000
	INADDR_ALLHOSTS_GROUP    uint32 = 0xe0000001
	INADDR_ALLRTRS_GROUP     uint32 = 0xe0000002
	INADDR_ALLSNOOPERS_GROUP uint32 = 0xe000006a
	INADDR_MAX_LOCAL_GROUP   uint32 = 0xe00000ff
)
