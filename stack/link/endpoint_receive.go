package link

import (
	"errors"
	"io"
	"os"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A failing read is tried again after a pause that doubles between these two.
// A link that comes back up is noticed within the longer one.
const (
	firstPause = time.Millisecond
	lastPause  = time.Second
)

// readAll is a reader goroutine: started by Attach, ended by Close or by a
// device that is gone for good.
func (e *Endpoint) readAll(queue int) {
	var b frameBatch
	defer b.release()
	b.grow(readBatch)
	g := e.newCoalescer()
	wait := e.newWaiter(queue)
	pause := firstPause
	b.refill(readBatch)
	for {
		n, err := wait.read(b.packets, b.sizes)
		if n > 0 {
			e.faults.clear(&e.faults.read)
			pause = firstPause
		}
		question := n == 1 && e.expect(&b.frames[0], b.sizes[0])
		e.receiveBatch(g, b.frames[:n], b.sizes[:n])
		if question {
			e.answer()
		}
		used := n
		if g != nil && n == len(b.frames) && n < mergeBatch {
			b.grow(n)
			used = len(b.frames)
		}
		b.refill(used)
		if n == 0 && err == nil {
			err = io.ErrNoProgress
		}
		if err == nil {
			continue
		}
		if !e.readFailed(err) || !e.sleep(pause) {
			return
		}
		pause = min(2*pause, lastPause)
	}
}

// readFailed records a failed read and reports whether to try again.
func (e *Endpoint) readFailed(err error) bool {
	if e.isClosed() {
		return false
	}
	e.stats.readErrors.Add(1)
	gone := errors.Is(err, os.ErrClosed) // by somebody else
	for _, g := range goneErrors {
		gone = gone || errors.Is(err, g)
	}
	if gone {
		e.faults.set(&e.faults.gone, err)
	} else {
		e.faults.set(&e.faults.read, err)
	}
	return !gone
}

// sleep waits and returns true, or returns false when the link is closed.
func (e *Endpoint) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-e.done:
		return false
	}
}

// receive judges one frame of n bytes, virtio header included, and hands it to
// the stack, or to g for now, if it passes. Frames come from outside: nothing in them is taken
// on trust.
func (e *Endpoint) receive(g *coalescer, f *frame, n int) verdict {
	n -= virtioHeaderSize
	switch {
	case n <= 0:
		return short
	case n > frameCapacity:
		return oversize
	}
	d := e.dispatcher.Load()
	if d == nil {
		return detached
	}
	head := f.head(n)
	l2, proto, to, v := e.framing.deframe(head)
	if v != pass {
		return v
	}
	h := parseVirtioHeader(f.header[:])
	p, v := e.judge(h, head, l2, n)
	if v != pass {
		return v
	}
	if p.complete {
		completePartial(head, p.sumStart, p.sumField, f.rest(n))
	}
	// A guard that keeps packets from netstack goes here: the packet is known
	// to be whole and nobody has seen it yet.
	e.count(p, h, n)
	a := arrival{d: d, l2: l2, proto: proto, to: to, plan: p}
	if g.take(a, f, n) {
		return pass
	}
	buf := f.pull(n)
	if p.segmentSize > 0 && p.proto == protoUDP && p.vouched && l2 == 0 && deliverDatagrams(d, proto, &buf, p.segmentSize) {
		buf.Release()
		return pass
	}
	if p.segmentSize == 0 {
		e.deliver(a, stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buf}))
		return pass
	}
	for pkt := range p.split(&buf, p.segmentSize) {
		e.stats.split.Add(1)
		e.deliver(a, pkt)
	}
	buf.Release()
	return pass
}

func (e *Endpoint) count(p plan, h virtioHeader, n int) {
	e.stats.rxBytes.Add(uint64(n))
	if h.gsoType != virtioGSONone {
		e.stats.coalesced.Add(1)
	}
	if p.vouched {
		e.stats.vouched.Add(1)
	}
}

// An arrival is what the stack is told about a packet.
type arrival struct {
	d     *attached
	l2    int
	proto tcpip.NetworkProtocolNumber
	to    tcpip.PacketType
	plan
}

func (e *Endpoint) deliver(a arrival, pkt *stack.PacketBuffer) {
	defer pkt.DecRef()
	if a.l2 > 0 {
		pkt.LinkHeader().Consume(a.l2)
	}
	if a.unfinished {
		a.toSendForm(pkt, a.mss)
	}
	pkt.NetworkProtocolNumber = a.proto
	pkt.PktType = a.to
	switch {
	case e.queues == 1:
		if e.vouch.Load() != a.vouched {
			e.vouch.Store(a.vouched)
		}
		a.hand(pkt)
	case a.vouched:
		e.turn.RLock()
		a.hand(pkt)
		e.turn.RUnlock()
	default:
		e.turn.Lock()
		e.vouch.Store(false)
		a.hand(pkt)
		e.vouch.Store(true)
		e.turn.Unlock()
	}
}

// hand gives a packet to the stack.
func (a arrival) hand(pkt *stack.PacketBuffer) {
	if a.to == tcpip.PacketOtherHost {
		a.d.DeliverLinkPacket(a.proto, pkt) // packet sockets alone
		return
	}
	a.d.DeliverNetworkPacket(a.proto, pkt)
}

// ipFraming is that of a TUN device: nothing before the IP packet.
type ipFraming struct{}

func (ipFraming) deframe(b []byte) (int, tcpip.NetworkProtocolNumber, tcpip.PacketType, verdict) {
	switch b[0] >> 4 {
	case 4:
		if len(b) < header.IPv4MinimumSize {
			return 0, 0, 0, short
		}
		return 0, header.IPv4ProtocolNumber, tcpip.PacketHost, pass
	case 6:
		if len(b) < header.IPv6MinimumSize {
			return 0, 0, 0, short
		}
		return 0, header.IPv6ProtocolNumber, tcpip.PacketHost, pass
	}
	return 0, 0, 0, unknown
}
