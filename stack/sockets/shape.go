package sockets

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/userstack/userstack/stack/internal/translate"
)

// A shape is what the ancillary data of a send, or an option in its place, asks
// for the datagrams that come of it.
type shape struct {
	ttl     int           // IP_TTL or IPV6_HOPLIMIT, −1 = the socket's
	tos     int           // IP_TOS or IPV6_TCLASS, −1 = the socket's
	nic     tcpip.NICID   // 0 = as routed
	local   tcpip.Address // source; empty = as routed
	segment int           // bytes of each datagram (UDP_SEGMENT), 0 = all in one
}

// shapeOf returns what the options of the socket and the control messages of one
// send ask for. v6 says of which IP version the datagram will be. What Linux
// refuses in control messages is EINVAL (ip_cmsg_send, ip6_datagram_send_ctl).
func (d *description) shapeOf(control []ControlMessage, v6 bool) (shape, Errno) {
	sh := shape{ttl: -1, tos: -1}
	if x := d.extras(); x != nil {
		x.mu.Lock()
		sh.segment = x.segment
		if v6 {
			sh.nic = tcpip.NICID(x.sticky)
		}
		x.mu.Unlock()
		if sh.nic != 0 && !d.host.gv.HasNIC(sh.nic) {
			return sh, ENETUNREACH
		}
	}
	for _, m := range control {
		errno := Errno(0)
		switch {
		case m.Level == SOL_SOCKET:
			errno = socketControl(m)
		case m.Level == SOL_UDP && d.kind == onUDP:
			errno = sh.udp(m)
		case m.Level == SOL_IP && !v6 && d.kind != onTCP:
			errno = sh.ip(m)
		case m.is(SOL_IPV6, IPV6_PKTINFO) && !v6 && d.family == AF_INET6 && d.kind != onTCP:
			errno = sh.mappedPacketInfo(m)
		case m.Level == SOL_IPV6 && v6 && d.kind != onTCP:
			errno = d.control6(&sh, m)
		}
		if errno != 0 {
			return sh, errno
		}
	}
	if sh.nic != 0 && !d.host.gv.HasNIC(sh.nic) {
		return sh, ENODEV
	}
	return sh, 0
}

// socketControl checks what __sock_cmsg_send of Linux takes. SCM_RIGHTS and
// SCM_CREDENTIALS mean nothing outside AF_UNIX; a priority has no effect here.
func socketControl(m ControlMessage) Errno {
	switch {
	case m.Type == SCM_RIGHTS || m.Type == SCM_CREDENTIALS:
		return 0
	case m.Type == SO_PRIORITY && len(m.Data) == 4:
		return 0
	case m.Type == SO_MARK && len(m.Data) == 4:
		return EPERM // as without CAP_NET_ADMIN: a mark per message is more than netstack has
	}
	return EINVAL
}

func (sh *shape) udp(m ControlMessage) Errno {
	if m.Type != UDP_SEGMENT || len(m.Data) != 2 {
		return EINVAL
	}
	sh.segment = int(binary.LittleEndian.Uint16(m.Data))
	return 0
}

func (sh *shape) ip(m ControlMessage) Errno {
	switch n, ok := m.Int(); {
	case m.Type == IP_PKTINFO && len(m.Data) == inPktinfoSize:
		if index := intValue(m.Data); index != 0 {
			sh.nic = tcpip.NICID(index)
		}
		if a := [4]byte(m.Data[4:8]); a != [4]byte{} {
			sh.local = tcpip.AddrFrom4(a)
		}
		return 0
	case m.Type == IP_TTL && len(m.Data) == 4 && n >= 1 && n <= 255:
		sh.ttl = n
		return 0
	case m.Type == IP_PROTOCOL && len(m.Data) == 4 && n >= 1 && n <= 255:
		return 0 // it is for raw sockets of IPPROTO_RAW, whose header says it here
	case m.Type == IP_TOS && ok && len(m.Data) != 2 && n >= 0 && n <= 255:
		sh.tos = n
		return 0
	}
	return EINVAL
}

// mappedPacketInfo takes IPV6_PKTINFO on a datagram that an AF_INET6 socket sends
// over IPv4: its address must be a mapped one.
func (sh *shape) mappedPacketInfo(m ControlMessage) Errno {
	p, ok := m.PacketInfo()
	if !ok || !p.Local.Is4In6() {
		return EINVAL
	}
	if p.Interface != 0 {
		sh.nic = tcpip.NICID(p.Interface)
	}
	if a := p.Local.Unmap(); !a.IsUnspecified() {
		sh.local = translate.Addr(a)
	}
	return 0
}

func (d *description) control6(sh *shape, m ControlMessage) Errno {
	switch n, _ := m.Int(); {
	case m.Type == IPV6_PKTINFO:
		p, ok := m.PacketInfo()
		if !ok {
			return EINVAL
		}
		return d.packetInfo6(sh, p)
	case m.Type == IPV6_HOPLIMIT && len(m.Data) == 4 && n >= -1 && n <= 255:
		sh.ttl = n
		return 0
	case m.Type == IPV6_TCLASS && len(m.Data) == 4 && n >= -1 && n <= 255:
		sh.tos = n
		return 0
	case m.Type == IPV6_DONTFRAG && len(m.Data) == 4 && (n == 0 || n == 1):
		return 0 // netstack fragments all the same; EMSGSIZE is for the option to give
	}
	return EINVAL
}

func (d *description) packetInfo6(sh *shape, p PacketInfo) Errno {
	if p.Interface != 0 {
		if !d.host.gv.HasNIC(tcpip.NICID(p.Interface)) {
			return ENODEV
		}
		sh.nic = tcpip.NICID(p.Interface)
	} else if p.Local.IsLinkLocalUnicast() {
		return EINVAL
	}
	if p.Local.IsUnspecified() {
		return 0
	}
	sh.local = translate.Addr(p.Local)
	if d.host.gv.CheckLocalAddress(sh.nic, header.IPv6ProtocolNumber, sh.local) == 0 {
		return EINVAL
	}
	return 0
}

// plain reports whether the endpoint itself can send in this shape.
func (sh *shape) plain() bool { return sh.tos < 0 && sh.local.BitLen() == 0 }

// apply adds to the options of an endpoint's Write what it has a place for.
func (sh *shape) apply(opts *tcpip.WriteOptions, v6 bool) {
	if sh.ttl < 0 {
		return
	}
	if v6 {
		opts.ControlMessages.HasHopLimit, opts.ControlMessages.HopLimit = true, uint8(sh.ttl)
	} else {
		opts.ControlMessages.HasTTL, opts.ControlMessages.TTL = true, uint8(sh.ttl)
	}
}

// target returns where a datagram goes and whether that is by IPv6: to, or the
// peer if to is nil, by the interface that the shape names.
func (d *description) target(to *tcpip.FullAddress) (full tcpip.FullAddress, v6 bool, errno Errno) {
	if to != nil {
		full = *to
	} else {
		peer, ok := d.peer()
		if !ok {
			return full, false, EDESTADDRREQ
		}
		full = peer
		full.NIC = 0 // what netstack answers must not be fed back (T15)
		if a := translate.NetipAddr(peer.Addr); a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() {
			full.NIC = peer.NIC
		}
	}
	if full.Addr.BitLen() == 0 {
		return full, d.family == AF_INET6, 0 // the unspecified address: netstack knows
	}
	return full, full.Addr.BitLen() == header.IPv6AddressSizeBits, 0
}

// peer returns where Connect went. Netstack's raw endpoints do not tell.
func (d *description) peer() (tcpip.FullAddress, bool) {
	if d.kind == onRaw {
		if p := d.raw.peer.Load(); p != nil {
			return *p, true
		}
		return tcpip.FullAddress{}, false
	}
	peer, terr := d.endpoint().GetRemoteAddress()
	return peer, terr == nil
}

// sourceOf returns the address that a route for the datagram is looked up with:
// that of the shape, else what the socket is bound to.
func (d *description) sourceOf(sh *shape, v6 bool) tcpip.Address {
	if sh.local.BitLen() != 0 {
		return sh.local
	}
	local, terr := d.ep.Load().GetLocalAddress()
	a := translate.NetipAddr(local.Addr).Unmap()
	if terr != nil || !a.IsValid() || a.IsUnspecified() || a.Is6() != v6 || !isUnicast(a) {
		return tcpip.Address{}
	}
	return translate.Addr(a)
}
