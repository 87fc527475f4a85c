package sockets

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// defaultTTL is Linux's net.ipv4.ip_default_ttl and IPv6 hop limit.
const defaultTTL = 64

const ecnBits = 3 // RFC 3168: TCP keeps these to itself

// ipOptions are options of SOL_IP. AF_INET6 sockets have them too, for their
// IPv4 half, except raw ones.
var ipOptions = map[optionKey]*option{
	{SOL_IP, IP_TOS}: {name: "IP_TOS", only: onInet, size: 4, tiny: true, zero: true, inherit: true,
		read: readTOS, set: setTOS, stored: true},
	{SOL_IP, IP_TTL}: ipNumber("IP_TTL", onInet, defaultTTL, orDefault(defaultTTL, 1, 255), func(ep tcpip.Endpoint, n int) tcpip.Error {
		return ep.SetSockOptInt(tcpip.IPv4TTLOption, n)
	}),
	{SOL_IP, IP_OPTIONS}:      {name: "IP_OPTIONS", only: onInet, set: setNoOptions, get: getNothing, reason: noHeaders},
	{SOL_IP, IP_ROUTER_ALERT}: {name: "IP_ROUTER_ALERT", only: onInet, get: getInt0, set: rawOnly(EINVAL), reason: noHeaders},
	{SOL_IP, IP_RECVFRAGSIZE}: {name: "IP_RECVFRAGSIZE", only: onInet, size: 4, tiny: true, zero: true,
		get: getInt0, set: setFragSize, reason: noFragments},
	{SOL_IP, IP_NODEFRAG}: {name: "IP_NODEFRAG", only: onInet, size: 4, tiny: true, zero: true,
		get: getInt0, set: rawOnly(ENOPROTOOPT), reason: "netstack reassembles before it delivers"},
	{SOL_IP, IP_PKTOPTIONS}: {name: "IP_PKTOPTIONS", only: onTCP, size: 4, get: getNothing},
	{SOL_IP, IP_MTU_DISCOVER}: {name: "IP_MTU_DISCOVER", only: onInet, size: 4, tiny: true, zero: true, inherit: true,
		read: readInt(between(IP_PMTUDISC_DONT, IP_PMTUDISC_OMIT)), set: setMTUDiscover, stored: true, initial: IP_PMTUDISC_WANT},
	{SOL_IP, IP_MTU}:                  {name: "IP_MTU", only: onInet, size: 4, get: getMTU},
	{SOL_IP, IP_BIND_ADDRESS_NO_PORT}: ipFlag("IP_BIND_ADDRESS_NO_PORT", onInet),
	{SOL_IP, IP_LOCAL_PORT_RANGE}: {name: "IP_LOCAL_PORT_RANGE", only: onInet, size: 4, exact: true, inherit: true,
		read: readPortRange, set: setPortRange, stored: true},
	{SOL_IP, IP_PROTOCOL}:     {name: "IP_PROTOCOL", only: onInet, size: 4, get: getIPProtocol},
	{SOL_IP, SO_ORIGINAL_DST}: {name: "SO_ORIGINAL_DST", only: onTCP, size: 4, get: getOriginalDst},
}

// readTOS takes a type of service, of which TCP keeps the ECN bits to itself. It
// sets SO_PRIORITY as well.
func readTOS(d *description, v []byte) ([]byte, Errno) {
	tos := intValue(v) & 0xff
	if d.isTCP() {
		tos &^= ecnBits
	}
	d.recordLocked(priority, intBytes(tosPriority(tos)))
	return intBytes(tos), 0
}

// setTOS sets the type of service of IPv4 packets. Netstack's TCP has one place
// for it and for the traffic class of IPv6 (T36), so a connection gets that of
// the protocol that it speaks.
func setTOS(d *description, ep tcpip.Endpoint, v []byte) Errno {
	if d.isTCP() && !d.speaksIPv4(ep) {
		return 0
	}
	return errnoOf(ep.SetSockOptInt(tcpip.IPv4TOSOption, intValue(v)))
}

// setTClass sets the traffic class of IPv6 packets.
func setTClass(d *description, ep tcpip.Endpoint, v []byte) Errno {
	if d.isTCP() && d.speaksIPv4(ep) {
		return 0
	}
	return errnoOf(ep.SetSockOptInt(tcpip.IPv6TrafficClassOption, intValue(v)))
}

// speaksIPv4 reports whether what the endpoint sends is IPv4, as far as is
// known: an AF_INET6 socket finds out when it connects.
func (d *description) speaksIPv4(ep tcpip.Endpoint) bool {
	if d.family == AF_INET {
		return true
	}
	remote, terr := ep.GetRemoteAddress()
	return terr == nil && isIPv4(remote.Addr)
}

func isIPv4(a tcpip.Address) bool {
	return a.Len() == header.IPv4AddressSize || header.IsV4MappedAddress(a)
}

// connectsToLocked prepares the endpoint for what depends on the peer.
func (d *description) connectsToLocked(ep tcpip.Endpoint, peer tcpip.Address) {
	if d.isTCP() && d.family == AF_INET6 && isIPv4(peer) {
		tos := intValue(d.recordedLocked(optionKey{SOL_IP, IP_TOS}))
		ep.SetSockOptInt(tcpip.IPv4TOSOption, tos)
	}
}

// noHeaders is why userstack refuses options that write or read the extensible
// parts of IP headers.
const noHeaders = "netstack offers neither IP options nor IPv6 extension headers to sockets"

// setNoOptions takes an empty list alone.
func setNoOptions(_ *description, _ tcpip.Endpoint, v []byte) Errno {
	if len(v) > 0 {
		return errRefused
	}
	return 0
}

// rawOnly refuses an option of raw sockets, and says to the others what Linux
// says to them.
func rawOnly(others Errno) func(*description, tcpip.Endpoint, []byte) Errno {
	return func(d *description, _ tcpip.Endpoint, _ []byte) Errno {
		if d.kind != onRaw {
			return others
		}
		return errRefused
	}
}

// setFragSize is IP_RECVFRAGSIZE, which Linux does not let streams have.
func setFragSize(d *description, _ tcpip.Endpoint, v []byte) Errno {
	switch {
	case d.isTCP():
		return EINVAL
	case intValue(v) != 0:
		return errRefused
	}
	return 0
}

func getInt0(*description, tcpip.Endpoint) ([]byte, Errno) { return intBytes(0), 0 }

func getNothing(*description, tcpip.Endpoint) ([]byte, Errno) { return nil, 0 }

// getIPProtocol is IP_PROTOCOL, in which Linux shows its inet_num: the protocol
// of a raw socket and the local port of the others.
func getIPProtocol(d *description, ep tcpip.Endpoint) ([]byte, Errno) {
	if d.kind == onRaw {
		return intBytes(int(d.transport)), 0
	}
	local, terr := ep.GetLocalAddress()
	if terr != nil {
		return intBytes(0), 0
	}
	return intBytes(int(local.Port)), 0
}

// getOriginalDst is the destination that a connection had before NAT.
func getOriginalDst(d *description, ep tcpip.Endpoint) ([]byte, Errno) {
	var dst tcpip.OriginalDestinationOption
	if terr := ep.GetSockOpt(&dst); terr != nil {
		return nil, ENOENT
	}
	return sockaddrBytes(d.family, addrPort(tcpip.FullAddress(dst))), 0
}
