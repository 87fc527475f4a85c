//go:build !linux

package namespace

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"

	"github.com/userstack/userstack/tun"
)

// Config describes a namespace; see the Linux documentation.
type Config struct {
	Sysctl map[string]string
}

// PairConfig describes two joined namespaces; see the Linux documentation.
type PairConfig struct {
	A, B   []netip.Prefix
	MTU    int
	Sysctl map[string]string
}

// Namespace is a network namespace, which only Linux has: on this system there
// is never one, and every function returns an error over errors.ErrUnsupported.
type Namespace struct{}

var errLinuxOnly = fmt.Errorf("namespace: network namespaces are of Linux: %w", errors.ErrUnsupported)

// Available returns an error.
func Available() error { return errLinuxOnly }

// New returns an error.
func New(Config) (*Namespace, error) { return nil, errLinuxOnly }

// NewPair returns an error.
func NewPair(PairConfig) (a, b *Namespace, err error) { return nil, nil, errLinuxOnly }

// OpenTUN returns an error.
func (*Namespace) OpenTUN(tun.Config) (tun.Device, error) { return nil, errLinuxOnly }

// Listen returns an error.
func (*Namespace) Listen(network, address string) (net.Listener, error) { return nil, errLinuxOnly }

// ListenPacket returns an error.
func (*Namespace) ListenPacket(network, address string) (net.PacketConn, error) {
	return nil, errLinuxOnly
}

// Dial returns an error.
func (*Namespace) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return nil, errLinuxOnly
}

// Socket returns an error.
func (*Namespace) Socket(domain, typ, proto int) (*os.File, error) { return nil, errLinuxOnly }

// Command returns a command that does not start.
func (*Namespace) Command(name string, args ...string) *exec.Cmd {
	return &exec.Cmd{Path: name, Args: append([]string{name}, args...), Err: errLinuxOnly}
}

// Close does nothing.
func (*Namespace) Close() error { return nil }
