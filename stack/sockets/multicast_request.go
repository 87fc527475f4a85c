package sockets

import (
	"encoding/binary"
	"net/netip"
)

// A groupRequest is what the argument of a membership option says. Fields that
// the option's struct does not have are zero.
type groupRequest struct {
	index  int        // interface, 0 = not named
	local  netip.Addr // address of the interface
	group  netip.Addr
	source netip.Addr
}

// multicast reports whether the group is one. netip says so of an IPv4 group in
// the form of an IPv6 address as well.
func (q groupRequest) multicast() bool { return q.group.IsMulticast() && !q.group.Is4In6() }

// Sizes of the structs of ip(7), ipv6(7) and <linux/in.h>, in bytes.
const (
	inAddrSize         = 4
	ipMreqSize         = 8
	ipMreqnSize        = 12
	ipMreqSourceSize   = 12
	ipMsfilterSize     = 16 // without the sources
	ipv6MreqSize       = 20
	storageSize        = 128
	groupReqSize       = 8 + storageSize
	groupSourceReqSize = 8 + 2*storageSize
	groupFilterSize    = groupReqSize + 8 // without the sources
)

func index(b []byte) int { return int(int32(binary.LittleEndian.Uint32(b))) }

func ip4(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b)) }

// decodeMreq reads a struct ip_mreq or ip_mreqn.
func decodeMreq(v []byte) (q groupRequest, errno Errno) {
	if len(v) < ipMreqSize {
		return q, EINVAL
	}
	q.group, q.local = ip4(v), ip4(v[4:])
	if len(v) >= ipMreqnSize {
		q.index = index(v[8:])
	}
	return q, 0
}

// decodeMreqSource reads a struct ip_mreq_source.
func decodeMreqSource(v []byte) (q groupRequest, errno Errno) {
	if len(v) != ipMreqSourceSize {
		return q, EINVAL
	}
	return groupRequest{group: ip4(v), local: ip4(v[4:]), source: ip4(v[8:])}, 0
}

// decodeMreq6 reads a struct ipv6_mreq.
func decodeMreq6(v []byte) (q groupRequest, errno Errno) {
	if len(v) < ipv6MreqSize {
		return q, EINVAL
	}
	return groupRequest{group: netip.AddrFrom16([16]byte(v)), index: index(v[16:])}, 0
}

// decodeStorage reads the address of a struct sockaddr_storage of the family.
func decodeStorage(v []byte, f Family) (netip.Addr, bool) {
	if Family(binary.LittleEndian.Uint16(v)) != f {
		return netip.Addr{}, false
	}
	if f == AF_INET {
		return ip4(v[4:]), true
	}
	return netip.AddrFrom16([16]byte(v[8:])), true
}

// decodeGroupReq reads a struct group_req.
func decodeGroupReq(v []byte, f Family) (q groupRequest, errno Errno) {
	if len(v) < groupReqSize {
		return q, EINVAL
	}
	group, ok := decodeStorage(v[8:], f)
	switch {
	case !ok && f == AF_INET:
		return q, EINVAL
	case !ok:
		return q, EADDRNOTAVAIL
	}
	return groupRequest{index: index(v), group: group}, 0
}

// decodeGroupSourceReq reads a struct group_source_req.
func decodeGroupSourceReq(v []byte, f Family) (q groupRequest, errno Errno) {
	if len(v) < groupSourceReqSize {
		return q, EINVAL
	}
	group, ok := decodeStorage(v[8:], f)
	source, ok2 := decodeStorage(v[8+storageSize:], f)
	if !ok || !ok2 {
		return q, EADDRNOTAVAIL
	}
	return groupRequest{index: index(v), group: group, source: source}, 0
}

// A filterRequest is a groupRequest with the senders of a whole filter.
type filterRequest struct {
	groupRequest
	mode    uint32
	sources []netip.Addr
}

// decodeMsfilter reads a struct ip_msfilter.
func decodeMsfilter(v []byte) (q filterRequest, errno Errno) {
	if len(v) < ipMsfilterSize {
		return q, EINVAL
	}
	n := binary.LittleEndian.Uint32(v[12:])
	switch {
	case n > maxSources4:
		return q, ENOBUFS
	case len(v) < ipMsfilterSize+int(n)*inAddrSize:
		return q, EINVAL
	}
	q.group, q.local, q.mode = ip4(v), ip4(v[4:]), binary.LittleEndian.Uint32(v[8:])
	for i := range int(n) {
		q.sources = append(q.sources, ip4(v[ipMsfilterSize+i*inAddrSize:]))
	}
	return q, 0
}

// decodeGroupFilter reads a struct group_filter.
func decodeGroupFilter(v []byte, f Family) (q filterRequest, errno Errno) {
	if len(v) < groupFilterSize {
		return q, EINVAL
	}
	n, most := binary.LittleEndian.Uint32(v[groupReqSize+4:]), uint32(maxSources6)
	if f == AF_INET {
		most = maxSources4
	}
	switch {
	case n > most:
		return q, ENOBUFS
	case len(v) < groupFilterSize+int(n)*storageSize:
		return q, EINVAL
	}
	group, ok := decodeStorage(v[8:], f)
	q.index, q.group, q.mode = index(v), group, binary.LittleEndian.Uint32(v[groupReqSize:])
	for i := range int(n) {
		source, ok2 := decodeStorage(v[groupFilterSize+i*storageSize:], f)
		ok = ok && ok2
		q.sources = append(q.sources, source)
	}
	if !ok {
		return q, EADDRNOTAVAIL
	}
	return q, 0
}
