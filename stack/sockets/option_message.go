package sockets

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// messageOptions are the options whose effect is in the data path: what comes
// with a received message, and how messages are cut and put together.
var messageOptions = map[optionKey]*option{
	{SOL_IP, IP_PKTINFO}:         ipAsk("IP_PKTINFO", askPacketInfo, nil),
	{SOL_IP, IP_RECVTTL}:         ipAsk("IP_RECVTTL", askTTL, nil),
	{SOL_IP, IP_RECVTOS}:         ipAsk("IP_RECVTOS", askTOS, nil),
	{SOL_IP, IP_RECVORIGDSTADDR}: ipAsk("IP_RECVORIGDSTADDR", askOriginalDst, nil),
	{SOL_IP, IP_RECVERR}:         ipAsk("IP_RECVERR", askErrors, (*description).hearErrors),

	{SOL_IPV6, IPV6_RECVPKTINFO}:     askOption("IPV6_RECVPKTINFO", onInet|on6, askPacketInfo6, nil),
	{SOL_IPV6, IPV6_RECVHOPLIMIT}:    askOption("IPV6_RECVHOPLIMIT", onInet|on6, askHopLimit, nil),
	{SOL_IPV6, IPV6_RECVTCLASS}:      askOption("IPV6_RECVTCLASS", onInet|on6, askTClass, nil),
	{SOL_IPV6, IPV6_RECVORIGDSTADDR}: askOption("IPV6_RECVORIGDSTADDR", onInet|on6, askOriginalDst6, nil),
	{SOL_IPV6, IPV6_RECVERR}:         askOption("IPV6_RECVERR", onInet|on6, askErrors6, (*description).hearErrors),

	{SOL_SOCKET, SO_TIMESTAMP}:        stampOption("SO_TIMESTAMP", 0),
	{SOL_SOCKET, SO_TIMESTAMPNS}:      stampOption("SO_TIMESTAMPNS", askNanoseconds),
	{SOL_SOCKET, SO_TIMESTAMP_NEW}:    stampOption("SO_TIMESTAMP_NEW", askNewTimestamp),
	{SOL_SOCKET, SO_TIMESTAMPNS_NEW}:  stampOption("SO_TIMESTAMPNS_NEW", askNanoseconds|askNewTimestamp),
	{SOL_SOCKET, SO_TIMESTAMPING}:     stampingOption("SO_TIMESTAMPING", 0),
	{SOL_SOCKET, SO_TIMESTAMPING_NEW}: stampingOption("SO_TIMESTAMPING_NEW", askNewTimestamp),

	{SOL_SOCKET, SO_PEEK_OFF}: {name: "SO_PEEK_OFF", only: onTCP | onUDP | onPing | onUnix, absent: EOPNOTSUPP, size: 4, inherit: true,
		get: getPeekOff, set: setPeekOff},
	{SOL_SOCKET, SO_RXQ_OVFL}:         askOption("SO_RXQ_OVFL", onAny, askDrops, nil),
	{SOL_SOCKET, SO_SELECT_ERR_QUEUE}: askOption("SO_SELECT_ERR_QUEUE", onAny, askPriority, nil),

	{SOL_TCP, TCP_INQ}:     bit01(askOption("TCP_INQ", onTCP, askQueued, nil)),
	{SOL_UDP, UDP_CORK}:    askOption("UDP_CORK", onUDP, askCork, (*description).uncork),
	{SOL_UDP, UDP_GRO}:     askOption("UDP_GRO", onUDP, askTogether, nil),
	{SOL_UDP, UDP_SEGMENT}: {name: "UDP_SEGMENT", only: onUDP, size: 4, get: getSegment, set: setSegment},

	{SOL_IPV6, IPV6_PKTINFO}:    {name: "IPV6_PKTINFO", only: onInet | on6, size: in6PktinfoSize, inherit: true, set: setSticky},
	{SOL_IP, IP_UNICAST_IF}:     unicastIf("IP_UNICAST_IF", onInet, false),
	{SOL_IPV6, IPV6_UNICAST_IF}: unicastIf("IPV6_UNICAST_IF", onInet|on6, true),
}

const onAny = onEndpoint | onUnix

// ipAsk is a switch of SOL_IP, whose value may be shorter than an int. On an
// AF_INET6 socket it is for the IPv4 packets.
func ipAsk(name string, a ask, after func(*description, tcpip.Endpoint, bool)) *option {
	o := askOption(name, onInet, a, after)
	o.tiny, o.zero = true, true
	return o
}

// bit01 makes an option refuse values but 0 and 1.
func bit01(o *option) *option {
	set := o.set
	o.set = func(d *description, ep tcpip.Endpoint, v []byte) Errno {
		if n := intValue(v); n != 0 && n != 1 {
			return EINVAL
		}
		return set(d, ep, v)
	}
	return o
}

// hearErrors is what follows a change of IP_RECVERR: without it there is no error
// queue, and a connection hears of ICMP only with it.
func (d *description) hearErrors(ep tcpip.Endpoint, on bool) {
	switch {
	case !on:
		d.purgeErrors()
	case d.isTCP() && d.refs.Load() > 0: // closed meanwhile: nobody would remove it
		d.host.tap.add(ep, d)
	}
}

// stampOption is one of four options that share one state (sock_set_timestamps
// of Linux): turning one on turns the others off, turning any off turns all off.
func stampOption(name string, form ask) *option {
	return &option{name: name, only: onAny, size: 4, inherit: true,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
			seen := askNanoseconds | askNewTimestamp
			if form == askNewTimestamp {
				seen = askNewTimestamp // SO_TIMESTAMP_NEW shows the nanosecond form as well
			}
			return intBytes(oneIf(d.asked(askTimestamp) && ask(d.asks.Load())&seen == form)), 0
		},
		set: func(d *description, _ tcpip.Endpoint, v []byte) Errno {
			if intValue(v) == 0 {
				d.answer(askTimestamp|askNanoseconds, 0)
			} else {
				d.answer(askNanoseconds|askNewTimestamp, askTimestamp|form)
			}
			return 0
		}}
}

// Flags of SO_TIMESTAMPING that netstack can serve: software time of arrival
// (<linux/net_tstamp.h>).
const (
	sofTimestampingRXSoftware = 1 << 3
	sofTimestampingSoftware   = 1 << 4
	sofTimestampingOptCmsg    = 1 << 10
)

func stampingOption(name string, form ask) *option {
	return &option{name: name, only: onAny, size: 4, inherit: true,
		refusal: EINVAL, reason: "netstack has only the software time of arrival",
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
			x := d.extras()
			if x == nil || form != 0 && !d.asked(askNewTimestamp) {
				return make([]byte, 8), 0
			}
			x.mu.Lock()
			defer x.mu.Unlock()
			return append(intBytes(int(x.timestamping)), 0, 0, 0, 0), 0
		},
		set: func(d *description, _ tcpip.Endpoint, v []byte) Errno {
			flags := uint32(intValue(v))
			if flags&^(sofTimestampingRXSoftware|sofTimestampingSoftware|sofTimestampingOptCmsg) != 0 {
				return errRefused
			}
			d.answer(askNewTimestamp, form)
			x := d.makeExtras()
			x.mu.Lock()
			defer x.mu.Unlock()
			x.timestamping = flags
			return 0
		}}
}

func getSegment(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
	x := d.extras()
	if x == nil {
		return intBytes(0), 0
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return intBytes(x.segment), 0
}

func setSegment(d *description, _ tcpip.Endpoint, v []byte) Errno {
	n := intValue(v)
	if n < 0 || n > 0xffff {
		return EINVAL
	}
	x := d.makeExtras()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.segment = n
	return 0
}

// setSticky takes struct in6_pktinfo. Like Linux, and unlike RFC 3542 section
// 6.2, it uses the interface alone: measured on Linux 6.18, the address, which
// may be anyone's, changes nothing.
func setSticky(d *description, ep tcpip.Endpoint, v []byte) Errno {
	index := intValue(v[16:])
	if dev := ep.SocketOptions().GetBindToDevice(); dev != 0 && index != int(dev) {
		return EINVAL
	}
	x := d.makeExtras()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sticky = index
	return 0
}

// unicastIf is IP_UNICAST_IF, or IPV6_UNICAST_IF: the index of the interface that
// unicast datagrams leave by, in network byte order.
func unicastIf(name string, only sockets, v6 bool) *option {
	return &option{name: name, only: only, size: 4, exact: true, inherit: true,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
			return binary.BigEndian.AppendUint32(nil, uint32(d.unicastInterface(v6))), 0
		},
		set: func(d *description, _ tcpip.Endpoint, v []byte) Errno {
			index := int(binary.BigEndian.Uint32(v))
			if index != 0 && !d.host.gv.HasNIC(tcpip.NICID(index)) {
				return EADDRNOTAVAIL
			}
			x := d.makeExtras()
			x.mu.Lock()
			defer x.mu.Unlock()
			if v6 {
				x.unicastIf6 = index
			} else {
				x.unicastIf = index
			}
			return 0
		}}
}

// unicastInterface returns the index that IPV6_UNICAST_IF, or IP_UNICAST_IF, has
// set, 0 for none.
func (d *description) unicastInterface(v6 bool) int {
	x := d.extras()
	if x == nil {
		return 0
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if v6 {
		return x.unicastIf6
	}
	return x.unicastIf
}
