package sockets

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Options of SOL_SOCKET that can only be read.

// cookies counts the sockets and Hosts that were asked for theirs.
var cookies atomic.Uint64

// getCookie is SO_COOKIE: a number that no other socket of the process has, from
// the first time that it is asked for.
func getCookie(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := optionKey{SOL_SOCKET, SO_COOKIE}
	if v := d.recordedLocked(key); v != nil {
		return v, 0
	}
	v := uint64Bytes(cookies.Add(1))
	d.record = append(d.record, setOption{cookieRecord, v})
	return v, 0
}

// cookieRecord is where the cookie is kept; the record is searched by key.
var cookieRecord = &option{name: "SO_COOKIE", key: optionKey{SOL_SOCKET, SO_COOKIE}}

// getPeerName is SO_PEERNAME: getpeername as an option.
func getPeerName(d *description, ep tcpip.Endpoint) ([]byte, Errno) {
	if d.unix != nil {
		name, errno := d.unix.peerName()
		return sockaddrUnBytes(name), errno
	}
	if d.isTCP() && tcpGone(ep) {
		return nil, ENOTCONN
	}
	full, terr := ep.GetRemoteAddress()
	if terr != nil {
		return nil, ENOTCONN
	}
	return sockaddrBytes(d.family, addrPort(full)), 0
}

// sockaddrBytes is struct sockaddr_in or sockaddr_in6: the family in the host's
// order, the port and the address in the network's.
func sockaddrBytes(f Family, ap netip.AddrPort) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16(f))
	b = binary.BigEndian.AppendUint16(b, ap.Port())
	if f == AF_INET {
		ip4 := netip.IPv4Unspecified().As4()
		if addr := ap.Addr().Unmap(); addr.Is4() {
			ip4 = addr.As4()
		}
		return append(append(b, ip4[:]...), make([]byte, 8)...) // sin_zero
	}
	ip6 := netip.IPv6Unspecified().As16()
	if ap.Addr().IsValid() {
		ip6 = ap.Addr().As16()
	}
	scope, _ := strconv.ParseUint(ap.Addr().Zone(), 10, 32)
	b = append(append(b, make([]byte, 4)...), ip6[:]...) // sin6_flowinfo
	return binary.LittleEndian.AppendUint32(b, uint32(scope))
}

// sockaddrUnBytes is struct sockaddr_un as far as it is used: a path ends with a
// NUL, an abstract name begins with one, and no name is nothing.
func sockaddrUnBytes(name string) []byte {
	b := append(binary.LittleEndian.AppendUint16(nil, uint16(AF_UNIX)), name...)
	if name != "" && name[0] != 0 {
		b = append(b, 0)
	}
	return b
}

// Places in the array of SO_MEMINFO (<linux/sock_diag.h>). The others are of
// Linux's own accounting, and 0.
const (
	memRcvAlloc = 0 // SK_MEMINFO_RMEM_ALLOC: bytes charged to the receive buffer
	memRcvBuf   = 1 // SK_MEMINFO_RCVBUF
	memSndBuf   = 3 // SK_MEMINFO_SNDBUF
	memDrops    = 8 // SK_MEMINFO_DROPS
	memVars     = 9 // SK_MEMINFO_VARS
)

func getMemInfo(d *description, ep tcpip.Endpoint) ([]byte, Errno) {
	var vars [memVars]uint32
	vars[memRcvBuf], vars[memSndBuf] = uint32(d.receiveBuffer()), uint32(d.sendBuffer())
	switch {
	case d.in != nil:
		d.in.mu.Lock()
		vars[memRcvAlloc], vars[memDrops] = uint32(d.in.used), d.in.drops
		d.in.mu.Unlock()
	case d.isTCP() && tcp.EndpointState(ep.State()) != tcp.StateListen:
		if n, terr := ep.GetSockOptInt(tcpip.ReceiveQueueSizeOption); terr == nil {
			vars[memRcvAlloc] = uint32(n)
		}
	}
	b := make([]byte, 0, 4*memVars)
	for _, v := range vars {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b, 0
}

func uint64Bytes(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
