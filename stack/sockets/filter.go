package sockets

import "gvisor.dev/gvisor/pkg/tcpip/header"

// admits reports whether the socket wants a datagram that the network delivered
// to it. What it does not want is dropped before it is charged. A program's own
// filter may also shorten a datagram.
func (d *description) admits(dg *datagram) bool {
	dst := dg.dst.Addr()
	if dst.IsMulticast() {
		if m := d.multicastState(); !m.hears(dg.nic, dst, dg.from.Addr()) {
			return false
		}
	}
	if d.kind == onRaw && !d.admitsRaw(dg) || d.kind == onPacket && !d.admitsPacket(dg) {
		return false
	}
	if f := d.in.filter.Load(); f != nil && !f.pass(d, dg) {
		return false
	}
	if d.kind == onPacket {
		d.in.packet.received.Add(1)
	}
	return true
}

// admitsRaw is admits for raw sockets.
func (d *description) admitsRaw(dg *datagram) bool {
	if !d.ours(dg.nic, dg.dst.Addr()) {
		return false
	}
	p := dg.body.bytes()
	switch {
	case d.proto == IPPROTO_ICMP && d.family == AF_INET:
		if len(p) < header.IPv4MinimumSize {
			return false
		}
		n := int(header.IPv4(p).HeaderLength())
		return n < len(p) && !d.raw.dropsICMP(p[n])
	case d.proto == IPPROTO_ICMPV6 && d.family == AF_INET6:
		return len(p) > 0 && !d.raw.dropsICMP6(p[0])
	}
	return true
}

// dropsICMP is ICMP_FILTER, which has bits for the types 0 to 31.
func (r *rawState) dropsICMP(typ byte) bool { return typ < 32 && r.icmp.Load()>>typ&1 != 0 }

// dropsICMP6 is ICMPV6_FILTER, which has a bit for each type.
func (r *rawState) dropsICMP6(typ byte) bool { return r.icmp6[typ/32].Load()>>(typ%32)&1 != 0 }
