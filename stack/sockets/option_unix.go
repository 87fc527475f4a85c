package sockets

import (
	"encoding/binary"
	"os"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// unixOptions are options of AF_UNIX sockets (unix(7)), and those by which any
// socket says who its peer is.
var unixOptions = map[optionKey]*option{
	{SOL_SOCKET, SO_PASSCRED}: unixFlag("SO_PASSCRED",
		func(u *unixSocket) *bool { return &u.passCred }),
	{SOL_SOCKET, SO_PASSRIGHTS}: unixFlag("SO_PASSRIGHTS",
		func(u *unixSocket) *bool { return &u.passRights }),
	{SOL_SOCKET, SO_PEERCRED}: {name: "SO_PEERCRED", only: onAll, size: ucredSize,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
			if !d.peerIsKnown() {
				return noPeerCred.bytes(), 0
			}
			return ownCred.bytes(), 0
		}},
	{SOL_SOCKET, SO_PEERGROUPS}: {name: "SO_PEERGROUPS", only: onAll, size: 4, get: getPeerGroups},
}

// unixFlag is an option whose value is an int that is 0 or not.
func unixFlag(name string, field func(*unixSocket) *bool) *option {
	return &option{name: name, only: onUnix, size: 4, absent: EOPNOTSUPP, read: readInt(truth),
		set: func(d *description, _ tcpip.Endpoint, v []byte) Errno {
			d.unix.net.lock()
			defer d.unix.net.unlock()
			*field(d.unix) = intValue(v) != 0
			return 0
		},
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
			d.unix.net.lock()
			defer d.unix.net.unlock()
			return intBytes(oneIf(*field(d.unix))), 0
		},
	}
}

// peerIsKnown reports whether the socket was connected, or listens.
func (d *description) peerIsKnown() bool {
	if d.unix == nil {
		return false
	}
	d.unix.net.lock()
	defer d.unix.net.unlock()
	return d.unix.credsKnown
}

// getPeerGroups returns the supplementary groups of the peer, which is this
// process.
func getPeerGroups(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
	if !d.peerIsKnown() {
		return nil, ENODATA
	}
	groups, err := os.Getgroups()
	if err != nil {
		return nil, ENODATA // a system without groups
	}
	b := []byte{}
	for _, g := range groups {
		b = binary.LittleEndian.AppendUint32(b, uint32(g))
	}
	return b, 0
}

// setSendBuffer sets the limit of what sent messages occupy, in bytes. A larger
// one may let a sender go on.
func (u *unixSocket) setSendBuffer(n int) {
	u.net.lock()
	defer u.net.unlock()
	u.sndbuf = n
	u.wakeLocked(everyEvent)
}
