package sockets

import "gvisor.dev/gvisor/pkg/tcpip"

// Linux's bounds of socket buffers (socket(7)), in bytes as getsockopt reports
// them unless it says otherwise.
const (
	maxBufferRequest = 212992    // net.core.wmem_max and rmem_max, before doubling
	maxForcedBuffer  = 1<<30 - 1 // INT_MAX/2, before doubling
	minSendBuffer    = 4608      // SOCK_MIN_SNDBUF
	minReceiveBuffer = 2304      // SOCK_MIN_RCVBUF
	defaultBuffer    = 212992    // net.core.wmem_default and rmem_default
)

// sndBuf is SO_SNDBUF, or the option that sets it beyond the system's limit.
func sndBuf(name string, most uint32) *option {
	return &option{name: name, only: onAll, size: 4, inherit: true,
		read: readBuffer(most, minSendBuffer, SOCK_SNDBUF_LOCK),
		set: func(d *description, ep tcpip.Endpoint, v []byte) Errno {
			if d.unix != nil {
				d.unix.setSendBuffer(intValue(v))
			}
			if ep != nil {
				ep.SocketOptions().SetSendBufferSize(int64(intValue(v)), true)
			}
			return 0
		},
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) { return intBytes(d.sendBuffer()), 0 }}
}

// rcvBuf is SO_RCVBUF, or the option that sets it beyond the system's limit. On
// a socket of datagrams it bounds the inbox.
func rcvBuf(name string, most uint32) *option {
	return &option{name: name, only: onAll, size: 4, inherit: true,
		read: readBuffer(most, minReceiveBuffer, SOCK_RCVBUF_LOCK),
		set: func(d *description, ep tcpip.Endpoint, v []byte) Errno {
			d.makeUnusual().rcvBuf.Store(int32(intValue(v)))
			if ep != nil {
				ep.SocketOptions().SetReceiveBufferSize(int64(intValue(v)), true)
			}
			return 0
		},
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) { return intBytes(d.receiveBuffer()), 0 }}
}

// forced makes of a size option one that can only be set.
func forced(o *option, name int) *option {
	o.get, o.set, o.as = nil, nil, optionKey{SOL_SOCKET, name}
	return o
}

// bufLock is SO_BUF_LOCK: which sizes are the user's. Netstack cannot be told to
// tune a size that was set.
var bufLock = number("SO_BUF_LOCK", onAll, 0, between(0, SOCK_SNDBUF_LOCK|SOCK_RCVBUF_LOCK), nil)

// readBuffer is Linux's reading of a buffer size: unsigned, cut to most, and
// doubled.
func readBuffer(most uint32, least, lock int) func(*description, []byte) ([]byte, Errno) {
	return func(d *description, v []byte) ([]byte, Errno) {
		locks := intValue(d.recordedLocked(bufLock.key))
		d.recordLocked(bufLock, intBytes(locks|lock))
		asked := min(uint32(intValue(v)), most)
		return intBytes(max(2*int(asked), least)), 0
	}
}

// sendBuffer is SO_SNDBUF in bytes.
func (d *description) sendBuffer() int {
	return d.bufferSize(SO_SNDBUF, (*tcpip.SocketOptions).GetSendBufferSize)
}

// receiveBuffer is SO_RCVBUF in bytes.
func (d *description) receiveBuffer() int {
	return d.bufferSize(SO_RCVBUF, (*tcpip.SocketOptions).GetReceiveBufferSize)
}

// bufferSize is what the option was set to, else the size that netstack gives
// the endpoint, which changes while a connection is used.
func (d *description) bufferSize(name int, tuned func(*tcpip.SocketOptions) int64) int {
	if v := d.recorded(optionKey{SOL_SOCKET, name}); v != nil {
		return intValue(v)
	}
	if ep := d.endpoint(); ep != nil {
		return int(tuned(ep.SocketOptions()))
	}
	return defaultBuffer
}

// inboxSize is SO_RCVBUF of a socket of datagrams in bytes. It takes no lock and
// so may be asked during delivery.
func (d *description) inboxSize() int {
	if n := d.unusual().rcvBuf.Load(); n != 0 {
		return int(n)
	}
	return defaultBuffer
}
