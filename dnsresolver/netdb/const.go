package netdb

// Family is an address family, with the numbers of Linux's sys/socket.h.
type Family int

// The families of a look-up.
const (
	AF_UNSPEC Family = 0 // both
	AF_INET   Family = 2
	AF_INET6  Family = 10
)

// The socket types and protocols of Hints and AddrInfo (Linux's sys/socket.h
// and netinet/in.h).
const (
	SOCK_STREAM = 1
	SOCK_DGRAM  = 2
	SOCK_RAW    = 3

	IPPROTO_TCP = 6
	IPPROTO_UDP = 17
)

// AI are the flags of getaddrinfo(3), with the numbers of glibc's netdb.h.
type AI int

// Flags of getaddrinfo(3).
const (
	AI_PASSIVE     AI = 0x1   // without a host: the addresses to bind to
	AI_CANONNAME   AI = 0x2   // fill in CanonName of the first result
	AI_NUMERICHOST AI = 0x4   // the host is an address, not a name
	AI_V4MAPPED    AI = 0x8   // AF_INET6: IPv4 addresses as ::ffff:a.b.c.d where there is no IPv6 address
	AI_ALL         AI = 0x10  // with AI_V4MAPPED: both
	AI_ADDRCONFIG  AI = 0x20  // only families of which the host has an address
	AI_IDN         AI = 0x40  // a name that cannot be encoded is EAI_IDN_ENCODE; names are encoded anyway
	AI_CANONIDN    AI = 0x80  // CanonName in Unicode
	AI_NUMERICSERV AI = 0x400 // the service is a number

	aiKnown AI = 0x7ff // with 0x100 and 0x200, which glibc once had for IDN and ignores
)

// NI are the flags of getnameinfo(3), with the numbers of glibc's netdb.h.
type NI int

// Flags of getnameinfo(3), and the sizes of the buffers it fills in C.
const (
	NI_NUMERICHOST NI = 0x1  // the address, not a name
	NI_NUMERICSERV NI = 0x2  // the port, not a name
	NI_NOFQDN      NI = 0x4  // names of the local domain without it
	NI_NAMEREQD    NI = 0x8  // fail rather than return an address
	NI_DGRAM       NI = 0x10 // the service is a UDP one
	NI_IDN         NI = 0x20 // the name in Unicode

	NI_MAXHOST = 1025 // bytes
	NI_MAXSERV = 32   // bytes

	niKnown NI = 0xff // 0x40 and 0x80 belong to NI_IDN and are ignored
)

// EAI is a result code of getaddrinfo(3) and getnameinfo(3), with the numbers
// of Linux (glibc's netdb.h) on every system.
type EAI int

// The codes of getaddrinfo(3). Zero is success.
const (
	EAI_BADFLAGS    EAI = -1
	EAI_NONAME      EAI = -2
	EAI_AGAIN       EAI = -3
	EAI_FAIL        EAI = -4
	EAI_NODATA      EAI = -5
	EAI_FAMILY      EAI = -6
	EAI_SOCKTYPE    EAI = -7
	EAI_SERVICE     EAI = -8
	EAI_ADDRFAMILY  EAI = -9
	EAI_MEMORY      EAI = -10
	EAI_SYSTEM      EAI = -11
	EAI_OVERFLOW    EAI = -12
	EAI_INPROGRESS  EAI = -100
	EAI_CANCELED    EAI = -101
	EAI_NOTCANCELED EAI = -102
	EAI_ALLDONE     EAI = -103
	EAI_INTR        EAI = -104
	EAI_IDN_ENCODE  EAI = -105
)

// HErr is a value of h_errno (gethostbyname(3)).
type HErr int

// The values of h_errno. Zero is success.
const (
	NETDB_INTERNAL HErr = -1
	HOST_NOT_FOUND HErr = 1
	TRY_AGAIN      HErr = 2
	NO_RECOVERY    HErr = 3
	NO_DATA        HErr = 4
)

// gaiTexts are the texts of gai_strerror(3) in glibc, word for word.
var gaiTexts = map[EAI]string{
	0:               "Success",
	EAI_ADDRFAMILY:  "Address family for hostname not supported",
	EAI_AGAIN:       "Temporary failure in name resolution",
	EAI_BADFLAGS:    "Bad value for ai_flags",
	EAI_FAIL:        "Non-recoverable failure in name resolution",
	EAI_FAMILY:      "ai_family not supported",
	EAI_MEMORY:      "Memory allocation failure",
	EAI_NODATA:      "No address associated with hostname",
	EAI_NONAME:      "Name or service not known",
	EAI_SERVICE:     "Servname not supported for ai_socktype",
	EAI_SOCKTYPE:    "ai_socktype not supported",
	EAI_SYSTEM:      "System error",
	EAI_INPROGRESS:  "Processing request in progress",
	EAI_CANCELED:    "Request canceled",
	EAI_NOTCANCELED: "Request not canceled",
	EAI_ALLDONE:     "All requests done",
	EAI_INTR:        "Interrupted by a signal",
	EAI_IDN_ENCODE:  "Parameter string not correctly encoded",
	EAI_OVERFLOW:    "Result too large for supplied buffer",
}

// GAIStrError returns the text of gai_strerror(3).
func GAIStrError(code EAI) string {
	if s, ok := gaiTexts[code]; ok {
		return s
	}
	return "Unknown error"
}

// String returns the text of gai_strerror(3) for e.
func (e EAI) String() string { return GAIStrError(e) }

// hTexts are the texts of hstrerror(3) in glibc, word for word.
var hTexts = map[HErr]string{
	NETDB_INTERNAL: "Resolver internal error",
	0:              "Resolver Error 0 (no error)",
	HOST_NOT_FOUND: "Unknown host",
	TRY_AGAIN:      "Host name lookup failure",
	NO_RECOVERY:    "Unknown server error",
	NO_DATA:        "No address associated with name",
}

// HStrError returns the text of hstrerror(3).
func HStrError(h HErr) string {
	if s, ok := hTexts[h]; ok {
		return s
	}
	return "Unknown resolver error"
}

// String returns the text of hstrerror(3) for h.
func (h HErr) String() string { return HStrError(h) }

// hErrOf maps the codes a look-up can end with to h_errno. Codes that are not
// here have no counterpart and map to NO_RECOVERY.
var hErrOf = map[EAI]HErr{
	0:              0,
	EAI_NONAME:     HOST_NOT_FOUND,
	EAI_NODATA:     NO_DATA,
	EAI_ADDRFAMILY: NO_DATA,
	EAI_AGAIN:      TRY_AGAIN,
	EAI_CANCELED:   TRY_AGAIN,
	EAI_FAIL:       NO_RECOVERY,
	EAI_IDN_ENCODE: HOST_NOT_FOUND,
}

// HErr returns the value of h_errno that stands for e.
func (e EAI) HErr() HErr {
	if h, ok := hErrOf[e]; ok {
		return h
	}
	return NO_RECOVERY
}
