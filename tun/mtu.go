//go:build linux || darwin

package tun

import "net"

// interfaceMTU asks the system for an interface's MTU in bytes.
func interfaceMTU(name string) (int, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	return ifi.MTU, nil
}
