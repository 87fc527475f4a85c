package tun

import (
	"errors"
	"os"
	"syscall"

	"github.com/songgao/water"
	"golang.org/x/sys/unix"
)

// openWater opens a device with water.New, which has four habits to work
// around: it leaves its descriptor open when it fails; it opens it without
// O_CLOEXEC; it does not drop the offload that a former user has left on; and it
// sets TUNSETPERSIST to what its config says, whereby a device that somebody
// made persistent would vanish with our descriptor.
//
// So the device is first opened and closed by our own code, which finds out
// whether it can be had and whether it is persistent.
func openWater(cfg Config) (Device, error) {
	flags, err := probe(cfg)
	if err != nil {
		return nil, err
	}
	config := water.Config{DeviceType: water.TUN}
	if cfg.Mode == TAP {
		config.DeviceType = water.TAP
	}
	config.Name = cfg.Name
	config.Persist = flags&unix.IFF_PERSIST != 0

	syscall.ForkLock.RLock() // until the descriptor is close-on-exec, nobody may fork
	defer syscall.ForkLock.RUnlock()
	ifce, err := water.New(config)
	if err != nil {
		return nil, err
	}
	d := &waterDevice{name: ifce.Name(), ifce: ifce}
	conn, err := d.SyscallConn(0)
	if err == nil {
		var dropErr error
		err = conn.Control(func(fd uintptr) {
			unix.CloseOnExec(int(fd))
			dropErr = dropOffload(int(fd))
		})
		err = errors.Join(err, dropErr)
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// probe attaches to the device, creating it if need be, lets go of it again and
// returns its flags.
func probe(cfg Config) (uint16, error) {
	fd, err := openClone()
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if _, err := attach(fd, cfg.Name, unix.IFF_NO_PI|modeFlag(cfg.Mode)); err != nil {
		return 0, err
	}
	_, flags, err := attached(fd)
	return flags, err
}

// adoptWater lets water's reading and writing work on a descriptor that water
// did not open, and owns it from here on.
func adoptWater(fd int, name string) (Device, error) {
	if err := dropOffload(fd); err != nil {
		unix.Close(fd)
		return nil, err
	}
	file := os.NewFile(uintptr(fd), name)
	return &waterDevice{name: name, ifce: &water.Interface{ReadWriteCloser: file}}, nil
}

// cause finds out what an error that is no errno stands for: the device was
// closed or its interface deleted.
func (d *waterDevice) cause(err error) error {
	conn, connErr := d.SyscallConn(0)
	if errors.Is(err, os.ErrClosed) || connErr != nil {
		return err
	}
	return pollerError(conn)
}
