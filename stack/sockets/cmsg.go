package sockets

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// A controlList gathers control messages. Its memory can be used again.
type controlList struct {
	messages []ControlMessage
	data     []byte // backs the messages' data
}

func (l *controlList) reset() {
	clear(l.messages)
	l.messages, l.data = l.messages[:0], l.data[:0]
}

// add appends a message with a copy of its data.
func (l *controlList) add(level, typ int, data ...byte) {
	at := len(l.data)
	l.data = append(l.data, data...)
	l.messages = append(l.messages, ControlMessage{level, typ, l.data[at:len(l.data):len(l.data)]})
}

// addInt appends a message whose data is a C int.
func (l *controlList) addInt(level, typ, v int) {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], uint32(v))
	l.add(level, typ, b[:]...)
}

// ancillary adds the control messages that the socket has asked to have with a
// datagram, in Linux's order: times, drops, what __sock_recv_cmsgs adds; then the
// packet's headers.
func (d *description) ancillary(l *controlList, dg *datagram) {
	asks := ask(d.asks.Load())
	if asks == 0 && d.extras() == nil {
		return
	}
	d.times(l, asks, dg.when)
	if asks&askDrops != 0 && dg.lost != 0 {
		l.addInt(SOL_SOCKET, SO_RXQ_OVFL, int(dg.lost))
	}
	if dg.segment != 0 {
		l.addInt(SOL_UDP, UDP_GRO, dg.segment)
	}
	d.headers(l, asks, dg)
}

// times adds SO_TIMESTAMP's message and SO_TIMESTAMPING's.
func (d *description) times(l *controlList, asks ask, when int64) {
	pick := func(plain, renamed int) int {
		if asks&askNewTimestamp != 0 {
			return renamed
		}
		return plain
	}
	switch {
	case asks&askTimestamp == 0:
	case asks&askNanoseconds == 0:
		b := timeBytes(when, time.Microsecond)
		l.add(SOL_SOCKET, pick(SO_TIMESTAMP, SO_TIMESTAMP_NEW), b[:]...)
	default:
		b := timeBytes(when, time.Nanosecond)
		l.add(SOL_SOCKET, pick(SO_TIMESTAMPNS, SO_TIMESTAMPNS_NEW), b[:]...)
	}
	x := d.extras()
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.timestamping&sofTimestampingSoftware != 0 {
		// The second and third times are of hardware.
		var data [timestampingSize]byte
		b := timeBytes(when, time.Nanosecond)
		copy(data[:], b[:])
		l.add(SOL_SOCKET, pick(SO_TIMESTAMPING, SO_TIMESTAMPING_NEW), data[:]...)
	}
}

// timeBytes returns struct timeval, or struct timespec, of nanoseconds since
// 1970.
func timeBytes(ns int64, unit time.Duration) (b [timevalSize]byte) {
	binary.LittleEndian.PutUint64(b[:], uint64(ns/int64(time.Second)))
	binary.LittleEndian.PutUint64(b[8:], uint64(ns%int64(time.Second)/int64(unit)))
	return b
}

// headers adds what was asked of the packet's headers. An IPv4 packet on an
// AF_INET6 socket has what SOL_IP asks for and, of SOL_IPV6, IPV6_PKTINFO.
func (d *description) headers(l *controlList, asks ask, dg *datagram) {
	if asks&asksOfHeaders == 0 {
		return
	}
	if asks&askPacketInfo6 != 0 && d.family == AF_INET6 {
		a := dg.dst.Addr().As16()
		var b [in6PktinfoSize]byte
		copy(b[:], a[:])
		binary.LittleEndian.PutUint32(b[len(a):], uint32(dg.nic))
		l.add(SOL_IPV6, IPV6_PKTINFO, b[:]...)
	}
	if dg.v6 {
		headers6(l, asks, dg)
		return
	}
	if asks&askPacketInfo != 0 {
		d.packetInfo4(l, dg)
	}
	if asks&askTTL != 0 {
		l.addInt(SOL_IP, IP_TTL, int(dg.ttl))
	}
	if asks&askTOS != 0 {
		l.add(SOL_IP, IP_TOS, dg.tos)
	}
	if asks&askOriginalDst != 0 && dg.dst.Port() != 0 { // Linux reads the ports of whatever follows the IP header
		l.add(SOL_IP, IP_RECVORIGDSTADDR, appendSockaddr(nil, AF_INET, dg.dst)...)
	}
}

func headers6(l *controlList, asks ask, dg *datagram) {
	if asks&askHopLimit != 0 {
		l.addInt(SOL_IPV6, IPV6_HOPLIMIT, int(dg.ttl))
	}
	if asks&askTClass != 0 {
		l.addInt(SOL_IPV6, IPV6_TCLASS, int(dg.tos))
	}
	if asks&askOriginalDst6 != 0 && dg.dst.Port() != 0 {
		dst := dg.dst
		if a := dst.Addr(); a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() {
			dst = netip.AddrPortFrom(a.WithZone(strconv.Itoa(int(dg.nic))), dst.Port())
		}
		l.add(SOL_IPV6, IPV6_RECVORIGDSTADDR, appendSockaddr(nil, AF_INET6, dst)...)
	}
}

// packetInfo4 adds struct in_pktinfo: the interface, the local address to answer
// from, and the destination in the header. For a multicast or broadcast packet
// the second is the interface's own address, which netstack does not look up.
func (d *description) packetInfo4(l *controlList, dg *datagram) {
	dst := dg.dst.Addr().Unmap().As4()
	local := dst
	proto := header.IPv4ProtocolNumber
	switch {
	case dg.failed != nil:
		local = [4]byte{} // Linux fills it in for what is received, not for errors
	case !d.host.isOwn(tcpip.AddrFrom4(dst)):
		local = [4]byte{}
		if a, terr := d.host.gv.GetMainNICAddress(dg.nic, proto); terr == nil && a.Address.BitLen() == header.IPv4AddressSizeBits {
			local = a.Address.As4()
		}
	}
	var b [inPktinfoSize]byte
	binary.LittleEndian.PutUint32(b[:], uint32(dg.nic))
	copy(b[4:], local[:])
	copy(b[8:], dst[:])
	l.add(SOL_IP, IP_PKTINFO, b[:]...)
}
