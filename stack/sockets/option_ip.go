package sockets

import (
	"gvisor.dev/gvisor/pkg/tcpip"
)

// defaultTTL is Linux's net.ipv4.ip_default_ttl and IPv6 hop limit.
const defaultTTL = 64

const ecnBits = 3 // RFC 3168: TCP keeps these to itself

var ipOptions = map[optionKey]*option{
	{SOL_IP, IP_TOS}: {name: "IP_TOS", only: onInet, size: 4, tiny: true, inherit: true,
		get: func(_ *description, ep tcpip.Endpoint) ([]byte, Errno) {
			n, terr := ep.GetSockOptInt(tcpip.IPv4TOSOption)
			return intBytes(n), errnoOf(terr)
		},
		set: func(d *description, ep tcpip.Endpoint, v []byte) Errno {
			tos := intValue(v) & 0xff
			if d.isTCP() {
				tos &^= ecnBits
			}
			return errnoOf(ep.SetSockOptInt(tcpip.IPv4TOSOption, tos))
		}},
	{SOL_IP, IP_TTL}: {name: "IP_TTL", only: onInet, size: 4, tiny: true, inherit: true,
		get: func(_ *description, ep tcpip.Endpoint) ([]byte, Errno) {
			n, terr := ep.GetSockOptInt(tcpip.IPv4TTLOption)
			if n == tcpip.UseDefaultIPv4TTL {
				n = defaultTTL
			}
			return intBytes(n), errnoOf(terr)
		},
		set: func(_ *description, ep tcpip.Endpoint, v []byte) Errno {
			n := intValue(v)
			if n != -1 && (n < 1 || n > 255) {
				return EINVAL
			}
			return errnoOf(ep.SetSockOptInt(tcpip.IPv4TTLOption, max(n, tcpip.UseDefaultIPv4TTL)))
		}},
}
