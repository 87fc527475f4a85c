package dnsresolver

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

// The values of h_errno (gethostbyname(3)).
const (
	HOST_NOT_FOUND = 1
	TRY_AGAIN      = 2
	NO_RECOVERY    = 3
	NO_DATA        = 4
)

// eaiTexts are the texts of gai_strerror(3) in glibc, word for word.
var eaiTexts = map[EAI]string{
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

// String returns the text of gai_strerror(3) for e.
func (e EAI) String() string {
	if s, ok := eaiTexts[e]; ok {
		return s
	}
	return "Unknown error"
}

// hErrnoTexts are the texts of hstrerror(3) in glibc, word for word.
var hErrnoTexts = [...]string{
	0:              "Resolver Error 0 (no error)",
	HOST_NOT_FOUND: "Unknown host",
	TRY_AGAIN:      "Host name lookup failure",
	NO_RECOVERY:    "Unknown server error",
	NO_DATA:        "No address associated with name",
}

// HErrnoText returns the text of hstrerror(3) for an h_errno value.
func HErrnoText(hErrno int) string {
	if hErrno < 0 || hErrno >= len(hErrnoTexts) {
		return "Unknown resolver error"
	}
	return hErrnoTexts[hErrno]
}

// hErrnoOf maps the codes a lookup can end with to h_errno. Codes that are not
// here have no counterpart and map to NO_RECOVERY.
var hErrnoOf = map[EAI]int{
	0:              0,
	EAI_NONAME:     HOST_NOT_FOUND,
	EAI_NODATA:     NO_DATA,
	EAI_ADDRFAMILY: NO_DATA,
	EAI_AGAIN:      TRY_AGAIN,
	EAI_CANCELED:   TRY_AGAIN,
	EAI_FAIL:       NO_RECOVERY,
	EAI_IDN_ENCODE: HOST_NOT_FOUND,
}
