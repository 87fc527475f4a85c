package sockets

import (
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// An outgoing is a datagram of a batch that is to be sent.
type outgoing struct {
	bufs    [][]byte
	size    int // bytes in bufs
	control []ControlMessage
	to      tcpip.FullAddress // valid if named
	named   bool              // it has a destination of its own
	err     error             // what is wrong with its destination
}

// A sendBatch is the datagrams of one call, and memory that is used again.
type sendBatch struct {
	out     []outgoing
	bufs    [][]byte         // of the bundle under way
	control []ControlMessage // backs those of out
	one     [1][]byte        // the buffer of a batch of one
}

var sendBatches = sync.Pool{New: func() any { return new(sendBatch) }}

func newSendBatch() *sendBatch { return sendBatches.Get().(*sendBatch) }

func (b *sendBatch) free() {
	clear(b.out)
	clear(b.bufs[:cap(b.bufs)])
	clear(b.control)
	b.out, b.bufs, b.control, b.one[0] = b.out[:0], b.bufs[:0], b.control[:0], nil
	sendBatches.Put(b)
}

// add appends a datagram for the peer.
func (b *sendBatch) add(bufs [][]byte, control []ControlMessage) *outgoing {
	size := 0
	for _, p := range bufs {
		size += len(p)
	}
	b.out = append(b.out, outgoing{bufs: bufs, size: size, control: control})
	return &b.out[len(b.out)-1]
}

// addMessage appends a datagram with control messages in the form of C programs,
// for a destination if it is named, else for the peer.
func (s *Socket) addMessage(b *sendBatch, bufs [][]byte, oob []byte, to netip.AddrPort, named bool) {
	at := len(b.control)
	control, err := parseControl(b.control, oob)
	if err != nil {
		b.add(bufs, nil).err = EINVAL
		return
	}
	b.control = control
	o := b.add(bufs, control[at:len(control):len(control)])
	if !named {
		return
	}
	o.named = true
	switch {
	case !to.Addr().IsValid():
		o.err = EINVAL
	case s.d.family == AF_INET && !to.Addr().Unmap().Is4():
		o.err = EAFNOSUPPORT
	default:
		full, errno := s.d.sendDestination(to)
		o.to, o.err = full, errno.orNil()
	}
}

// sendBatch sends datagrams in order, those that follow each other to one
// destination in bundles, and returns how many were sent. An error is of the
// first that was not.
func (s *Socket) sendBatch(b *sendBatch, c *call) (int, error) {
	for sent := 0; sent < len(b.out); {
		n, err := s.sendRun(b, sent, c)
		if n == 0 && err == nil {
			n, err = 1, s.sendOutgoing(&b.out[sent], c)
		}
		if err != nil {
			return sent, err
		}
		sent += n
	}
	return len(b.out), nil
}

// sendOutgoing sends one datagram by itself.
func (s *Socket) sendOutgoing(o *outgoing, c *call) error {
	switch {
	case s.dead():
		return ErrClosed
	case o.err != nil:
		return s.d.autobind(o.err)
	}
	var to *tcpip.FullAddress
	if o.named {
		full := o.to
		to = &full
	}
	r := gatherOverAll(o.bufs)
	defer r.free()
	again := *c // each message waits anew
	_, err := s.sendDatagram(r, to, o.control, &again)
	return err
}

// sendRun sends the datagrams from the given one on that can go as one bundle,
// and returns how many those are: 0 says that the first has to be sent by
// itself.
func (s *Socket) sendRun(b *sendBatch, from int, c *call) (int, error) {
	d := s.d
	if d.kind != onUDP || c.flags&(MSG_OOB|MSG_MORE|MSG_DONTROUTE) != 0 || d.asked(askCork) || s.dead() {
		return 0, nil
	}
	n, size := b.run(from)
	if n < 2 {
		return 0, nil
	}
	first := &b.out[from]
	var to *tcpip.FullAddress
	if first.named {
		to = &first.to
	}
	p, errno := d.packetFor(to, nil)
	if errno != 0 || p.shape.segment != 0 || d.hasCorked() {
		return 0, nil // by itself it fails, or is cut, in its own way
	}
	b.bufs = b.bufs[:0]
	for _, o := range b.out[from : from+n] {
		b.bufs = append(b.bufs, o.bufs...)
	}
	sent, errno := d.trySendBundle(&bundle{bufs: b.bufs, size: size, step: first.size}, to, &p)
	if !sent {
		return 0, d.autobind(errno.orNil())
	}
	return n, d.autobind(errno.orNil())
}

// run returns how many datagrams from the given one on make a bundle, and their
// bytes: of one destination and one size, but for the last, which may be
// shorter.
func (b *sendBatch) run(from int) (n, size int) {
	first := &b.out[from]
	if first.err != nil || len(first.control) > 0 || first.size == 0 {
		return 0, 0
	}
	for i := range b.out[from:] {
		o := &b.out[from+i]
		if o.err != nil || len(o.control) > 0 || o.named != first.named || o.to != first.to ||
			o.size == 0 || o.size > first.size || size+o.size > maxUDP4 {
			break
		}
		n, size = n+1, size+o.size
		if o.size < first.size || n == maxUDPSegments {
			break
		}
	}
	return n, size
}

// trySendBundle sends a bundle if the route permits. sent is false when nothing
// was tried.
func (d *description) trySendBundle(b *bundle, to *tcpip.FullAddress, p *corkedPacket) (sent bool, errno Errno) {
	route, errno := d.route(p.to, p.v6, &p.shape)
	if errno != 0 {
		return false, 0
	}
	defer route.Release()
	if !d.bundles(route, b.step) {
		return false, 0
	}
	if errno := d.maySend(nil, b.step, to); errno != 0 {
		return false, errno
	}
	return true, d.sendBundle(b, route, p)
}
