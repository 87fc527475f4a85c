package sockets

import "strconv"

// DescType is what an NSPR descriptor is (PRDescType).
type DescType int

// The kinds of descriptors. A Socket is one of the two socket kinds, an
// SSLObject is PR_DESC_LAYERED; files and pipes there are none.
const (
	PR_DESC_FILE       DescType = 1
	PR_DESC_SOCKET_TCP DescType = 2
	PR_DESC_SOCKET_UDP DescType = 3
	PR_DESC_LAYERED    DescType = 4
	PR_DESC_PIPE       DescType = 5
)

// DescType returns PR_DESC_SOCKET_TCP for SOCK_STREAM and SOCK_SEQPACKET, and
// PR_DESC_SOCKET_UDP for the sockets of datagrams.
func (s *Socket) DescType() DescType {
	if s.d.typ == SOCK_STREAM || s.d.typ == SOCK_SEQPACKET {
		return PR_DESC_SOCKET_TCP
	}
	return PR_DESC_SOCKET_UDP
}

// The families and directions by their names in NSPR. PR_AF_INET6 is Linux's
// number, as in NSPR on Linux.
const (
	PR_AF_UNSPEC = AF_UNSPEC
	PR_AF_INET   = AF_INET
	PR_AF_INET6  = AF_INET6
	PR_AF_LOCAL  = AF_UNIX

	PR_SHUTDOWN_RCV  = SHUT_RD
	PR_SHUTDOWN_SEND = SHUT_WR
	PR_SHUTDOWN_BOTH = SHUT_RDWR
)

// AddrFamilyName returns NSPR's name of a family, such as "PR_AF_INET", or
// "unknown(n)".
func AddrFamilyName(f Family) string {
	switch f {
	case AF_UNSPEC:
		return "PR_AF_UNSPEC"
	case AF_INET:
		return "PR_AF_INET"
	case AF_INET6:
		return "PR_AF_INET6"
	case AF_UNIX:
		return "PR_AF_LOCAL"
	}
	return "unknown(" + strconv.Itoa(int(f)) + ")"
}
