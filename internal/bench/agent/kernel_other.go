//go:build !linux

package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// widen leaves the system's buffer.
func widen(*net.UDPConn) {}

// connect would need the system's own sockaddr.
func connect(*net.UDPConn, netip.AddrPort) error {
	return fmt.Errorf("datagrams of the system's own sockets are measured on Linux only: %w", errors.ErrUnsupported)
}
