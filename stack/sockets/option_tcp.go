package sockets

import (
	"bytes"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

const maxCongestionName = 16 // TCP_CA_NAME_MAX

var tcpOptions = map[optionKey]*option{
	{SOL_TCP, TCP_NODELAY}: boolOption("TCP_NODELAY", onTCP,
		func(o *tcpip.SocketOptions) bool { return !o.GetDelayOption() },
		func(o *tcpip.SocketOptions, v bool) { o.SetDelayOption(!v) }),
	{SOL_TCP, TCP_CORK}: boolOption("TCP_CORK", onTCP,
		(*tcpip.SocketOptions).GetCorkOption, (*tcpip.SocketOptions).SetCorkOption),

	{SOL_TCP, TCP_KEEPIDLE}: secondsOption("TCP_KEEPIDLE",
		func(s int) tcpip.SettableSocketOption {
			v := tcpip.KeepaliveIdleOption(time.Duration(s) * time.Second)
			return &v
		},
		func(ep tcpip.Endpoint) (time.Duration, tcpip.Error) {
			var v tcpip.KeepaliveIdleOption
			err := ep.GetSockOpt(&v)
			return time.Duration(v), err
		}),
	{SOL_TCP, TCP_KEEPINTVL}: secondsOption("TCP_KEEPINTVL",
		func(s int) tcpip.SettableSocketOption {
			v := tcpip.KeepaliveIntervalOption(time.Duration(s) * time.Second)
			return &v
		},
		func(ep tcpip.Endpoint) (time.Duration, tcpip.Error) {
			var v tcpip.KeepaliveIntervalOption
			err := ep.GetSockOpt(&v)
			return time.Duration(v), err
		}),
	{SOL_TCP, TCP_KEEPCNT}: {name: "TCP_KEEPCNT", only: onTCP, size: 4, inherit: true,
		get: func(_ *description, ep tcpip.Endpoint) ([]byte, Errno) {
			n, terr := ep.GetSockOptInt(tcpip.KeepaliveCountOption)
			return intBytes(n), errnoOf(terr)
		},
		set: func(_ *description, ep tcpip.Endpoint, v []byte) Errno {
			if n := intValue(v); n < 1 || n > 127 { // MAX_TCP_KEEPCNT
				return EINVAL
			}
			return errnoOf(ep.SetSockOptInt(tcpip.KeepaliveCountOption, intValue(v)))
		}},
	{SOL_TCP, TCP_USER_TIMEOUT}: {name: "TCP_USER_TIMEOUT", only: onTCP, size: 4, inherit: true,
		get: func(_ *description, ep tcpip.Endpoint) ([]byte, Errno) {
			var v tcpip.TCPUserTimeoutOption
			terr := ep.GetSockOpt(&v)
			return intBytes(int(time.Duration(v) / time.Millisecond)), errnoOf(terr)
		},
		set: func(_ *description, ep tcpip.Endpoint, v []byte) Errno {
			ms := intValue(v)
			if ms < 0 {
				return EINVAL
			}
			opt := tcpip.TCPUserTimeoutOption(time.Duration(ms) * time.Millisecond)
			return errnoOf(ep.SetSockOpt(&opt))
		}},
	{SOL_TCP, TCP_CONGESTION}: {name: "TCP_CONGESTION", only: onTCP, size: 1, inherit: true,
		get: func(_ *description, ep tcpip.Endpoint) ([]byte, Errno) {
			var v tcpip.CongestionControlOption
			terr := ep.GetSockOpt(&v)
			name := make([]byte, maxCongestionName)
			copy(name, v)
			return name, errnoOf(terr)
		},
		set: func(_ *description, ep tcpip.Endpoint, v []byte) Errno {
			name, _, _ := bytes.Cut(v, []byte{0})
			opt := tcpip.CongestionControlOption(name)
			if terr := ep.SetSockOpt(&opt); terr != nil {
				return ENOENT
			}
			return 0
		}},
}

const maxKeepaliveSeconds = 32767 // MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL

// secondsOption is a keepalive time of 1 to 32767 s. Netstack takes anything.
func secondsOption(name string, value func(int) tcpip.SettableSocketOption, get func(tcpip.Endpoint) (time.Duration, tcpip.Error)) *option {
	return &option{name: name, only: onTCP, size: 4, inherit: true,
		get: func(_ *description, ep tcpip.Endpoint) ([]byte, Errno) {
			v, terr := get(ep)
			return intBytes(int(v / time.Second)), errnoOf(terr)
		},
		set: func(_ *description, ep tcpip.Endpoint, v []byte) Errno {
			n := intValue(v)
			if n < 1 || n > maxKeepaliveSeconds {
				return EINVAL
			}
			return errnoOf(ep.SetSockOpt(value(n)))
		},
	}
}
