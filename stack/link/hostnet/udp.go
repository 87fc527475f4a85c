package hostnet

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// receiveBuffer is what the machine is asked to keep of a flow's datagrams until
// they are read, in bytes: a burst of 20 ms at 400 Mbit/s. net.core.rmem_max
// bounds it.
const receiveBuffer = 1 << 20

func (t *flowTable) init(u *Uplink) {
	t.u, t.flows = u, map[flowKey]*flow{}
	u.gw.SetTransportProtocolHandler(udp.ProtocolNumber, u.handleUDP)
}

// handleUDP takes a datagram of the stack's. Netstack calls it from the
// goroutine that delivers packets.
func (u *Uplink) handleUDP(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	if !checksumHolds(id, pkt, true) {
		return true
	}
	from, to := ends(id)
	k := flowKey{proto: udp.ProtocolNumber, src: from, dns: to.Port() == portDNS && u.isDNS(to.Addr())}
	f := u.udp.get(k)
	if f == nil || f.to != to || time.Now().After(f.until) {
		target, v := u.judge(u.ctx, "udp", to)
		if why := reasonTo(v); why != silent {
			u.reject(from.Addr(), quote(pkt), why)
			return true
		}
		if v == ignore {
			return true
		}
		if f == nil {
			if f = u.openUDP(k); f == nil {
				u.stats.datagramsLost.Add(1)
				return true
			}
		}
		f.to, f.target, f.verdict, f.until = to, target, v, time.Now().Add(ownLife)
	}
	b := datagrams.get()
	defer datagrams.put(b)
	payload := payloadOf(pkt, *b)
	target := f.target
	if f.verdict == toDNS {
		target = u.dns.choose()
	}
	if why := u.sendOut(f, target, payload); why != silent {
		if f.verdict == toDNS {
			u.dns.failed(target)
		}
		u.reject(from.Addr(), quote(pkt), why)
	}
	return true
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

// openUDP returns a new flow, or nil if there is no socket for it: then the
// datagram is lost as by a router that has no room.
func (u *Uplink) openUDP(k flowKey) *flow {
	idle := u.cfg.UDPIdle
	if k.dns {
		idle = u.cfg.DNSIdle
	}
	network := "udp6"
	if k.src.Addr().Is4() {
		network = "udp4"
	}
	if k.dns {
		network = "udp" // a nameserver may be of either family
	}
	lc := net.ListenConfig{Control: u.cfg.Control}
	pc, err := lc.ListenPacket(u.ctx, network, ":0")
	if err != nil {
		u.cfg.Logger.Warn("no socket for a UDP flow", "from", k.src, "why", err)
		return nil
	}
	f := &flow{key: k, sock: pc.(*net.UDPConn), idle: idle}
	f.sock.SetReadBuffer(receiveBuffer) // less is slower, not wrong
	if !u.udp.add(f, u.receiveUDP) {
		return nil
	}
	return f
}

// sendOut writes a datagram to the network.
func (u *Uplink) sendOut(f *flow, to netip.AddrPort, payload []byte) reason {
	if !to.IsValid() {
		return silent
	}
	_, err := f.sock.WriteToUDPAddrPort(payload, to)
	if err == nil {
		u.stats.datagramsOut.Add(1)
		return silent
	}
	u.stats.datagramsLost.Add(1)
	return reasonOf(err)
}

// receiveUDP is the goroutine of a flow: it hands the stack what comes from the
// network, and ends the flow when it has been idle for long enough.
func (u *Uplink) receiveUDP(f *flow) {
	defer f.sock.Close()
	b := datagrams.get()
	defer datagrams.put(b)
	left, alive := f.idle, true
	for {
		f.sock.SetReadDeadline(time.Now().Add(left))
		n, from, err := f.sock.ReadFromUDPAddrPort(*b)
		switch {
		case err == nil:
			u.udp.touch(f)
			u.receivedUDP(f, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), (*b)[:n])
		case errors.Is(err, os.ErrDeadlineExceeded):
			if left, alive = u.udp.remaining(f); !alive {
				return
			}
		case errors.Is(err, net.ErrClosed):
			return
		}
	}
}

// receivedUDP hands the stack a datagram, under the address by which it knows
// the sender.
func (u *Uplink) receivedUDP(f *flow, from netip.AddrPort, payload []byte) {
	from, ok := u.known(f, from)
	if !ok {
		return
	}
	u.stats.datagramsIn.Add(1)
	u.sendUDP(from, f.key.src, envelope{}, payload)
}

// known returns the address by which the stack knows a peer, and false for one
// that it may not hear.
func (u *Uplink) known(f *flow, from netip.AddrPort) (netip.AddrPort, bool) {
	v4 := f.key.src.Addr().Is4()
	switch a := from.Addr(); {
	case f.key.dns:
		return netip.AddrPortFrom(f.askedAddr(u), portDNS), u.dns.answered(from)
	case a.Is4() != v4:
		return from, false
	case a.IsLoopback():
		return netip.AddrPortFrom(u.gatewayFor(v4), from.Port()), u.cfg.HostLoopback == AccessAllowed
	case u.cfg.Addr4.Contains(a) || u.cfg.Addr6.Contains(a) || !routable(a):
		return from, false // it would be taken for one of the link's own
	case u.own.has(a):
		return from, u.cfg.HostLoopback == AccessAllowed
	}
	return from, true
}

// gatewayFor returns the gateway's address of a family.
func (u *Uplink) gatewayFor(v4 bool) netip.Addr {
	if v4 {
		return u.cfg.Gateway4
	}
	return u.cfg.Gateway6
}

// isDNS reports whether a is one of the DNS addresses.
func (u *Uplink) isDNS(a netip.Addr) bool { return a == u.cfg.DNS4 || a == u.cfg.DNS6 }

// askedAddr returns the DNS address that answers of a flow come from: the one of
// the stack's own family.
func (f *flow) askedAddr(u *Uplink) netip.Addr {
	if f.key.src.Addr().Is4() {
		return u.cfg.DNS4
	}
	return u.cfg.DNS6
}
