package sockets

import (
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/userstack/userstack/stack/internal/translate"
)

// Netstack tells a UDP socket of one kind of ICMP error only, and only when it is
// connected; of the error queue it does not know who sent the message (T11). So a
// Host that has sockets listens to ICMP itself, next to netstack: it gets each
// message before the stack does, finds the socket whose packet is quoted, and
// does to it what Linux's udp_err, ping_err, raw_err and tcp_v4_err do.
//
// Anyone may send such messages. One counts only if its checksum is right, it is
// addressed to this host, and quotes a packet from one of the host's addresses
// and from a port that a socket has.
type icmpTap struct {
	host *Host

	mu      sync.RWMutex
	open    bool
	sockets map[tcpip.Endpoint]*description // those that hear of errors
	raw     map[*description]bool           // those of them that have no port
	four    *tapEnd
	six     *tapEnd
}

// A tapEnd is what one IP version's messages come in by.
type tapEnd struct {
	tap *icmpTap
	v6  bool
}

// add makes d hear of errors that concern what ep sends.
func (t *icmpTap) add(ep tcpip.Endpoint, d *description) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.open {
		t.start()
	}
	t.sockets[ep] = d
	if d.kind&onRaw != 0 {
		t.raw[d] = true
	}
}

// remove is the end of add.
func (t *icmpTap) remove(ep tcpip.Endpoint) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d := t.sockets[ep]; d != nil {
		delete(t.sockets, ep)
		delete(t.raw, d)
	}
}

func (t *icmpTap) start() {
	t.open = true
	t.sockets, t.raw = map[tcpip.Endpoint]*description{}, map[*description]bool{}
	t.four, t.six = &tapEnd{t, false}, &tapEnd{t, true}
	// These fail only if the stack had no ICMP.
	t.host.gv.RegisterRawTransportEndpoint(header.IPv4ProtocolNumber, icmp.ProtocolNumber4, t.four)
	t.host.gv.RegisterRawTransportEndpoint(header.IPv6ProtocolNumber, icmp.ProtocolNumber6, t.six)
}

// close ends the listening. Sockets may still be removed.
func (t *icmpTap) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.four == nil {
		return
	}
	t.host.gv.UnregisterRawTransportEndpoint(header.IPv4ProtocolNumber, icmp.ProtocolNumber4, t.four)
	t.host.gv.UnregisterRawTransportEndpoint(header.IPv6ProtocolNumber, icmp.ProtocolNumber6, t.six)
	t.four, t.six = nil, nil
}

// HandlePacket implements stack.RawTransportEndpoint. It runs in netstack's
// delivery, in front of the checks that the network layer makes.
func (t *tapEnd) HandlePacket(pkt *gstack.PacketBuffer) {
	head := pkt.TransportHeader().Slice()
	if len(head) < header.ICMPv4MinimumSize || !mayBeError(t.v6, head[0]) {
		return
	}
	net := pkt.Network()
	src, dst := net.SourceAddress(), net.DestinationAddress()
	message := append(append([]byte(nil), head...), pkt.Data().AsRange().ToSlice()...)
	if !checksumHolds(t.v6, message, src, dst) || !isUnicast(translate.NetipAddr(src)) ||
		!t.tap.host.isOwn(dst) {
		return
	}
	e, ok := parseICMPError(t.v6, message)
	if !ok || !t.tap.host.isOwn(translate.Addr(e.local.Addr())) {
		return
	}
	h := datagram{
		from: netip.AddrPortFrom(translate.NetipAddr(src), 0), dst: netip.AddrPortFrom(translate.NetipAddr(dst), 0),
		nic: pkt.NICID, v6: t.v6, when: t.tap.host.gv.Clock().Now().UnixNano(),
	}
	h.tos, _ = net.TOS()
	if t.v6 {
		h.ttl = header.IPv6(pkt.NetworkHeader().Slice()).HopLimit()
	} else {
		h.ttl = header.IPv4(pkt.NetworkHeader().Slice()).TTL()
	}
	t.tap.deliver(e, &h)
}

const maxPacket = 65535 // bytes: an MTU above it bounds nothing

// mayBeError tells errors from the rest without a look at the content.
func mayBeError(v6 bool, typ uint8) bool {
	if v6 {
		return typ < firstICMPv6Information
	}
	switch header.ICMPv4Type(typ) {
	case header.ICMPv4DstUnreachable, header.ICMPv4SrcQuench, header.ICMPv4TimeExceeded, header.ICMPv4ParamProblem:
		return true
	}
	return false
}

func checksumHolds(v6 bool, message []byte, src, dst tcpip.Address) bool {
	if len(message) > 0xffff {
		return false
	}
	sum := uint16(0)
	if v6 {
		sum = header.PseudoHeaderChecksum(header.ICMPv6ProtocolNumber, src, dst, uint16(len(message)))
	}
	return checksum.Checksum(message, sum) == 0xffff
}

func isUnicast(a netip.Addr) bool {
	return !a.IsMulticast() && !a.IsUnspecified() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// isOwn reports whether an address is one of the host's and can be the source of
// a packet. To netstack broadcast addresses are the host's as well.
func (h *Host) isOwn(a tcpip.Address) bool {
	addr := translate.NetipAddr(a)
	proto := translate.Protocol(addr)
	nic := h.gv.CheckLocalAddress(0, proto, a)
	return nic != 0 && isUnicast(addr) && !h.gv.IsSubnetBroadcast(nic, proto, a)
}

// deliver tells the sockets whose packet e quotes.
func (t *icmpTap) deliver(e icmpError, h *datagram) {
	for _, d := range t.find(e, h.nic) {
		if e.tooBig() && !d.isTCP() {
			t.host.paths.learn(e.remote.Addr(), int(min(e.info, maxPacket)), time.Now())
		}
		d.networkError(e, h)
	}
}

// find returns the socket that a packet from e.local to e.remote came from, and
// the raw sockets that it could have come from.
func (t *icmpTap) find(e icmpError, nic tcpip.NICID) []*description {
	proto := header.IPv4ProtocolNumber
	if e.v6 {
		proto = header.IPv6ProtocolNumber
	}
	id := gstack.TransportEndpointID{
		LocalAddress: translate.Addr(e.local.Addr()), LocalPort: e.local.Port(),
		RemoteAddress: translate.Addr(e.remote.Addr()), RemotePort: e.remote.Port(),
	}
	var found []*description
	ep, _ := t.host.gv.FindTransportEndpoint(proto, e.transport, id, nic).(tcpip.Endpoint)
	t.mu.RLock()
	defer t.mu.RUnlock()
	if d := t.sockets[ep]; ep != nil && d != nil && e.local.Port() != 0 {
		found = append(found, d)
	}
	for d := range t.raw {
		if d.transport == e.transport && d.network() == proto && d.sent(e) {
			found = append(found, d)
		}
	}
	return found
}

// sent reports whether the addresses of a raw socket fit the packet that e
// quotes.
func (d *description) sent(e icmpError) bool {
	ep := d.ep.Load()
	if local, terr := ep.GetLocalAddress(); terr == nil && local.Addr.BitLen() != 0 &&
		translate.NetipAddr(local.Addr) != e.local.Addr() && !local.Addr.Unspecified() {
		return false
	}
	remote, ok := d.peer()
	return !ok || translate.NetipAddr(remote.Addr) == e.remote.Addr()
}

// networkError does to a socket what an ICMP error does on Linux. It must not
// take d.mu, which a sender over the loopback may hold.
func (d *description) networkError(e icmpError, h *datagram) {
	why := e.errno()
	if why.errno == 0 || e.tooBig() && d.mayFragment(e.v6) {
		return
	}
	wants := d.wantsErrors(e.v6)
	ep := d.ep.Load()
	if d.isTCP() {
		if e.tooBig() {
			return
		}
		state := tcp.EndpointState(ep.State())
		attempt := state == tcp.StateSynSent || state == tcp.StateSynRecv
		if attempt && e.unknownToNetstack() {
			d.failConnect(ep, e, why.errno)
		}
		// For the rest, without IP_RECVERR netstack does what Linux does (T30).
		if !wants {
			return
		}
		if !attempt {
			d.failWith(why.errno)
			return
		}
	}
	connected := transport.DatagramEndpointState(ep.State()) == transport.DatagramEndpointStateConnected
	if !wants && !(why.hard && connected && !d.isTCP()) {
		return
	}
	if wants {
		d.queueError(d.queued(e, why.errno, h))
	}
	if !d.isTCP() {
		d.failWith(why.errno) // netstack fails the connect of TCP by itself
	}
}

func (d *description) failWith(errno Errno) {
	d.soErr.Store(int32(errno)) // the latest, as on Linux
	d.wq.Notify(waiter.EventErr)
}

// queued is what ip_icmp_error and ipv6_icmp_error of Linux queue.
func (d *description) queued(e icmpError, errno Errno, h *datagram) queuedError {
	q := queuedError{
		ext:      ExtendedError{Errno: errno, Origin: SO_EE_ORIGIN_ICMP, Type: e.typ, Code: e.code, Info: e.info},
		offender: h.from, dst: e.remote, data: e.payload, icmp: *h,
	}
	if e.v6 {
		q.ext.Origin = SO_EE_ORIGIN_ICMP6
	}
	if d.kind&(onPing|onRaw) != 0 {
		q.dst = netip.AddrPortFrom(e.remote.Addr(), 0)
		q.data = e.message
	}
	return q
}

// mayFragment reports whether the socket asked not to be told of path MTUs
// (IP_PMTUDISC_DONT).
func (d *description) mayFragment(v6 bool) bool {
	if v6 {
		return false
	}
	n, terr := d.ep.Load().GetSockOptInt(tcpip.MTUDiscoverOption)
	return terr == nil && n == int(tcpip.PMTUDiscoveryDont)
}
