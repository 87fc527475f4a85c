package sockets

import (
	"bytes"
	"math"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Linux's bounds of TCP options (tcp(7), <net/tcp.h>).
const (
	maxCongestionName   = 16        // TCP_CA_NAME_MAX
	maxKeepaliveSeconds = 32767     // MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL
	maxKeepaliveCount   = 127       // MAX_TCP_KEEPCNT
	maxSynCount         = 127       // MAX_TCP_SYNCNT
	defaultSynCount     = 6         // net.ipv4.tcp_syn_retries
	defaultMSS          = 536       // TCP_MSS_DEFAULT, before there is a connection
	minMSS              = 88        // TCP_MIN_MSS
	maxMSS              = 32767     // MAX_TCP_WINDOW
	finTimeout          = 60        // net.ipv4.tcp_fin_timeout, in seconds
	maxLinger2          = 120       // TCP_FIN_TIMEOUT_MAX, in seconds
	minWindowClamp      = 1152      // SOCK_MIN_RCVBUF/2
	leastMaxRTO         = 1000      // TCP_RTO_MAX_MIN_SEC, in milliseconds
	mostMaxRTO          = 120000    // TCP_RTO_MAX_SEC, in milliseconds
	twoJiffies          = 4001      // TCP_TIMEOUT_MIN at 250 Hz, in microseconds, rounded up
	mostMinRTO          = 200000    // TCP_RTO_MIN and TCP_DELACK_MAX, in microseconds
	maxTXDelay          = 1<<30 - 1 // microseconds
)

var tcpOptions = map[optionKey]*option{
	{SOL_TCP, TCP_NODELAY}: {name: "TCP_NODELAY", only: onTCP, size: 4, once: true, read: readInt(truth), set: setNoDelay, get: getNoDelay},
	{SOL_TCP, TCP_CORK}:    askOption("TCP_CORK", onTCP, askCork, (*description).setCork),
	{SOL_TCP, TCP_KEEPIDLE}: number("TCP_KEEPIDLE", onTCP, 7200, between(1, maxKeepaliveSeconds),
		func(ep tcpip.Endpoint, n int) tcpip.Error {
			v := tcpip.KeepaliveIdleOption(seconds(n))
			return ep.SetSockOpt(&v)
		}),
	{SOL_TCP, TCP_KEEPINTVL}: number("TCP_KEEPINTVL", onTCP, 75, between(1, maxKeepaliveSeconds),
		func(ep tcpip.Endpoint, n int) tcpip.Error {
			v := tcpip.KeepaliveIntervalOption(seconds(n))
			return ep.SetSockOpt(&v)
		}),
	{SOL_TCP, TCP_KEEPCNT}: number("TCP_KEEPCNT", onTCP, 9, between(1, maxKeepaliveCount),
		func(ep tcpip.Endpoint, n int) tcpip.Error { return ep.SetSockOptInt(tcpip.KeepaliveCountOption, n) }),
	{SOL_TCP, TCP_USER_TIMEOUT}: number("TCP_USER_TIMEOUT", onTCP, 0, notNegative,
		func(ep tcpip.Endpoint, ms int) tcpip.Error {
			v := tcpip.TCPUserTimeoutOption(time.Duration(ms) * time.Millisecond)
			return ep.SetSockOpt(&v)
		}),
	{SOL_TCP, TCP_SYNCNT}: number("TCP_SYNCNT", onTCP, defaultSynCount, between(1, maxSynCount), nil),
	{SOL_TCP, TCP_LINGER2}: number("TCP_LINGER2", onTCP, finTimeout, readLinger2,
		func(ep tcpip.Endpoint, n int) tcpip.Error {
			v := tcpip.TCPLingerTimeoutOption(seconds(n))
			return ep.SetSockOpt(&v)
		}),
	{SOL_TCP, TCP_DEFER_ACCEPT}: number("TCP_DEFER_ACCEPT", onTCP, 0, readDeferAccept,
		func(ep tcpip.Endpoint, n int) tcpip.Error {
			v := tcpip.TCPDeferAcceptOption(seconds(n))
			return ep.SetSockOpt(&v)
		}),
	{SOL_TCP, TCP_MAXSEG}:     {name: "TCP_MAXSEG", only: onTCP, size: 4, inherit: true, read: readInt(readMSS), set: setMSS, get: getMSS},
	{SOL_TCP, TCP_CONGESTION}: {name: "TCP_CONGESTION", only: onTCP, size: 1, inherit: true, read: readCongestion, set: setCongestion, get: getCongestion},
	{SOL_TCP, TCP_INFO}:       {name: "TCP_INFO", only: onTCP, size: 4, get: getTCPInfo},
	{SOL_TCP, TCP_QUICKACK}:   quickAck(),

	{SOL_TCP, TCP_WINDOW_CLAMP}:         windowClamp(),
	{SOL_TCP, TCP_THIN_LINEAR_TIMEOUTS}: number("TCP_THIN_LINEAR_TIMEOUTS", onTCP, 0, between(0, 1), nil),
	{SOL_TCP, TCP_THIN_DUPACK}: number("TCP_THIN_DUPACK", onTCP, 0, func(n int) (int, Errno) {
		_, errno := between(0, 1)(n)
		return 0, errno // Linux ignores it since 4.11
	}, nil),
	{SOL_TCP, TCP_FASTOPEN}: whileClosed(number("TCP_FASTOPEN", onTCP, 0, func(n int) (int, Errno) {
		n, errno := notNegative(n)
		return min(n, SOMAXCONN), errno
	}, nil), true),
	{SOL_TCP, TCP_FASTOPEN_CONNECT}:   whileClosed(number("TCP_FASTOPEN_CONNECT", onTCP, 0, between(0, 1), nil), false),
	{SOL_TCP, TCP_FASTOPEN_NO_COOKIE}: whileClosed(number("TCP_FASTOPEN_NO_COOKIE", onTCP, 0, between(0, 1), nil), true),
	{SOL_TCP, TCP_NOTSENT_LOWAT}:      number("TCP_NOTSENT_LOWAT", onTCP, 0, anyInt, nil),
	{SOL_TCP, TCP_IS_MPTCP}:           constant("TCP_IS_MPTCP", onTCP, 0),
	{SOL_TCP, TCP_ULP}: {name: "TCP_ULP", only: onTCP, size: 1, set: refuse, get: getNothing,
		refusal: ENOENT, reason: "there are no upper layer protocols"},
	{SOL_TCP, TCP_TX_DELAY}: {name: "TCP_TX_DELAY", only: onTCP, size: 4, stored: true,
		read: readInt(onlyValueOf(0, between(0, maxTXDelay))), reason: "netstack does not delay segments"},
	{SOL_TCP, TCP_RTO_MAX_MS}: {name: "TCP_RTO_MAX_MS", only: onTCP, size: 4, get: getMaxRTO, reason: stackWide,
		read: readInt(between(leastMaxRTO, mostMaxRTO)), set: refuse},
	{SOL_TCP, TCP_RTO_MIN_US}: {name: "TCP_RTO_MIN_US", only: onTCP, size: 4, get: getMinRTO, reason: stackWide,
		read: readInt(between(twoJiffies, mostMinRTO)), set: refuse},
	{SOL_TCP, TCP_DELACK_MAX_US}: {name: "TCP_DELACK_MAX_US", only: onTCP, size: 4, reason: "netstack's delay of acknowledgements is fixed",
		read: readInt(between(twoJiffies, mostMinRTO)), set: refuse},
}

const stackWide = "the bounds of the retransmission timeout are those of the stack: stack.TCP has them"

func refuse(*description, tcpip.Endpoint, []byte) Errno { return errRefused }

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// setNoDelay turns Nagle's algorithm off or on. Since every Conn has it off, it is
// a bit, not a recorded value; setDefaults gives it to another endpoint.
func setNoDelay(d *description, ep tcpip.Endpoint, v []byte) Errno {
	d.setRule(noDelay, intValue(v) != 0)
	ep.SocketOptions().SetDelayOption(intValue(v) == 0)
	return 0
}

func getNoDelay(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
	return intBytes(oneIf(d.rules(noDelay))), 0
}

// setNoDelay is TCP_NODELAY for a Conn, which has it as Go's net has.
func (d *description) setNoDelay() {
	if !d.isTCP() || d.rules(noDelay) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.setRule(noDelay, true)
	d.endpoint().SocketOptions().SetDelayOption(false)
}

// quickAck is TCP_QUICKACK. Netstack keeps it and acknowledges as before.
func quickAck() *option {
	o := flag("TCP_QUICKACK", onTCP, (*tcpip.SocketOptions).SetQuickAck)
	o.initial = 1
	return o
}

// readLinger2 takes how long a closed connection waits for the peer's FIN.
func readLinger2(n int) (int, Errno) {
	switch {
	case n < 0:
		return -1, 0
	case n == 0:
		return finTimeout, 0
	}
	return min(n, maxLinger2), 0
}

// readDeferAccept rounds a time up to the end of a retransmission of the
// SYN-ACK, of which there are at most 255: 1, 3, 7 … 127 s, and from there on in
// steps of 120 s (Linux's secs_to_retrans).
func readDeferAccept(n int) (int, Errno) {
	const maxRetries, maxRTO = 255, 120
	if n <= 0 {
		return 0, 0
	}
	period, rto := 1, 1
	for retries := 1; n > period && retries < maxRetries; retries++ {
		rto = min(2*rto, maxRTO)
		period += rto
	}
	return period, 0
}

// windowClamp is TCP_WINDOW_CLAMP, which netstack does not have. It can be taken
// away only before the socket is used.
func windowClamp() *option {
	o := number("TCP_WINDOW_CLAMP", onTCP, 0, anyInt, nil)
	o.read = func(d *description, v []byte) ([]byte, Errno) {
		n := intValue(v)
		if n == 0 && !d.unusedTCP() {
			return nil, EINVAL
		}
		if n != 0 {
			n = max(n, minWindowClamp)
		}
		return intBytes(n), 0
	}
	return o
}

// whileClosed makes an option one that is EINVAL once the socket connects, or
// listens unless listening.
func whileClosed(o *option, listening bool) *option {
	read := o.read
	o.read = func(d *description, v []byte) ([]byte, Errno) {
		if !d.unusedTCP() && !(listening && d.accepting() == 1) {
			return nil, EINVAL
		}
		return read(d, v)
	}
	return o
}

// unusedTCP reports whether the endpoint neither listens nor connects.
func (d *description) unusedTCP() bool {
	switch tcp.EndpointState(d.endpoint().State()) {
	case tcp.StateInitial, tcp.StateBound, tcp.StateClose:
		return true
	}
	return false
}

// readMSS takes a segment size in bytes, 0 for the default.
func readMSS(n int) (int, Errno) {
	if n == 0 {
		return 0, 0
	}
	return between(minMSS, maxMSS)(n)
}

func setMSS(_ *description, ep tcpip.Endpoint, v []byte) Errno {
	if intValue(v) == 0 {
		return 0 // netstack cannot take back what was set before
	}
	return errnoOf(ep.SetSockOptInt(tcpip.MaxSegOption, intValue(v)))
}

// getMSS is the size of the segments that the connection sends; before there is
// one, what was set.
func getMSS(d *description, ep tcpip.Endpoint) ([]byte, Errno) {
	set := intValue(d.recorded(optionKey{SOL_TCP, TCP_MAXSEG}))
	if tcpConnected(ep) {
		return intBytes(d.sendMSS(ep, set)), 0
	}
	if set == 0 {
		set = defaultMSS
	}
	return intBytes(set), 0
}

func readCongestion(_ *description, v []byte) ([]byte, Errno) {
	name, _, _ := bytes.Cut(v[:min(len(v), maxCongestionName-1)], []byte{0})
	return append([]byte{}, name...), 0
}

func setCongestion(_ *description, ep tcpip.Endpoint, name []byte) Errno {
	v := tcpip.CongestionControlOption(name)
	return errnoOf(ep.SetSockOpt(&v)) // ENOENT for one that netstack does not have
}

func getCongestion(d *description, ep tcpip.Endpoint) ([]byte, Errno) {
	var v tcpip.CongestionControlOption
	terr := ep.GetSockOpt(&v)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.path&shortReno != 0 && v == reno && d.recordedLocked(optionKey{SOL_TCP, TCP_CONGESTION}) == nil {
		v = cubic // which is to do as Reno does there
	}
	name := make([]byte, maxCongestionName)
	copy(name, v)
	return name, errnoOf(terr)
}

func getMaxRTO(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
	var v tcpip.TCPMaxRTOOption
	terr := d.host.gv.TransportProtocolOption(tcp.ProtocolNumber, &v)
	return intBytes(int(time.Duration(v) / time.Millisecond)), errnoOf(terr)
}

func getMinRTO(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
	var v tcpip.TCPMinRTOOption
	terr := d.host.gv.TransportProtocolOption(tcp.ProtocolNumber, &v)
	return intBytes(int(min(time.Duration(v)/time.Microsecond, math.MaxInt32))), errnoOf(terr)
}
