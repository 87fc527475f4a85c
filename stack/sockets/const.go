package sockets

import (
	"fmt"
	"time"
)

// Family is an address family, AF_INET or another; the numbers are Linux's.
type Family int

// Address families. A Host makes AF_INET and AF_INET6 sockets.
const (
	AF_UNSPEC  Family = 0
	AF_UNIX    Family = 1
	AF_INET    Family = 2
	AF_INET6   Family = 10
	AF_NETLINK Family = 16
	AF_PACKET  Family = 17
	AF_TIPC    Family = 30
)

// String returns the constant's name.
func (f Family) String() string {
	switch f {
	case AF_UNSPEC:
		return "AF_UNSPEC"
	case AF_UNIX:
		return "AF_UNIX"
	case AF_INET:
		return "AF_INET"
	case AF_INET6:
		return "AF_INET6"
	case AF_NETLINK:
		return "AF_NETLINK"
	case AF_PACKET:
		return "AF_PACKET"
	case AF_TIPC:
		return "AF_TIPC"
	}
	return fmt.Sprintf("AF_%d", int(f))
}

// Type is a socket type, to which SOCK_NONBLOCK and SOCK_CLOEXEC may be added
// (socket(2)).
type Type int

// Socket types. A Host makes SOCK_STREAM and SOCK_DGRAM sockets.
const (
	SOCK_STREAM    Type = 1
	SOCK_DGRAM     Type = 2
	SOCK_RAW       Type = 3
	SOCK_RDM       Type = 4
	SOCK_SEQPACKET Type = 5

	SOCK_NONBLOCK Type = 0x800
	SOCK_CLOEXEC  Type = 0x80000

	typeMask Type = 0xf
	maxType  Type = 11 // SOCK_MAX: numbers from here on are EINVAL
)

// Protocol is an IP protocol number.
type Protocol int

// Protocols that a Host has sockets of, and IPPROTO_RAW's range.
const (
	IPPROTO_IP     Protocol = 0
	IPPROTO_ICMP   Protocol = 1
	IPPROTO_TCP    Protocol = 6
	IPPROTO_UDP    Protocol = 17
	IPPROTO_IPV6   Protocol = 41
	IPPROTO_ICMPV6 Protocol = 58
	IPPROTO_RAW    Protocol = 255

	maxProtocol Protocol = 263 // IPPROTO_MAX
)

// How says which directions Shutdown closes.
type How int

// The directions of shutdown(2).
const (
	SHUT_RD   How = 0
	SHUT_WR   How = 1
	SHUT_RDWR How = 2
)

// MsgFlags are the flags of send(2) and recv(2). They are a CallOption.
type MsgFlags int

// Flags that change what a call does. Others are ignored, as Linux ignores
// flags that it does not know, except where the call's documentation names
// them.
const (
	MSG_OOB      MsgFlags = 0x1
	MSG_PEEK     MsgFlags = 0x2
	MSG_TRUNC    MsgFlags = 0x20
	MSG_DONTWAIT MsgFlags = 0x40
	MSG_WAITALL  MsgFlags = 0x100
	MSG_NOSIGNAL MsgFlags = 0x4000 // always in effect: there are no signals
	MSG_MORE     MsgFlags = 0x8000
)

// SOMAXCONN is the largest backlog of Listen (Linux's net.core.somaxconn).
const SOMAXCONN = 4096

// DefaultBacklog is what Host.Listen asks for.
const DefaultBacklog = 128

// NoTimeout means to block for ever: Python's None, NSPR's
// PR_INTERVAL_NO_TIMEOUT.
const NoTimeout time.Duration = -1
