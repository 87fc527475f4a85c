package main

import (
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// kernelView is what the kernel knows of one of its TCP connections (TCP_INFO, tcp(7)), or "" when the connection is not
// the kernel's.
func kernelView(c net.Conn) string {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return ""
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return ""
	}
	var info *unix.TCPInfo
	if raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}) != nil || err != nil {
		return ""
	}
	return fmt.Sprintf("%d segments in, %d out, %s acknowledged, round trip %s",
		info.Segs_in, info.Segs_out, size(info.Bytes_acked), ms(time.Duration(info.Rtt)*time.Microsecond))
}
