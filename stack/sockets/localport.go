package sockets

import (
	"encoding/binary"
	"math/rand/v2"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// Which local ports a socket may have.

// privileged reports whether binding to the port is refused because of
// Config.MinUnprivilegedPort (T34).
func (d *description) privileged(port uint16) bool {
	return d.kind&(onTCP|onUDP) != 0 && port != 0 && int(port) < d.host.minUnprivilegedPort
}

// readPortRange takes IP_LOCAL_PORT_RANGE: the last port in the upper half, the
// first in the lower, 0 for the stack's.
func readPortRange(_ *description, v []byte) ([]byte, Errno) {
	first, last := binary.LittleEndian.Uint16(v), binary.LittleEndian.Uint16(v[2:])
	if first != 0 && last != 0 && first > last {
		return nil, EINVAL
	}
	return v[:4], 0
}

func setPortRange(d *description, _ tcpip.Endpoint, v []byte) Errno {
	d.setRule(ownRange, intValue(v) != 0)
	return 0
}

// ownPortsLocked returns the socket's port range, cut to the stack's as on Linux,
// and whether it has one.
func (d *description) ownPortsLocked() (first, last uint16, ok bool) {
	if !d.rules(ownRange) || d.kind&(onTCP|onUDP) == 0 {
		return 0, 0, false
	}
	v := intValue(d.recordedLocked(optionKey{SOL_IP, IP_LOCAL_PORT_RANGE}))
	first, last = d.host.gv.PortRange()
	own := uint16(v)
	if first <= own && own <= last {
		first = own
	}
	if own = uint16(v >> 16); first <= own && own <= last {
		last = own
	}
	return first, last, true
}

// bindTo binds an endpoint, when the port is 0 to one of the socket's range.
func (d *description) bindTo(ep tcpip.Endpoint, full tcpip.FullAddress) tcpip.Error {
	if _, _, ok := d.ownPortsLocked(); ok && full.Port == 0 {
		return d.bindOwnPort(ep, full)
	}
	return ep.Bind(full)
}

// bindOwnPort binds an endpoint to a port of the socket's range.
func (d *description) bindOwnPort(ep tcpip.Endpoint, full tcpip.FullAddress) tcpip.Error {
	first, last, _ := d.ownPortsLocked()
	n := int(last) - int(first) + 1
	start := rand.N(n)
	for i := range n {
		full.Port = first + uint16((start+i)%n)
		terr := ep.Bind(full)
		if _, taken := terr.(*tcpip.ErrPortInUse); !taken {
			return terr
		}
	}
	return &tcpip.ErrNoPortAvailable{}
}

// takePort gives a socket that has a range of its own a port before netstack
// would choose one.
func (d *description) takePort() Errno {
	if !d.rules(ownRange) {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return errnoOf(d.takePortLocked())
}

func (d *description) takePortLocked() tcpip.Error {
	ep := d.endpoint()
	local, terr := ep.GetLocalAddress()
	if _, _, ok := d.ownPortsLocked(); !ok || terr == nil && local.Port != 0 {
		return nil
	}
	return d.bindOwnPort(ep, tcpip.FullAddress{})
}
