package hostnet

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// handleEcho takes the stack's pings. Netstack calls it from the goroutine that
// delivers packets, once they are whole and their checksums right. The gateway
// and the DNS address answer for themselves.
func (u *Uplink) handleEcho(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	dst := addrOf(id.LocalAddress)
	if dst == u.cfg.Gateway4 || dst == u.cfg.Gateway6 || u.isDNS(dst) {
		return false
	}
	h := pkt.TransportHeader().Slice()
	if len(h) < header.ICMPv4MinimumSize || !isEchoRequest(dst.Is4(), h) {
		return true
	}
	b := datagrams.get()
	defer datagrams.put(b)
	n := copy(*b, h)
	message := (*b)[:n+len(payloadOf(pkt, (*b)[n:]))]
	k := flowKey{proto: pkt.TransportProtocolNumber, src: netip.AddrPortFrom(addrOf(id.RemoteAddress), header.ICMPv4(message).Ident())}
	f := u.route(k, netip.AddrPortFrom(dst, 0), pkt)
	if f == nil {
		return true
	}
	if f.raw {
		header.ICMPv4(message).SetIdent(f.ident)
		if dst.Is4() {
			header.ICMPv4(message).SetChecksum(0)
			header.ICMPv4(message).SetChecksum(header.ICMPv4Checksum(message, 0))
		}
	}
	u.sendOut(f, pkt, message)
	return true
}

// isEchoRequest tells a ping from what else is ICMP. The fields of both versions
// lie at the same places.
func isEchoRequest(v4 bool, h []byte) bool {
	if v4 {
		return header.ICMPv4(h).Type() == header.ICMPv4Echo && h[1] == 0
	}
	return header.ICMPv6(h).Type() == header.ICMPv6EchoRequest && h[1] == 0
}

// isEchoReply tells a ping's answer.
func isEchoReply(v4 bool, h []byte) bool {
	if v4 {
		return header.ICMPv4(h).Type() == header.ICMPv4EchoReply
	}
	return header.ICMPv6(h).Type() == header.ICMPv6EchoReply
}

// receivedEcho hands the stack an answer, with the identifier that it chose.
func (u *Uplink) receivedEcho(f *flow, from netip.Addr, e envelope, message []byte) {
	v4 := f.key.src.Addr().Is4()
	if len(message) < header.ICMPv4MinimumSize || !isEchoReply(v4, message) ||
		f.raw && header.ICMPv4(message).Ident() != f.ident {
		return
	}
	header.ICMPv4(message).SetIdent(f.key.src.Port())
	e.from, e.to = from, f.key.src.Addr()
	u.sendICMP(e, message)
}

// owns reports whether an error is about what the flow has sent, and gives a
// ping that it quotes the stack's identifier. A raw socket hears of all pings of
// the machine.
func (f *flow) owns(e *netError) bool {
	if f.key.proto != header.ICMPv4ProtocolNumber && f.key.proto != header.ICMPv6ProtocolNumber {
		return true
	}
	if len(e.payload) < header.ICMPv4MinimumSize || !isEchoRequest(f.key.src.Addr().Is4(), e.payload) {
		return false
	}
	h := header.ICMPv4(e.payload)
	if f.raw && h.Ident() != f.ident {
		return false
	}
	h.SetIdent(f.key.src.Port())
	return true
}
