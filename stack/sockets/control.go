package sockets

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"time"
)

// TCP_CM_INQ is the type of the message that TCP_INQ asks for: an int (tcp(7)).
const TCP_CM_INQ = TCP_INQ

// PacketInfo is struct in_pktinfo or in6_pktinfo: where a datagram came in, or
// where it is to go out (ip(7), IP_PKTINFO; RFC 3542 section 6).
type PacketInfo struct {
	Interface int        // index, 0 for any
	Local     netip.Addr // ipi_spec_dst: the local address to answer from, or to send from
	Addr      netip.Addr // destination in the header; not used when sending
}

// ControlPacketInfo returns the control message that sends a datagram from
// p.Local, through the interface that p names: IP_PKTINFO if p.Local is an IPv4
// address or not valid, else IPV6_PKTINFO.
func ControlPacketInfo(p PacketInfo) ControlMessage {
	if p.Local.Is6() {
		a := p.Local.As16()
		return ControlMessage{SOL_IPV6, IPV6_PKTINFO, append(a[:], intBytes(p.Interface)...)}
	}
	data := append(intBytes(p.Interface), make([]byte, 8)...)
	if p.Local.Is4() {
		a := p.Local.As4()
		copy(data[4:], a[:])
	}
	return ControlMessage{SOL_IP, IP_PKTINFO, data}
}

// ControlInt returns a control message whose data is a C int, such as IP_TTL.
func ControlInt(level, typ, v int) ControlMessage {
	return ControlMessage{level, typ, intBytes(v)}
}

// ControlSegment returns the control message that splits one send into datagrams
// of size bytes (udp(7), UDP_SEGMENT).
func ControlSegment(size uint16) ControlMessage {
	return ControlMessage{SOL_UDP, UDP_SEGMENT, binary.LittleEndian.AppendUint16(nil, size)}
}

// Sizes of C structures, in bytes.
const (
	inPktinfoSize    = 12
	in6PktinfoSize   = 20
	timevalSize      = 16
	sockaddrInSize   = 16
	sockaddrIn6Size  = 28
	extendedErrSize  = 16
	timestampingSize = 3 * timevalSize
)

func (m ControlMessage) is(level, typ int) bool { return m.Level == level && m.Type == typ }

// PacketInfo returns the content of an IP_PKTINFO or IPV6_PKTINFO message, and
// whether m is one. For IPV6_PKTINFO Local and Addr are the same.
func (m ControlMessage) PacketInfo() (PacketInfo, bool) {
	switch {
	case m.is(SOL_IP, IP_PKTINFO) && len(m.Data) >= inPktinfoSize:
		return PacketInfo{
			Interface: intValue(m.Data),
			Local:     netip.AddrFrom4([4]byte(m.Data[4:8])),
			Addr:      netip.AddrFrom4([4]byte(m.Data[8:12])),
		}, true
	case m.is(SOL_IPV6, IPV6_PKTINFO) && len(m.Data) >= in6PktinfoSize:
		a := netip.AddrFrom16([16]byte(m.Data[:16]))
		return PacketInfo{Interface: intValue(m.Data[16:]), Local: a, Addr: a}, true
	}
	return PacketInfo{}, false
}

// Int returns the content of a message whose data is a number of 1, 2 or 4
// bytes, such as IP_TOS, UDP_GRO and IP_TTL, and whether it has one of these
// lengths.
func (m ControlMessage) Int() (int, bool) {
	switch len(m.Data) {
	case 1:
		return int(m.Data[0]), true
	case 2:
		return int(binary.LittleEndian.Uint16(m.Data)), true
	case 4:
		return intValue(m.Data), true
	}
	return 0, false
}

// Time returns when the data arrived, from an SCM_TIMESTAMP, SCM_TIMESTAMPNS or
// SCM_TIMESTAMPING message (the first of its three times), and whether m is one.
func (m ControlMessage) Time() (time.Time, bool) {
	if m.Level != SOL_SOCKET || len(m.Data) < timevalSize {
		return time.Time{}, false
	}
	unit := time.Nanosecond
	switch m.Type {
	case SCM_TIMESTAMP, SO_TIMESTAMP_NEW:
		unit = time.Microsecond
	case SCM_TIMESTAMPNS, SO_TIMESTAMPNS_NEW, SCM_TIMESTAMPING, SO_TIMESTAMPING_NEW:
	default:
		return time.Time{}, false
	}
	sec := int64(binary.LittleEndian.Uint64(m.Data))
	part := int64(binary.LittleEndian.Uint64(m.Data[8:]))
	if part < 0 || part >= int64(time.Second/unit) {
		return time.Time{}, false
	}
	return time.Unix(sec, part*int64(unit)), true
}

// OriginalDst returns the address that a datagram was sent to, from an
// IP_RECVORIGDSTADDR or IPV6_RECVORIGDSTADDR message, and whether m is one.
func (m ControlMessage) OriginalDst() (Sockaddr, bool) {
	if !m.is(SOL_IP, IP_RECVORIGDSTADDR) && !m.is(SOL_IPV6, IPV6_RECVORIGDSTADDR) {
		return nil, false
	}
	return parseSockaddr(m.Data)
}

// appendSockaddr appends struct sockaddr_in or sockaddr_in6. On AF_INET6 an IPv4
// address is mapped.
func appendSockaddr(b []byte, f Family, ap netip.AddrPort) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(f))
	b = binary.BigEndian.AppendUint16(b, ap.Port())
	if f == AF_INET {
		a := [4]byte{}
		if ap.Addr().IsValid() {
			a = ap.Addr().Unmap().As4()
		}
		return append(append(b, a[:]...), make([]byte, 8)...)
	}
	a := [16]byte{}
	if ap.Addr().IsValid() {
		a = ap.Addr().As16()
	}
	b = append(append(b, 0, 0, 0, 0), a[:]...) // no flow label
	scope, _ := strconv.ParseUint(ap.Addr().Zone(), 10, 32)
	return binary.LittleEndian.AppendUint32(b, uint32(scope))
}

// parseSockaddr takes struct sockaddr_in or sockaddr_in6.
func parseSockaddr(b []byte) (Sockaddr, bool) {
	if len(b) < sockaddrInSize {
		return nil, false
	}
	port := int(binary.BigEndian.Uint16(b[2:]))
	switch Family(binary.LittleEndian.Uint16(b)) {
	case AF_INET:
		return Inet4{Host: netip.AddrFrom4([4]byte(b[4:8])).String(), Port: port}, true
	case AF_INET6:
		if len(b) < sockaddrIn6Size {
			return nil, false
		}
		return Inet6{
			Host: netip.AddrFrom16([16]byte(b[8:24])).String(), Port: port,
			ScopeID: binary.LittleEndian.Uint32(b[24:]),
		}, true
	}
	return nil, false
}
