package sockets

import "gvisor.dev/gvisor/pkg/tcpip"

// groupOptions are the options that join and leave groups. They are acts, not
// settings: they cannot be read, and are not played back on a new endpoint,
// which the memberships outlive. IP_MSFILTER and MCAST_MSFILTER can be read on
// Linux, with a group in the buffer that getsockopt fills; GetSockOpt has no
// such buffer, and Socket.SourceFilter stands for it.
var groupOptions = map[optionKey]*option{
	{SOL_IP, IP_ADD_MEMBERSHIP}:         mreqOption("IP_ADD_MEMBERSHIP", func(d *description, q groupRequest) Errno { return d.joinGroup(q, false) }),
	{SOL_IP, IP_DROP_MEMBERSHIP}:        mreqOption("IP_DROP_MEMBERSHIP", (*description).leaveGroup),
	{SOL_IP, IP_BLOCK_SOURCE}:           mreqSourceOption("IP_BLOCK_SOURCE", blockSource),
	{SOL_IP, IP_UNBLOCK_SOURCE}:         mreqSourceOption("IP_UNBLOCK_SOURCE", unblockSource),
	{SOL_IP, IP_ADD_SOURCE_MEMBERSHIP}:  mreqSourceOption("IP_ADD_SOURCE_MEMBERSHIP", joinSource),
	{SOL_IP, IP_DROP_SOURCE_MEMBERSHIP}: mreqSourceOption("IP_DROP_SOURCE_MEMBERSHIP", leaveSource),
	{SOL_IP, IP_MSFILTER}:               filterOption("IP_MSFILTER", 0, decodeMsfilter),

	{SOL_IP, MCAST_JOIN_GROUP}:         groupReqOption("MCAST_JOIN_GROUP", AF_INET, func(d *description, q groupRequest) Errno { return d.joinGroup(q, false) }),
	{SOL_IP, MCAST_LEAVE_GROUP}:        groupReqOption("MCAST_LEAVE_GROUP", AF_INET, (*description).leaveGroup),
	{SOL_IP, MCAST_BLOCK_SOURCE}:       groupSourceOption("MCAST_BLOCK_SOURCE", AF_INET, blockSource),
	{SOL_IP, MCAST_UNBLOCK_SOURCE}:     groupSourceOption("MCAST_UNBLOCK_SOURCE", AF_INET, unblockSource),
	{SOL_IP, MCAST_JOIN_SOURCE_GROUP}:  groupSourceOption("MCAST_JOIN_SOURCE_GROUP", AF_INET, joinSource),
	{SOL_IP, MCAST_LEAVE_SOURCE_GROUP}: groupSourceOption("MCAST_LEAVE_SOURCE_GROUP", AF_INET, leaveSource),
	{SOL_IP, MCAST_MSFILTER}: filterOption("MCAST_MSFILTER", 0, func(v []byte) (filterRequest, Errno) {
		return decodeGroupFilter(v, AF_INET)
	}),

	{SOL_IPV6, IPV6_ADD_MEMBERSHIP}:      mreq6Option("IPV6_ADD_MEMBERSHIP", func(d *description, q groupRequest) Errno { return d.joinGroup(q, false) }),
	{SOL_IPV6, IPV6_DROP_MEMBERSHIP}:     mreq6Option("IPV6_DROP_MEMBERSHIP", (*description).leaveGroup),
	{SOL_IPV6, MCAST_JOIN_GROUP}:         groupReqOption("MCAST_JOIN_GROUP", AF_INET6, func(d *description, q groupRequest) Errno { return d.joinGroup(q, false) }),
	{SOL_IPV6, MCAST_LEAVE_GROUP}:        groupReqOption("MCAST_LEAVE_GROUP", AF_INET6, (*description).leaveGroup),
	{SOL_IPV6, MCAST_BLOCK_SOURCE}:       groupSourceOption("MCAST_BLOCK_SOURCE", AF_INET6, blockSource),
	{SOL_IPV6, MCAST_UNBLOCK_SOURCE}:     groupSourceOption("MCAST_UNBLOCK_SOURCE", AF_INET6, unblockSource),
	{SOL_IPV6, MCAST_JOIN_SOURCE_GROUP}:  groupSourceOption("MCAST_JOIN_SOURCE_GROUP", AF_INET6, joinSource),
	{SOL_IPV6, MCAST_LEAVE_SOURCE_GROUP}: groupSourceOption("MCAST_LEAVE_SOURCE_GROUP", AF_INET6, leaveSource),
	{SOL_IPV6, MCAST_MSFILTER}: filterOption("MCAST_MSFILTER", on6, func(v []byte) (filterRequest, Errno) {
		return decodeGroupFilter(v, AF_INET6)
	}),
}

// act returns an option that does something when it is set. Its own decoding
// checks the size.
func act(name string, only sockets, do func(*description, []byte) Errno) *option {
	return &option{name: name, only: onInet | only, once: true,
		set: func(d *description, _ tcpip.Endpoint, v []byte) Errno { return do(d, v) }}
}

func mreqOption(name string, do func(*description, groupRequest) Errno) *option {
	return act(name, 0, func(d *description, v []byte) Errno {
		if d.isTCP() {
			return EPROTO
		}
		q, errno := decodeMreq(v)
		if errno != 0 {
			return errno
		}
		return do(d, q)
	})
}

func mreq6Option(name string, do func(*description, groupRequest) Errno) *option {
	return act(name, on6, func(d *description, v []byte) Errno {
		q, errno := decodeMreq6(v)
		switch {
		case errno != 0:
			return errno
		case d.isTCP():
			return EPROTO
		}
		return do(d, q)
	})
}

func mreqSourceOption(name string, c sourceChange) *option {
	return act(name, 0, func(d *description, v []byte) Errno {
		q, errno := decodeMreqSource(v)
		if errno != 0 {
			return errno
		}
		return d.changeSource(q, c)
	})
}

// only6 is on6 for the options of AF_INET6.
func only6(f Family) sockets {
	if f == AF_INET6 {
		return on6
	}
	return 0
}

func groupReqOption(name string, f Family, do func(*description, groupRequest) Errno) *option {
	return act(name, only6(f), func(d *description, v []byte) Errno {
		q, errno := decodeGroupReq(v, f)
		if errno != 0 {
			return errno
		}
		return do(d, q)
	})
}

func groupSourceOption(name string, f Family, c sourceChange) *option {
	return act(name, only6(f), func(d *description, v []byte) Errno {
		q, errno := decodeGroupSourceReq(v, f)
		if errno != 0 {
			return errno
		}
		return d.changeSource(q, c)
	})
}

func filterOption(name string, only sockets, decode func([]byte) (filterRequest, Errno)) *option {
	o := act(name, only, func(d *description, v []byte) Errno {
		q, errno := decode(v)
		if errno != 0 {
			return errno
		}
		return d.setFilter(q.groupRequest, q.mode, q.sources)
	})
	o.get = func(*description, tcpip.Endpoint) ([]byte, Errno) { return nil, EINVAL } // no group is named
	return o
}
