package sockets

import (
	"math"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// socketOptions are the options of SOL_SOCKET that have an effect. Those of
// ancillary data stand in option_message.go, those of AF_UNIX alone in
// option_unix.go.
var socketOptions = map[optionKey]*option{
	{SOL_SOCKET, SO_REUSEADDR}: reuseAddr(),
	{SOL_SOCKET, SO_REUSEPORT}: reusePort(),
	{SOL_SOCKET, SO_BROADCAST}: flag("SO_BROADCAST", onAll, (*tcpip.SocketOptions).SetBroadcast),
	{SOL_SOCKET, SO_KEEPALIVE}: flag("SO_KEEPALIVE", onAll, (*tcpip.SocketOptions).SetKeepAlive),
	{SOL_SOCKET, SO_NO_CHECK}:  flag("SO_NO_CHECK", onAll, (*tcpip.SocketOptions).SetNoChecksum),
	{SOL_SOCKET, SO_DONTROUTE}: {name: "SO_DONTROUTE", only: onAll, size: 4, stored: true, inherit: true, read: readInt(truth),
		set: func(d *description, _ tcpip.Endpoint, v []byte) Errno {
			d.setRule(dontRoute, intValue(v) != 0)
			return 0
		}},
	{SOL_SOCKET, SO_OOBINLINE}: oobInline(),
	{SOL_SOCKET, SO_MARK}: number("SO_MARK", onAll, 0, anyInt, func(ep tcpip.Endpoint, n int) tcpip.Error {
		ep.SocketOptions().SetMark(uint32(n))
		return nil
	}),

	{SOL_SOCKET, SO_TYPE}:       fact("SO_TYPE", func(d *description) int { return int(d.typ) }),
	{SOL_SOCKET, SO_DOMAIN}:     fact("SO_DOMAIN", func(d *description) int { return int(d.family) }),
	{SOL_SOCKET, SO_PROTOCOL}:   fact("SO_PROTOCOL", (*description).protocol),
	{SOL_SOCKET, SO_ERROR}:      fact("SO_ERROR", func(d *description) int { return int(d.takeSocketError()) }),
	{SOL_SOCKET, SO_ACCEPTCONN}: fact("SO_ACCEPTCONN", (*description).accepting),
	{SOL_SOCKET, SO_SNDLOWAT}:   constant("SO_SNDLOWAT", onAll, 1),
	{SOL_SOCKET, SO_PEERNAME}:   {name: "SO_PEERNAME", only: onAll, size: 4, snug: true, get: getPeerName},
	{SOL_SOCKET, SO_COOKIE}:     {name: "SO_COOKIE", only: onAll, size: 8, get: getCookie},
	{SOL_SOCKET, SO_NETNS_COOKIE}: {name: "SO_NETNS_COOKIE", only: onAll, size: 8,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) { return uint64Bytes(d.host.cookie), 0 }},
	{SOL_SOCKET, SO_MEMINFO}: {name: "SO_MEMINFO", only: onAll, size: 36, get: getMemInfo},

	{SOL_SOCKET, SO_SNDBUF}:      sndBuf("SO_SNDBUF", maxBufferRequest),
	{SOL_SOCKET, SO_RCVBUF}:      rcvBuf("SO_RCVBUF", maxBufferRequest),
	{SOL_SOCKET, SO_SNDBUFFORCE}: forced(sndBuf("SO_SNDBUFFORCE", maxForcedBuffer), SO_SNDBUF),
	{SOL_SOCKET, SO_RCVBUFFORCE}: forced(rcvBuf("SO_RCVBUFFORCE", maxForcedBuffer), SO_RCVBUF),
	{SOL_SOCKET, SO_BUF_LOCK}:    bufLock,
	{SOL_SOCKET, SO_RCVLOWAT}: {name: "SO_RCVLOWAT", only: onAll, size: 4, inherit: true,
		read: readLowat, set: setLowat, stored: true, initial: 1},

	{SOL_SOCKET, SO_LINGER}: {name: "SO_LINGER", only: onAll, size: 8, inherit: true,
		read: readLinger, set: setLinger, stored: true, width: 8},
	{SOL_SOCKET, SO_RCVTIMEO}:     rcvTimeo(optionKey{}),
	{SOL_SOCKET, SO_SNDTIMEO}:     sndTimeo(optionKey{}),
	{SOL_SOCKET, SO_RCVTIMEO_NEW}: rcvTimeo(optionKey{SOL_SOCKET, SO_RCVTIMEO}),
	{SOL_SOCKET, SO_SNDTIMEO_NEW}: sndTimeo(optionKey{SOL_SOCKET, SO_SNDTIMEO}),

	{SOL_SOCKET, SO_BINDTODEVICE}: {name: "SO_BINDTODEVICE", only: onAll, inherit: true, needs: ifNameSize,
		read: readDevice, set: setDevice, get: getDevice},
	{SOL_SOCKET, SO_BINDTOIFINDEX}: {name: "SO_BINDTOIFINDEX", only: onAll, size: 4,
		as: optionKey{SOL_SOCKET, SO_BINDTODEVICE}, read: readIfIndex, get: getIfIndex},
}

// reuseAddr is SO_REUSEADDR, which raw sockets start with.
func reuseAddr() *option {
	o := flag("SO_REUSEADDR", onAll, (*tcpip.SocketOptions).SetReuseAddress)
	o.get = func(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
		if v := d.recorded(optionKey{SOL_SOCKET, SO_REUSEADDR}); v != nil {
			return v, 0
		}
		return intBytes(oneIf(d.kind == onRaw)), 0
	}
	return o
}

// reusePort is SO_REUSEPORT, for sockets with ports alone.
func reusePort() *option {
	o := flag("SO_REUSEPORT", onAll, (*tcpip.SocketOptions).SetReusePort)
	o.read = func(d *description, v []byte) ([]byte, Errno) {
		if intValue(v) != 0 && d.kind&onInet == 0 {
			return nil, EOPNOTSUPP
		}
		return intBytes(oneIf(intValue(v) != 0)), 0
	}
	return o
}

// oobInline is SO_OOBINLINE. A TCP socket has it always: netstack leaves urgent
// data where it stands in the stream.
func oobInline() *option {
	o := flag("SO_OOBINLINE", onAll, nil)
	o.refusal, o.reason = EOPNOTSUPP, "urgent data always stays in the stream"
	o.read = func(d *description, v []byte) ([]byte, Errno) {
		if intValue(v) == 0 && d.isTCP() {
			return nil, errRefused
		}
		return intBytes(oneIf(intValue(v) != 0)), 0
	}
	o.get = func(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
		v := d.recorded(optionKey{SOL_SOCKET, SO_OOBINLINE})
		return intBytes(oneIf(d.isTCP() || v != nil && intValue(v) != 0)), 0
	}
	return o
}

// protocol is SO_PROTOCOL: the protocol that the socket has in truth.
func (d *description) protocol() int {
	if d.kind&onInet == 0 {
		return 0
	}
	return int(d.transport)
}

func (d *description) accepting() int {
	if d.unix != nil {
		return oneIf(d.unix.listens()) // also after SHUT_RD
	}
	return oneIf(d.isTCP() && tcp.EndpointState(d.ep.Load().State()) == tcp.StateListen)
}

// readLowat is Linux's reading of SO_RCVLOWAT: 0 is 1, negative is as much as
// there can be, and a connection's buffer must be able to hold twice as much.
func readLowat(d *description, v []byte) ([]byte, Errno) {
	n := intValue(v)
	if n < 0 {
		n = math.MaxInt32
	}
	if d.isTCP() {
		n = min(n, d.lowatLimitLocked())
	}
	return intBytes(max(n, 1)), 0
}

func (d *description) lowatLimitLocked() int {
	if v := d.recordedLocked(optionKey{SOL_SOCKET, SO_RCVBUF}); v != nil {
		return intValue(v) / 2
	}
	var limits tcpip.TCPReceiveBufferSizeRangeOption
	d.host.gv.TransportProtocolOption(tcp.ProtocolNumber, &limits)
	return limits.Max / 2
}

// setLowat makes the buffer large enough, as Linux does unless its size is the
// user's: netstack lets the peer fill half of it.
func setLowat(d *description, ep tcpip.Endpoint, v []byte) Errno {
	n := intValue(v)
	d.makeUnusual().lowat.Store(int32(n))
	if d.isTCP() && d.unusual().rcvBuf.Load() == 0 {
		if ops := ep.SocketOptions(); ops.GetReceiveBufferSize() < 2*int64(n) {
			ops.SetReceiveBufferSize(2*int64(n), true)
		}
	}
	d.wq.Notify(waiter.ReadableEvents)
	return 0
}

// recvLowat is how many bytes make a stream readable (SO_RCVLOWAT), 1 by
// default. What ends the stream makes it readable too.
func (d *description) recvLowat() int { return max(int(d.unusual().lowat.Load()), 1) }
