package sockets

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/userstack/userstack/stack"
)

// Requests about interfaces (netdevice(7)). The argument of Ioctl is the
// interface's name, for SIOCGIFNAME its index, for SIOCGIFCONF nil; the result
// is what the comment says. Or the argument is the 40 bytes of struct ifreq, and
// so is the result. An interface that does not exist is ENODEV, one without an
// IPv4 address EADDRNOTAVAIL. AF_INET6 sockets do not have the requests about
// IPv4 addresses: ENOTTY.
const (
	SIOCGIFNAME    = 0x8910 // string
	SIOCGIFCONF    = 0x8912 // []IfConf: the IPv4 addresses
	SIOCGIFFLAGS   = 0x8913 // int: IFF_UP and others
	SIOCGIFADDR    = 0x8915 // netip.Addr
	SIOCGIFDSTADDR = 0x8917 // netip.Addr
	SIOCGIFBRDADDR = 0x8919 // netip.Addr
	SIOCGIFNETMASK = 0x891b // netip.Addr
	SIOCGIFMETRIC  = 0x891d // int, always 0
	SIOCGIFTXQLEN  = 0x8942 // int, packets
	SIOCGIFMTU     = 0x8921 // int, bytes of an IP packet
	SIOCGIFHWADDR  = 0x8927 // net.HardwareAddr
	SIOCGIFINDEX   = 0x8933 // int
)

// Flags of an interface.
const (
	IFF_UP          = 0x1
	IFF_BROADCAST   = 0x2
	IFF_LOOPBACK    = 0x8
	IFF_POINTOPOINT = 0x10
	IFF_RUNNING     = 0x40
	IFF_NOARP       = 0x80
	IFF_MULTICAST   = 0x1000
)

// An IfConf is an entry of SIOCGIFCONF's list.
type IfConf struct {
	Name string
	Addr netip.Addr
}

// Requests that change interfaces or routes: with CAP_NET_ADMIN on Linux, which
// nobody has here; the stack has methods for it.
var setIoctls = map[uint32]bool{
	0x890b: true, 0x890c: true, // SIOCADDRT, SIOCDELRT
	0x8914: true, 0x8916: true, 0x8918: true, 0x891a: true, 0x891c: true, 0x891e: true, // FLAGS … METRIC
	0x8922: true, 0x8923: true, 0x8924: true, 0x8943: true, // MTU, NAME, HWADDR, TXQLEN
}

// An interfaceRequest tells one thing of an interface.
type interfaceRequest struct {
	tell func(stack.Interface) (any, Errno)
	ipv4 bool // only for AF_INET sockets
}

var interfaceRequests = map[uint32]interfaceRequest{
	SIOCGIFNAME:    {tell: func(i stack.Interface) (any, Errno) { return i.Name, 0 }},
	SIOCGIFINDEX:   {tell: func(i stack.Interface) (any, Errno) { return i.Index, 0 }},
	SIOCGIFMTU:     {tell: func(i stack.Interface) (any, Errno) { return i.MTU, 0 }},
	SIOCGIFTXQLEN:  {tell: func(i stack.Interface) (any, Errno) { return i.QueueLen(), 0 }},
	SIOCGIFMETRIC:  {tell: func(stack.Interface) (any, Errno) { return 0, 0 }},
	SIOCGIFFLAGS:   {tell: func(i stack.Interface) (any, Errno) { return i.Flags(), 0 }},
	SIOCGIFHWADDR:  {tell: func(i stack.Interface) (any, Errno) { return i.MAC, 0 }},
	SIOCGIFADDR:    ofIPv4(func(i stack.Interface, p netip.Prefix) netip.Addr { return p.Addr() }),
	SIOCGIFDSTADDR: ofIPv4(func(i stack.Interface, p netip.Prefix) netip.Addr { return p.Addr() }),
	SIOCGIFNETMASK: ofIPv4(func(i stack.Interface, p netip.Prefix) netip.Addr {
		return addrFromUint32(^uint32(0) << (32 - p.Bits()))
	}),
	SIOCGIFBRDADDR: ofIPv4(func(i stack.Interface, p netip.Prefix) netip.Addr {
		if b := i.Broadcast(p); b.IsValid() {
			return b
		}
		return netip.IPv4Unspecified()
	}),
}

func addrFromUint32(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}

// ofIPv4 tells something of the interface's first IPv4 address.
func ofIPv4(tell func(stack.Interface, netip.Prefix) netip.Addr) interfaceRequest {
	return interfaceRequest{ipv4: true, tell: func(i stack.Interface) (any, Errno) {
		for _, p := range i.Addrs {
			if p.Addr().Is4() {
				return tell(i, p), 0
			}
		}
		return nil, EADDRNOTAVAIL
	}}
}

// interfaceIoctl returns what answers a request about interfaces, or nil.
func interfaceIoctl(control uint32) ioctlRequest {
	if setIoctls[control] {
		return func(*Socket, any) (any, error) { return nil, EPERM }
	}
	if control == SIOCGIFCONF {
		return (*Socket).ioctlConf
	}
	r, ok := interfaceRequests[control]
	if !ok {
		return nil
	}
	return func(s *Socket, arg any) (any, error) { return s.askInterface(control, r, arg) }
}

func (s *Socket) ioctlConf(arg any) (any, error) {
	if arg != nil {
		return nil, EINVAL // struct ifconf points to memory, which has no place here
	}
	var all []IfConf
	for _, i := range s.host.stack.Interfaces() {
		for _, p := range i.Addrs {
			if p.Addr().Is4() {
				all = append(all, IfConf{i.Name, p.Addr()})
			}
		}
	}
	return all, nil
}

const ifreqSize = 40 // bytes of struct ifreq on a 64-bit Linux

func (s *Socket) askInterface(control uint32, r interfaceRequest, arg any) (any, error) {
	if r.ipv4 && s.d.family != AF_INET {
		return nil, ENOTTY
	}
	var name string
	var index int
	var request []byte
	switch a := arg.(type) {
	case string:
		name = a
	case int:
		index = a
	case []byte:
		if len(a) < ifreqSize {
			return nil, EINVAL
		}
		request = bytes.Clone(a)
		first, _, _ := bytes.Cut(a[:ifNameSize], []byte{0})
		name, index = string(first), intValue(a[ifNameSize:])
	default:
		return nil, EINVAL
	}
	for _, i := range s.host.stack.Interfaces() {
		if control == SIOCGIFNAME && i.Index == index || control != SIOCGIFNAME && i.Name == name {
			v, errno := r.tell(i)
			if errno != 0 {
				return nil, errno
			}
			if request != nil {
				return fillIfreq(request, i, v), nil
			}
			return v, nil
		}
	}
	return nil, ENODEV
}

// Types of hardware in SIOCGIFHWADDR's sockaddr (<net/if_arp.h>).
const (
	arphrdEther    = 1
	arphrdLoopback = 772
	arphrdNone     = 0xfffe
)

// fillIfreq puts an answer where struct ifreq has it.
func fillIfreq(b []byte, i stack.Interface, v any) []byte {
	value := b[ifNameSize:]
	switch v := v.(type) {
	case string:
		clear(b[:ifNameSize])
		copy(b[:ifNameSize-1], v)
	case int:
		binary.LittleEndian.PutUint32(value, uint32(v))
	case netip.Addr:
		copy(value, appendSockaddr(nil, AF_INET, netip.AddrPortFrom(v, 0)))
	case net.HardwareAddr:
		kind := arphrdNone
		if i.Loopback {
			kind = arphrdLoopback
		} else if len(v) > 0 {
			kind = arphrdEther
		}
		clear(value)
		binary.LittleEndian.PutUint16(value, uint16(kind))
		copy(value[2:], v)
	}
	return b
}
