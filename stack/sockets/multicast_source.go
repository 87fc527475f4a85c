package sockets

import (
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// A sourceChange is what an option does to the senders of a membership
// (RFC 3678 section 4.1).
type sourceChange struct {
	include bool // wanted senders; otherwise those not wanted
	add     bool
}

var (
	joinSource    = sourceChange{include: true, add: true}
	leaveSource   = sourceChange{include: true}
	blockSource   = sourceChange{add: true}
	unblockSource = sourceChange{}
)

func maxSources(group netip.Addr) int {
	if group.Is4() {
		return maxSources4
	}
	return maxSources6
}

// changeSource is IP_BLOCK_SOURCE and its kin. Its errors are those of Linux's
// ip_mc_source, in its order.
func (d *description) changeSource(q groupRequest, c sourceChange) Errno {
	if c == joinSource {
		if errno := d.joinGroup(q, true); errno != 0 && errno != EADDRINUSE {
			return errno
		}
	}
	if !q.multicast() {
		return EINVAL
	}
	nic := d.groupNIC(q)
	if nic == 0 {
		return ENODEV
	}
	m := d.multicastState()
	i := m.find(nic, q.group)
	if i < 0 {
		return EINVAL
	}
	j := m.joined[i]
	if j.include != c.include && j.sources != nil {
		return EINVAL // a filter keeps its mode, also when it has become empty
	}
	at := slices.Index(j.sources, q.source)
	switch {
	case c.add && len(j.sources) >= maxSources(q.group):
		return ENOBUFS
	case c.add == (at >= 0):
		d.setSources(i, c.include, j.sources)
		return EADDRNOTAVAIL
	case c.add:
		d.setSources(i, c.include, append(slices.Clone(j.sources), q.source))
	case c.include && len(j.sources) == 1:
		d.leave(i) // nobody is wanted any more
	default:
		d.setSources(i, c.include, slices.Delete(slices.Clone(j.sources), at, at+1))
	}
	return 0
}

func (d *description) setSources(i int, include bool, sources []netip.Addr) {
	d.changeMulticast(func(m *multicast) { m.joined[i].include, m.joined[i].sources = include, sources })
}

// Modes of a filter (<linux/in.h>).
const (
	MCAST_EXCLUDE = 0 // all but the senders named
	MCAST_INCLUDE = 1 // the senders named
)

// setFilter is IP_MSFILTER and MCAST_MSFILTER: it replaces the filter of a
// membership.
func (d *description) setFilter(q groupRequest, mode uint32, sources []netip.Addr) Errno {
	if !q.multicast() || mode != MCAST_INCLUDE && mode != MCAST_EXCLUDE {
		return EINVAL
	}
	nic := d.groupNIC(q)
	if nic == 0 {
		return ENODEV
	}
	if mode == MCAST_INCLUDE && len(sources) == 0 {
		return d.leaveGroup(q)
	}
	m := d.multicastState()
	i := m.find(nic, q.group)
	if i < 0 {
		return EINVAL
	}
	d.setSources(i, mode == MCAST_INCLUDE, sources)
	return 0
}

// SourceFilter returns the filter of a group that the socket has joined on an
// interface: the senders and whether they are the wanted ones (getsourcefilter(3),
// RFC 3678 section 4.2.2). SetSockOpt with MCAST_MSFILTER sets it. Errors: EINVAL
// for an address that is no group, EADDRNOTAVAIL when it is not joined there.
func (s *Socket) SourceFilter(ifindex int, group netip.Addr) (senders []netip.Addr, include bool, err error) {
	if s.closed() {
		return nil, false, s.error("getsockopt", ErrClosed)
	}
	if !(groupRequest{group: group}).multicast() {
		return nil, false, s.error("getsockopt", EINVAL)
	}
	m := s.d.multicastState()
	i := m.find(tcpip.NICID(ifindex), group)
	if ifindex <= 0 || i < 0 {
		return nil, false, s.error("getsockopt", EADDRNOTAVAIL)
	}
	return slices.Clone(m.joined[i].sources), m.joined[i].include, nil
}
