package sockets

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/waiter"
)

// packetState is what packet sockets have beyond their endpoint (packet(7)).
type packetState struct {
	joined []packetMembership // under the description's mu

	// kinds has the ARPHRD_* of the interfaces. Delivery must not ask netstack:
	// it holds the lock that closing a packet endpoint waits for, and closing
	// holds the one that asking takes.
	kinds map[tcpip.NICID]uint16

	ignoreOutgoing atomic.Bool
	bypass         atomic.Bool   // PACKET_QDISC_BYPASS, which has no effect
	received       atomic.Uint32 // since PACKET_STATISTICS was read
	dropsTold      atomic.Uint32 // of the inbox's drops, those that it has told

	sending sync.Mutex
	own     atomic.Pointer[[]byte] // what is being sent, which the sender does not receive
}

// checkPacketKind is checkKind for AF_PACKET. The protocol is an EtherType in
// network order, of which Linux takes the low 16 bits.
func (d *description) checkPacketKind() error {
	if d.typ != SOCK_RAW && d.typ != SOCK_DGRAM {
		return &Error{Op: "socket", Num: ESOCKTNOSUPPORT}
	}
	d.kind = onPacket
	return nil
}

func (d *description) newPacketEndpoint() (tcpip.Endpoint, tcpip.Error) {
	proto := tcpip.NetworkProtocolNumber(Ntohs(uint16(d.proto)))
	return d.host.gv.NewPacketEndpoint(d.typ == SOCK_DGRAM, proto, d.wq)
}

// bindLink is bind(2) of a packet socket.
func (d *description) bindLink(a Sockaddr) error {
	l, ok := a.(LinkAddr)
	if !ok {
		return EINVAL
	}
	if l.Ifindex != 0 && (l.Ifindex < 0 || !d.host.gv.HasNIC(tcpip.NICID(l.Ifindex))) {
		return ENODEV // before netstack unbinds the socket and then fails
	}
	full := tcpip.FullAddress{NIC: tcpip.NICID(l.Ifindex), Port: l.Protocol}
	d.mu.Lock()
	defer d.mu.Unlock()
	return errnoOf(d.ep.Load().Bind(full)).orNil()
}

// linkName is getsockname(2) of a packet socket.
func (d *description) linkName() LinkAddr {
	full, _ := d.ep.Load().GetLocalAddress()
	a := LinkAddr{Ifindex: int(full.NIC), Protocol: full.Port}
	a.HaType, a.Addr = d.hardware(full.NIC)
	return a
}

// hardware returns the kind of an interface and its address.
func (d *description) hardware(id tcpip.NICID) (uint16, net.HardwareAddr) {
	nic, terr := d.host.gv.GetNICByID(id)
	if terr != nil {
		return 0, nil
	}
	switch nic.ARPHardwareType() {
	case header.ARPHardwareEther:
		return ARPHRD_ETHER, net.HardwareAddr(nic.LinkAddress())
	case header.ARPHardwareLoopback:
		return ARPHRD_LOOPBACK, make(net.HardwareAddr, header.EthernetAddressSize)
	}
	return ARPHRD_NONE, nil
}

// newPacketState is called before anything is delivered to the inbox.
func (d *description) newPacketState() *packetState {
	st := &packetState{kinds: map[tcpip.NICID]uint16{}}
	for _, ifc := range d.host.stack.Interfaces() {
		id := tcpip.NICID(ifc.Index)
		st.kinds[id], _ = d.hardware(id)
	}
	return st
}

var packetTypes = map[tcpip.PacketType]uint8{
	tcpip.PacketHost: PACKET_HOST, tcpip.PacketBroadcast: PACKET_BROADCAST, tcpip.PacketMulticast: PACKET_MULTICAST,
	tcpip.PacketOtherHost: PACKET_OTHERHOST, tcpip.PacketOutgoing: PACKET_OUTGOING,
}

// linkSender returns where a received packet came from, but for the kind of the
// interface: to ask for it takes the stack's lock, which an endpoint that closes
// holds while it waits for the end of this very delivery.
func (d *description) linkSender(res *tcpip.ReadResult) *LinkAddr {
	a := LinkAddr{
		Ifindex:  int(res.RemoteAddr.NIC),
		Protocol: uint16(res.LinkPacketInfo.Protocol),
		PktType:  packetTypes[res.LinkPacketInfo.PktType],
		HaType:   d.in.packet.kinds[res.RemoteAddr.NIC],
	}
	if res.RemoteAddr.LinkAddr != "" {
		a.Addr = net.HardwareAddr(res.RemoteAddr.LinkAddr)
	}
	return &a
}

// linkTarget returns a destination of a packet socket for Endpoint.Write.
func linkTarget(a Sockaddr) (tcpip.FullAddress, Errno) {
	l, ok := a.(LinkAddr)
	if !ok {
		return tcpip.FullAddress{}, EINVAL
	}
	if l.Ifindex < 0 {
		return tcpip.FullAddress{}, ENXIO
	}
	return tcpip.FullAddress{NIC: tcpip.NICID(l.Ifindex), LinkAddr: tcpip.LinkAddress(l.Addr), Port: l.Protocol}, 0
}

const vlanTagSize = 4 // bytes that a frame with a tag may be longer (IEEE 802.1Q)

// checkPacketSend checks what netstack would send, or fail to, without a word.
func (d *description) checkPacketSend(r *gather, to *tcpip.FullAddress) Errno {
	name, _ := d.ep.Load().GetLocalAddress()
	nicID, proto := name.NIC, name.Port
	if to != nil && to.NIC != 0 {
		nicID = to.NIC
	}
	if to != nil && to.Port != 0 {
		proto = to.Port
	}
	nic, terr := d.host.gv.GetNICByID(nicID)
	if nicID == 0 || terr != nil {
		return ENXIO
	}
	size, most := r.Len(), int(nic.MTU())
	if d.typ == SOCK_RAW {
		if size < int(nic.MaxHeaderLength()) {
			return EINVAL
		}
		most += int(nic.MaxHeaderLength())
		if proto == etherTypeVLAN {
			most += vlanTagSize
		}
	}
	switch {
	case size == 0:
		return EINVAL
	case size > most:
		return EMSGSIZE
	}
	return 0
}

const etherTypeVLAN = 0x8100 // IEEE 802.1Q

// writePacket is the Write of a packet socket. What it sends comes back to every
// packet socket of ETH_P_ALL, but on Linux not to this one.
func (d *description) writePacket(ep tcpip.Endpoint, r *gather, opts tcpip.WriteOptions) (int64, tcpip.Error) {
	st := d.in.packet
	st.sending.Lock()
	defer st.sending.Unlock()
	sent := make([]byte, r.Len())
	r.Read(sent)
	st.own.Store(&sent)
	defer st.own.Store(nil)
	n, terr := ep.Write(bytes.NewReader(sent), opts)
	d.in.NotifyEvent(waiter.ReadableEvents) // no copy may be on its way when own is cleared
	return n, terr
}

// admitsPacket is admits for packet sockets.
func (d *description) admitsPacket(dg *datagram) bool {
	st := d.in.packet
	if dg.link.PktType == PACKET_OUTGOING {
		if st.ignoreOutgoing.Load() {
			return false
		}
		if own := st.own.Load(); own != nil && bytes.Equal(*own, dg.body.bytes()) {
			return false
		}
	}
	return true
}
