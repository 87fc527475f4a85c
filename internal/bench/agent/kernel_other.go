//go:build !linux

package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// widen leaves the system's buffer.
func widen(*net.UDPConn) {}

// unpaced leaves the system's congestion control.
func unpaced(_, _ string, _ syscall.RawConn) error { return nil }

// connect would need the system's own sockaddr.
func connect(*net.UDPConn, netip.AddrPort) error {
	return fmt.Errorf("datagrams of the system's own sockets are measured on Linux only: %w", errors.ErrUnsupported)
}
