package sockets

import (
	"strconv"
	"time"
)

// Family is an address family, AF_INET or another; the numbers are Linux's.
type Family int

// Address families. The Host refuses AF_NETLINK and AF_TIPC, and any other
// number, with EAFNOSUPPORT.
const (
	AF_UNSPEC  Family = 0
	AF_UNIX    Family = 1
	AF_LOCAL          = AF_UNIX // POSIX's name for it
	AF_INET    Family = 2
	AF_INET6   Family = 10
	AF_NETLINK Family = 16
	AF_PACKET  Family = 17
	AF_TIPC    Family = 30

	maxFamily Family = 46 // AF_MAX
)

// familyNames has the families that programs ask for; the last three only have
// names, for errors.
var familyNames = map[Family]string{
	AF_UNSPEC: "AF_UNSPEC", AF_UNIX: "AF_UNIX", AF_INET: "AF_INET", AF_INET6: "AF_INET6",
	AF_NETLINK: "AF_NETLINK", AF_PACKET: "AF_PACKET", AF_TIPC: "AF_TIPC",
	29: "AF_CAN", 31: "AF_BLUETOOTH", 40: "AF_VSOCK",
}

// String returns the constant's name, "AF_n" for a number without one.
func (f Family) String() string {
	if name, ok := familyNames[f]; ok {
		return name
	}
	return "AF_" + strconv.Itoa(int(f))
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
	MSG_OOB          MsgFlags = 0x1 // refused: there is no urgent data
	MSG_PEEK         MsgFlags = 0x2
	MSG_DONTROUTE    MsgFlags = 0x4
	MSG_CTRUNC       MsgFlags = 0x8  // only in a received Msg
	MSG_PROXY        MsgFlags = 0x10 // ignored
	MSG_TRUNC        MsgFlags = 0x20
	MSG_DONTWAIT     MsgFlags = 0x40
	MSG_EOR          MsgFlags = 0x80
	MSG_WAITALL      MsgFlags = 0x100
	MSG_FIN          MsgFlags = 0x200 // ignored, as are SYN and RST
	MSG_SYN          MsgFlags = 0x400
	MSG_CONFIRM      MsgFlags = 0x800 // ignored
	MSG_RST          MsgFlags = 0x1000
	MSG_ERRQUEUE     MsgFlags = 0x2000
	MSG_NOSIGNAL     MsgFlags = 0x4000 // always in effect: there are no signals
	MSG_MORE         MsgFlags = 0x8000
	MSG_WAITFORONE   MsgFlags = 0x10000    // of RecvMMsg
	MSG_BATCH        MsgFlags = 0x40000    // ignored
	MSG_ZEROCOPY     MsgFlags = 0x4000000  // ignored, as without SO_ZEROCOPY
	MSG_FASTOPEN     MsgFlags = 0x20000000 // connects before it sends
	MSG_CMSG_CLOEXEC MsgFlags = 0x40000000 // ignored: there is no exec

	MSG_PROBE = MSG_PROXY
)

// SOMAXCONN is the largest backlog of Listen (Linux's net.core.somaxconn).
const SOMAXCONN = 4096

// DefaultBacklog is a backlog for who has no opinion. Host.Listen asks for
// SOMAXCONN, as package net does.
const DefaultBacklog = 128

// NoTimeout means to block for ever: Python's None, NSPR's
// PR_INTERVAL_NO_TIMEOUT.
const NoTimeout time.Duration = -1
