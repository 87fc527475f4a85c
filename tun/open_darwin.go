package tun

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"github.com/songgao/water"
	"golang.org/x/sys/unix"
)

const defaultBackend = Water

// Open creates a utun interface with the name given, which must be "utun" and a
// number, or with the next free one. It takes root. MTU, Addrs and Routes must
// be zero: set them with ifconfig and route.
func Open(config Config) (Device, error) {
	cfg, err := config.normalize()
	switch {
	case err != nil:
		return nil, err
	case cfg.Backend == Native:
		return nil, errUnsupported("backend native is of Linux; use Auto")
	case cfg.Mode == TAP:
		return nil, errUnsupported("macOS has no TAP devices")
	case cfg.setsInterface():
		return nil, errUnsupported("MTU, addresses and routes are not set on macOS: run ifconfig(8) and route(8) after Open")
	}
	wc := water.Config{DeviceType: water.TUN}
	wc.Name = cfg.Name

	syscall.ForkLock.RLock() // until the descriptor is close-on-exec, nobody may fork
	defer syscall.ForkLock.RUnlock()
	ifce, err := water.New(wc)
	if err != nil {
		return nil, fmt.Errorf("tun: %s: %w: creating an interface takes root", cfg.Name, err)
	}
	if err := closeOnExec(ifce.Name()); err != nil {
		ifce.Close()
		return nil, fmt.Errorf("tun: %s: %w", ifce.Name(), err)
	}
	return &waterDevice{name: ifce.Name(), ifce: ifce}, nil
}

// FromFD is not available on this system and closes fd.
func FromFD(fd int, config Config) (Device, error) { return FromFDs([]int{fd}, config) }

// FromFDs is not available on this system and closes fds.
func FromFDs(fds []int, _ Config) (Device, error) {
	for _, fd := range fds {
		unix.Close(fd)
	}
	return nil, errUnsupported("descriptors are adopted on Linux only")
}

// closeOnExec marks the descriptor of a utun interface. Water keeps it to
// itself, so every open descriptor is asked for its interface's name
// (xnu bsd/net/if_utun.h UTUN_OPT_IFNAME); no two descriptors have the same.
func closeOnExec(name string) error {
	const (
		sysprotoControl = 2 // xnu bsd/sys/sys_domain.h
		utunOptIfname   = 2
	)
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if got, err := unix.GetsockoptString(fd, sysprotoControl, utunOptIfname); err == nil && got == name {
			unix.CloseOnExec(fd)
			return nil
		}
	}
	return fmt.Errorf("no open descriptor belongs to it: %w", os.ErrNotExist)
}

// cause leaves an error as it is.
func (d *waterDevice) cause(err error) error { return err }
