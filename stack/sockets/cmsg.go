package sockets

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// ancillary returns the control messages that the socket has asked to have with
// a datagram, in Linux's order: times, drops, what __sock_recv_cmsgs adds; then
// the packet's headers.
func (d *description) ancillary(dg *datagram) []ControlMessage {
	asks := ask(d.asks.Load())
	if asks == 0 && d.extras() == nil {
		return nil
	}
	ms := d.times(nil, asks, dg.when)
	if asks&askDrops != 0 && dg.lost != 0 {
		ms = append(ms, ControlInt(SOL_SOCKET, SO_RXQ_OVFL, int(dg.lost)))
	}
	if dg.segment != 0 {
		ms = append(ms, ControlInt(SOL_UDP, UDP_GRO, dg.segment))
	}
	return d.headers(ms, asks, dg)
}

// times appends SO_TIMESTAMP's message and SO_TIMESTAMPING's.
func (d *description) times(ms []ControlMessage, asks ask, when int64) []ControlMessage {
	pick := func(plain, renamed int) int {
		if asks&askNewTimestamp != 0 {
			return renamed
		}
		return plain
	}
	switch {
	case asks&askTimestamp == 0:
	case asks&askNanoseconds == 0:
		ms = append(ms, ControlMessage{SOL_SOCKET, pick(SO_TIMESTAMP, SO_TIMESTAMP_NEW), timeBytes(when, time.Microsecond)})
	default:
		ms = append(ms, ControlMessage{SOL_SOCKET, pick(SO_TIMESTAMPNS, SO_TIMESTAMPNS_NEW), timeBytes(when, time.Nanosecond)})
	}
	x := d.extras()
	if x == nil {
		return ms
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.timestamping&sofTimestampingSoftware != 0 {
		// The second and third times are of hardware.
		data := append(timeBytes(when, time.Nanosecond), make([]byte, timestampingSize-timevalSize)...)
		ms = append(ms, ControlMessage{SOL_SOCKET, pick(SO_TIMESTAMPING, SO_TIMESTAMPING_NEW), data})
	}
	return ms
}

// timeBytes returns struct timeval, or struct timespec, of nanoseconds since
// 1970.
func timeBytes(ns int64, unit time.Duration) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(ns/int64(time.Second)))
	return binary.LittleEndian.AppendUint64(b, uint64(ns%int64(time.Second)/int64(unit)))
}

// headers appends what was asked of the packet's headers. An IPv4 packet on an
// AF_INET6 socket has what SOL_IP asks for and, of SOL_IPV6, IPV6_PKTINFO.
func (d *description) headers(ms []ControlMessage, asks ask, dg *datagram) []ControlMessage {
	if asks&asksOfHeaders == 0 {
		return ms
	}
	if asks&askPacketInfo6 != 0 && d.family == AF_INET6 {
		a := dg.dst.Addr().As16()
		ms = append(ms, ControlMessage{SOL_IPV6, IPV6_PKTINFO, append(a[:], intBytes(int(dg.nic))...)})
	}
	if dg.v6 {
		return headers6(ms, asks, dg)
	}
	if asks&askPacketInfo != 0 {
		ms = append(ms, d.packetInfo4(dg))
	}
	if asks&askTTL != 0 {
		ms = append(ms, ControlInt(SOL_IP, IP_TTL, int(dg.ttl)))
	}
	if asks&askTOS != 0 {
		ms = append(ms, ControlMessage{SOL_IP, IP_TOS, []byte{dg.tos}})
	}
	if asks&askOriginalDst != 0 && dg.dst.Port() != 0 { // Linux reads the ports of whatever follows the IP header
		ms = append(ms, ControlMessage{SOL_IP, IP_RECVORIGDSTADDR, appendSockaddr(nil, AF_INET, dg.dst)})
	}
	return ms
}

func headers6(ms []ControlMessage, asks ask, dg *datagram) []ControlMessage {
	if asks&askHopLimit != 0 {
		ms = append(ms, ControlInt(SOL_IPV6, IPV6_HOPLIMIT, int(dg.ttl)))
	}
	if asks&askTClass != 0 {
		ms = append(ms, ControlInt(SOL_IPV6, IPV6_TCLASS, int(dg.tos)))
	}
	if asks&askOriginalDst6 != 0 && dg.dst.Port() != 0 {
		dst := dg.dst
		if a := dst.Addr(); a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() {
			dst = netip.AddrPortFrom(a.WithZone(strconv.Itoa(int(dg.nic))), dst.Port())
		}
		ms = append(ms, ControlMessage{SOL_IPV6, IPV6_RECVORIGDSTADDR, appendSockaddr(nil, AF_INET6, dst)})
	}
	return ms
}

// packetInfo4 is struct in_pktinfo: the interface, the local address to answer
// from, and the destination in the header. For a multicast or broadcast packet
// the second is the interface's own address, which netstack does not look up.
func (d *description) packetInfo4(dg *datagram) ControlMessage {
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
	data := append(intBytes(int(dg.nic)), local[:]...)
	return ControlMessage{SOL_IP, IP_PKTINFO, append(data, dst[:]...)}
}
