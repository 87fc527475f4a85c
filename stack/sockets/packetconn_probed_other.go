//go:build !linux

package sockets

// A probe is a kernel's socket that options are tried on: Linux's.
type probe struct{}

func newProbe(*Socket) (*probe, error) { return nil, ErrUnsupported }

func (*probe) close() {}

// Control implements syscall.RawConn.
func (*probe) Control(func(fd uintptr)) error { return ErrUnsupported }

// Read implements syscall.RawConn.
func (*probe) Read(func(fd uintptr) bool) error { return ErrUnsupported }

// Write implements syscall.RawConn.
func (*probe) Write(func(fd uintptr) bool) error { return ErrUnsupported }
