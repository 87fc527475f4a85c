package dnsresolver

import "github.com/userstack/userstack/dnsresolver/netdb"

// EAI is a result code of getaddrinfo(3) and getnameinfo(3), with the numbers
// of Linux (glibc's netdb.h) on every system.
type EAI = netdb.EAI

// The codes of getaddrinfo(3). Zero is success.
const (
	EAI_BADFLAGS    = netdb.EAI_BADFLAGS
	EAI_NONAME      = netdb.EAI_NONAME
	EAI_AGAIN       = netdb.EAI_AGAIN
	EAI_FAIL        = netdb.EAI_FAIL
	EAI_NODATA      = netdb.EAI_NODATA
	EAI_FAMILY      = netdb.EAI_FAMILY
	EAI_SOCKTYPE    = netdb.EAI_SOCKTYPE
	EAI_SERVICE     = netdb.EAI_SERVICE
	EAI_ADDRFAMILY  = netdb.EAI_ADDRFAMILY
	EAI_MEMORY      = netdb.EAI_MEMORY
	EAI_SYSTEM      = netdb.EAI_SYSTEM
	EAI_OVERFLOW    = netdb.EAI_OVERFLOW
	EAI_INPROGRESS  = netdb.EAI_INPROGRESS
	EAI_CANCELED    = netdb.EAI_CANCELED
	EAI_NOTCANCELED = netdb.EAI_NOTCANCELED
	EAI_ALLDONE     = netdb.EAI_ALLDONE
	EAI_INTR        = netdb.EAI_INTR
	EAI_IDN_ENCODE  = netdb.EAI_IDN_ENCODE
)

// The values of h_errno (gethostbyname(3)), as Error.HErrno returns them.
const (
	HOST_NOT_FOUND = int(netdb.HOST_NOT_FOUND)
	TRY_AGAIN      = int(netdb.TRY_AGAIN)
	NO_RECOVERY    = int(netdb.NO_RECOVERY)
	NO_DATA        = int(netdb.NO_DATA)
)

// HErrnoText returns the text of hstrerror(3) for an h_errno value.
func HErrnoText(hErrno int) string { return netdb.HStrError(netdb.HErr(hErrno)) }

// Family is an address family, with the numbers of Linux's sys/socket.h.
type Family = netdb.Family

// The families of a lookup.
const (
	AF_UNSPEC = netdb.AF_UNSPEC // both
	AF_INET   = netdb.AF_INET
	AF_INET6  = netdb.AF_INET6
)

// LookupOptions say what to look up; an Order is the order of the addresses of
// an Answer, and a Source where it came from.
type (
	LookupOptions = netdb.LookupOptions
	Order         = netdb.Order
	Answer        = netdb.Answer
	Source        = netdb.Source
)

// The orders: by Config.Routes, see there, and as the answers came, IPv6 first.
const (
	OrderRFC6724 = netdb.OrderRFC6724
	OrderWire    = netdb.OrderWire
)

// The sources, in the order in which they are asked.
const (
	SourceLiteral = netdb.SourceLiteral // the name was an address
	SourceHosts   = netdb.SourceHosts   // Config.Hosts or the hosts file
	SourceLocal   = netdb.SourceLocal   // a name that is never looked up (RFC 6761)
	SourceDNS     = netdb.SourceDNS
)
