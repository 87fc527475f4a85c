package link

import (
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// PipeConfig describes a Pipe. The zero value is a wire with MTU 1500 and
// without offloads.
type PipeConfig struct {
	// MTU is the largest IP packet in bytes, 68 to 65535. Zero means 1500.
	MTU uint32

	// GSOMaxSize lets TCP segments of up to this many bytes, headers included,
	// cross the pipe whole and without checksums. Zero turns that off: then
	// every packet is in wire form. At most MaxGSOSize.
	GSOMaxSize uint32

	// QueueBytes bounds what waits for an end to read it, in bytes of packets.
	// Packets beyond it are dropped, as a full device queue does. Zero means
	// 96 MiB.
	QueueBytes int
}

// defaultPipeQueue is twelve windows of a connection at its largest (8 MiB,
// stack.DefaultMaxReceiveBuffer): netstack fills every window at once, and with
// two windows of room eight bulk transfers lost a sixth of their segments and
// moved a third (make bench-wires, Send8 and Receive8).
const defaultPipeQueue = 96 << 20

// A PipeEnd is one of the two ends of an in-memory wire. It implements
// stack.LinkEndpoint and stack.GSOEndpoint.
//
// Packets written to one end are delivered to the stack attached to the other
// by that end's goroutine, in order. Writing never blocks: two stacks that
// wrote to each other synchronously would take each other's connection locks,
// and a bounded wait would be held under one. A packet that finds the queue
// full, or nobody attached, is dropped and counted.
type PipeEnd struct {
	attachment
	formSetting
	gsoMaxSize uint32
	peer       *PipeEnd

	queue  packetQueue // what the peer sent
	vouch  atomic.Bool // the packet being delivered needs no verification
	stats  pipeCounters
	done   chan struct{} // closed by Close
	reader sync.WaitGroup

	mu      sync.Mutex // guards the two below
	started bool       // the reader runs, or ran
	closed  bool
}

// NewPipe returns the two ends of a wire. Each is given to a stack, or closed
// by the caller; closing one leaves the other open but alone.
func NewPipe(cfg PipeConfig) (a, b *PipeEnd) {
	if cfg.MTU == 0 {
		cfg.MTU = DefaultMTU
	}
	if cfg.QueueBytes <= 0 {
		cfg.QueueBytes = defaultPipeQueue
	}
	a, b = newPipeEnd(cfg), newPipeEnd(cfg)
	a.peer, b.peer = b, a
	return a, b
}

func newPipeEnd(cfg PipeConfig) *PipeEnd {
	p := &PipeEnd{gsoMaxSize: min(cfg.GSOMaxSize, MaxGSOSize), done: make(chan struct{})}
	p.SetMTU(cfg.MTU)
	p.queue.init(cfg.QueueBytes)
	return p
}

// Attach implements stack.LinkEndpoint. The first attachment starts the
// goroutine that delivers packets.
func (p *PipeEnd) Attach(d stack.NetworkDispatcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.attach(d)
	if d == nil || p.started {
		return
	}
	p.started = true
	p.reader.Go(p.deliverAll)
}

// WritePackets implements stack.LinkEndpoint. It queues the packets for the
// other end and reports all of them sent: a wire does not tell.
func (p *PipeEnd) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	for _, pkt := range pkts.AsSlice() {
		p.peer.accept(pkt)
	}
	return pkts.Len(), nil
}

// accept takes a packet that the peer sends; it is the peer's stack that calls.
func (p *PipeEnd) accept(pkt *stack.PacketBuffer) {
	if !p.IsAttached() {
		p.stats.detached.Add(1)
		return
	}
	l, offloaded := layoutOf(pkt)
	if !offloaded && pkt.Size() > int(p.MTU()) || l.datagramSize(pkt) > int(p.MTU()) {
		p.stats.oversize.Add(1)
		return
	}
	// A fresh packet over the same bytes: the receiver parses headers that the
	// sender pushed, and the sender's packet dies when WritePackets returns.
	// The bytes stay as they are: a retransmission gets headers of its own.
	bytes := pkt.ToBuffer()
	if offloaded && (p.is(wireForm) || l.proto == protoUDP) {
		size := sendSize(l, pkt.GSOOptions.MSS, p.MTU())
		for in := range l.split(&bytes, size) {
			p.enqueue(queuedPacket{pkt: in, proto: pkt.NetworkProtocolNumber})
		}
		bytes.Release()
		return
	}
	in := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: bytes})
	q := queuedPacket{pkt: in, proto: pkt.NetworkProtocolNumber, vouched: offloaded}
	if offloaded && p.is(sendForm) {
		l.toSendForm(in, int(pkt.GSOOptions.MSS))
	}
	p.enqueue(q)
}

func (p *PipeEnd) enqueue(q queuedPacket) {
	if !p.queue.push(q) {
		p.stats.full.Add(1)
		q.pkt.DecRef()
	}
}

// deliverAll is the reader goroutine: started by Attach, ended by Close.
func (p *PipeEnd) deliverAll() {
	defer func() { p.stats.detached.Add(uint64(p.queue.shut())) }()
	for {
		for _, q := range p.queue.take() {
			p.deliver(q)
		}
		if !p.queue.wait(p.done) {
			return
		}
	}
}

func (p *PipeEnd) deliver(q queuedPacket) {
	defer q.pkt.DecRef()
	d := p.dispatcher.Load()
	if d == nil {
		p.stats.detached.Add(1)
		return
	}
	p.stats.delivered.Add(1)
	p.stats.bytes.Add(uint64(q.pkt.Size()))
	p.vouch.Store(q.vouched) // read back by Capabilities, inside the next call
	d.DeliverNetworkPacket(q.proto, q.pkt)
}

// Capabilities implements stack.LinkEndpoint. The receive bit is that of the
// packet being delivered: netstack asks for it at the start of each delivery,
// and only there, in the one goroutine that delivers.
func (p *PipeEnd) Capabilities() stack.LinkEndpointCapabilities {
	if p.vouch.Load() {
		return stack.CapabilityRXChecksumOffload
	}
	return 0
}

// QueueBytes returns the bound on what waits for this end to read it.
func (p *PipeEnd) QueueBytes() int { return p.queue.limit }

// GSOMaxSize implements stack.GSOEndpoint.
func (p *PipeEnd) GSOMaxSize() uint32 { return p.gsoMaxSize }

// SupportedGSO implements stack.GSOEndpoint.
func (p *PipeEnd) SupportedGSO() stack.SupportedGSO {
	if p.gsoMaxSize == 0 {
		return stack.GSONotSupported
	}
	return stack.HostGSOSupported
}

// Close ends delivery to this end and drops what waits for it. The other end
// stays open; what it sends is dropped from now on.
func (p *PipeEnd) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	p.attach(nil)
	close(p.done)
}

// Wait joins the goroutine of this end. It blocks until Close has been called,
// unless nothing was ever attached.
func (p *PipeEnd) Wait() { p.reader.Wait() }

// PipeStats counts packets by what became of them on their way to one end.
type PipeStats struct {
	Delivered      uint64 // packets handed to the stack
	DeliveredBytes uint64 // their IP bytes
	QueueFull      uint64 // dropped: QueueBytes were waiting
	Detached       uint64 // dropped: no stack attached, or closed
	Oversize       uint64 // dropped: larger than the MTU
}

type pipeCounters struct{ delivered, bytes, full, detached, oversize atomic.Uint64 }

// Stats returns the counters of packets sent to this end so far.
func (p *PipeEnd) Stats() PipeStats {
	return PipeStats{
		Delivered:      p.stats.delivered.Load(),
		DeliveredBytes: p.stats.bytes.Load(),
		QueueFull:      p.stats.full.Load(),
		Detached:       p.stats.detached.Load(),
		Oversize:       p.stats.oversize.Load(),
	}
}

var (
	_ stack.LinkEndpoint = (*PipeEnd)(nil)
	_ stack.GSOEndpoint  = (*PipeEnd)(nil)
)
