package sockets

import (
	"encoding/binary"
	"net/netip"
)

// AddMember is PR_SockOpt_AddMember: it joins a multicast group on the interface
// that has an address; nil is the interface of the route. Reading gives what was
// joined last and not left, and ENOPROTOOPT without any. Errors: EINVAL for
// another address than a group of the socket's family, EADDRINUSE when it is
// joined already, ENODEV for an address of no interface.
type AddMember struct {
	Group     *NetworkAddress
	Interface *NetworkAddress
}

// DropMember is PR_SockOpt_DropMember: it leaves a group. Errors beside
// AddMember's: EADDRNOTAVAIL when it was not joined. Reading is ENOPROTOOPT.
type DropMember struct {
	Group     *NetworkAddress
	Interface *NetworkAddress
}

// McastInterface is PR_SockOpt_McastInterface: the interface by which multicast
// leaves, as one of its addresses; nil is the one of the route.
type McastInterface struct{ Interface *NetworkAddress }

// McastTTL is PR_SockOpt_McastTimeToLive, 0 to 255 hops: IP_MULTICAST_TTL or, on
// an AF_INET6 socket, IPV6_MULTICAST_HOPS.
type McastTTL int

// McastLoop is PR_SockOpt_McastLoopback: whether this host receives the
// multicast that it sends. It is on at first.
type McastLoop bool

// A membership is what the record keeps of AddMember; the last was made last.
type membership struct{ group, ifc netip.Addr }

// memberRecord is where the memberships are kept, below a level that there is
// not.
var memberRecord = &option{name: "PR_SockOpt_AddMember", key: optionKey{-1, PR_SockOpt_AddMember}}

const sizeofMembership = 32 // two IPv6 addresses, IPv4 ones mapped

func (d *description) membershipsLocked() []membership {
	var list []membership
	for v := d.recordedLocked(memberRecord.key); len(v) >= sizeofMembership; v = v[sizeofMembership:] {
		list = append(list, membership{
			netip.AddrFrom16([16]byte(v[:16])).Unmap(), netip.AddrFrom16([16]byte(v[16:32])).Unmap(),
		})
	}
	return list
}

func (d *description) keepMembershipsLocked(list []membership) {
	var v []byte
	for _, m := range list {
		group, ifc := m.group.As16(), m.ifc.As16()
		v = append(append(v, group[:]...), ifc[:]...)
	}
	d.recordLocked(memberRecord, v)
}

// request returns struct ip_mreq or ipv6_mreq, and the options that take it.
func (s *Socket) request(group, ifc *NetworkAddress) (m membership, mreq []byte, errno Errno) {
	f := s.d.family
	if group.Family() != f || ifc.Family() != f && ifc.Family() != AF_UNSPEC {
		return m, nil, EINVAL
	}
	m = membership{group.addr, unspecified(f)}
	if ifc.Family() == f {
		m.ifc = ifc.addr
	}
	if f == AF_INET {
		a, i := m.group.As4(), m.ifc.As4()
		return m, append(a[:], i[:]...), 0
	}
	index, errno := s.host.interfaceOf(m.ifc)
	a := m.group.As16()
	return m, binary.LittleEndian.AppendUint32(a[:], uint32(index)), errno
}

func unspecified(f Family) netip.Addr {
	if f == AF_INET {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// interfaceOf returns the index of the interface that has an address, 0 for the
// unspecified one.
func (h *Host) interfaceOf(a netip.Addr) (int, Errno) {
	if a.IsUnspecified() {
		return 0, 0
	}
	for _, ifc := range h.stack.Interfaces() {
		for _, p := range ifc.Addrs {
			if p.Addr() == a.WithZone("") {
				return ifc.Index, 0
			}
		}
	}
	return 0, ENODEV
}

func (o AddMember) set(s *Socket) error {
	m, mreq, errno := s.request(o.Group, o.Interface)
	if errno != 0 {
		return s.error("setsockopt", errno)
	}
	if err := s.setMulticast(IP_ADD_MEMBERSHIP, IPV6_ADD_MEMBERSHIP, mreq); err != nil {
		return err
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.d.keepMembershipsLocked(append(s.d.membershipsLocked(), m))
	return nil
}

func (AddMember) get(s *Socket) (Option, error) {
	s.d.mu.Lock()
	list := s.d.membershipsLocked()
	s.d.mu.Unlock()
	if len(list) == 0 {
		return nil, s.error("getsockopt", ENOPROTOOPT)
	}
	m := list[len(list)-1]
	return AddMember{&NetworkAddress{host: s.host, addr: m.group}, &NetworkAddress{host: s.host, addr: m.ifc}}, nil
}

func (o DropMember) set(s *Socket) error {
	m, mreq, errno := s.request(o.Group, o.Interface)
	if errno != 0 {
		return s.error("setsockopt", errno)
	}
	if err := s.setMulticast(IP_DROP_MEMBERSHIP, IPV6_DROP_MEMBERSHIP, mreq); err != nil {
		return err
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	list := s.d.membershipsLocked()
	for i := range list {
		if list[i] == m {
			s.d.keepMembershipsLocked(append(list[:i], list[i+1:]...))
			break
		}
	}
	return nil
}

func (DropMember) get(s *Socket) (Option, error) { return nil, s.error("getsockopt", ENOPROTOOPT) }

func (o McastInterface) set(s *Socket) error {
	f := s.d.family
	if o.Interface.Family() != f && o.Interface.Family() != AF_UNSPEC {
		return s.error("setsockopt", EINVAL)
	}
	addr := unspecified(f)
	if o.Interface.Family() == f {
		addr = o.Interface.addr
	}
	if f == AF_INET {
		a := addr.As4()
		return s.setMulticast(IP_MULTICAST_IF, 0, a[:])
	}
	index, errno := s.host.interfaceOf(addr)
	if errno != 0 {
		return s.error("setsockopt", EADDRNOTAVAIL)
	}
	return s.setMulticast(0, IPV6_MULTICAST_IF, intBytes(index))
}

func (McastInterface) get(s *Socket) (Option, error) {
	v, err := s.getMulticast(IP_MULTICAST_IF, IPV6_MULTICAST_IF)
	if err != nil {
		return nil, err
	}
	addr := unspecified(s.d.family)
	if s.d.family == AF_INET {
		addr = netip.AddrFrom4([4]byte(v))
	} else {
		for _, ifc := range s.host.stack.Interfaces() {
			for _, p := range ifc.Addrs {
				if ifc.Index == intValue(v) && p.Addr().Is6() && addr.IsUnspecified() {
					addr = p.Addr()
				}
			}
		}
	}
	return McastInterface{&NetworkAddress{host: s.host, addr: addr}}, nil
}

func (o McastTTL) set(s *Socket) error {
	if o < 0 || o > 255 {
		return s.error("setsockopt", EINVAL)
	}
	return s.setMulticast(IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, intBytes(int(o)))
}

func (McastTTL) get(s *Socket) (Option, error) {
	v, err := s.getMulticast(IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS)
	if err != nil {
		return nil, err
	}
	return McastTTL(intValue(v)), nil
}

func (o McastLoop) set(s *Socket) error {
	return s.setMulticast(IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, intBytes(oneIf(bool(o))))
}

func (McastLoop) get(s *Socket) (Option, error) {
	v, err := s.getMulticast(IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP)
	if err != nil {
		return nil, err
	}
	return McastLoop(intValue(v) != 0), nil
}

// setMulticast and getMulticast use the option of the socket's family.
func (s *Socket) setMulticast(name4, name6 int, v []byte) error {
	if s.d.family == AF_INET6 {
		return s.SetSockOpt(SOL_IPV6, name6, v)
	}
	return s.SetSockOpt(SOL_IP, name4, v)
}

func (s *Socket) getMulticast(name4, name6 int) ([]byte, error) {
	if s.d.family == AF_INET6 {
		return s.GetSockOpt(SOL_IPV6, name6, 4)
	}
	return s.GetSockOpt(SOL_IP, name4, 4)
}
