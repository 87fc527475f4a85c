package sockets

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
)

var packetOptions = map[optionKey]*option{
	{SOL_PACKET, PACKET_ADD_MEMBERSHIP}: {name: "PACKET_ADD_MEMBERSHIP", only: onPacket, size: packetMreqSize, once: true,
		set: func(d *description, _ tcpip.Endpoint, v []byte) Errno { return d.joinPackets(v) }},
	{SOL_PACKET, PACKET_DROP_MEMBERSHIP}: {name: "PACKET_DROP_MEMBERSHIP", only: onPacket, size: packetMreqSize, once: true,
		set: func(d *description, _ tcpip.Endpoint, v []byte) Errno { return d.leavePackets(v) }},
	{SOL_PACKET, PACKET_STATISTICS}: {name: "PACKET_STATISTICS", only: onPacket,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) { return d.packetStatistics(), 0 }},
	{SOL_PACKET, PACKET_IGNORE_OUTGOING}: {name: "PACKET_IGNORE_OUTGOING", only: onPacket, size: 4,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
			return intBytes(oneIf(d.in.packet.ignoreOutgoing.Load())), 0
		},
		set: func(d *description, _ tcpip.Endpoint, v []byte) Errno {
			n := intValue(v)
			if n != 0 && n != 1 {
				return EINVAL
			}
			d.in.packet.ignoreOutgoing.Store(n != 0)
			return 0
		}},
	// There is no queueing discipline to bypass.
	{SOL_PACKET, PACKET_QDISC_BYPASS}: {name: "PACKET_QDISC_BYPASS", only: onPacket, size: 4,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
			return intBytes(oneIf(d.in.packet.bypass.Load())), 0
		},
		set: func(d *description, _ tcpip.Endpoint, v []byte) Errno {
			d.in.packet.bypass.Store(intValue(v) != 0)
			return 0
		}},
}

// packetStatistics is a struct tpacket_stats; reading it starts the count anew.
func (d *description) packetStatistics() []byte {
	drops := d.in.dropped()
	before := d.in.packet.dropsTold.Swap(drops)
	b := binary.LittleEndian.AppendUint32(nil, d.in.packet.received.Swap(0))
	return binary.LittleEndian.AppendUint32(b, drops-before)
}

// packetMreqSize is the size of a struct packet_mreq in bytes.
const packetMreqSize = 16

// A packetMembership is what PACKET_ADD_MEMBERSHIP asks of an interface.
type packetMembership struct {
	nic  tcpip.NICID
	typ  uint16
	addr tcpip.LinkAddress

	count int    // how often it was asked for
	leave func() // ends promiscuous mode, if that was asked
}

// decodePacketMreq reads a struct packet_mreq of at least packetMreqSize bytes.
// size is the length that it says its address has.
func decodePacketMreq(v []byte) (m packetMembership, size int) {
	size = int(binary.LittleEndian.Uint16(v[6:]))
	m = packetMembership{
		nic:  tcpip.NICID(index(v)),
		typ:  binary.LittleEndian.Uint16(v[4:]),
		addr: tcpip.LinkAddress(v[8:min(8+size, packetMreqSize)]),
	}
	return m, size
}

func (m *packetMembership) same(o *packetMembership) bool {
	return m.nic == o.nic && m.typ == o.typ && m.addr == o.addr
}

// joinPackets is PACKET_ADD_MEMBERSHIP. Of the types PACKET_MR_PROMISC alone has
// an effect: links let in every group, and have no addresses but their own.
func (d *description) joinPackets(v []byte) Errno {
	m, size := decodePacketMreq(v)
	nic, terr := d.host.gv.GetNICByID(m.nic)
	if terr != nil {
		return ENODEV
	}
	exact := m.typ == PACKET_MR_MULTICAST || m.typ == PACKET_MR_UNICAST
	if own := len(nic.LinkAddress()); size > own || exact && size != own {
		return EINVAL
	}
	for i := range d.in.packet.joined {
		if d.in.packet.joined[i].same(&m) {
			d.in.packet.joined[i].count++
			return 0
		}
	}
	if d.refs.Load() <= 0 {
		return EBADF // closed meanwhile: nobody would leave
	}
	m.count, m.leave = 1, func() {}
	if m.typ == PACKET_MR_PROMISC {
		m.leave = d.host.stack.Promiscuous(int(m.nic))
	}
	d.in.packet.joined = append(d.in.packet.joined, m)
	return 0
}

// leavePackets is PACKET_DROP_MEMBERSHIP, which on Linux does not mind when there
// is no such membership.
func (d *description) leavePackets(v []byte) Errno {
	m, _ := decodePacketMreq(v)
	for i := range d.in.packet.joined {
		j := &d.in.packet.joined[i]
		if !j.same(&m) {
			continue
		}
		if j.count--; j.count == 0 {
			j.leave()
			d.in.packet.joined = append(d.in.packet.joined[:i], d.in.packet.joined[i+1:]...)
		}
		break
	}
	return 0
}

// leaveAllPackets ends the memberships of a socket that is closed.
func (d *description) leaveAllPackets() {
	for _, j := range d.in.packet.joined {
		j.leave()
	}
	d.in.packet.joined = nil
}
