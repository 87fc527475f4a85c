package sockets

import (
	"encoding/binary"
	"math"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// Linux's bounds of socket buffers, in bytes as getsockopt reports them.
const (
	maxBufferRequest = 212992 // net.core.wmem_max and rmem_max, before doubling
	minSendBuffer    = 4608   // SOCK_MIN_SNDBUF
	minReceiveBuffer = 2304   // SOCK_MIN_RCVBUF
)

var socketOptions = map[optionKey]*option{
	{SOL_SOCKET, SO_REUSEADDR}: boolOption("SO_REUSEADDR", onInet,
		(*tcpip.SocketOptions).GetReuseAddress, (*tcpip.SocketOptions).SetReuseAddress),
	{SOL_SOCKET, SO_REUSEPORT}: boolOption("SO_REUSEPORT", onInet,
		(*tcpip.SocketOptions).GetReusePort, (*tcpip.SocketOptions).SetReusePort),
	{SOL_SOCKET, SO_BROADCAST}: boolOption("SO_BROADCAST", onInet,
		(*tcpip.SocketOptions).GetBroadcast, (*tcpip.SocketOptions).SetBroadcast),
	{SOL_SOCKET, SO_KEEPALIVE}: boolOption("SO_KEEPALIVE", onInet,
		(*tcpip.SocketOptions).GetKeepAlive, (*tcpip.SocketOptions).SetKeepAlive),

	{SOL_SOCKET, SO_TYPE}:       fact("SO_TYPE", func(d *description) int { return int(d.typ) }),
	{SOL_SOCKET, SO_DOMAIN}:     fact("SO_DOMAIN", func(d *description) int { return int(d.family) }),
	{SOL_SOCKET, SO_PROTOCOL}:   fact("SO_PROTOCOL", (*description).protocol),
	{SOL_SOCKET, SO_ERROR}:      fact("SO_ERROR", func(d *description) int { return int(d.takeSocketError()) }),
	{SOL_SOCKET, SO_ACCEPTCONN}: fact("SO_ACCEPTCONN", (*description).accepting),

	{SOL_SOCKET, SO_SNDBUF}: {name: "SO_SNDBUF", only: onInet, size: 4, inherit: true,
		get: func(_ *description, ep tcpip.Endpoint) ([]byte, Errno) {
			return intBytes(int(ep.SocketOptions().GetSendBufferSize())), 0
		},
		set: func(_ *description, ep tcpip.Endpoint, v []byte) Errno {
			ep.SocketOptions().SetSendBufferSize(bufferSize(v, minSendBuffer), true)
			return 0
		}},
	{SOL_SOCKET, SO_RCVBUF}: {name: "SO_RCVBUF", only: onInet, size: 4, inherit: true,
		get: func(_ *description, ep tcpip.Endpoint) ([]byte, Errno) {
			return intBytes(int(ep.SocketOptions().GetReceiveBufferSize())), 0
		},
		set: func(_ *description, ep tcpip.Endpoint, v []byte) Errno {
			ep.SocketOptions().SetReceiveBufferSize(bufferSize(v, minReceiveBuffer), true)
			return 0
		}},

	{SOL_SOCKET, SO_LINGER}: {name: "SO_LINGER", only: onInet, size: 8, inherit: true, get: getLinger, set: setLinger},
	{SOL_SOCKET, SO_RCVTIMEO}: {name: "SO_RCVTIMEO", only: onInet, size: 16, inherit: true,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) { return timevalBytes(d.rcvTimeo.Load()), 0 },
		set: func(d *description, _ tcpip.Endpoint, v []byte) Errno { return setTimeval(&d.rcvTimeo, v) }},
	{SOL_SOCKET, SO_SNDTIMEO}: {name: "SO_SNDTIMEO", only: onInet, size: 16, inherit: true,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) { return timevalBytes(d.sndTimeo.Load()), 0 },
		set: func(d *description, _ tcpip.Endpoint, v []byte) Errno { return setTimeval(&d.sndTimeo, v) }},
	{SOL_SOCKET, SO_BINDTODEVICE}: {name: "SO_BINDTODEVICE", only: onInet, inherit: true, get: getDevice, set: setDevice},
}

// boolOption is an option whose value is an int that is 0 or not.
func boolOption(name string, only sockets, get func(*tcpip.SocketOptions) bool, set func(*tcpip.SocketOptions, bool)) *option {
	return &option{name: name, only: only, size: 4, inherit: true,
		get: func(_ *description, ep tcpip.Endpoint) ([]byte, Errno) {
			if get(ep.SocketOptions()) {
				return intBytes(1), 0
			}
			return intBytes(0), 0
		},
		set: func(_ *description, ep tcpip.Endpoint, v []byte) Errno {
			set(ep.SocketOptions(), intValue(v) != 0)
			return 0
		},
	}
}

// fact is an option that can only be read.
func fact(name string, get func(*description) int) *option {
	return &option{name: name, only: onInet, size: 4,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) { return intBytes(get(d)), 0 }}
}

func (d *description) protocol() int {
	switch d.transport {
	case tcp.ProtocolNumber:
		return int(IPPROTO_TCP)
	case udp.ProtocolNumber:
		return int(IPPROTO_UDP)
	case icmp.ProtocolNumber4:
		return int(IPPROTO_ICMP)
	}
	return int(IPPROTO_ICMPV6)
}

func (d *description) accepting() int {
	if d.isTCP() && tcp.EndpointState(d.ep.Load().State()) == tcp.StateListen {
		return 1
	}
	return 0
}

// bufferSize is Linux's reading of SO_SNDBUF and SO_RCVBUF: the value is
// unsigned, cut to the system's limit, then doubled.
func bufferSize(v []byte, least int64) int64 {
	asked := min(uint32(intValue(v)), maxBufferRequest)
	return max(2*int64(asked), least)
}

func getLinger(_ *description, ep tcpip.Endpoint) ([]byte, Errno) {
	l := ep.SocketOptions().GetLinger()
	on := 0
	if l.Enabled {
		on = 1
	}
	return append(intBytes(on), intBytes(int(l.Timeout/time.Second))...), 0
}

// setLinger takes struct linger. A negative time means for ever, as on Linux.
func setLinger(_ *description, ep tcpip.Endpoint, v []byte) Errno {
	seconds := int64(int32(binary.LittleEndian.Uint32(v[4:])))
	if seconds < 0 {
		seconds = math.MaxInt32
	}
	ep.SocketOptions().SetLinger(tcpip.LingerOption{
		Enabled: intValue(v) != 0, Timeout: time.Duration(seconds) * time.Second,
	})
	return 0
}

// setTimeval takes struct timeval. Zero is no limit; negative seconds are a
// limit that has passed already.
func setTimeval(dst interface{ Store(int64) }, v []byte) Errno {
	sec, usec := int64(binary.LittleEndian.Uint64(v)), int64(binary.LittleEndian.Uint64(v[8:]))
	if usec < 0 || usec >= 1e6 {
		return EDOM
	}
	if sec < 0 {
		dst.Store(-1)
		return 0
	}
	sec = min(sec, math.MaxInt64/int64(time.Second)-1)
	dst.Store(sec*int64(time.Second) + usec*int64(time.Microsecond))
	return 0
}

func timevalBytes(ns int64) []byte {
	ns = max(ns, 0)
	b := binary.LittleEndian.AppendUint64(nil, uint64(ns/int64(time.Second)))
	return binary.LittleEndian.AppendUint64(b, uint64(ns%int64(time.Second)/int64(time.Microsecond)))
}

func getDevice(d *description, ep tcpip.Endpoint) ([]byte, Errno) {
	dev := ep.SocketOptions().GetBindToDevice()
	if dev == 0 {
		return nil, 0
	}
	return append([]byte(d.host.gv.FindNICNameFromID(tcpip.NICID(dev))), 0), 0
}

// setDevice takes an interface's name, or "" to take the restriction away.
func setDevice(d *description, ep tcpip.Endpoint, v []byte) Errno {
	name := string(v)
	for i := range v {
		if v[i] == 0 {
			name = string(v[:i])
			break
		}
	}
	index := 0
	if name != "" {
		for _, ifc := range d.host.stack.Interfaces() {
			if ifc.Name == name {
				index = ifc.Index
			}
		}
		if index == 0 {
			return ENODEV
		}
	}
	return errnoOf(setBindToDevice(ep, index))
}

func setBindToDevice(ep tcpip.Endpoint, index int) tcpip.Error {
	return ep.SocketOptions().SetBindToDevice(int32(index))
}
