package sockets

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/userstack/userstack/stack/internal/translate"
)

// Path MTU discovery of datagrams. Netstack fragments what does not fit the
// route, whatever IP_MTU_DISCOVER says, and does not learn from ICMP (T22), so
// the size is checked here, before a datagram reaches it.

// netstackPMTUD translates IP_MTU_DISCOVER, whose numbers differ.
var netstackPMTUD = map[int]tcpip.PMTUDStrategy{
	IP_PMTUDISC_DONT:      tcpip.PMTUDiscoveryDont,
	IP_PMTUDISC_WANT:      tcpip.PMTUDiscoveryWant,
	IP_PMTUDISC_DO:        tcpip.PMTUDiscoveryDo,
	IP_PMTUDISC_PROBE:     tcpip.PMTUDiscoveryProbe,
	IP_PMTUDISC_INTERFACE: tcpip.PMTUDiscoveryDont,
	IP_PMTUDISC_OMIT:      tcpip.PMTUDiscoveryDont,
}

// neverSplits reports whether Linux refuses what would have to be fragmented
// (ip_sk_ignore_df). INTERFACE differs from DO in not setting DF.
func neverSplits(discover int) bool {
	return discover >= IP_PMTUDISC_DO && discover != IP_PMTUDISC_OMIT
}

func setMTUDiscover(d *description, ep tcpip.Endpoint, v []byte) Errno {
	d.setRule(whole4, neverSplits(intValue(v)))
	return errnoOf(ep.SetSockOptInt(tcpip.MTUDiscoverOption, int(netstackPMTUD[intValue(v)])))
}

func setMTUDiscover6(d *description, _ tcpip.Endpoint, v []byte) Errno {
	d.setRule(whole6, neverSplits(intValue(v)))
	return 0
}

func setDontFrag(d *description, _ tcpip.Endpoint, v []byte) Errno {
	d.setRule(dontFrag, intValue(v) != 0)
	return 0
}

// tooBig reports whether a datagram with size bytes of payload, to a destination
// or, when that is nil, to the peer, does not fit where it must not be
// fragmented.
func (d *description) tooBig(size int, to *tcpip.FullAddress) bool {
	whole := d.sendRules.Load() & (whole4 | whole6 | dontFrag)
	if whole == 0 && !d.host.paths.any.Load() || d.kind&(onUDP|onPing|onRaw) == 0 {
		return false
	}
	ep := d.endpoint()
	if to == nil {
		peer, terr := ep.GetRemoteAddress()
		if terr != nil {
			return false // EDESTADDRREQ, from netstack
		}
		to = &peer
	}
	if d.kind == onUDP {
		size += header.UDPMinimumSize
	}
	if !ep.SocketOptions().GetHeaderIncluded() {
		size += ipHeaderSize(to.Addr)
	}
	mtu := d.mtuTo(ep, *to)
	if mtu == 0 || size <= mtu {
		return false
	}
	if !isIPv4(to.Addr) {
		return whole&(whole6|dontFrag) != 0
	}
	if whole&whole4 == 0 {
		// Linux would send fragments of the path's size. Netstack goes by the
		// route alone, so let the routers do it.
		ep.SetSockOptInt(tcpip.MTUDiscoverOption, int(tcpip.PMTUDiscoveryDont))
	}
	return whole&whole4 != 0
}

// mtuTo returns the largest IP packet that fits the path to dst as far as is
// known, 0 without a route.
func (d *description) mtuTo(ep tcpip.Endpoint, dst tcpip.FullAddress) int {
	var local tcpip.Address
	if l, terr := ep.GetLocalAddress(); terr == nil {
		local = l.Addr
	}
	addr := translate.NetipAddr(dst.Addr).Unmap()
	remote := translate.Addr(addr)
	if local.Len() != remote.Len() {
		local = tcpip.Address{}
	}
	r, terr := d.host.gv.FindRoute(dst.NIC, local, remote, translate.Protocol(addr), false)
	if terr != nil {
		return 0
	}
	defer r.Release()
	mtu := int(r.MTU()) + ipHeaderSize(remote)
	if addr.Is4() {
		mtu = min(mtu, header.IPv4MaximumPayloadSize) // as on Linux's loopback
	}
	if learned := d.host.paths.mtu(addr, time.Now()); learned > 0 {
		mtu = min(mtu, learned)
	}
	return mtu
}

func ipHeaderSize(a tcpip.Address) int {
	if isIPv4(a) {
		return header.IPv4MinimumSize
	}
	return header.IPv6MinimumSize
}

// peerMTU is IP_MTU and IPV6_MTU: the path MTU of a connected socket.
func (d *description) peerMTU(ep tcpip.Endpoint) (int, Errno) {
	peer, terr := ep.GetRemoteAddress()
	if terr != nil {
		return 0, ENOTCONN
	}
	mtu := d.mtuTo(ep, peer)
	if mtu == 0 {
		return 0, ENOTCONN // the route has gone
	}
	return mtu, 0
}

func getMTU(d *description, ep tcpip.Endpoint) ([]byte, Errno) {
	mtu, errno := d.peerMTU(ep)
	return intBytes(mtu), errno
}
