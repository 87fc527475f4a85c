package sockets

import (
	"net/netip"
	"slices"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"

	"github.com/userstack/userstack/stack/internal/translate"
)

// Group memberships are kept here and not in netstack's endpoints: they outlive
// an endpoint that is replaced, and they hold the senders that the program wants
// to hear, which netstack does not know (RFC 3678). Netstack is told only which
// groups an interface listens to; what a socket does not want of that, admits
// drops (T35).

// multicast is a socket's multicast state. It is never changed once it is
// stored: delivery reads it without a lock.
type multicast struct {
	joined []joinedGroup

	all4, all6   bool // IP_MULTICAST_ALL, IPV6_MULTICAST_ALL: groups that others joined
	loop4, loop6 bool
	ttl4, ttl6   int

	if4, if6 tcpip.NICID // interface that sends; 0 is by the routing table
	addr4    netip.Addr  // what IP_MULTICAST_IF named

	sending *sync.Mutex // over a send that needs the endpoint's one loop flag its own way
}

// A joinedGroup is a group that a socket has joined on an interface.
type joinedGroup struct {
	nic     tcpip.NICID
	group   netip.Addr
	local   netip.Addr // the interface's address as the program gave it, or none
	include bool       // sources are the senders wanted; otherwise those not wanted
	sources []netip.Addr
}

// multicastState returns the state for reading, with Linux's defaults before
// anything was set. AF_INET6 sockets start without IP_MULTICAST_ALL there.
func (d *description) multicastState() multicast {
	if m := d.multi.Load(); m != nil {
		return *m
	}
	return multicast{all4: d.family == AF_INET, all6: true, loop4: true, loop6: true, ttl4: 1, ttl6: 1}
}

// changeMulticast stores a changed copy of the state. d.mu is held.
func (d *description) changeMulticast(change func(*multicast)) {
	m := d.multicastState()
	if m.sending == nil {
		m.sending = new(sync.Mutex)
	}
	m.joined = slices.Clone(m.joined)
	change(&m)
	d.multi.Store(&m)
}

// find returns the index of a membership, -1 without one. NIC 0 is any.
func (m *multicast) find(nic tcpip.NICID, group netip.Addr) int {
	return slices.IndexFunc(m.joined, func(j joinedGroup) bool {
		return j.group == group && (nic == 0 || j.nic == nic)
	})
}

// IPv6's limits are Linux's too, but for the memberships: there it is the memory
// for options.
const (
	maxMemberships6 = 1024
	maxSources4     = 10 // net.ipv4.igmp_max_msf
	maxSources6     = 64 // net.ipv6.mld_max_msf
)

// join joins a group on an interface. d.mu is held.
func (d *description) join(j joinedGroup) Errno {
	m := d.multicastState()
	if m.find(j.nic, j.group) >= 0 {
		return EADDRINUSE
	}
	limit, same := maxMemberships6, 0
	if j.group.Is4() {
		limit = IP_MAX_MEMBERSHIPS
	}
	for _, have := range m.joined {
		if have.group.Is4() == j.group.Is4() {
			same++
		}
	}
	if same >= limit {
		return ENOBUFS
	}
	if d.refs.Load() <= 0 {
		return EBADF // closed meanwhile: nobody would leave the group
	}
	if terr := d.host.gv.JoinGroup(translate.Protocol(j.group), j.nic, translate.Addr(j.group)); terr != nil {
		return errnoOf(terr)
	}
	d.changeMulticast(func(m *multicast) { m.joined = append(m.joined, j) })
	return 0
}

// leave ends the i-th membership. d.mu is held.
func (d *description) leave(i int) {
	j := d.multicastState().joined[i]
	d.changeMulticast(func(m *multicast) { m.joined = slices.Delete(m.joined, i, i+1) })
	// It fails only where the interface is gone, and the membership with it.
	d.host.gv.LeaveGroup(translate.Protocol(j.group), j.nic, translate.Addr(j.group))
}

// leaveAll ends every membership of a socket that is closed. d.mu is held.
func (d *description) leaveAll() {
	for range d.multicastState().joined {
		d.leave(0)
	}
}

// groupNIC returns the interface that a membership request means: by index, by
// local address, or by the route to the group. 0 is none.
func (d *description) groupNIC(q groupRequest) tcpip.NICID {
	gv := d.host.gv
	switch {
	case q.index > 0 && gv.HasNIC(tcpip.NICID(q.index)):
		return tcpip.NICID(q.index)
	case q.index != 0:
		return 0
	case q.local.IsValid() && !q.local.IsUnspecified():
		return d.localNIC(q.local)
	}
	r, terr := gv.FindRoute(0, tcpip.Address{}, translate.Addr(q.group), translate.Protocol(q.group), false)
	if terr == nil {
		defer r.Release()
		return r.NICID()
	}
	if q.group.Is4() {
		return 0
	}
	// Linux has a route to ff00::/8 on every interface.
	ifs := d.host.stack.Interfaces()
	return tcpip.NICID(ifs[min(1, len(ifs)-1)].Index)
}

// localNIC returns the interface that has a unicast address, 0 without one.
// Netstack says of broadcast addresses that they are local too.
func (d *description) localNIC(a netip.Addr) tcpip.NICID {
	gv, proto, addr := d.host.gv, translate.Protocol(a), translate.Addr(a)
	if a == broadcast4 || a.IsMulticast() || gv.IsSubnetBroadcast(0, proto, addr) {
		return 0
	}
	return gv.CheckLocalAddress(0, proto, addr)
}

// joinGroup is IP_ADD_MEMBERSHIP and its kin.
func (d *description) joinGroup(q groupRequest, include bool) Errno {
	if !q.multicast() {
		return EINVAL
	}
	m := d.multicastState()
	if q.group.Is6() && q.index == 0 && m.find(0, q.group) >= 0 {
		return EADDRINUSE
	}
	nic := d.groupNIC(q)
	if nic == 0 {
		return ENODEV
	}
	return d.join(joinedGroup{nic: nic, group: q.group, local: q.local, include: include})
}

// leaveGroup is IP_DROP_MEMBERSHIP and its kin.
func (d *description) leaveGroup(q groupRequest) Errno {
	m := d.multicastState()
	if q.group.Is6() {
		if !q.multicast() {
			return EINVAL
		}
		i := m.find(tcpip.NICID(max(q.index, 0)), q.group)
		if i < 0 || q.index < 0 {
			return EADDRNOTAVAIL
		}
		d.leave(i)
		return 0
	}
	nic := d.groupNIC(q)
	named := q.index != 0 || q.local.IsValid() && !q.local.IsUnspecified()
	if nic == 0 && !named {
		return ENODEV
	}
	for i, j := range m.joined {
		if j.group == q.group && (j.nic == nic || nic == 0 && q.index == 0 && j.local == q.local) {
			d.leave(i)
			return 0
		}
	}
	return EADDRNOTAVAIL
}

// hears reports whether the socket wants what src sends to a group and nic
// received: Linux's ip_mc_sf_allow.
func (m *multicast) hears(nic tcpip.NICID, group, src netip.Addr) bool {
	i := m.find(nic, group)
	if i < 0 || nic == 0 {
		return group.Is4() && m.all4 || group.Is6() && m.all6
	}
	j := m.joined[i]
	return slices.Contains(j.sources, src.WithZone("")) == j.include
}
