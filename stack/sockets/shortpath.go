package sockets

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// shortPath is the round-trip time up to which netstack's CUBIC cannot tell times
// apart: it takes every path for at least as long. Its slow start then ends with
// the first train of acknowledgements, at some 20 segments, and its window, of
// which RFC 9438 section 4.3 wants that it grow no slower than Reno's, grows by a
// segment in two milliseconds.
const shortPath = tcp.MinSRTT

// On a short path two more things are bounded, in bytes. A window of 8 MiB, which
// netstack would let a receiver reach, is not on its way there but stands in the
// device's queue, out of every cache; 1.5 MiB keep 12 Gbit/s busy at a round trip
// of a millisecond. (Where all links are pipes in memory, whose queues hold such
// windows, the larger one is the faster.)
const (
	// shortReceiveBuffer is a receive buffer's size; half of it is the window.
	shortReceiveBuffer = 3 << 20
	// manyBytes are received before the path is looked at: less is no bulk.
	manyBytes = 64 << 10
)

// A pathState is what is known of a connection's path, as bits: a description
// has no more room.
type pathState uint8

const (
	sendingSeen   pathState = 1 << iota // bulk was sent, and the path looked at if it matters
	shortReno                           // the endpoint has Reno in CUBIC's place
	receivingSeen                       // the same for receiving
	shortWindow                         // the receive buffer has got its size
)

// fillsBuffer is called when a connection has no room for what it is to send,
// which is bulk. On a short path it gives it Reno, unless the program or the
// stack's owner has chosen. Netstack then starts anew with the window of a new
// connection, so a connection that is making good a loss is left for later.
func (d *description) fillsBuffer() {
	if !d.isTCP() || !d.host.stack.RenoOnShortPaths() {
		return
	}
	if !d.mu.TryLock() { // a caller of ours may hold another socket's reading lock, which goes behind
		return
	}
	defer d.mu.Unlock()
	if d.path&sendingSeen != 0 {
		return
	}
	if d.recordedLocked(optionKey{SOL_TCP, TCP_CONGESTION}) != nil {
		d.path |= sendingSeen
		return
	}
	var info tcpip.TCPInfoOption
	ep := d.ep.Load()
	if ep.GetSockOpt(&info) != nil || tcp.EndpointState(info.State) != tcp.StateEstablished ||
		info.CcState != tcpip.Open || info.RTT == 0 {
		return
	}
	d.path |= sendingSeen
	if info.RTT <= shortPath && setCongestion(d, ep, []byte(reno)) == 0 {
		d.path |= shortReno
	}
}

// Netstack's names of its congestion controls, which are Linux's.
const (
	reno  = "reno"
	cubic = "cubic"
)

// received is called when a connection has read n bytes of total. It has the
// window grow (T27): as netstack sees fit, or on a short path at once to what is
// enough there, unless the program or the stack's owner has chosen.
func (d *description) received(ep *endpoint, n int, total uint64) {
	if total < manyBytes || !d.mu.TryLock() { // see fillsBuffer; there is a next time
		return
	}
	ours := d.windowIsOursLocked(ep)
	d.mu.Unlock()
	if !ours {
		ep.ModerateRecvBuf(n)
	}
}

// windowIsOursLocked reports whether netstack is not to let the window grow. It
// finds that out, and sets the size, when it is called first.
func (d *description) windowIsOursLocked(ep *endpoint) bool {
	if d.path&receivingSeen != 0 || d.ep.Load() != ep {
		return d.path&shortWindow != 0
	}
	d.path |= receivingSeen
	size := d.host.stack.ShortPathReceiveBuffer(shortReceiveBuffer)
	var info tcpip.TCPInfoOption
	if size == 0 || d.recordedLocked(optionKey{SOL_SOCKET, SO_RCVBUF}) != nil ||
		d.recordedLocked(optionKey{SOL_SOCKET, SO_RCVBUFFORCE}) != nil ||
		ep.GetSockOpt(&info) != nil || info.RTT == 0 || info.RTT > shortPath {
		return false
	}
	d.path |= shortWindow
	if o := ep.SocketOptions(); o.GetReceiveBufferSize() < size {
		o.SetReceiveBufferSize(size, false) // the next acknowledgement has the window
	}
	return true
}
