//go:build linux || darwin

package tun

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"github.com/songgao/water"
)

// waterDevice moves packets through a water.Interface, one at a time and
// through a buffer: water speaks plain []byte and has no batch.
type waterDevice struct {
	name string
	ifce *water.Interface

	rx, tx waterBuffer
}

// waterBuffer holds one packet without its header.
type waterBuffer struct {
	turn sync.Mutex // held by the caller whose call is under way; Close does not need it
	buf  [MaxPacketSize - HeaderSize]byte
}

var _ Device = (*waterDevice)(nil)

func (d *waterDevice) Read(queue int, packets [][][]byte, sizes []int) (int, error) {
	if len(packets) == 0 {
		return 0, nil
	}
	if queue != 0 || len(sizes) == 0 || room(packets[0]) <= HeaderSize {
		return 0, d.error("read", syscall.EINVAL)
	}
	d.rx.turn.Lock()
	defer d.rx.turn.Unlock()
	n, err := d.ifce.Read(d.rx.buf[:])
	if err != nil {
		return 0, d.error("read", err)
	}
	sizes[0] = scatter(packets[0], d.rx.buf[:n])
	return 1, nil
}

func (d *waterDevice) Write(queue int, packets [][][]byte) (int, error) {
	if queue != 0 {
		return 0, d.error("write", syscall.EINVAL)
	}
	d.tx.turn.Lock()
	defer d.tx.turn.Unlock()
	for i, p := range packets {
		if !writable(p, 0) || room(p)-HeaderSize > len(d.tx.buf) {
			return i, d.error("write", syscall.EINVAL)
		}
		if _, err := d.ifce.Write(d.tx.buf[:gather(d.tx.buf[:], p)]); err != nil {
			return i, d.error("write", err)
		}
	}
	return len(packets), nil
}

func (d *waterDevice) Features() uint64  { return 0 }
func (d *waterDevice) Name() string      { return d.name }
func (d *waterDevice) Queues() int       { return 1 }
func (d *waterDevice) MTU() (int, error) { return interfaceMTU(d.name) }
func (d *waterDevice) Close() error      { return d.ifce.Close() }

// SyscallConn gives access to the descriptor where water has one to give,
// which is on Linux.
func (d *waterDevice) SyscallConn(queue int) (syscall.RawConn, error) {
	file, ok := d.ifce.ReadWriteCloser.(*os.File)
	if !ok || queue != 0 {
		return nil, d.error("syscallconn", syscall.EINVAL)
	}
	return file.SyscallConn()
}

// error is the cause of an error of water's under the name that the caller
// knows.
func (d *waterDevice) error(op string, err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		err = pe.Err
	}
	if _, ok := err.(syscall.Errno); !ok {
		err = d.cause(err)
	}
	return &os.PathError{Op: op, Path: d.name, Err: err}
}

// scatter puts a zero header and data into a packet and returns how many bytes
// of it are filled.
func scatter(packet [][]byte, data []byte) int {
	clearHeader(packet)
	skip, n := HeaderSize, HeaderSize
	for _, part := range packet {
		head := min(skip, len(part))
		skip -= head
		c := copy(part[head:], data)
		data, n = data[c:], n+c
	}
	return n
}

// gather puts a packet without its header into buf and returns its length.
func gather(buf []byte, packet [][]byte) int {
	skip, n := HeaderSize, 0
	for _, part := range packet {
		head := min(skip, len(part))
		skip -= head
		n += copy(buf[n:], part[head:])
	}
	return n
}
