package sockets

import (
	"bytes"

	"gvisor.dev/gvisor/pkg/tcpip"
)

const ifNameSize = 16 // IFNAMSIZ: a name of up to 15 bytes and a NUL (netdevice(7))

// readDevice takes the name of an interface, with or without the NUL, or nothing
// to take the restriction away.
func readDevice(d *description, v []byte) ([]byte, Errno) {
	name, _, _ := bytes.Cut(v[:min(len(v), ifNameSize-1)], []byte{0})
	if len(name) > 0 && d.host.deviceIndex(string(name)) == 0 {
		return nil, ENODEV
	}
	return append([]byte{}, name...), 0
}

// readIfIndex takes the index of an interface, 0 for none, for SO_BINDTODEVICE.
func readIfIndex(d *description, v []byte) ([]byte, Errno) {
	index := intValue(v)
	if index < 0 {
		return nil, EINVAL
	}
	for _, ifc := range d.host.stack.Interfaces() {
		if ifc.Index == index {
			return []byte(ifc.Name), 0
		}
	}
	if index != 0 {
		return nil, ENODEV
	}
	return []byte{}, 0
}

func setDevice(d *description, ep tcpip.Endpoint, name []byte) Errno {
	if ep == nil {
		return 0
	}
	index := d.host.deviceIndex(string(name))
	return errnoOf(ep.SocketOptions().SetBindToDevice(int32(index)))
}

func (h *Host) deviceIndex(name string) int {
	for _, ifc := range h.stack.Interfaces() {
		if ifc.Name == name {
			return ifc.Index
		}
	}
	return 0
}

// getDevice gives the name and a NUL, or nothing.
func getDevice(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
	name := d.recorded(optionKey{SOL_SOCKET, SO_BINDTODEVICE})
	if len(name) == 0 {
		return nil, 0
	}
	return append(name, 0), 0
}

func getIfIndex(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
	name := d.recorded(optionKey{SOL_SOCKET, SO_BINDTODEVICE})
	return intBytes(d.host.deviceIndex(string(name))), 0
}
