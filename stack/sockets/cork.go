package sockets

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"

	"github.com/userstack/userstack/stack/internal/translate"
)

// Sends that are not one call for one plain datagram: MSG_MORE and UDP_CORK
// gather several into one, UDP_SEGMENT cuts one into several, and control
// messages change the headers. On a connection MSG_MORE holds the last, partial
// segment back (udp(7), tcp(7), T21).

// A corkedPacket is a datagram that waits for more. Where it goes, and how, is
// settled by the first send.
type corkedPacket struct {
	to    tcpip.FullAddress
	v6    bool
	shape shape
	data  []byte
}

// Largest payloads of UDP: 65,535 bytes less the headers that count.
const (
	udpHeaderSize = 8

	maxUDP4 = 65507 // IPv4: 20 bytes of IP and 8 of UDP
	maxUDP6 = 65527 // IPv6: 8 bytes of UDP
)

// maxUDPSegments is how many datagrams one send with UDP_SEGMENT may make
// (UDP_MAX_SEGMENTS of Linux 6.9 and later).
const maxUDPSegments = 128

// isPlain reports whether a send of datagrams needs none of this.
func (d *description) isPlain(control []ControlMessage, c *call) bool {
	return d.kind == onPacket || len(control) == 0 && c.flags&MSG_MORE == 0 && d.extras() == nil && !d.asked(askCork)
}

// checkControl refuses control messages, which Linux does before it tells of a
// pending error. For a datagram that waits they are not looked at.
func (d *description) checkControl(to *tcpip.FullAddress, control []ControlMessage) Errno {
	if len(control) == 0 || d.kind == onPacket || d.hasCorked() {
		return 0
	}
	_, v6, errno := d.target(to)
	if errno == 0 {
		_, errno = d.shapeOf(control, v6)
	}
	return errno
}

func (d *description) hasCorked() bool {
	x := d.extras()
	if x == nil {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.corked != nil
}

// sendShaped is sendGather for the datagrams that isPlain does not fit.
func (s *Socket) sendShaped(r *gather, to *tcpip.FullAddress, control []ControlMessage, c *call) (int, error) {
	d := s.d
	if d.kind == onUDP && r.Len() > maxUDP6+udpHeaderSize {
		return 0, EMSGSIZE
	}
	if done, n, err := s.addToCorked(r, c); done {
		return n, err
	}
	p, errno := d.packetFor(to, control)
	if errno != 0 {
		return 0, errno
	}
	if d.kind == onUDP && (c.flags&MSG_MORE != 0 || d.asked(askCork)) {
		return s.startCorked(&p, r)
	}
	return s.sendPacket(&p, r, c)
}

// packetFor settles where a datagram goes, and how.
func (d *description) packetFor(to *tcpip.FullAddress, control []ControlMessage) (corkedPacket, Errno) {
	full, v6, errno := d.target(to)
	if errno != 0 {
		return corkedPacket{}, errno
	}
	sh, errno := d.shapeOf(control, v6)
	if errno != 0 {
		return corkedPacket{}, errno
	}
	if sh.nic != 0 {
		full.NIC = sh.nic
	} else if full.NIC == 0 && isUnicast(translate.NetipAddr(full.Addr)) {
		full.NIC = tcpip.NICID(d.unicastInterface(v6))
	}
	return corkedPacket{to: full, v6: v6, shape: sh}, 0
}

// addToCorked appends to a datagram that waits, and sends it unless there is
// more to come. done is false when none waits.
func (s *Socket) addToCorked(r *gather, c *call) (done bool, n int, err error) {
	x := s.d.extras()
	if x == nil || s.d.kind != onUDP {
		return false, 0, nil
	}
	x.mu.Lock()
	p := x.corked
	if p == nil {
		x.mu.Unlock()
		return false, 0, nil
	}
	n = r.Len()
	if len(p.data)+n > p.limit() {
		x.corked = nil // Linux throws away what was gathered
		x.mu.Unlock()
		return true, 0, EMSGSIZE
	}
	p.data = append(p.data, r.all()...)
	if c.flags&MSG_MORE != 0 || s.d.asked(askCork) {
		x.mu.Unlock()
		return true, n, nil
	}
	x.corked = nil
	x.mu.Unlock()
	whole := gatherOver(p.data)
	defer whole.free()
	if _, err := s.sendPacket(p, whole, c); err != nil {
		return true, 0, err
	}
	return true, n, nil
}

func (s *Socket) startCorked(first *corkedPacket, r *gather) (int, error) {
	n := r.Len()
	if n > first.limit() {
		return 0, EMSGSIZE
	}
	if _, errno := s.d.sourcePort(first.to); errno != 0 {
		return 0, errno
	}
	p := new(corkedPacket)
	*p = *first
	p.data = r.all()
	x := s.d.makeExtras()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.corked != nil { // another goroutine was first
		if len(x.corked.data)+n > x.corked.limit() {
			return 0, EMSGSIZE
		}
		x.corked.data = append(x.corked.data, p.data...)
		return n, nil
	}
	x.corked = p
	return n, nil
}

// redirectCorked makes a datagram that waits go to the new peer. That is what
// Linux does, over IPv4, because both have their route in one place.
func (d *description) redirectCorked(to tcpip.FullAddress) {
	x := d.extras()
	if x == nil || !isIPv4(to.Addr) {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.corked != nil && !x.corked.v6 {
		x.corked.to, x.corked.shape.local = to, tcpip.Address{}
	}
}

func (p *corkedPacket) limit() int {
	if p.v6 {
		return maxUDP6
	}
	return maxUDP4
}

// sendPacket sends what r holds, in segments if the shape says so.
func (s *Socket) sendPacket(p *corkedPacket, r *gather, c *call) (int, error) {
	size, step := r.Len(), p.shape.segment
	if step == 0 {
		return s.sendOne(p, r, c)
	}
	route, errno := s.d.route(p.to, p.v6, &p.shape)
	if errno != 0 {
		return 0, errno
	}
	defer route.Release()
	mtu := int(route.MTU()) // what follows the IP header
	switch {
	case min(size, step)+udpHeaderSize > mtu:
		return 0, EMSGSIZE // also when nothing is to be cut
	case size > maxUDPSegments*step || s.d.ep.Load().SocketOptions().GetNoChecksum():
		return 0, EINVAL
	case size <= step:
		return s.sendOne(p, r, c)
	case s.d.tooBig(step, &p.to):
		return 0, s.d.tellTooBig(&p.to)
	case s.d.bundles(route, step):
		errno := s.d.sendBundle(&bundle{bufs: r.bufs, size: size, step: step}, route, p)
		return size, errno.orNil()
	}
	data := r.all()
	for at := 0; at < size; at += step {
		one := gatherOver(data[at:min(at+step, size)])
		_, err := s.sendOne(p, one, c)
		one.free()
		if err != nil {
			return 0, err
		}
	}
	return size, nil
}

func (s *Socket) sendOne(p *corkedPacket, r *gather, c *call) (int, error) {
	if s.d.tooBig(r.Len(), &p.to) {
		return 0, s.d.tellTooBig(&p.to)
	}
	if p.shape.plain() {
		opts := tcpip.WriteOptions{To: &p.to}
		p.shape.apply(&opts, p.v6)
		return s.write(r, opts, c)
	}
	n := r.Len()
	if errno := s.d.sendDirect(r.all(), p.to, p.v6, &p.shape); errno != 0 {
		return 0, errno
	}
	return n, nil
}

// uncork is what follows a change of UDP_CORK: off sends what was gathered. As
// on Linux nobody learns that it could not be sent.
func (d *description) uncork(_ tcpip.Endpoint, on bool) {
	x := d.extras()
	if on || x == nil {
		return
	}
	x.mu.Lock()
	p := x.corked
	x.corked = nil
	x.mu.Unlock()
	if p == nil {
		return
	}
	r := gatherOver(p.data)
	defer r.free()
	s := &Socket{host: d.host, d: d}
	c := call{s: s, flags: MSG_DONTWAIT}
	s.sendPacket(p, r, &c)
}

// setMore holds the end of what is written to a connection back, or, once the
// send that has no MSG_MORE is written, lets it go. TCP_CORK goes first.
func (d *description) setMore(more bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch was := d.asked(askMore); {
	case more && !was:
		d.answer(0, askMore)
		d.ep.Load().SocketOptions().SetCorkOption(true)
	case !more && was:
		d.answer(askMore, 0)
		d.ep.Load().SocketOptions().SetCorkOption(d.asked(askCork))
	}
}

// setCork is what follows a change of TCP_CORK.
func (d *description) setCork(ep tcpip.Endpoint, on bool) {
	d.answer(askMore, 0)
	ep.SocketOptions().SetCorkOption(on)
}

// corkTime is how long a connection holds bytes back at most (tcp(7), TCP_CORK).
const corkTime = 200 * time.Millisecond

// flushLater lets what is held back go when its time is over. Netstack's own timer
// runs once for a connection and not again.
func (d *description) flushLater() {
	if !d.asked(askCork|askMore) || d.asked(askFlush) {
		return
	}
	d.answer(0, askFlush)
	time.AfterFunc(corkTime, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.answer(askFlush, 0)
		if !d.asked(askCork|askMore) || d.wrShut.Load() {
			return
		}
		// Not even Nagle's algorithm may keep it: when the acknowledgement that it
		// waits for came, the cork would be back.
		ep := d.ep.Load()
		ops := ep.SocketOptions()
		delay := ops.GetDelayOption()
		ops.SetDelayOption(false)
		ops.SetCorkOption(false)
		ops.SetCorkOption(true)
		ops.SetDelayOption(delay)
		if n, err := ep.GetSockOptInt(tcpip.SendQueueSizeOption); err == nil && n > 0 {
			d.flushLater() // there may have been no room in the window
		}
	})
}

// letGo ends all holding back, since nothing follows any more: FIN takes along
// what is before it.
func (d *description) letGo(ep tcpip.Endpoint) {
	if d.isTCP() && d.asked(askCork|askMore) {
		ep.SocketOptions().SetCorkOption(false)
	}
}
