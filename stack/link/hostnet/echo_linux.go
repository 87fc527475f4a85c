package hostnet

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// echoIdents counts the identifiers of raw sockets. Every process of the machine
// chooses its own, so they begin at a place of their own.
var echoIdents atomic.Uint32

func init() { echoIdents.Store(uint32(os.Getpid())) }

// openEcho opens the kernel's ping socket, or a raw one.
func (u *Uplink) openEcho(f *flow) error {
	domain, proto := unix.AF_INET6, unix.IPPROTO_ICMPV6
	if f.key.src.Addr().Is4() {
		domain, proto = unix.AF_INET, unix.IPPROTO_ICMP
	}
	const flags = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|flags, proto)
	if err != nil {
		var rawErr error
		if fd, rawErr = unix.Socket(domain, unix.SOCK_RAW|flags, proto); rawErr != nil {
			return fmt.Errorf("ping sockets are for the groups in net.ipv4.ping_group_range (%w), raw ones for CAP_NET_RAW (%w)", err, rawErr)
		}
		f.raw, f.ident = true, uint16(echoIdents.Add(1))
		if err := filterEcho(fd, domain); err != nil {
			unix.Close(fd)
			return err
		}
	}
	return u.adopt(f, fd)
}

// adopt makes a descriptor the socket of a flow.
func (u *Uplink) adopt(f *flow, fd int) error {
	file := os.NewFile(uintptr(fd), "ping")
	defer file.Close()
	pc, err := net.FilePacketConn(file)
	if err != nil {
		return err
	}
	f.sock = pc.(socket)
	raw, err := f.sock.SyscallConn()
	if err == nil {
		err = askForErrors(raw)
	}
	if err == nil && u.cfg.Control != nil {
		err = u.cfg.Control("icmp", "", raw)
	}
	if err != nil {
		return errors.Join(err, pc.Close())
	}
	return nil
}

// filterEcho has a raw socket receive answers to pings alone (raw(7), ICMP_FILTER;
// RFC 3542 section 3.2).
func filterEcho(fd, domain int) error {
	if domain == unix.AF_INET {
		const echoReply = 0
		return unix.SetsockoptInt(fd, unix.SOL_RAW, unix.ICMP_FILTER, ^(1 << echoReply))
	}
	const echoReply = 129
	var f unix.ICMPv6Filter // a set bit blocks
	for i := range f.Data {
		f.Data[i] = ^uint32(0)
	}
	f.Data[echoReply/32] &^= 1 << (echoReply % 32)
	return unix.SetsockoptICMPv6Filter(fd, unix.SOL_ICMPV6, unix.ICMPV6_FILTER, &f)
}
