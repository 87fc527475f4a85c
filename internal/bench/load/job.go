package load

import (
	"net/netip"
	"time"
)

// Kind is a kind of traffic. Its first byte is what near says on a connection.
type Kind string

// The kinds of traffic. Out is from near to far.
const (
	Out        Kind = "out"         // bulk
	In         Kind = "in"          //
	RoundTrip  Kind = "round-trip"  // one byte there and back, on each connection
	Connect    Kind = "connect"     // a connection, a request, its answer, the end; far closes first
	Idle       Kind = "idle"        // connections that do nothing
	PacketsOut Kind = "packets-out" // datagrams
	PacketsIn  Kind = "packets-in"  //
)

// What near's first byte on a connection, or in a datagram, tells far to do.
const (
	sink    = 's' // count what comes
	source  = 'g' // send without end; in a datagram, the size follows in two bytes, the more significant first
	echo    = 'e' // send back what comes
	request = 'r' // the first byte of a request of exchangeSize bytes; answer with as many and close
	park    = 'i' // do nothing
)

const (
	chunk        = 128 << 10 // bytes of one Read or Write of a bulk transfer
	exchangeSize = 64        // bytes of a request and of its answer
	batch        = 64        // datagrams of one call; quic-go and Linux's UDP_SEGMENT have the same bound (UDP_MAX_SEGMENTS)
	maxDatagram  = 65507     // bytes, of IPv4 (RFC 768, RFC 791)
	dialers      = 16        // that make the connections of Idle
)

// Job says what near is to do.
type Job struct {
	Kind  Kind           `json:"kind"`
	Conns int            `json:"conns,omitempty"` // at once; zero means 1
	Size  int            `json:"size,omitempty"`  // bytes of a datagram's payload, at least 3
	TCP   netip.AddrPort `json:"tcp"`             // far's addresses, as near sees them
	UDP   netip.AddrPort `json:"udp"`

	// Spread is how many connections of Idle go to one address of far's. Those after them go to the next address, and so
	// on: more of them than there are ports to connect from. Zero is all of them.
	Spread int `json:"spread,omitempty"`
}

// target is where a connection goes, of those that are counted from 0.
func (j Job) target(k int) netip.AddrPort {
	to := j.TCP.Addr()
	for ; j.Spread > 0 && k >= j.Spread; k -= j.Spread {
		to = to.Next()
	}
	return netip.AddrPortFrom(to, j.TCP.Port())
}

// Patience is how long the connections of a job may take to stand.
func (j Job) Patience() time.Duration {
	const all, each = 20 * time.Second, time.Millisecond
	return all + time.Duration(j.Conns)*each
}
