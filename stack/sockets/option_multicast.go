package sockets

import (
	"gvisor.dev/gvisor/pkg/tcpip"

	"github.com/userstack/userstack/stack/internal/translate"
)

var multicastOptions = map[optionKey]*option{
	{SOL_IP, IP_MULTICAST_IF}: {name: "IP_MULTICAST_IF", only: onInet, size: inAddrSize, get: getMulticastIf4, set: setMulticastIf4},
	{SOL_IP, IP_MULTICAST_TTL}: {name: "IP_MULTICAST_TTL", only: onInet, size: 4, tiny: true,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) { return intBytes(d.multicastState().ttl4), 0 },
		set: func(d *description, ep tcpip.Endpoint, v []byte) Errno {
			if d.isTCP() {
				return EINVAL
			}
			return d.setMulticastTTL(ep, AF_INET, intValue(v))
		}},
	{SOL_IP, IP_MULTICAST_LOOP}: {name: "IP_MULTICAST_LOOP", only: onInet, size: 4, tiny: true, inherit: true,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
			return intBytes(oneIf(d.multicastState().loop4)), 0
		},
		set: func(d *description, ep tcpip.Endpoint, v []byte) Errno {
			return d.setMulticastLoop(ep, AF_INET, intValue(v) != 0)
		}},
	{SOL_IP, IP_MULTICAST_ALL}: {name: "IP_MULTICAST_ALL", only: onInet, size: 4, tiny: true,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
			return intBytes(oneIf(d.multicastState().all4)), 0
		},
		set: func(d *description, _ tcpip.Endpoint, v []byte) Errno {
			n := intValue(v)
			if n != 0 && n != 1 {
				return EINVAL
			}
			d.changeMulticast(func(m *multicast) { m.all4 = n != 0 })
			return 0
		}},
	{SOL_IPV6, IPV6_MULTICAST_IF}: {name: "IPV6_MULTICAST_IF", only: onInet | on6, size: 4, set: setMulticastIf6,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
			return intBytes(int(d.multicastState().if6)), 0
		}},
	{SOL_IPV6, IPV6_MULTICAST_HOPS}: {name: "IPV6_MULTICAST_HOPS", only: onInet | on6, size: 4,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) { return intBytes(d.multicastState().ttl6), 0 },
		set: func(d *description, ep tcpip.Endpoint, v []byte) Errno {
			if d.isTCP() {
				return ENOPROTOOPT
			}
			return d.setMulticastTTL(ep, AF_INET6, intValue(v))
		}},
	{SOL_IPV6, IPV6_MULTICAST_LOOP}: {name: "IPV6_MULTICAST_LOOP", only: onInet | on6, size: 4, inherit: true,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
			return intBytes(oneIf(d.multicastState().loop6)), 0
		},
		set: func(d *description, ep tcpip.Endpoint, v []byte) Errno {
			n := intValue(v)
			if n != 0 && n != 1 {
				return EINVAL
			}
			return d.setMulticastLoop(ep, AF_INET6, n != 0)
		}},
	{SOL_IPV6, IPV6_MULTICAST_ALL}: {name: "IPV6_MULTICAST_ALL", only: onInet | on6, size: 4,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
			return intBytes(oneIf(d.multicastState().all6)), 0
		},
		set: func(d *description, _ tcpip.Endpoint, v []byte) Errno {
			d.changeMulticast(func(m *multicast) { m.all6 = intValue(v) != 0 })
			return 0
		}},
}

// setMulticastTTL keeps the families apart, which netstack does not: the
// endpoint has the family's own, and a send of the other one brings its own.
func (d *description) setMulticastTTL(ep tcpip.Endpoint, f Family, n int) Errno {
	if n == -1 {
		n = IP_DEFAULT_MULTICAST_TTL
	}
	if n < 0 || n > 255 {
		return EINVAL
	}
	d.changeMulticast(func(m *multicast) {
		if f == AF_INET {
			m.ttl4 = n
		} else {
			m.ttl6 = n
		}
	})
	if f != d.family {
		return 0
	}
	return errnoOf(ep.SetSockOptInt(tcpip.MulticastTTLOption, n))
}

func (d *description) setMulticastLoop(ep tcpip.Endpoint, f Family, on bool) Errno {
	d.changeMulticast(func(m *multicast) {
		if f == AF_INET {
			m.loop4 = on
		} else {
			m.loop6 = on
		}
	})
	if f == d.family {
		ep.SocketOptions().SetMulticastLoop(on)
	}
	return 0
}

func getMulticastIf4(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
	if a := d.multicastState().addr4; a.IsValid() {
		return a.AsSlice(), 0
	}
	return make([]byte, inAddrSize), 0
}

// setMulticastIf4 takes a struct in_addr, ip_mreq or ip_mreqn.
func setMulticastIf4(d *description, ep tcpip.Endpoint, v []byte) Errno {
	if d.isTCP() {
		return EINVAL
	}
	local, index4 := v, 0
	if len(v) >= ipMreqSize {
		local = v[inAddrSize:]
	}
	if len(v) >= ipMreqnSize {
		index4 = index(v[ipMreqSize:])
	}
	addr, nic := ip4(local), tcpip.NICID(index4)
	switch gv := d.host.gv; {
	case index4 != 0:
		if index4 < 0 || !gv.HasNIC(nic) {
			return EADDRNOTAVAIL
		}
	case !addr.IsUnspecified():
		if nic = d.localNIC(addr); nic == 0 {
			return EADDRNOTAVAIL
		}
	}
	if dev := ep.SocketOptions().GetBindToDevice(); nic != 0 && dev != 0 && tcpip.NICID(dev) != nic {
		return EINVAL
	}
	if terr := ep.SetSockOpt(&tcpip.MulticastInterfaceOption{NIC: nic}); terr != nil {
		return errnoOf(terr)
	}
	d.changeMulticast(func(m *multicast) { m.if4, m.addr4 = nic, addr })
	return 0
}

func setMulticastIf6(d *description, ep tcpip.Endpoint, v []byte) Errno {
	if d.isTCP() {
		return ENOPROTOOPT
	}
	n := intValue(v)
	if n != 0 && (n < 0 || !d.host.gv.HasNIC(tcpip.NICID(n))) {
		return ENODEV
	}
	if dev := ep.SocketOptions().GetBindToDevice(); n != 0 && dev != 0 && int(dev) != n {
		return EINVAL
	}
	if terr := ep.SetSockOptInt(tcpip.IPv6MulticastInterfaceOption, n); terr != nil {
		return errnoOf(terr)
	}
	d.changeMulticast(func(m *multicast) { m.if6 = tcpip.NICID(n) })
	return 0
}

// write is the endpoint's Write, as the kind of socket needs it.
func (d *description) write(r *gather, opts tcpip.WriteOptions) (int64, tcpip.Error) {
	ep := d.ep.Load()
	switch d.kind {
	case onTCP:
		return ep.Write(r, opts)
	case onRaw:
		return d.writeRaw(ep, r, opts)
	case onPacket:
		return d.writePacket(ep, r, opts)
	}
	for {
		n, terr := d.writeGroup(ep, r, opts)
		if _, refused := terr.(*tcpip.ErrConnectionRefused); !refused {
			return n, terr
		}
		// That was an ICMP error which the inbox has not taken out of the endpoint
		// yet, and of which the ICMP tap has told already.
	}
}

// writeGroup is the endpoint's Write, with the multicast options of the family
// that the datagram is of (T36).
func (d *description) writeGroup(ep tcpip.Endpoint, r *gather, opts tcpip.WriteOptions) (int64, tcpip.Error) {
	m := d.multi.Load()
	if m == nil {
		return ep.Write(r, opts)
	}
	info := endpointInfo(ep)
	peer := tcpip.FullAddress{NIC: info.RegisterNICID, Addr: info.ID.RemoteAddress, Port: info.ID.RemotePort}
	if opts.To != nil {
		peer = *opts.To
	}
	dst := translate.NetipAddr(peer.Addr)
	if !dst.IsMulticast() || opts.To == nil && !connectedDatagram(ep) {
		return ep.Write(r, opts)
	}
	opts.To = &peer // the route of a connected endpoint has the loop flag of the connect
	if d.family != AF_INET6 || m.ttl4 == m.ttl6 && m.loop4 == m.loop6 {
		return ep.Write(r, opts)
	}
	m.sending.Lock()
	defer m.sending.Unlock()
	if dst.Is4() {
		ep.SocketOptions().SetMulticastLoop(m.loop4)
		if !opts.ControlMessages.HasTTL {
			opts.ControlMessages.HasTTL, opts.ControlMessages.TTL = true, uint8(m.ttl4)
		}
		defer ep.SocketOptions().SetMulticastLoop(m.loop6)
	}
	return ep.Write(r, opts)
}
