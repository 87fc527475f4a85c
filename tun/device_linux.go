package tun

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// device is the native Device: one queue, hence one descriptor, per packet
// stream, and no state besides.
type device struct {
	name     string
	features uint64
	outlives bool // the interface outlives its descriptors
	queues   []*queue
}

var _ Device = (*device)(nil)

// newDevice makes a Device of non-blocking descriptors that are queues of one
// interface, and owns them from here on.
func newDevice(fds []int, cfg Config) (Device, error) {
	a, err := agree(fds[0], cfg)
	if err != nil {
		closeAll(fds)
		return nil, err
	}
	var broken error
	for _, fd := range fds {
		q, err := newQueue(os.NewFile(uintptr(fd), a.name), a.features, a.skip())
		if err != nil {
			broken = err
			continue
		}
		a.queues = append(a.queues, q)
	}
	if broken != nil {
		return nil, errors.Join(broken, a.Close())
	}
	return a.device, nil
}

// agreement is a device without its queues and the flags of its interface.
type agreement struct {
	*device
	flags uint16
}

// skip is how many bytes of a packet's header the kernel leaves to us.
func (a agreement) skip() int {
	if a.flags&unix.IFF_VNET_HDR == 0 {
		return HeaderSize
	}
	return 0
}

// agree settles header and offload with the kernel. Both hold for all queues.
func agree(fd int, cfg Config) (agreement, error) {
	name, flags, err := attached(fd)
	if err != nil {
		return agreement{}, err
	}
	a := agreement{&device{name: name, outlives: flags&unix.IFF_PERSIST != 0}, flags}
	if a.skip() != 0 {
		return a, dropOffload(fd)
	}
	if err := useHeader(fd); err != nil {
		return a, err
	}
	a.features, err = agreeOffload(fd, cfg.Offload)
	return a, err
}

func (d *device) Read(queue int, packets [][][]byte, sizes []int) (int, error) {
	if queue < 0 || queue >= len(d.queues) || len(sizes) < len(packets) {
		return 0, &os.PathError{Op: "readv", Path: d.name, Err: syscall.EINVAL}
	}
	return d.queues[queue].read(packets, sizes)
}

// Poll is Read that does not wait: it returns 0 and no error when there is no
// packet. It takes turns with Read. It is not part of Device: reach it through
// an interface of one's own.
func (d *device) Poll(queue int, packets [][][]byte, sizes []int) (int, error) {
	if queue < 0 || queue >= len(d.queues) || len(sizes) < len(packets) {
		return 0, &os.PathError{Op: "readv", Path: d.name, Err: syscall.EINVAL}
	}
	return d.queues[queue].poll(packets, sizes)
}

func (d *device) Write(queue int, packets [][][]byte) (int, error) {
	if queue < 0 || queue >= len(d.queues) {
		return 0, &os.PathError{Op: "writev", Path: d.name, Err: syscall.EINVAL}
	}
	return d.queues[queue].write(packets)
}

func (d *device) Features() uint64  { return d.features }
func (d *device) Name() string      { return d.name }
func (d *device) Queues() int       { return len(d.queues) }
func (d *device) MTU() (int, error) { return interfaceMTU(d.name) }

// SyscallConn gives access to a queue's descriptor, for instance to hand a
// duplicate of it to another process. It is not part of Device: reach it
// through an interface of one's own.
func (d *device) SyscallConn(queue int) (syscall.RawConn, error) {
	if queue < 0 || queue >= len(d.queues) {
		return nil, &os.PathError{Op: "syscallconn", Path: d.name, Err: syscall.EINVAL}
	}
	return d.queues[queue].conn, nil
}

func (d *device) Close() error {
	var errs []error
	if d.outlives && len(d.queues) > 0 {
		// It fails where Close has been called or the interface deleted.
		_ = d.queues[0].conn.Control(func(fd uintptr) { _ = dropOffload(int(fd)) })
	}
	for _, q := range d.queues {
		errs = append(errs, q.close())
	}
	return errors.Join(errs...)
}
