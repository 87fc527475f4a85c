package tun

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const defaultBackend = Native

// Open creates a device, or attaches to the one named in the config, sets its
// MTU, addresses and routes and brings it up.
//
// Errors are *os.PathError and *os.SyscallError underneath and say what is
// missing: ENOENT without a TUN driver, EACCES or EPERM without the privilege,
// EBUSY when another process has the device, EINVAL for a config that makes no
// sense.
func Open(config Config) (Device, error) {
	cfg, err := config.normalize()
	if err != nil {
		return nil, err
	}
	var dev Device
	if cfg.Backend == Water {
		dev, err = openWater(cfg)
	} else {
		dev, err = openNative(cfg)
	}
	if err != nil {
		return nil, explain(cfg.Name, err)
	}
	if err := configure(dev.Name(), cfg); err != nil {
		dev.Close()
		return nil, explain(dev.Name(), err)
	}
	return dev, nil
}

func openNative(cfg Config) (Device, error) {
	flags := uint16(unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if cfg.Queues > 1 {
		flags |= unix.IFF_MULTI_QUEUE
	}
	name, fds := cfg.Name, make([]int, 0, cfg.Queues)
	for range cfg.Queues {
		fd, err := openClone()
		if err != nil {
			closeAll(fds)
			return nil, err
		}
		fds = append(fds, fd)
		// The first queue's name serves the others: it may have been the kernel's choice.
		if name, err = attach(fd, name, flags|modeFlag(cfg.Mode)); err != nil {
			closeAll(fds)
			return nil, err
		}
	}
	return newDevice(fds, cfg)
}

func openClone() (int, error) {
	fd, err := unix.Open(clonePath, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: clonePath, Err: err}
	}
	return fd, nil
}

func modeFlag(m Mode) uint16 {
	if m == TAP {
		return unix.IFF_TAP
	}
	return unix.IFF_TUN
}

// FromFD adopts an open descriptor of a device, such as one inherited from a
// parent or received over a Unix socket. The descriptor belongs to FromFD from
// here on and is closed when FromFD fails.
//
// The kernel is asked for the device's mode and name, so the zero Config will
// do; a Mode or Name that is not the device's is an error. Offload is agreed on
// anew. MTU, Addrs and Routes, if given, are set, and the interface is then
// brought up; for that it must be in this process's network namespace. The
// descriptor is made close-on-exec, and non-blocking together with all its
// duplicates. A device opened without IFF_VNET_HDR has no offload.
//
// The device must have been opened with IFF_NO_PI. One that was not is refused
// if its interface is in this process's network namespace; otherwise there is
// no telling.
func FromFD(fd int, config Config) (Device, error) {
	return FromFDs([]int{fd}, config)
}

// FromFDs is FromFD for a device with several queues: one descriptor for each,
// in order. Config.Queues is ignored.
func FromFDs(fds []int, config Config) (Device, error) {
	if len(fds) == 0 {
		return nil, configError("no descriptor is given")
	}
	config.Queues = len(fds)
	if config.Backend == Auto && len(fds) > 1 {
		config.Backend = Native
	}
	cfg, err := config.normalize()
	if err != nil {
		closeAll(fds)
		return nil, err
	}
	name, err := adopt(fds, cfg)
	if err != nil {
		closeAll(fds)
		return nil, explain(name, err)
	}
	var dev Device
	if cfg.Backend == Water {
		dev, err = adoptWater(fds[0], name)
	} else {
		dev, err = newDevice(fds, cfg)
	}
	if err != nil {
		return nil, explain(name, err)
	}
	if cfg.setsInterface() {
		if err := configure(name, cfg); err != nil {
			dev.Close()
			return nil, explain(name, err)
		}
	}
	return dev, nil
}

// adopt checks that the descriptors are queues of one interface that fits the
// config, makes them close-on-exec and non-blocking, and returns the name.
func adopt(fds []int, cfg Config) (string, error) {
	first := ""
	for i, fd := range fds {
		name, flags, err := attached(fd)
		if err != nil {
			return cfg.Name, err
		}
		switch {
		case i > 0 && name != first:
			return first, configError("the descriptors belong to different interfaces, " + first + " and " + name)
		case cfg.Name != "" && name != cfg.Name:
			return cfg.Name, configError("the descriptor belongs to interface " + name)
		case flags&(unix.IFF_TUN|unix.IFF_TAP) != modeFlag(cfg.Mode):
			return name, configError(fmt.Sprintf("the descriptor's device is not in mode %v", cfg.Mode))
		case cfg.Backend == Water && flags&unix.IFF_VNET_HDR != 0:
			return name, configError("backend water cannot read a device opened with IFF_VNET_HDR")
		}
		if foreign(fd) {
			if cfg.setsInterface() {
				return name, configError("the interface is in another network namespace: set its MTU, addresses and routes there")
			}
		} else if hasPacketInfo(name) {
			return name, configError("the descriptor was opened without IFF_NO_PI, so that packets begin with a struct tun_pi: open it with IFF_NO_PI")
		}
		unix.CloseOnExec(fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			return name, os.NewSyscallError("fcntl", err)
		}
		first = name
	}
	return first, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
