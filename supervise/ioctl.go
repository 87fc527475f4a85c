//go:build linux && (amd64 || arm64)

package supervise

import (
	"encoding/binary"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// Requests of ioctl(2) beside those that package sockets names (<linux/sockios.h>).
const (
	siocGetStampNew   = 0x80108906 // with times of 64 bits; so are the old ones here
	siocGetStampNSNew = 0x80108907
	siocEthtool       = 0x8946
	siocGetNamespace  = 0x894c // SIOCGSKNS
	siocGetMap        = 0x8970 // struct ifmap
	siocFirstProtocol = 0x89e0 // SIOCPROTOPRIVATE, of AF_UNIX here
	siocLastProtocol  = 0x89ef
	siocLastOwner     = 0x8904 // from 0x8901 on: who gets SIGIO and SIGURG
)

// Sizes of a 64-bit Linux in bytes, netdevice(7).
const (
	ifreqSize  = 40 // struct ifreq
	ifreqName  = unix.IFNAMSIZ
	ifmapSize  = 24 // struct ifmap
	ifconfSize = 16 // struct ifconf
)

// ioctl is ioctl(2) with a request about sockets or interfaces. It is answered on
// sockets of every family: those that are not ours would show the interfaces of the
// kernel.
func (c *call) ioctl() (int64, error) {
	if !c.onSomeSocket() {
		return 0, errNative // the kernel says ENOTTY or EBADF
	}
	request := uint32(c.arg(1))
	ours := c.f != nil && c.f.sock != nil
	switch {
	case request <= siocLastOwner:
		return 0, errNative
	case request == siocGetNamespace:
		return 0, syscall.EPERM // the kernel's network namespace is not for the program
	case request == sockets.SIOCATMARK, request == sockets.SIOCGSTAMP, request == sockets.SIOCGSTAMPNS,
		request == siocGetStampNew, request == siocGetStampNSNew,
		request >= siocFirstProtocol && request <= siocLastProtocol:
		if !ours {
			return 0, errNative
		}
		return 0, c.socketIoctl(request)
	}
	sock := (*sockets.Socket)(nil)
	if ours {
		sock = c.f.sock
	} else {
		// Any family but AF_INET: requests about IPv4 addresses are that one's.
		any, err := c.s.host.Socket(sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
		if err != nil {
			return 0, syscall.ENOTTY
		}
		defer any.Close()
		sock = any
	}
	if request == sockets.SIOCGIFCONF {
		return 0, c.interfaceList(sock)
	}
	return 0, c.interfaceIoctl(sock, request)
}

// onSomeSocket reports whether the call is on a socket, ours or not, and finds the
// file if it is ours.
func (c *call) onSomeSocket() bool {
	if c.find() == nil {
		return true
	}
	dup, err := c.s.tasks.descriptor(c.n.TID, int(int32(c.arg(0))))
	if err != nil {
		return false
	}
	defer unix.Close(dup)
	_, err = seccomp.Cookie(dup)
	return err == nil
}

// socketIoctl asks a Socket something about itself.
func (c *call) socketIoctl(request uint32) error {
	const old = 0xffff // what the new requests have of the old
	v, err := c.f.sock.Ioctl(request&old, nil)
	if err != nil {
		return err
	}
	word := binary.NativeEndian
	switch v := v.(type) {
	case int:
		return c.write(c.arg(2), word.AppendUint32(nil, uint32(v)))
	case time.Time:
		part := uint64(v.Nanosecond())
		if request&old == sockets.SIOCGSTAMP {
			part /= uint64(time.Microsecond)
		}
		return c.write(c.arg(2), word.AppendUint64(word.AppendUint64(nil, uint64(v.Unix())), part))
	}
	return syscall.ENOTTY
}

// interfaceIoctl is a request with struct ifreq.
func (c *call) interfaceIoctl(sock *sockets.Socket, request uint32) error {
	ifreq := make([]byte, ifreqSize)
	if err := c.read(c.arg(2), ifreq); err != nil {
		return err
	}
	switch request {
	case siocEthtool, siocGetMap:
		if _, err := sock.Ioctl(sockets.SIOCGIFINDEX, ifreq); err != nil {
			return err
		}
		if request == siocEthtool {
			return syscall.EOPNOTSUPP // there is no driver
		}
		clear(ifreq[ifreqName : ifreqName+ifmapSize])
		return c.write(c.arg(2), ifreq)
	}
	v, err := sock.Ioctl(request, ifreq)
	if err != nil {
		return err
	}
	answer, ok := v.([]byte)
	if !ok {
		return syscall.ENOTTY
	}
	return c.write(c.arg(2), answer)
}

// interfaceList is SIOCGIFCONF: as many whole entries as there is room for, or, with
// no place for them, how much room all take.
func (c *call) interfaceList(sock *sockets.Socket) error {
	var ifconf [ifconfSize]byte
	if err := c.read(c.arg(2), ifconf[:]); err != nil {
		return err
	}
	v, err := sock.Ioctl(sockets.SIOCGIFCONF, nil)
	if err != nil {
		return err
	}
	list := v.([]sockets.IfConf)
	room, place := int(int32(binary.NativeEndian.Uint32(ifconf[:]))), binary.NativeEndian.Uint64(ifconf[8:])
	if place != 0 {
		list = list[:min(len(list), max(room, 0)/ifreqSize)]
	}
	all := make([]byte, len(list)*ifreqSize)
	for i, e := range list {
		entry := all[i*ifreqSize:]
		copy(entry[:ifreqName-1], e.Name)
		copy(entry[ifreqName:], appendSockaddr(nil, sockets.Inet4{Host: e.Addr.String()}))
	}
	if place != 0 {
		if err := c.write(place, all); err != nil {
			return err
		}
	}
	return c.write(c.arg(2), binary.NativeEndian.AppendUint32(nil, uint32(len(all))))
}
