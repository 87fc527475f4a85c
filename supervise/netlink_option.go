//go:build linux && (amd64 || arm64)

package supervise

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

// netlinkOptions are those that hold a number and change nothing, by option.
var netlinkOptions = map[int]bool{
	unix.NETLINK_PKTINFO: true, unix.NETLINK_BROADCAST_ERROR: true, unix.NETLINK_NO_ENOBUFS: true,
	unix.NETLINK_EXT_ACK: true, unix.NETLINK_CAP_ACK: true, unix.NETLINK_GET_STRICT_CHK: true,
}

// mostGroup is the last group of NETLINK_ROUTE (RTNLGRP_MAX of Linux 6.18, rounded up
// to the kernel's whole words).
const mostGroup = 64

// setsockopt is netlink_setsockopt. What all sockets have, the kernel does.
func (n *netlink) setsockopt(c *call) (int64, error) {
	level, name, size := int(int32(c.arg(1))), int(int32(c.arg(2))), int(int32(c.arg(4)))
	switch {
	case level == unix.SOL_SOCKET:
		return 0, errNative
	case level != unix.SOL_NETLINK:
		return 0, syscall.ENOPROTOOPT
	}
	var word [4]byte // stays 0 where the program gives less
	if size >= len(word) {
		if err := c.read(c.arg(3), word[:]); err != nil {
			return 0, err
		}
	}
	v := binary.NativeEndian.Uint32(word[:])
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case name == unix.NETLINK_ADD_MEMBERSHIP || name == unix.NETLINK_DROP_MEMBERSHIP:
		if v == 0 || v > mostGroup {
			return 0, syscall.EINVAL
		}
		n.groups &^= 1 << (v - 1)
		if name == unix.NETLINK_ADD_MEMBERSHIP {
			n.groups |= 1 << (v - 1)
		}
		return 0, nil
	case name == unix.NETLINK_LISTEN_ALL_NSID:
		return 0, syscall.EPERM
	case !netlinkOptions[name]:
		return 0, syscall.ENOPROTOOPT
	}
	n.options[name] = min(v, 1)
	n.client.ExtAck = n.options[unix.NETLINK_EXT_ACK] != 0
	n.client.CapAck = n.options[unix.NETLINK_CAP_ACK] != 0
	n.client.Strict = n.options[unix.NETLINK_GET_STRICT_CHK] != 0
	return 0, nil
}

// getsockopt is netlink_getsockopt.
func (n *netlink) getsockopt(c *call) (int64, error) {
	level, name := int(int32(c.arg(1))), int(int32(c.arg(2)))
	word := binary.NativeEndian
	var value []byte
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case level == unix.SOL_SOCKET && name == unix.SO_DOMAIN:
		value = word.AppendUint32(nil, unix.AF_NETLINK)
	case level == unix.SOL_SOCKET && name == unix.SO_TYPE:
		value = word.AppendUint32(nil, uint32(n.typ))
	case level == unix.SOL_SOCKET && name == unix.SO_PROTOCOL:
		value = word.AppendUint32(nil, unix.NETLINK_ROUTE)
	case level == unix.SOL_SOCKET:
		return 0, errNative
	case level == unix.SOL_NETLINK && name == unix.NETLINK_LIST_MEMBERSHIPS:
		value = word.AppendUint64(nil, n.groups)
	case level != unix.SOL_NETLINK || !netlinkOptions[name]:
		return 0, syscall.ENOPROTOOPT
	default:
		value = word.AppendUint32(nil, n.options[name])
	}
	return 0, c.putBytes(value, c.arg(3), c.arg(4))
}
