//go:build linux && (amd64 || arm64)

package supervise

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// mostSockaddr is sizeof(struct sockaddr_storage), the most that the kernel
// takes.
const mostSockaddr = 128

// shortestInet6 is a sockaddr_in6 without its scope: SIN6_LEN_RFC2133, in bytes.
const shortestInet6 = 24

// A foreign address is of a family that an Internet socket does not know.
type foreign struct{ family sockets.Family }

func (a foreign) Family() sockets.Family { return a.family }
func (a foreign) Network() string        { return "unknown" }
func (a foreign) String() string         { return fmt.Sprintf("address family %d", int(a.family)) }

// sockaddr reads the address of n bytes at addr. It is nil for AF_UNSPEC. The
// errors are those that Linux has for any Internet socket: EINVAL, EFAULT.
func (c *call) sockaddr(addr, n uint64) (sockets.Sockaddr, error) {
	size := int(int32(n))
	if size < 0 || size > mostSockaddr {
		return nil, syscall.EINVAL
	}
	b := make([]byte, size)
	if err := c.read(addr, b); err != nil {
		return nil, err
	}
	return parseSockaddr(b)
}

func parseSockaddr(b []byte) (sockets.Sockaddr, error) {
	if len(b) < 2 {
		return nil, syscall.EINVAL
	}
	family := sockets.Family(binary.NativeEndian.Uint16(b))
	switch {
	case family == sockets.AF_UNSPEC:
		return nil, nil
	case family == sockets.AF_INET && len(b) < unix.SizeofSockaddrInet4,
		family == sockets.AF_INET6 && len(b) < shortestInet6:
		return nil, syscall.EINVAL
	case family == sockets.AF_PACKET:
		return parseLinkAddr(b)
	case family == sockets.AF_INET:
		host := netip.AddrFrom4([4]byte(b[4:8]))
		return sockets.Inet4{Host: host.String(), Port: int(binary.BigEndian.Uint16(b[2:]))}, nil
	case family == sockets.AF_INET6:
		a := sockets.Inet6{
			Host:     netip.AddrFrom16([16]byte(b[8:24])).String(),
			Port:     int(binary.BigEndian.Uint16(b[2:])),
			FlowInfo: binary.BigEndian.Uint32(b[4:]),
		}
		if len(b) >= unix.SizeofSockaddrInet6 {
			a.ScopeID = binary.NativeEndian.Uint32(b[24:])
		}
		return a, nil
	}
	return foreign{family}, nil
}

// parseLinkAddr takes struct sockaddr_ll (packet(7)).
func parseLinkAddr(b []byte) (sockets.Sockaddr, error) {
	const address = 12 // offset of sll_addr
	if len(b) < unix.SizeofSockaddrLinklayer {
		return nil, syscall.EINVAL
	}
	size := int(b[address-1])
	if address+size > len(b) {
		return nil, syscall.EINVAL
	}
	return sockets.LinkAddr{
		Protocol: binary.BigEndian.Uint16(b[2:]),
		Ifindex:  int(int32(binary.NativeEndian.Uint32(b[4:]))),
		HaType:   binary.NativeEndian.Uint16(b[8:]),
		PktType:  b[10],
		Addr:     append(net.HardwareAddr(nil), b[address:address+size]...),
	}, nil
}

// appendLinkAddr is the opposite of parseLinkAddr.
func appendLinkAddr(b []byte, a sockets.LinkAddr) []byte {
	b = binary.NativeEndian.AppendUint16(b, unix.AF_PACKET)
	b = binary.BigEndian.AppendUint16(b, a.Protocol)
	b = binary.NativeEndian.AppendUint32(b, uint32(a.Ifindex))
	b = binary.NativeEndian.AppendUint16(b, a.HaType)
	b = append(b, a.PktType, byte(len(a.Addr)))
	var room [8]byte
	copy(room[:], a.Addr)
	return append(b, room[:]...)
}

// appendSockaddr appends struct sockaddr_in, sockaddr_in6 or sockaddr_ll (ip(7),
// ipv6(7), packet(7)).
func appendSockaddr(b []byte, a sockets.Sockaddr) []byte {
	switch a := a.(type) {
	case sockets.LinkAddr:
		return appendLinkAddr(b, a)
	case sockets.Inet4:
		ap, _ := a.AddrPort()
		host := ap.Addr().As4()
		b = binary.NativeEndian.AppendUint16(b, unix.AF_INET)
		b = binary.BigEndian.AppendUint16(b, ap.Port())
		b = append(b, host[:]...)
		return append(b, make([]byte, 8)...)
	case sockets.Inet6:
		ap, _ := a.AddrPort()
		host := ap.Addr().As16()
		scope := a.ScopeID
		if zone, err := strconv.ParseUint(ap.Addr().Zone(), 10, 32); err == nil {
			scope = uint32(zone)
		}
		b = binary.NativeEndian.AppendUint16(b, unix.AF_INET6)
		b = binary.BigEndian.AppendUint16(b, uint16(a.Port))
		b = binary.BigEndian.AppendUint32(b, a.FlowInfo)
		b = append(b, host[:]...)
		return binary.NativeEndian.AppendUint32(b, scope)
	}
	return b
}

// putSockaddr writes an address to where the program wants it, cut to the room
// that there is, and its whole length to where the length of the room stood
// (accept(2)). A null address is not wanted.
func (c *call) putSockaddr(a sockets.Sockaddr, addr, length uint64) error {
	if addr == 0 {
		return nil
	}
	return c.putBytes(appendSockaddr(nil, a), addr, length)
}

// putBytes is putSockaddr for any value with a length beside it.
func (c *call) putBytes(b []byte, addr, length uint64) error {
	room, err := c.room(length)
	if err != nil {
		return err
	}
	return c.putCut(b, b[:min(room, len(b))], addr, length)
}

// room reads how many bytes the program has room for.
func (c *call) room(length uint64) (int, error) {
	var word [4]byte
	if err := c.read(length, word[:]); err != nil {
		return 0, err
	}
	room := int(int32(binary.NativeEndian.Uint32(word[:])))
	if room < 0 {
		return 0, syscall.EINVAL
	}
	return room, nil
}

// putCut writes what there is room for of a value, and the length of the whole.
func (c *call) putCut(whole, part []byte, addr, length uint64) error {
	var word [4]byte
	binary.NativeEndian.PutUint32(word[:], uint32(len(whole)))
	return c.writeAll(seccomp.Segment{Addr: addr, Data: part}, seccomp.Segment{Addr: length, Data: word[:]})
}
