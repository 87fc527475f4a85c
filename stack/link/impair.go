package link

import (
	"math/rand/v2"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/nested"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// nestedLink passes every call of a link on to the link below.
type nestedLink = nested.Endpoint

// Impair is a link that treats packets badly on their way to and from the link
// below it: loss, duplication, reordering, corruption, delay, a limited rate.
// Make one with NewImpair.
type Impair struct {
	nestedLink
	lower   stack.LinkEndpoint
	in, out *lane
}

var (
	_ stack.LinkEndpoint      = (*Impair)(nil)
	_ stack.NetworkDispatcher = (*Impair)(nil)
)

// NewImpair puts an Impair in front of lower, which it owns from here on:
// Close closes it, and so does NewImpair when it returns an error, for which a
// value of cfg out of its range is the only reason.
//
// The stack above sees no offload, whatever lower has, since a flipped bit
// must meet a checksum, and a lost packet must be a packet: it sends packets of
// at most MTU bytes with full checksums, and verifies those of the packets it
// receives. The links of this package hand up only such packets once wrapped.
// Any other link must be opened without offload.
//
// With nothing configured packets pass in the caller's goroutine, without a
// copy. With anything configured, packets that need not wait still pass in the
// caller's goroutine; the others pass in a timer's, and errors of lower are
// counted in Refused instead of returned.
func NewImpair(lower stack.LinkEndpoint, cfg ImpairConfig) (*Impair, error) {
	if err := cfg.validate(); err != nil {
		lower.Close()
		lower.Wait()
		return nil, err
	}
	if cfg.Clock == nil {
		cfg.Clock = tcpip.NewStdClock()
	}
	requireWireForm(lower)
	i := &Impair{lower: lower}
	i.Init(lower, i)
	const in, out = 0, 1 // streams of one seed
	i.in = newLane(cfg.In, cfg.Clock, rand.NewPCG(cfg.Seed, in), i.deliver)
	i.out = newLane(cfg.Out, cfg.Clock, rand.NewPCG(cfg.Seed, out), i.transmit)
	return i, nil
}

// SetConfig puts cfg.In and cfg.Out in force for the packets that arrive from
// now on. Seed and Clock stay as they are. An error says which value is out of
// its range, and changes nothing.
func (i *Impair) SetConfig(cfg ImpairConfig) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	i.in.configure(cfg.In)
	i.out.configure(cfg.Out)
	return nil
}

// Stats returns the counters so far.
func (i *Impair) Stats() ImpairStats {
	return ImpairStats{In: i.in.counters.snapshot(), Out: i.out.counters.snapshot()}
}

// Capabilities implements stack.LinkEndpoint. It hides checksum offload.
func (i *Impair) Capabilities() stack.LinkEndpointCapabilities {
	return i.lower.Capabilities() &^ (stack.CapabilityTXChecksumOffload | stack.CapabilityRXChecksumOffload)
}

// SupportedGSO implements stack.GSOEndpoint. There is no segmentation offload.
func (*Impair) SupportedGSO() stack.SupportedGSO { return stack.GSONotSupported }

// GSOMaxSize implements stack.GSOEndpoint.
func (*Impair) GSOMaxSize() uint32 { return 0 }

// WritePackets implements stack.LinkEndpoint. A packet that is dropped counts
// as written, as on a real wire.
func (i *Impair) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	if !i.out.direct.Load() {
		if err := i.out.submit(0, pkts.AsSlice()...); err != nil {
			return 0, err
		}
		return pkts.Len(), nil
	}
	c := &i.out.counters
	for _, pkt := range pkts.AsSlice() {
		c.bytes.Add(uint64(networkSize(pkt)))
	}
	n, err := i.lower.WritePackets(pkts)
	c.packets.Add(uint64(pkts.Len()))
	c.delivered.Add(uint64(n))
	c.refused.Add(uint64(pkts.Len() - n))
	return n, err
}

// DeliverNetworkPacket implements stack.NetworkDispatcher, for the link below.
func (i *Impair) DeliverNetworkPacket(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	if i.in.direct.Load() {
		i.in.counters.packets.Add(1)
		i.in.counters.bytes.Add(uint64(networkSize(pkt)))
		i.in.counters.delivered.Add(1)
		i.nestedLink.DeliverNetworkPacket(protocol, pkt)
		return
	}
	_ = i.in.submit(protocol, pkt) // closed: counted as released
}

// deliver hands packets up.
func (i *Impair) deliver(packets []waitingPacket) {
	for _, w := range packets {
		i.nestedLink.DeliverNetworkPacket(w.protocol, w.pkt)
	}
	i.in.counters.delivered.Add(uint64(len(packets)))
}

// transmit hands packets down.
func (i *Impair) transmit(packets []waitingPacket) {
	var list stack.PacketBufferList
	for _, w := range packets {
		list.PushBack(w.pkt)
	}
	n, _ := i.lower.WritePackets(list) // the sender is long gone: counted
	i.out.counters.delivered.Add(uint64(n))
	i.out.counters.refused.Add(uint64(len(packets) - n))
}

// RequireWireForm does nothing: packets from an Impair are in wire form.
func (*Impair) RequireWireForm() {}

// Close drops the packets in flight and closes the link below. It does not
// wait: Wait does.
func (i *Impair) Close() {
	i.in.close()
	i.out.close()
	i.lower.Close()
}

// Wait returns when the link below has stopped and nothing is being handed on.
func (i *Impair) Wait() {
	i.in.wait()
	i.out.wait()
	i.lower.Wait()
}
