package sockets

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/userstack/userstack/stack/internal/translate"
)

// An inbox is the receive queue of a socket that receives datagrams. Netstack's
// own queue counts payload bytes alone, so that a stranger can fill the memory
// with empty datagrams (T8), and it destroys an error by reading it (T2). So the
// inbox takes each datagram out of the endpoint inside the very notification
// that announces it, charges it as Linux does, and holds what the receiving
// calls, poll and the ioctls ask for. Those never look at the endpoint.
type inbox struct {
	d     *description
	entry waiter.Entry

	packet *packetState            // of a packet socket, else nil
	filter atomic.Pointer[program] // SO_ATTACH_FILTER
	sender atomic.Pointer[namedSender]

	feeding sync.Mutex // one goroutine at a time moves datagrams, in order
	filling letterWriter
	fed     netip.AddrPort // sender of the datagram that netstack delivered last
	learned bool           // a flow was offered to be received past netstack

	mu    sync.Mutex
	queue []datagram // a ring
	head  int
	n     int
	ended bool           // the socket is closed
	last  netip.AddrPort // sender of the datagram taken last, since connect
	used  int            // bytes charged to SO_RCVBUF
	drops uint32         // datagrams that did not fit, ever (SO_RXQ_OVFL)
	stamp int64          // arrival of the datagram taken last (SIOCGSTAMP), 0 = none yet
}

// A datagram is a received message with what its headers said.
type datagram struct {
	body *letter // nil when empty
	from netip.AddrPort
	link *LinkAddr      // of a packet socket, in place of from
	dst  netip.AddrPort // where it was sent to; the port is 0 except for UDP
	nic  tcpip.NICID    // the interface that it came in by
	v6   bool
	tos  uint8  // or the traffic class
	ttl  uint8  // or the hop limit
	when int64  // arrival, nanoseconds since 1970
	lost uint32 // datagrams dropped before this one (SO_RXQ_OVFL)

	peeked bool         // MSG_PEEK has shown it
	failed *queuedError // what MSG_ERRQUEUE took instead of a datagram

	segment int // bytes of each datagram when several were put together (UDP_GRO)
	done    int // bytes of body that were taken
}

// front returns the bytes of the next datagram: all there are, or one of those
// that came together.
func (dg *datagram) front() []byte {
	p := dg.body.bytes()[min(dg.done, len(dg.body.bytes())):]
	if dg.segment > 0 {
		p = p[:min(dg.segment, len(p))]
	}
	return p
}

func (d *description) newInbox() {
	d.in = &inbox{d: d}
	if d.kind == onPacket {
		d.in.packet = d.newPacketState()
	}
	d.in.entry.Init(d.in, waiter.EventIn|waiter.EventErr|waiter.EventHUp) // not of flowEvent
	d.wq.EventRegister(&d.in.entry)
}

// NotifyEvent implements waiter.EventListener. It runs in netstack's delivery
// and must neither wait nor notify: the wait queue is locked, and whoever waits
// in it stands behind the inbox. EventHUp is an endpoint that closes: a raw or
// packet one holds the lock that reading needs.
func (in *inbox) NotifyEvent(events waiter.EventMask) {
	if events&waiter.EventHUp != 0 {
		return
	}
	in.feeding.Lock()
	defer in.feeding.Unlock()
	for in.feed() {
	}
}

// feed moves one datagram or error from the endpoint and reports whether there
// may be more.
func (in *inbox) feed() bool {
	d := in.d
	in.filling.letter = nil
	opts := tcpip.ReadOptions{NeedRemoteAddr: true, NeedLinkPacketInfo: d.kind == onPacket}
	res, terr := d.ep.Load().Read(&in.filling, opts)
	switch terr.(type) {
	case nil:
		dg := newDatagram(&res)
		if d.kind == onPacket {
			dg.link = d.linkSender(&res)
		}
		dg.body = in.filling.letter
		if !d.admits(&dg) || !in.put(dg) {
			dg.body.free()
		} else if d.kind == onUDP {
			in.learn(&dg)
		}
		return true
	case *tcpip.ErrWouldBlock, *tcpip.ErrClosedForReceive, *tcpip.ErrInvalidEndpointState, *tcpip.ErrNotConnected:
		return false
	}
	if d.kind != onUDP { // the ICMP tap has told a UDP socket, and told it more
		d.setError(errnoOf(terr))
	}
	return true
}

// newDatagram takes over what Read said about a datagram.
func newDatagram(res *tcpip.ReadResult) datagram {
	cm := &res.ControlMessages
	dg := datagram{from: addrPort(res.RemoteAddr), when: cm.Timestamp.UnixNano()}
	switch {
	case cm.HasIPv6PacketInfo:
		dg.v6, dg.nic = true, cm.IPv6PacketInfo.NIC
		dg.dst = netip.AddrPortFrom(translate.NetipAddr(cm.IPv6PacketInfo.Addr), 0)
		dg.tos, dg.ttl = uint8(cm.TClass), cm.HopLimit
	case cm.HasIPPacketInfo:
		dg.nic = cm.PacketInfo.NIC
		dg.dst = netip.AddrPortFrom(translate.NetipAddr(cm.PacketInfo.DestinationAddr), 0)
		dg.tos, dg.ttl = cm.TOS, cm.TTL
	}
	if cm.HasOriginalDstAddress {
		dg.dst = netip.AddrPortFrom(dg.dst.Addr(), cm.OriginalDstAddress.Port)
	}
	return dg
}

// askForEverything makes an endpoint say all that it knows about a datagram;
// which of it a program wants is decided when it receives, as on Linux.
func askForEverything(ops *tcpip.SocketOptions) {
	ops.SetReceiveTOS(true)
	ops.SetReceiveTTL(true)
	ops.SetReceiveTClass(true)
	ops.SetReceiveHopLimit(true)
	ops.SetReceivePacketInfo(true)
	ops.SetIPv6ReceivePacketInfo(true)
	ops.SetReceiveOriginalDstAddress(true)
}

// put queues a datagram if SO_RCVBUF has room for it; an empty queue takes one
// of any size.
func (in *inbox) put(dg datagram) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ended || !in.hasRoomLocked(len(dg.body.bytes()), 1) {
		return false
	}
	in.pushLocked(&dg)
	return true
}

// hasRoomLocked reports whether what holds size bytes fits. If not, the datagrams
// that it is of are counted as lost.
func (in *inbox) hasRoomLocked(size, datagrams int) bool {
	if in.n == 0 || in.used+charge(size) <= in.d.inboxSize() {
		return true
	}
	in.drops += uint32(datagrams)
	if in.d.kind == onUDP { // netstack has counted it as delivered (T42)
		in.d.host.udpDrops.IncrementBy(uint64(datagrams))
	}
	return false
}

func (in *inbox) pushLocked(dg *datagram) {
	if in.n == len(in.queue) {
		in.grow()
	}
	dg.lost = in.drops
	in.queue[(in.head+in.n)%len(in.queue)] = *dg
	in.n++
	in.used += charge(len(dg.body.bytes()))
}

// firstPlaces is the capacity of an inbox that receives for the first time.
const firstPlaces = 8

func (in *inbox) grow() {
	bigger := make([]datagram, max(firstPlaces, 2*len(in.queue)))
	n := copy(bigger, in.queue[in.head:])
	copy(bigger[n:], in.queue[:in.head])
	in.queue, in.head = bigger, 0
}

// take copies the oldest datagram into w and removes it unless peek. When meta
// is not nil it is told what the datagram's headers said.
func (in *inbox) take(w *scatter, peek bool, meta *datagram) (r received, ok bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.n == 0 {
		return received{}, false
	}
	dg := &in.queue[in.head]
	p := dg.front()
	n, _ := w.Write(p)
	r = received{n: n, total: len(p), from: dg.from, link: dg.link}
	in.stamp, dg.peeked = dg.when, true
	if meta != nil {
		*meta = *dg
		meta.body, meta.segment = nil, 0
	}
	if !peek {
		in.last = dg.from
		in.pop(len(p))
	}
	return r, true
}

// lastSender returns who sent the datagram that was taken last.
func (in *inbox) lastSender() netip.AddrPort {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.last
}

// forgetSender makes lastSender return nothing until the next datagram.
func (in *inbox) forgetSender() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.last = netip.AddrPort{}
}

// pop removes the next datagram, of n bytes.
func (in *inbox) pop(n int) {
	dg := &in.queue[in.head]
	if dg.done += n; dg.done >= len(dg.body.bytes()) {
		in.drop()
	}
}

// drop removes the oldest datagram, with those that came together with it.
func (in *inbox) drop() {
	dg := &in.queue[in.head]
	in.used -= charge(len(dg.body.bytes()))
	dg.body.free()
	*dg = datagram{}
	in.head = (in.head + 1) % len(in.queue)
	if in.n--; in.n == 0 && len(in.queue) > keptPlaces {
		in.queue, in.head = nil, 0
	}
}

// keptPlaces is the capacity that an empty inbox keeps.
const keptPlaces = 64

// len returns how many datagrams wait.
func (in *inbox) len() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.n
}

// dropped returns how many datagrams did not fit, ever.
func (in *inbox) dropped() uint32 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.drops
}

// next returns the length of the oldest datagram, 0 without one.
func (in *inbox) next() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.n == 0 {
		return 0
	}
	return len(in.queue[in.head].front())
}

// close gives the buffers back.
func (in *inbox) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.n > 0 {
		in.drop()
	}
	in.queue, in.ended = nil, true
}
