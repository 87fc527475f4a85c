package sockets

import "github.com/userstack/userstack/dnsresolver/netdb"

// AI are the flags of GetAddrInfo (getaddrinfo(3)).
type AI = netdb.AI

// Flags of GetAddrInfo.
const (
	AI_PASSIVE     = netdb.AI_PASSIVE
	AI_CANONNAME   = netdb.AI_CANONNAME
	AI_NUMERICHOST = netdb.AI_NUMERICHOST
	AI_V4MAPPED    = netdb.AI_V4MAPPED
	AI_ALL         = netdb.AI_ALL
	AI_ADDRCONFIG  = netdb.AI_ADDRCONFIG
	AI_IDN         = netdb.AI_IDN
	AI_CANONIDN    = netdb.AI_CANONIDN
	AI_NUMERICSERV = netdb.AI_NUMERICSERV
)

// NSPR's flags of AddrInfo (PR_GetAddrInfoByName), with NSPR's numbers, which
// are not those of AI: NewAddrInfo maps them.
const (
	PR_AI_ALL         AI = 0x08
	PR_AI_V4MAPPED    AI = 0x10
	PR_AI_ADDRCONFIG  AI = 0x20
	PR_AI_DEFAULT        = PR_AI_V4MAPPED | PR_AI_ADDRCONFIG
	PR_AI_NOCANONNAME AI = 0x8000
)

// NI are the flags of GetNameInfo (getnameinfo(3)).
type NI = netdb.NI

// Flags of GetNameInfo, and the sizes of the buffers it fills in C.
const (
	NI_NUMERICHOST = netdb.NI_NUMERICHOST
	NI_NUMERICSERV = netdb.NI_NUMERICSERV
	NI_NOFQDN      = netdb.NI_NOFQDN
	NI_NAMEREQD    = netdb.NI_NAMEREQD
	NI_DGRAM       = netdb.NI_DGRAM
	NI_IDN         = netdb.NI_IDN

	NI_MAXHOST = netdb.NI_MAXHOST // bytes
	NI_MAXSERV = netdb.NI_MAXSERV // bytes
)

// EAI is an error code of getaddrinfo(3); GAIError carries one.
type EAI = netdb.EAI

// Error codes of name look-ups, with glibc's numbers.
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

// HErr is a value of h_errno; HError carries one.
type HErr = netdb.HErr

// Values of h_errno.
const (
	NETDB_INTERNAL = netdb.NETDB_INTERNAL
	HOST_NOT_FOUND = netdb.HOST_NOT_FOUND
	TRY_AGAIN      = netdb.TRY_AGAIN
	NO_RECOVERY    = netdb.NO_RECOVERY
	NO_DATA        = netdb.NO_DATA
)

// HostEnt is what GetHostByNameEx and GetHostByAddr return: a name, its aliases
// and its numeric addresses.
type HostEnt = netdb.HostEnt

// GAIStrError returns the text of gai_strerror(3) for an error code.
func GAIStrError(code EAI) string { return netdb.GAIStrError(code) }

// HStrError returns the text of hstrerror(3) for a value of h_errno.
func HStrError(h HErr) string { return netdb.HStrError(h) }
