package tuntest

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/userstack/userstack/tun"
)

// The addresses of the two sides in TestDevice: the device's and the kernel's,
// or whoever is on the far side (RFC 5737 TEST-NET-1).
var (
	Near = netip.MustParseAddrPort("192.0.2.2:7")
	Far  = netip.MustParseAddrPort("192.0.2.1:7")
)

// Sizes of the headers of a datagram in bytes (RFC 791, RFC 768).
const (
	ipv4HeaderSize = 20
	udpHeaderSize  = 8
)

// Datagram returns an IPv4 packet that holds a UDP datagram, with a virtio-net
// header that asks for nothing before it. It has no UDP checksum, which RFC 768
// permits.
func Datagram(from, to netip.AddrPort, payload []byte) []byte {
	size := ipv4HeaderSize + udpHeaderSize + len(payload)
	packet := make([]byte, tun.HeaderSize, tun.HeaderSize+size)
	ip := make([]byte, ipv4HeaderSize)
	ip[0] = 4<<4 | ipv4HeaderSize/4
	binary.BigEndian.PutUint16(ip[2:], uint16(size))
	ip[8], ip[9] = 64, 17 // TTL, UDP
	src, dst := from.Addr().As4(), to.Addr().As4()
	copy(ip[12:], src[:])
	copy(ip[16:], dst[:])
	binary.BigEndian.PutUint16(ip[10:], Checksum(ip))
	packet = append(packet, ip...)
	packet = binary.BigEndian.AppendUint16(packet, from.Port())
	packet = binary.BigEndian.AppendUint16(packet, to.Port())
	packet = binary.BigEndian.AppendUint16(packet, uint16(udpHeaderSize+len(payload)))
	packet = append(packet, 0, 0)
	return append(packet, payload...)
}

// Payload returns what a UDP datagram in an IPv4 packet without options holds,
// given the packet with its virtio-net header; ok is false for anything else.
func Payload(packet []byte, from, to netip.AddrPort) (payload []byte, ok bool) {
	if len(packet) < tun.HeaderSize+ipv4HeaderSize+udpHeaderSize {
		return nil, false
	}
	ip := packet[tun.HeaderSize:]
	size := int(binary.BigEndian.Uint16(ip[2:]))
	if ip[0] != 4<<4|ipv4HeaderSize/4 || ip[9] != 17 || size > len(ip) {
		return nil, false
	}
	udp := ip[ipv4HeaderSize:size]
	src := netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[12:16])), binary.BigEndian.Uint16(udp))
	dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[16:20])), binary.BigEndian.Uint16(udp[2:]))
	if src != from || dst != to {
		return nil, false
	}
	return udp[udpHeaderSize:], true
}

// Checksum is the Internet checksum (RFC 1071) of data.
func Checksum(data []byte) uint16 {
	sum := uint32(0)
	for i, b := range data {
		sum += uint32(b) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// FarConn is what TestDevice needs of a UDP socket on the far side: a
// *net.UDPConn will do.
type FarConn interface {
	ReadFrom(payload []byte) (n int, from net.Addr, err error)
	WriteTo(payload []byte, to net.Addr) (n int, err error)
	Close() error
}

// NewFarConn returns a UDP socket with the address Far for the far side of a
// device in memory, which it owns.
func NewFarConn(d *Device) FarConn { return farConn{d} }

type farConn struct{ *Device }

func (c farConn) ReadFrom(payload []byte) (int, net.Addr, error) {
	buf, sizes := make([]byte, tun.MaxPacketSize), make([]int, 1)
	for {
		if _, err := c.Read(0, [][][]byte{{buf}}, sizes); err != nil {
			return 0, nil, err
		}
		if data, ok := Payload(buf[:sizes[0]], Near, Far); ok {
			return copy(payload, data), net.UDPAddrFromAddrPort(Near), nil
		}
	}
}

func (c farConn) WriteTo(payload []byte, _ net.Addr) (int, error) {
	_, err := c.Write(0, [][][]byte{{Datagram(Far, Near, payload)}})
	return len(payload), err
}
