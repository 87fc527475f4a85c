package sockets

import (
	"encoding/binary"
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Origins of an ExtendedError (ip(7)).
const (
	SO_EE_ORIGIN_NONE  = 0
	SO_EE_ORIGIN_LOCAL = 1 // this host
	SO_EE_ORIGIN_ICMP  = 2
	SO_EE_ORIGIN_ICMP6 = 3
)

// ExtendedError is struct sock_extended_err with the address that follows it:
// why a datagram did not arrive, and who says so (ip(7), IP_RECVERR).
type ExtendedError struct {
	Errno      Errno
	Origin     uint8 // SO_EE_ORIGIN_ICMP or another
	Type, Code uint8 // of the ICMP message
	Info       uint32
	Data       uint32   // always 0
	Offender   Sockaddr // who sent the ICMP message, port 0; nil for a local error
}

// ExtendedError returns the content of an IP_RECVERR or IPV6_RECVERR message,
// which RecvMsg returns with MSG_ERRQUEUE, and whether m is one.
func (m ControlMessage) ExtendedError() (ExtendedError, bool) {
	if !m.is(SOL_IP, IP_RECVERR) && !m.is(SOL_IPV6, IPV6_RECVERR) || len(m.Data) < extendedErrSize {
		return ExtendedError{}, false
	}
	e := ExtendedError{
		Errno:  Errno(binary.LittleEndian.Uint32(m.Data)),
		Origin: m.Data[4], Type: m.Data[5], Code: m.Data[6],
		Info: binary.LittleEndian.Uint32(m.Data[8:]), Data: binary.LittleEndian.Uint32(m.Data[12:]),
	}
	e.Offender, _ = parseSockaddr(m.Data[extendedErrSize:])
	return e, true
}

// A queuedError waits for a receive with MSG_ERRQUEUE.
type queuedError struct {
	ext      ExtendedError  // without the Offender
	offender netip.AddrPort // not valid for a local error
	dst      netip.AddrPort // where the datagram that failed was sent to
	data     []byte         // what is known of it
	icmp     datagram       // the ICMP message's own headers
}

// control returns the IP_RECVERR message, in the form for sockets of a family.
func (q *queuedError) control(f Family) ControlMessage {
	b := binary.LittleEndian.AppendUint32(nil, uint32(q.ext.Errno))
	b = append(b, q.ext.Origin, q.ext.Type, q.ext.Code, 0)
	b = binary.LittleEndian.AppendUint32(b, q.ext.Info)
	b = binary.LittleEndian.AppendUint32(b, q.ext.Data)
	m := ControlMessage{Level: SOL_IP, Type: IP_RECVERR}
	size := sockaddrInSize
	if f == AF_INET6 {
		m = ControlMessage{Level: SOL_IPV6, Type: IPV6_RECVERR}
		size = sockaddrIn6Size
	}
	if q.offender.IsValid() {
		m.Data = appendSockaddr(b, f, q.offender)
	} else {
		m.Data = append(b, make([]byte, size)...)
	}
	return m
}

func (q *queuedError) isICMP() bool {
	return q.ext.Origin == SO_EE_ORIGIN_ICMP || q.ext.Origin == SO_EE_ORIGIN_ICMP6
}

// An errorQueue holds the errors of a socket with IP_RECVERR. Strangers fill it,
// so that it is charged like received datagrams, up to SO_RCVBUF bytes.
type errorQueue struct {
	mu    sync.Mutex
	queue []queuedError
	used  int // bytes charged
}

func (q *errorQueue) put(e queuedError, limit int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	cost := charge(len(e.data))
	if q.used+cost >= limit {
		return false
	}
	q.queue = append(q.queue, e)
	q.used += cost
	return true
}

// take removes the oldest error. next is the errno of the following ICMP error,
// 0 without one; more says whether anything is left.
func (q *errorQueue) take() (e queuedError, next Errno, more, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) == 0 {
		return queuedError{}, 0, false, false
	}
	e = q.queue[0]
	q.used -= charge(len(e.data))
	q.queue[0] = queuedError{}
	q.queue = q.queue[1:]
	if len(q.queue) == 0 {
		q.queue = nil
		return e, 0, false, true
	}
	if q.queue[0].isICMP() {
		next = q.queue[0].ext.Errno
	}
	return e, next, true, true
}

func (q *errorQueue) purge() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue, q.used = nil, 0
}

// hasQueuedErrors reports whether a receive with MSG_ERRQUEUE has something to
// give: the socket is then ready with POLLERR.
func (d *description) hasQueuedErrors() bool {
	q := d.errs.Load()
	if q == nil {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queue) > 0
}

// queueError queues e. It runs in netstack's delivery.
func (d *description) queueError(e queuedError) {
	q := d.errs.Load()
	if q == nil {
		d.errs.CompareAndSwap(nil, new(errorQueue))
		q = d.errs.Load()
	}
	q.put(e, int(d.ep.Load().SocketOptions().GetReceiveBufferSize()))
}

// takeQueuedError removes the oldest queued error. As on Linux (sock_dequeue_err_skb)
// the pending error is then that of the next one.
func (d *description) takeQueuedError() (queuedError, bool) {
	q := d.errs.Load()
	if q == nil {
		return queuedError{}, false
	}
	e, next, more, ok := q.take()
	if ok && (e.isICMP() || next != 0) {
		d.soErr.Store(int32(next))
	}
	if more {
		d.wq.Notify(waiter.EventErr)
	}
	return e, ok
}

func (d *description) purgeErrors() {
	if q := d.errs.Load(); q != nil {
		q.purge()
	}
}

// localError queues an error that this host itself found, such as EMSGSIZE with
// the path's MTU, if the socket wants to know (IP_RECVERR).
func (d *description) localError(errno Errno, dst netip.AddrPort, info uint32) {
	if !d.wantsErrors(dst.Addr().Is6() && !dst.Addr().Is4In6()) {
		return
	}
	d.queueError(queuedError{
		ext: ExtendedError{Errno: errno, Origin: SO_EE_ORIGIN_LOCAL, Info: info},
		dst: dst,
	})
	d.wq.Notify(waiter.EventErr)
}

// wantsErrors reports whether IP_RECVERR, or IPV6_RECVERR, is set.
func (d *description) wantsErrors(v6 bool) bool {
	if v6 {
		return d.asked(askErrors6)
	}
	return d.asked(askErrors)
}

// tellTooBig is EMSGSIZE for a datagram to a destination, or to the peer if to is
// nil, that IP_MTU_DISCOVER or IPV6_DONTFRAG keeps whole.
func (d *description) tellTooBig(to *tcpip.FullAddress) Errno {
	if full, v6, errno := d.target(to); errno == 0 && d.wantsErrors(v6) {
		d.localError(EMSGSIZE, addrPort(full), uint32(d.mtuTo(d.endpoint(), full)))
	}
	return EMSGSIZE
}
