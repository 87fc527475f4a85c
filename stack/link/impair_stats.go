package link

import "sync/atomic"

// ImpairStats is a snapshot of what an Impair has done.
type ImpairStats struct {
	In, Out LaneStats
}

// LaneStats counts the packets of one direction of an Impair. Once nothing is
// in flight,
//
//	Packets + Duplicated = Delivered + Refused + Released +
//	                       Blackholed + TooBig + BurstLost + Lost + QueueFull
type LaneStats struct {
	Packets, Bytes uint64 // arrived, with network-layer bytes

	Blackholed uint64 // dropped: Blackhole
	TooBig     uint64 // dropped: larger than MTU
	BurstLost  uint64 // dropped: Burst
	Lost       uint64 // dropped: Loss
	QueueFull  uint64 // dropped: the queue of Rate or the delay line was full

	Corrupted  uint64 // passed on with a flipped bit
	Duplicated uint64 // extra copies made
	Reordered  uint64 // held back for others to overtake

	Delivered uint64 // handed to the other side
	Refused   uint64 // of those handed to the link below: the link returned an error
	Released  uint64 // dropped at Close while in flight, or arrived after it
}

// laneCounters are the live values behind LaneStats.
type laneCounters struct {
	packets, bytes                                 atomic.Uint64
	blackholed, tooBig, burstLost, lost, queueFull atomic.Uint64
	corrupted, duplicated, reordered               atomic.Uint64
	delivered, refused, released                   atomic.Uint64
}

func (c *laneCounters) snapshot() LaneStats {
	return LaneStats{
		Packets:    c.packets.Load(),
		Bytes:      c.bytes.Load(),
		Blackholed: c.blackholed.Load(),
		TooBig:     c.tooBig.Load(),
		BurstLost:  c.burstLost.Load(),
		Lost:       c.lost.Load(),
		QueueFull:  c.queueFull.Load(),
		Corrupted:  c.corrupted.Load(),
		Duplicated: c.duplicated.Load(),
		Reordered:  c.reordered.Load(),
		Delivered:  c.delivered.Load(),
		Refused:    c.refused.Load(),
		Released:   c.released.Load(),
	}
}
