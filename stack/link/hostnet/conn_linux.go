package hostnet

import "golang.org/x/sys/unix"

// watchOuter waits for the end of a connection whose network has sent its FIN,
// while the stack still sends: a reset may come before the stack's next byte
// finds it. It ends with the connection, or with the stack's FIN.
func (cn *conn) watchOuter() {
	raw, err := cn.outer.SyscallConn()
	if err != nil {
		return
	}
	gone := false
	raw.Read(func(fd uintptr) bool {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		gone = err == nil && info.State == tcpClose
		return gone
	})
	if gone && !isClosed(cn.outDone) {
		cn.fail()
	}
}

const tcpClose = 7 // TCP_CLOSE, <net/tcp_states.h>
