package link

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// lane is one direction of an Impair: packets are judged on arrival, wait in a
// queue ordered by the time they are due, and are handed on by whoever finds
// them due, be it the goroutine that brought a packet or the timer. One of
// them at a time hands on, without holding mu, so order is kept, and a packet
// that answers another from within the hand-over is queued, not recursed into.
type lane struct {
	clock  tcpip.Clock
	handOn func([]waitingPacket) // takes no reference

	// direct says that packets may bypass the lane: there is nothing to do to
	// them, and none is waiting.
	direct   atomic.Bool
	counters laneCounters

	mu       sync.Mutex
	idle     sync.Cond // signalled when handingOn falls after Close
	cfg      Impairment
	plain    bool // cfg does nothing
	random   *rand.PCG
	bad      bool                // state of Burst
	freeAt   tcpip.MonotonicTime // when Rate has sent all that is queued
	lastDue  tcpip.MonotonicTime // due time of the newest in queue
	queue    []waitingPacket     // in order of due
	held     []heldPacket        // being overtaken
	waiting  int                 // bytes in queue and held
	timer    tcpip.Timer
	firesAt  tcpip.MonotonicTime // zero when timer is not armed
	handing  bool
	isClosed bool
}

// waitingPacket owns a reference to its packet.
type waitingPacket struct {
	pkt      *stack.PacketBuffer
	protocol tcpip.NetworkProtocolNumber
	due      tcpip.MonotonicTime
	reorder  bool
}

// heldPacket is let go when left others have passed, or at its due time.
type heldPacket struct {
	waitingPacket
	left int
}

func newLane(cfg Impairment, clock tcpip.Clock, random *rand.PCG, handOn func([]waitingPacket)) *lane {
	l := &lane{clock: clock, random: random, handOn: handOn}
	l.idle.L = &l.mu
	l.configure(cfg)
	return l
}

func (l *lane) configure(cfg Impairment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cfg, l.plain = cfg.withDefaults(), cfg.zero()
	l.updateDirectLocked()
}

func (l *lane) updateDirectLocked() {
	l.direct.Store(l.plain && !l.handing && !l.isClosed && len(l.queue) == 0 && len(l.held) == 0)
}

// submit judges packets and hands on what is due. It takes no reference.
func (l *lane) submit(protocol tcpip.NetworkProtocolNumber, pkts ...*stack.PacketBuffer) tcpip.Error {
	now := l.clock.NowMonotonic()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, pkt := range pkts {
		l.counters.packets.Add(1)
		l.counters.bytes.Add(uint64(networkSize(pkt)))
	}
	if l.isClosed {
		l.counters.released.Add(uint64(len(pkts)))
		return &tcpip.ErrClosedForSend{}
	}
	for _, pkt := range pkts {
		l.judgeLocked(protocol, pkt, now)
	}
	l.drainLocked()
	return nil
}

// fate is what the random stream says about one packet; what of it matters is
// up to the settings. Every packet draws the same amount, so that a change of
// settings, or of the packets before, does not shift the rest of the stream.
type fate struct {
	move, burst, loss, corrupt, duplicate, jitter, reorder float64
	bit                                                    uint64
}

func (l *lane) drawLocked() fate {
	unit := func() float64 { return float64(l.random.Uint64()>>11) / (1 << 53) }
	return fate{
		move: unit(), burst: unit(), loss: unit(), corrupt: unit(),
		duplicate: unit(), jitter: unit(), reorder: unit(),
		bit: l.random.Uint64(),
	}
}

// judgeLocked drops pkt or queues copies of it.
func (l *lane) judgeLocked(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer, now tcpip.MonotonicTime) {
	f := l.drawLocked()
	if drop := l.dropLocked(f, networkSize(pkt)); drop != nil {
		drop.Add(1)
		return
	}
	if f.corrupt < l.cfg.Corrupt {
		l.counters.corrupted.Add(1)
		pkt = corrupt(pkt, f.bit)
	} else {
		// The stack may touch the headers once we return.
		pkt = pkt.Clone()
	}
	var second *stack.PacketBuffer
	if f.duplicate < l.cfg.Duplicate {
		l.counters.duplicated.Add(1)
		second = deepCopy(pkt)
	}
	jitter := time.Duration(f.jitter * float64(l.cfg.Jitter))
	l.enqueueLocked(waitingPacket{pkt: pkt, protocol: protocol, reorder: f.reorder < l.cfg.Reorder}, jitter, now)
	if second != nil {
		l.enqueueLocked(waitingPacket{pkt: second, protocol: protocol}, jitter, now)
	}
}

// dropLocked returns the counter of the reason to drop a packet, or nil.
func (l *lane) dropLocked(f fate, size int) *atomic.Uint64 {
	chance := l.cfg.Burst.ToBad
	if l.bad {
		chance = l.cfg.Burst.ToGood
	}
	if f.move < chance {
		l.bad = !l.bad
	}
	burstLoss := l.cfg.Burst.GoodLoss
	if l.bad {
		burstLoss = l.cfg.Burst.BadLoss
	}
	switch {
	case l.cfg.Blackhole:
		return &l.counters.blackholed
	case l.cfg.MTU != 0 && size > int(l.cfg.MTU):
		return &l.counters.tooBig
	case f.burst < burstLoss:
		return &l.counters.burstLost
	case f.loss < l.cfg.Loss:
		return &l.counters.lost
	}
	return nil
}

// enqueueLocked gives w its due time, or drops it where there is no room.
func (l *lane) enqueueLocked(w waitingPacket, jitter time.Duration, now tcpip.MonotonicTime) {
	size := networkSize(w.pkt)
	if l.freeAt.Before(now) {
		l.freeAt = now
	}
	if l.cfg.Rate != 0 {
		backlog := l.freeAt.Sub(now).Seconds() * float64(l.cfg.Rate) / 8 // bytes
		if int(backlog)+size > l.cfg.Queue {
			l.counters.queueFull.Add(1)
			w.pkt.DecRef()
			return
		}
		l.freeAt = l.freeAt.Add(time.Duration(uint64(size) * 8 * uint64(time.Second) / l.cfg.Rate))
	}
	if l.waiting+size > maxWaiting {
		l.counters.queueFull.Add(1)
		w.pkt.DecRef()
		return
	}
	w.due = l.freeAt.Add(l.cfg.Delay + jitter)
	if w.due.Before(l.lastDue) {
		w.due = l.lastDue
	}
	l.lastDue = w.due
	if w.reorder {
		l.counters.reordered.Add(1)
	}
	l.waiting += size
	l.queue = append(l.queue, w)
}

// drainLocked hands on all that is due, releasing mu meanwhile, and arms the
// timer for the rest.
func (l *lane) drainLocked() {
	if l.handing {
		return
	}
	l.handing = true
	for !l.isClosed {
		due := l.takeDueLocked(l.clock.NowMonotonic())
		if len(due) == 0 {
			break
		}
		l.mu.Unlock()
		l.handOn(due)
		for _, w := range due {
			w.pkt.DecRef()
		}
		l.mu.Lock()
	}
	l.handing = false
	if l.isClosed {
		l.idle.Broadcast()
		return
	}
	l.armLocked()
	l.updateDirectLocked()
}

// takeDueLocked removes the packets that are due, in the order to hand on.
func (l *lane) takeDueLocked(now tcpip.MonotonicTime) []waitingPacket {
	var due []waitingPacket
	take := func(w waitingPacket) {
		l.waiting -= networkSize(w.pkt)
		due = append(due, w)
	}
	overtake := func(h heldPacket) bool {
		if h.left > 0 {
			return false
		}
		take(h.waitingPacket)
		return true
	}
	for len(l.queue) > 0 && !l.queue[0].due.After(now) {
		w := l.queue[0]
		l.queue[0] = waitingPacket{}
		l.queue = l.queue[1:]
		if w.reorder {
			w.due = now.Add(l.cfg.ReorderDelay)
			l.held = append(l.held, heldPacket{w, l.cfg.ReorderDepth})
			continue
		}
		take(w)
		for i := range l.held {
			l.held[i].left--
		}
		l.held = slices.DeleteFunc(l.held, overtake)
	}
	l.held = slices.DeleteFunc(l.held, func(h heldPacket) bool {
		if h.due.After(now) {
			return false
		}
		take(h.waitingPacket)
		return true
	})
	return due
}

// armLocked sets the timer to the next time at which a packet is due.
func (l *lane) armLocked() {
	var next tcpip.MonotonicTime
	earlier := func(t tcpip.MonotonicTime) {
		if next == (tcpip.MonotonicTime{}) || t.Before(next) {
			next = t
		}
	}
	if len(l.queue) > 0 {
		earlier(l.queue[0].due)
	}
	for _, h := range l.held {
		earlier(h.due)
	}
	if next == (tcpip.MonotonicTime{}) || next == l.firesAt {
		return
	}
	l.firesAt = next
	wait := max(0, next.Sub(l.clock.NowMonotonic()))
	if l.timer == nil {
		l.timer = l.clock.AfterFunc(wait, l.fire)
	} else {
		l.timer.Reset(wait)
	}
}

// fire runs in the timer's goroutine. One that comes late, after Close or
// after the timer was set anew, finds nothing due.
func (l *lane) fire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.firesAt = tcpip.MonotonicTime{}
	l.drainLocked()
}

// close drops all that waits.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isClosed {
		return
	}
	l.isClosed = true
	l.updateDirectLocked()
	if l.timer != nil {
		l.timer.Stop()
	}
	for _, w := range l.queue {
		w.pkt.DecRef()
	}
	for _, h := range l.held {
		h.pkt.DecRef()
	}
	l.counters.released.Add(uint64(len(l.queue) + len(l.held)))
	l.queue, l.held, l.waiting = nil, nil, 0
}

// wait returns when nothing is being handed on any more. Call it after close.
func (l *lane) wait() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.handing {
		l.idle.Wait()
	}
}

// networkSize is the size of pkt without link header, in bytes.
func networkSize(pkt *stack.PacketBuffer) int {
	return pkt.Size() - linkSize(pkt)
}

// linkSize is the size of what precedes the network header, in bytes.
func linkSize(pkt *stack.PacketBuffer) int {
	return len(pkt.VirtioNetHeader().Slice()) + len(pkt.LinkHeader().Slice())
}

// corrupt returns a copy of pkt with one bit flipped at or after the network
// header.
func corrupt(pkt *stack.PacketBuffer, random uint64) *stack.PacketBuffer {
	bytes := pkt.ToView()
	if body := bytes.AsSlice()[linkSize(pkt):]; len(body) > 0 {
		bit := random % uint64(len(body)*8)
		body[bit/8] ^= 1 << (bit % 8)
	}
	return repack(pkt, bytes)
}

// deepCopy returns a copy of pkt that shares no memory with it.
func deepCopy(pkt *stack.PacketBuffer) *stack.PacketBuffer {
	return repack(pkt, pkt.ToView())
}

// repack makes a packet of bytes, with the headers and the metadata of pkt.
func repack(pkt *stack.PacketBuffer, bytes *buffer.View) *stack.PacketBuffer {
	copied := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: pkt.AvailableHeaderBytes(),
		Payload:            buffer.MakeWithView(bytes),
		Mark:               pkt.Mark,
	})
	copied.VirtioNetHeader().Consume(len(pkt.VirtioNetHeader().Slice()))
	copied.LinkHeader().Consume(len(pkt.LinkHeader().Slice()))
	copied.NetworkHeader().Consume(len(pkt.NetworkHeader().Slice()))
	copied.TransportHeader().Consume(len(pkt.TransportHeader().Slice()))
	copied.NetworkProtocolNumber = pkt.NetworkProtocolNumber
	copied.TransportProtocolNumber = pkt.TransportProtocolNumber
	copied.Hash = pkt.Hash
	copied.Owner = pkt.Owner
	copied.EgressRoute = pkt.EgressRoute
	copied.GSOOptions = pkt.GSOOptions
	copied.PktType = pkt.PktType
	copied.NICID, copied.InputNICID = pkt.NICID, pkt.InputNICID
	copied.RXChecksumValidated = pkt.RXChecksumValidated
	copied.NetworkPacketInfo = pkt.NetworkPacketInfo
	return copied
}
