package sockets

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A probe is a kernel's socket that options are tried on.
type probe struct {
	s    *Socket
	file *os.File
	conn syscall.RawConn
}

func newProbe(s *Socket) (*probe, error) {
	if s.d.kind != onUDP {
		return nil, EOPNOTSUPP
	}
	fd, err := unix.Socket(int(s.d.family), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
	if err != nil {
		if errno, ok := errors.AsType[syscall.Errno](err); ok {
			return nil, Errno(errno)
		}
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "probe")
	conn, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &probe{s, file, conn}, nil
}

func (p *probe) close() { p.file.Close() }

// mirrored are the options that are set on both sockets. Their numbers are
// Linux's on both.
var mirrored = []optionKey{
	{SOL_IP, IP_RECVTOS}, {SOL_IP, IP_RECVTTL}, {SOL_IP, IP_PKTINFO}, {SOL_IP, IP_MTU_DISCOVER}, {SOL_IP, IP_TOS}, {SOL_IP, IP_TTL},
	{SOL_IPV6, IPV6_RECVTCLASS}, {SOL_IPV6, IPV6_RECVHOPLIMIT}, {SOL_IPV6, IPV6_RECVPKTINFO}, {SOL_IPV6, IPV6_MTU_DISCOVER},
	{SOL_IPV6, IPV6_TCLASS}, {SOL_IPV6, IPV6_UNICAST_HOPS},
	{SOL_UDP, UDP_SEGMENT}, {SOL_UDP, UDP_GRO},
}

// Control implements syscall.RawConn.
func (p *probe) Control(f func(fd uintptr)) error {
	var failed []error
	err := p.conn.Control(func(fd uintptr) {
		before := values(fd)
		f(fd)
		for i, v := range values(fd) {
			if v == before[i] {
				continue
			}
			failed = append(failed, p.s.SetSockOptInt(mirrored[i].level, mirrored[i].name, v))
		}
	})
	return errors.Join(append(failed, err)...)
}

// values reads the mirrored options; what the socket does not have is -1.
func values(fd uintptr) []int {
	vs := make([]int, len(mirrored))
	for i, o := range mirrored {
		v, err := unix.GetsockoptInt(int(fd), o.level, o.name)
		if err != nil {
			v = -1
		}
		vs[i] = v
	}
	return vs
}

// Read implements syscall.RawConn.
func (p *probe) Read(func(fd uintptr) bool) error { return ErrUnsupported }

// Write implements syscall.RawConn.
func (p *probe) Write(func(fd uintptr) bool) error { return ErrUnsupported }
