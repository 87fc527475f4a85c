package stack

import (
	"fmt"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// TCP holds settings of all TCP connections of a stack. The zero value of each
// field is the default named beside it.
type TCP struct {
	// LossRecovery chooses how lost segments are found. Zero is
	// RecoverySACK; docs/performance.md has the measurements behind it.
	LossRecovery LossRecovery

	// CongestionControl chooses how much may be on its way unacknowledged. Zero is
	// Cubic, as on Linux, but for connections over a path of less than a millisecond
	// that send more than fits into their buffer: they get Reno, as netstack's Cubic
	// counts in milliseconds and falls far behind it there; docs/performance.md has
	// the measurements. TCP_CONGESTION chooses for one socket.
	CongestionControl CongestionControl

	mixed   bool // CongestionControl was zero
	bounded bool // MaxReceiveBuffer was zero

	// MinRTO and MaxRTO bound the retransmission timeout (RFC 6298). Zero is
	// DefaultMinRTO and DefaultMaxRTO. MinRTO is at least a millisecond.
	MinRTO, MaxRTO time.Duration

	// GiveUp is how long data without an acknowledgement is sent again before
	// the connection ends with ETIMEDOUT. Zero is DefaultGiveUp. It is rounded
	// up to a whole number of retransmissions.
	GiveUp time.Duration

	// MaxReceiveBuffer and MaxSendBuffer cap, in bytes, what a connection's
	// buffers grow to by themselves. Zero is DefaultMaxReceiveBuffer, or 3 MiB
	// over a path of less than a millisecond that is not a pipe in memory, and
	// DefaultMaxSendBuffer; the least is 4096.
	MaxReceiveBuffer, MaxSendBuffer int

	// TimeWait is how long a closed connection stays in TIME_WAIT. Zero is
	// 60 s, as on Linux (TCP_TIMEWAIT_LEN).
	TimeWait time.Duration

	// TimeWaitReuse says which connections may take the port of one that is in
	// TIME_WAIT. Zero is ReuseAll.
	TimeWaitReuse TimeWaitReuse
}

// TimeWaitReuse says whether connect(2) may end the TIME_WAIT of a connection to the
// same address and port, whose port it takes, before TCP.TimeWait is over. It
// does so once a second has passed since the peer was heard of last, so that
// timestamps tell the two connections' segments apart (RFC 7323, section 5); the
// initial sequence number is above the former one's in any case (RFC 6528, and RFC
// 1122 section 4.2.2.13). Netstack does not ask whether the peer has timestamps, as
// Linux does: with one that has none it does not wait for the second.
//
// Without it a host that closes first can make as many connections to one address
// and port as there are ports (Config.Ports) in a minute: 470 a second.
//
// The peer's connects to a listener of ours are not concerned: a SYN that is
// beyond the former connection's data ends its TIME_WAIT in any case.
type TimeWaitReuse int

const (
	ReuseAll      TimeWaitReuse = iota + 1 // any connection: Linux's net.ipv4.tcp_tw_reuse = 1
	ReuseLoopback                          // between loopback addresses alone: 2, Linux's default
	ReuseNone                              // none: 0
)

// timeWaitReuse are netstack's names for these.
var timeWaitReuse = map[TimeWaitReuse]tcpip.TCPTimeWaitReuseOption{
	ReuseAll:      tcpip.TCPTimeWaitReuseGlobal,
	ReuseLoopback: tcpip.TCPTimeWaitReuseLoopbackOnly,
	ReuseNone:     tcpip.TCPTimeWaitReuseDisabled,
}

// LossRecovery is a way to find lost segments.
type LossRecovery int

const (
	// RecoverySACK counts duplicate acknowledgements and selective
	// acknowledgements (RFC 6675), and has the retransmission timer for the rest.
	RecoverySACK LossRecovery = iota + 1
	// RecoveryRACK goes by time (RFC 8985) and probes for tail losses. It is
	// faster where packets overtake each other; with the netstack underneath, a
	// few connections in a thousand on a lossy link never end.
	RecoveryRACK
)

// CongestionControl is an algorithm by its name in Linux (tcp(7), TCP_CONGESTION).
type CongestionControl string

const (
	Reno  CongestionControl = "reno"  // RFC 5681, RFC 6582
	Cubic CongestionControl = "cubic" // RFC 9438
)

const (
	// DefaultMinRTO is Linux's TCP_RTO_MIN.
	DefaultMinRTO = 200 * time.Millisecond

	// DefaultMaxRTO bounds the backoff of retransmissions. RFC 6298 (2.5) and
	// Linux have 60 s and 120 s; Linux lets net.ipv4.tcp_rto_max_ms go down to
	// 1 s. Netstack takes the wait for a lost acknowledgement for a round trip,
	// so that timeouts on a lossy link grow to many seconds (docs/performance.md). A path with a longer round trip than this
	// wants a larger value: every segment would be sent twice.
	DefaultMaxRTO = 2 * time.Second

	// DefaultGiveUp is what Linux's tcp_retries2 of 15 comes to (tcp(7)).
	DefaultGiveUp = 924600 * time.Millisecond

	// DefaultMaxReceiveBuffer lets the advertised window reach 8 MiB, as
	// netstack advertises half of the buffer (rcvAdvWndScale 1); Linux reaches
	// 6 MiB with tcp_rmem[2] (tcp(7)). A window of 6 MiB fills 1 Gbit/s at a
	// round trip of 50 ms.
	DefaultMaxReceiveBuffer = 16 << 20

	// DefaultMaxSendBuffer is twice Linux's tcp_wmem[2] (tcp(7)). Netstack wakes who
	// writes when half of the buffer is empty, so that half of it is on its way:
	// 4 MiB are 300 Mbit/s at a round trip of 50 ms, 8 MiB are 500
	// (docs/performance.md).
	DefaultMaxSendBuffer = 8 << 20
)

const (
	minBuffer       = tcp.MinBufferSize
	defaultTimeWait = tcp.DefaultTCPTimeWaitTimeout
	leastMinRTO     = time.Millisecond // the resolution of the timestamps option
)

func (c TCP) withDefaults() (TCP, error) {
	setDefault(&c.LossRecovery, RecoverySACK)
	c.mixed, c.bounded = c.CongestionControl == "", c.MaxReceiveBuffer == 0
	setDefault(&c.CongestionControl, Cubic)
	setDefault(&c.MinRTO, DefaultMinRTO)
	setDefault(&c.MaxRTO, DefaultMaxRTO)
	setDefault(&c.GiveUp, DefaultGiveUp)
	setDefault(&c.MaxReceiveBuffer, DefaultMaxReceiveBuffer)
	setDefault(&c.MaxSendBuffer, DefaultMaxSendBuffer)
	setDefault(&c.TimeWait, defaultTimeWait)
	setDefault(&c.TimeWaitReuse, ReuseAll)
	switch {
	case c.LossRecovery != RecoverySACK && c.LossRecovery != RecoveryRACK:
		return c, fmt.Errorf("stack: TCP.LossRecovery %d is not RecoverySACK or RecoveryRACK", c.LossRecovery)
	case c.CongestionControl != Reno && c.CongestionControl != Cubic:
		return c, fmt.Errorf("stack: TCP.CongestionControl %q is not %q or %q", c.CongestionControl, Reno, Cubic)
	case c.MinRTO < leastMinRTO:
		return c, fmt.Errorf("stack: TCP.MinRTO %v is below %v", c.MinRTO, leastMinRTO)
	case c.MaxRTO < c.MinRTO:
		return c, fmt.Errorf("stack: TCP.MaxRTO %v is below TCP.MinRTO %v", c.MaxRTO, c.MinRTO)
	case c.GiveUp < c.MinRTO:
		return c, fmt.Errorf("stack: TCP.GiveUp %v is below TCP.MinRTO %v", c.GiveUp, c.MinRTO)
	case c.MaxReceiveBuffer < minBuffer || c.MaxSendBuffer < minBuffer:
		return c, fmt.Errorf("stack: a TCP buffer of less than %d bytes", minBuffer)
	case c.TimeWait < 0:
		return c, fmt.Errorf("stack: TCP.TimeWait %v is negative", c.TimeWait)
	}
	if _, ok := timeWaitReuse[c.TimeWaitReuse]; !ok {
		return c, fmt.Errorf("stack: TCP.TimeWaitReuse %d is not ReuseAll, ReuseLoopback or ReuseNone", c.TimeWaitReuse)
	}
	return c, nil
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// retries returns how many retransmissions fill GiveUp when each waits twice as
// long as the one before, from MinRTO to MaxRTO. Netstack counts them, and a
// bound of 2 s would make its 15 end a connection after half a minute.
func (c TCP) retries() tcpip.TCPMaxRetriesOption {
	n, left := tcpip.TCPMaxRetriesOption(0), c.GiveUp
	for rto := c.MinRTO; rto < c.MaxRTO && left > 0; rto *= 2 {
		left -= rto
		n++
	}
	if left > 0 {
		n += tcpip.TCPMaxRetriesOption((left + c.MaxRTO - 1) / c.MaxRTO)
	}
	return n
}

// apply sets c on s. Nagle's algorithm is a property of each endpoint, and
// package sockets turns it on for every new one, as Linux has it (T17).
func (c TCP) apply(s *stack.Stack) error {
	recovery := tcpip.TCPRecovery(0)
	if c.LossRecovery == RecoveryRACK {
		recovery = tcpip.TCPRACKLossDetection
	}
	sack := tcpip.TCPSACKEnabled(true)
	congestion := tcpip.CongestionControlOption(c.CongestionControl)
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	minRTO, maxRTO := tcpip.TCPMinRTOOption(c.MinRTO), tcpip.TCPMaxRTOOption(c.MaxRTO)
	retries := c.retries()
	timeWait, reuse := tcpip.TCPTimeWaitTimeoutOption(c.TimeWait), timeWaitReuse[c.TimeWaitReuse]
	receive := tcpip.TCPReceiveBufferSizeRangeOption{
		Min: minBuffer, Default: min(tcp.DefaultReceiveBufferSize, c.MaxReceiveBuffer), Max: c.MaxReceiveBuffer,
	}
	send := tcpip.TCPSendBufferSizeRangeOption{
		Min: minBuffer, Default: min(tcp.DefaultSendBufferSize, c.MaxSendBuffer), Max: c.MaxSendBuffer,
	}
	for _, opt := range []tcpip.SettableTransportProtocolOption{
		&sack, &recovery, &congestion, &moderate, &minRTO, &maxRTO, &retries, &timeWait, &reuse, &receive, &send,
	} {
		if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, opt); err != nil {
			return fmt.Errorf("stack: setting %T: %v", opt, err)
		}
	}
	return nil
}
