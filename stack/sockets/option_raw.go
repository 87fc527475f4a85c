package sockets

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
)

var rawOptions = map[optionKey]*option{
	{SOL_IP, IP_HDRINCL}: {name: "IP_HDRINCL", only: onInet, size: 4, tiny: true, zero: true, get: getHeaderIncluded,
		set: func(d *description, ep tcpip.Endpoint, v []byte) Errno {
			if d.kind != onRaw {
				return ENOPROTOOPT
			}
			return setHeaderIncluded(d, ep, v)
		}},
	{SOL_IPV6, IPV6_HDRINCL}:    {name: "IPV6_HDRINCL", only: onRaw | on6, size: 4, get: getHeaderIncluded, set: setHeaderIncluded},
	{SOL_IPV6, IPV6_CHECKSUM}:   {name: "IPV6_CHECKSUM", only: onRaw | on6, size: 4, get: getChecksum, set: setChecksum},
	{SOL_RAW, IPV6_CHECKSUM}:    {name: "IPV6_CHECKSUM", only: onRaw | on6, size: 4, get: getChecksum, set: setChecksum},
	{SOL_RAW, ICMP_FILTER}:      {name: "ICMP_FILTER", only: onRaw | on4, get: getICMPFilter, set: setICMPFilter},
	{SOL_ICMPV6, ICMPV6_FILTER}: {name: "ICMPV6_FILTER", only: onRaw | on6, get: getICMP6Filter, set: setICMP6Filter},
}

func getHeaderIncluded(_ *description, ep tcpip.Endpoint) ([]byte, Errno) {
	return intBytes(oneIf(ep.SocketOptions().GetHeaderIncluded())), 0
}

func setHeaderIncluded(_ *description, ep tcpip.Endpoint, v []byte) Errno {
	ep.SocketOptions().SetHeaderIncluded(intValue(v) != 0)
	return 0
}

func getChecksum(_ *description, ep tcpip.Endpoint) ([]byte, Errno) {
	n, terr := ep.GetSockOptInt(tcpip.IPv6Checksum)
	return intBytes(n), errnoOf(terr)
}

// setChecksum takes the offset of the checksum, which is even; any negative
// number means none. On ICMPv6 the offset is fixed, and netstack fails.
func setChecksum(_ *description, ep tcpip.Endpoint, v []byte) Errno {
	return errnoOf(ep.SetSockOptInt(tcpip.IPv6Checksum, max(intValue(v), -1)))
}

// ICMP_FILTER is a word and ICMPV6_FILTER eight, a bit for each type. A shorter
// value changes the first bytes only.
const (
	icmp6FilterWords = 8
	wordSize         = 4
)

func getICMPFilter(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
	if d.proto != IPPROTO_ICMP {
		return nil, EOPNOTSUPP
	}
	return intBytes(int(d.raw.icmp.Load())), 0
}

func setICMPFilter(d *description, ep tcpip.Endpoint, v []byte) Errno {
	b, errno := getICMPFilter(d, ep)
	if errno != 0 {
		return errno
	}
	copy(b, v)
	d.raw.icmp.Store(binary.LittleEndian.Uint32(b))
	return 0
}

func getICMP6Filter(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
	if d.proto != IPPROTO_ICMPV6 {
		return nil, EOPNOTSUPP
	}
	b := make([]byte, 0, icmp6FilterWords*wordSize)
	for i := range d.raw.icmp6 {
		b = binary.LittleEndian.AppendUint32(b, d.raw.icmp6[i].Load())
	}
	return b, 0
}

func setICMP6Filter(d *description, ep tcpip.Endpoint, v []byte) Errno {
	b, errno := getICMP6Filter(d, ep)
	if errno != 0 {
		return errno
	}
	copy(b, v)
	for i := range d.raw.icmp6 {
		d.raw.icmp6[i].Store(binary.LittleEndian.Uint32(b[i*wordSize:]))
	}
	return 0
}
