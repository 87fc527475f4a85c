package hostnet

import (
	"net"
	"net/netip"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// receiveBuffer is what the machine is asked to keep of a flow's datagrams until
// they are read, in bytes: a burst of 20 ms at 400 Mbit/s. net.core.rmem_max
// bounds it.
const receiveBuffer = 1 << 20

func (t *flowTable) init(u *Uplink) {
	t.u, t.flows = u, map[flowKey]*flow{}
	u.gw.SetTransportProtocolHandler(udp.ProtocolNumber, u.handleUDP)
	u.gw.SetTransportProtocolHandler(icmp.ProtocolNumber4, u.handleEcho)
	u.gw.SetTransportProtocolHandler(icmp.ProtocolNumber6, u.handleEcho)
}

// handleUDP takes a datagram of the stack's. Netstack calls it from the
// goroutine that delivers packets.
func (u *Uplink) handleUDP(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	if !soundUDP(id, pkt) {
		return true
	}
	from, to := ends(id)
	if u.marks.isMark(u, from, to, pkt) {
		return true
	}
	k := flowKey{proto: udp.ProtocolNumber, src: from, dns: to.Port() == portDNS && u.isDNS(to.Addr())}
	f := u.route(k, to, pkt)
	if f == nil {
		return true
	}
	b := datagrams.get()
	defer datagrams.put(b)
	u.sendOut(f, pkt, payloadOf(pkt, *b))
	return true
}

// route returns the flow for a packet, with what was judged of its destination.
// It returns nil for a packet that does not leave, and tells the stack.
func (u *Uplink) route(k flowKey, to netip.AddrPort, pkt *stack.PacketBuffer) *flow {
	f := u.udp.get(k)
	now := time.Now()
	if f == nil || f.to != to || now.After(f.until) {
		target, v := u.resolve(f, k, to)
		if v != forward && v != toDNS {
			u.reject(k.src.Addr(), quote(pkt), reasonTo(v))
			return nil
		}
		if f == nil {
			f = u.openFlow(k)
		}
		if f == nil {
			u.stats.datagramsLost.Add(1)
			return nil
		}
		f.to, f.target, f.verdict, f.until = to, target, v, now.Add(ownLife)
	}
	if ttl, _, _ := netFields(pkt); ttl <= 1 && f.verdict == forward && !f.target.Addr().IsLoopback() {
		u.reject(k.src.Addr(), quote(pkt), timeExceeded)
		return nil
	}
	return f
}

// resolve is judge that lets published sockets answer whoever has come.
func (u *Uplink) resolve(f *flow, k flowKey, to netip.AddrPort) (netip.AddrPort, verdict) {
	if f != nil && f.pinned {
		if client, ok := f.peers.find(to); ok {
			f.from = client.at
			return client.real, forward
		}
		f.from = netip.Addr{}
	}
	return u.judge(u.ctx, networkOf(k), to)
}

// networkOf is what Config.Policy is told.
func networkOf(k flowKey) string {
	if k.proto == udp.ProtocolNumber {
		return "udp"
	}
	return "icmp"
}

// reasonTo returns what a verdict tells the stack, for packets that are not TCP's.
func reasonTo(v verdict) reason {
	switch v {
	case refuse:
		return portUnreachable
	case absent:
		return hostUnreachable
	case prohibited:
		return adminProhibited
	}
	return silent
}

// openFlow returns a new flow, or nil if there is no socket for it: then the
// datagram is lost as by a router that has no room.
func (u *Uplink) openFlow(k flowKey) *flow {
	f := &flow{key: k}
	var err error
	switch {
	case k.proto != udp.ProtocolNumber:
		f.idle = u.cfg.EchoIdle
		err = u.openEcho(f)
	case k.dns:
		f.idle = u.cfg.DNSIdle
		f.sock, err = u.listenUDP("udp", ":0") // a nameserver may be of either family
	case k.src.Addr().Is4():
		f.idle = u.cfg.UDPIdle
		f.sock, err = u.listenUDP("udp4", ":0")
	default:
		f.idle = u.cfg.UDPIdle
		f.sock, err = u.listenUDP("udp6", ":0")
	}
	if err != nil {
		u.cfg.Logger.Warn("no socket for a flow", "network", networkOf(k), "from", k.src, "why", err)
		return nil
	}
	if !u.udp.add(f, u.receiveFlow) {
		return nil
	}
	return f
}

// listenUDP opens a socket of the machine.
func (u *Uplink) listenUDP(network, address string) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(network, address string, c syscall.RawConn) error {
		if err := askForErrors(c); err != nil {
			return err
		}
		if u.cfg.Control == nil {
			return nil
		}
		return u.cfg.Control(network, address, c)
	}}
	pc, err := lc.ListenPacket(u.ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := pc.(*net.UDPConn)
	c.SetReadBuffer(receiveBuffer) // less is slower, not wrong
	return c, nil
}

// sendOut writes a datagram to the network.
func (u *Uplink) sendOut(f *flow, pkt *stack.PacketBuffer, payload []byte) {
	to := f.target
	if f.verdict == toDNS {
		if to = u.dns.choose(); !to.IsValid() {
			u.reject(f.key.src.Addr(), quote(pkt), portUnreachable)
			return
		}
	}
	ttl, tos, whole := netFields(pkt)
	err := f.send(payload, to, outgoing{ttl: ttl - 1, tos: tos, whole: whole && f.key.src.Addr().Is4(), from: f.from})
	if err == nil {
		u.stats.datagramsOut.Add(1)
		return
	}
	u.stats.datagramsLost.Add(1)
	why := reasonOf(err)
	if f.verdict == toDNS {
		u.dns.failed(to)
	}
	if why != tooBig { // the error queue has the size that fits
		u.reject(f.key.src.Addr(), quote(pkt), why)
	}
}

// outgoing is what the stack asked of the IP header of a datagram.
type outgoing struct {
	ttl, tos uint8
	whole    bool       // not to be fragmented
	from     netip.Addr // the machine's address to answer from; the zero Addr leaves it the choice
}

// receiveFlow is the goroutine of a flow: it hands the stack what comes from the
// network, and ends the flow when it has been idle for long enough.
func (u *Uplink) receiveFlow(f *flow) {
	defer f.sock.Close()
	for left, alive := f.idle, true; alive; left, alive = u.udp.remaining(f) {
		if f.pinned {
			f.sock.SetReadDeadline(time.Time{})
		} else {
			f.sock.SetReadDeadline(time.Now().Add(left))
		}
		u.receive(f) // until the deadline, or the end
	}
}

// received hands the stack a datagram, under the address by which it knows the
// sender.
func (u *Uplink) received(f *flow, from netip.AddrPort, e envelope, payload []byte) {
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	u.udp.touch(f)
	if f.pinned {
		from = f.peers.heard(u, f, from, e.at)
	} else {
		var ok bool
		if from, ok = u.known(f, from); !ok {
			return
		}
	}
	u.stats.datagramsIn.Add(1)
	if f.key.proto == udp.ProtocolNumber {
		u.sendUDP(from, f.key.src, e, payload)
		return
	}
	u.receivedEcho(f, from.Addr(), e, payload)
}

// known returns the address by which the stack knows a peer, and false for one
// that it may not hear.
func (u *Uplink) known(f *flow, from netip.AddrPort) (netip.AddrPort, bool) {
	v4 := f.key.src.Addr().Is4()
	switch a := from.Addr(); {
	case f.key.dns:
		return netip.AddrPortFrom(u.dnsFor(v4), portDNS), u.dns.answered(from)
	case a.Is4() != v4:
		return from, false
	case a.IsLoopback():
		return netip.AddrPortFrom(u.gatewayFor(v4), from.Port()), u.cfg.HostLoopback == AccessAllowed
	case u.onLink(a) || !routable(a):
		return from, false // it would be taken for one of the link's own
	case u.own.has(a):
		return from, u.cfg.HostLoopback == AccessAllowed
	}
	return from, true
}

// onLink reports whether an address is of the networks of the link.
func (u *Uplink) onLink(a netip.Addr) bool { return u.cfg.Addr4.Contains(a) || u.cfg.Addr6.Contains(a) }

// gatewayFor returns the gateway's address of a family.
func (u *Uplink) gatewayFor(v4 bool) netip.Addr {
	if v4 {
		return u.cfg.Gateway4
	}
	return u.cfg.Gateway6
}

// dnsFor returns the DNS address of a family.
func (u *Uplink) dnsFor(v4 bool) netip.Addr {
	if v4 {
		return u.cfg.DNS4
	}
	return u.cfg.DNS6
}

// isDNS reports whether a is one of the DNS addresses.
func (u *Uplink) isDNS(a netip.Addr) bool { return a == u.cfg.DNS4 || a == u.cfg.DNS6 }
