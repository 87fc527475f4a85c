package sockets

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// ipv6Options are options of SOL_IPV6, which AF_INET6 sockets have.
var ipv6Options = map[optionKey]*option{
	{SOL_IPV6, IPV6_UNICAST_HOPS}: number("IPV6_UNICAST_HOPS", onInet|on6, defaultTTL, orDefault(defaultTTL, 0, 255), func(ep tcpip.Endpoint, n int) tcpip.Error {
		return ep.SetSockOptInt(tcpip.IPv6HopLimitOption, n)
	}),
	{SOL_IPV6, IPV6_V6ONLY}: v6Only,
	{SOL_IPV6, IPV6_TCLASS}: {name: "IPV6_TCLASS", only: onInet | on6, size: 4, inherit: true,
		read: readTClass, set: setTClass, stored: true},
	{SOL_IPV6, IPV6_MTU_DISCOVER}: {name: "IPV6_MTU_DISCOVER", only: onInet | on6, size: 4, inherit: true,
		read: readInt(between(IPV6_PMTUDISC_DONT, IPV6_PMTUDISC_OMIT)), set: setMTUDiscover6, stored: true, initial: IPV6_PMTUDISC_WANT},
	{SOL_IPV6, IPV6_DONTFRAG}: {name: "IPV6_DONTFRAG", only: onInet | on6, size: 4, zero: true, inherit: true,
		read: readInt(truth), set: setDontFrag, stored: true},
	{SOL_IPV6, IPV6_MTU}: {name: "IPV6_MTU", only: onInet | on6, size: 4, get: getMTU6, set: setNoMTU,
		reason: "netstack fragments at the MTU of the route alone"},
	{SOL_IPV6, IPV6_PATHMTU}:          {name: "IPV6_PATHMTU", only: onInet | on6, size: 4, get: getPathMTU},
	{SOL_IPV6, IPV6_AUTOFLOWLABEL}:    autoFlowLabel(),
	{SOL_IPV6, IPV6_ADDR_PREFERENCES}: addrPreferences(),
	{SOL_IPV6, IPV6_ADDRFORM}: {name: "IPV6_ADDRFORM", only: onTCP | onUDP | on6, size: 4, set: setAddrForm, get: getAddrForm,
		reason: "a socket cannot change its address family"},
	{SOL_IPV6, IPV6_FLOWLABEL_MGR}: {name: "IPV6_FLOWLABEL_MGR", only: onInet | on6,
		set: func(*description, tcpip.Endpoint, []byte) Errno { return errRefused },
		get: func(*description, tcpip.Endpoint) ([]byte, Errno) { return nil, ENOENT }, reason: noFlowLabels},
	{SOL_IPV6, IP6T_SO_ORIGINAL_DST}: {name: "IP6T_SO_ORIGINAL_DST", only: onTCP | on6, size: 4, get: getOriginalDst},
}

const noFlowLabels = "netstack sends every packet with flow label 0"

// v6Only is IPV6_V6ONLY, which netstack would take at any time (T40).
var v6Only = func() *option {
	o := flag("IPV6_V6ONLY", onInet|on6, (*tcpip.SocketOptions).SetV6Only)
	o.fresh = true
	return o
}()

// readTClass takes a traffic class, -1 for 0, of which TCP keeps the ECN bits to
// itself.
func readTClass(d *description, v []byte) ([]byte, Errno) {
	n, errno := orDefault(0, 0, 255)(intValue(v))
	if d.isTCP() {
		n &^= ecnBits
	}
	return intBytes(n), errno
}

// autoFlowLabel is IPV6_AUTOFLOWLABEL, a hint to routers.
func autoFlowLabel() *option {
	o := flag("IPV6_AUTOFLOWLABEL", onInet|on6, nil)
	o.zero, o.initial = true, 1
	return o
}

// addrPreferences is IPV6_ADDR_PREFERENCES (RFC 5014), a hint to the choice of a
// source address. Netstack has neither temporary nor mobile addresses.
func addrPreferences() *option {
	return &option{name: "IPV6_ADDR_PREFERENCES", only: onInet | on6, size: 4, inherit: true, stored: true,
		initial: IPV6_PREFER_SRC_PUBTMP_DEFAULT | IPV6_PREFER_SRC_HOME, read: readPreferences}
}

// readPreferences checks that the flags do not contradict each other. What is
// not named is as at first.
func readPreferences(_ *description, v []byte) ([]byte, Errno) {
	const (
		public = IPV6_PREFER_SRC_TMP | IPV6_PREFER_SRC_PUBLIC | IPV6_PREFER_SRC_PUBTMP_DEFAULT
		home   = IPV6_PREFER_SRC_HOME | IPV6_PREFER_SRC_COA
		cga    = IPV6_PREFER_SRC_CGA | IPV6_PREFER_SRC_NONCGA // checked and forgotten
	)
	n, prefs := intValue(v), IPV6_PREFER_SRC_PUBTMP_DEFAULT|IPV6_PREFER_SRC_HOME
	for _, group := range []int{public, home, cga} {
		chosen := n & group
		if chosen&(chosen-1) != 0 {
			return nil, EINVAL // two of them
		}
		if chosen != 0 && group != cga {
			prefs = prefs&^group | chosen
		}
	}
	return intBytes(prefs), 0
}

// setAddrForm is IPV6_ADDRFORM, by which a connected socket with an IPv4 peer
// becomes an AF_INET one.
func setAddrForm(_ *description, ep tcpip.Endpoint, v []byte) Errno {
	if Family(intValue(v)) != AF_INET {
		return EINVAL
	}
	if _, terr := ep.GetRemoteAddress(); terr != nil {
		return ENOTCONN
	}
	return errRefused
}

func getAddrForm(d *description, ep tcpip.Endpoint) ([]byte, Errno) {
	if _, terr := ep.GetRemoteAddress(); terr != nil {
		return nil, ENOTCONN
	}
	return intBytes(int(d.family)), 0
}

// leastMTU is IPv6's (RFC 8200 section 5).
const leastMTU = 1280

// setNoMTU is IPV6_MTU, where 0 means the route's.
func setNoMTU(_ *description, _ tcpip.Endpoint, v []byte) Errno {
	switch n := intValue(v); {
	case n == 0:
		return 0
	case n < leastMTU:
		return EINVAL
	}
	return errRefused
}

func getMTU6(d *description, ep tcpip.Endpoint) ([]byte, Errno) {
	mtu, errno := d.peerMTU(ep)
	return intBytes(mtu), errno
}

// getPathMTU is struct ip6_mtuinfo: an address, which Linux leaves empty too,
// and the MTU.
func getPathMTU(d *description, ep tcpip.Endpoint) ([]byte, Errno) {
	mtu, errno := d.peerMTU(ep)
	return binary.LittleEndian.AppendUint32(make([]byte, sizeofSockaddrIn6), uint32(mtu)), errno
}

const sizeofSockaddrIn6 = 28
