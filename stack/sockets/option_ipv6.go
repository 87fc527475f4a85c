package sockets

import "gvisor.dev/gvisor/pkg/tcpip"

var ipv6Options = map[optionKey]*option{
	{SOL_IPV6, IPV6_UNICAST_HOPS}: {name: "IPV6_UNICAST_HOPS", only: onInet | on6, size: 4, inherit: true,
		get: func(_ *description, ep tcpip.Endpoint) ([]byte, Errno) {
			n, terr := ep.GetSockOptInt(tcpip.IPv6HopLimitOption)
			if n == tcpip.UseDefaultIPv6HopLimit {
				n = defaultTTL
			}
			return intBytes(n), errnoOf(terr)
		},
		set: func(_ *description, ep tcpip.Endpoint, v []byte) Errno {
			n := intValue(v)
			if n < -1 || n > 255 {
				return EINVAL
			}
			return errnoOf(ep.SetSockOptInt(tcpip.IPv6HopLimitOption, n))
		}},
	{SOL_IPV6, IPV6_V6ONLY}: v6Only(),
}

func v6Only() *option {
	o := boolOption("IPV6_V6ONLY", onInet|on6, (*tcpip.SocketOptions).GetV6Only, (*tcpip.SocketOptions).SetV6Only)
	o.fresh = true // netstack would take it at any time (T40)
	return o
}
