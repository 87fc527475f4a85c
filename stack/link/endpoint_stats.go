package link

import "sync/atomic"

// Stats counts what an Endpoint did. Every packet read is in RxPackets or in
// exactly one of the Rx fields that say why it was dropped; the same holds for
// packets given to the endpoint to send.
type Stats struct {
	RxPackets uint64 // handed to the stack, segments that a device has coalesced counted once
	RxBytes   uint64 // their bytes, without virtio header

	RxCoalesced uint64 // of RxPackets, those larger than a segment
	RxVouched   uint64 // of RxPackets, those taken without verification
	RxSplit     uint64 // packets that coalesced ones were cut into
	RxMerged    uint64 // of RxPackets, those that were made a part of one before them

	RxDetached      uint64 // no stack attached
	RxShort         uint64 // shorter than the smallest packet
	RxOversize      uint64 // larger than the buffer, 65535 bytes and link header
	RxUnknown       uint64 // neither IPv4 nor IPv6 (nor ARP, on Ethernet)
	RxOtherHost     uint64 // Ethernet: to another host's address
	RxVLAN          uint64 // Ethernet: tagged
	RxBadChecksum   uint64 // virtio: a partial checksum outside the packet, or a bad IPv4 header under it
	RxBadGSO        uint64 // virtio: segment type or size that does not fit the packet
	RxNotNegotiated uint64 // virtio: an offload that the device does not have

	TxPackets   uint64 // taken by the device, segments counted after cutting
	TxBytes     uint64 // their bytes, without virtio header
	TxOffloaded uint64 // of TxPackets, large ones that the device cuts
	TxSegments  uint64 // of TxPackets, those cut here
	TxErrors    uint64 // refused by the device
	TxHandedOn  uint64 // packets that their sender left to another goroutine to write
	TxSpared    uint64 // acknowledgements not sent, as what followed acknowledged as much

	ReadErrors uint64 // failed reads, not packets

	Polls    uint64 // times that the device was asked while busy polling
	PollHits uint64 // of those, how many ended a wait
}

// A verdict is what becomes of a received packet: pass, or a reason to drop it.
type verdict int

const (
	pass verdict = iota
	detached
	short
	oversize
	unknown
	otherHost
	vlan
	badChecksum
	badGSO
	notNegotiated
	verdicts
)

type counters struct {
	rx                                 [verdicts]atomic.Uint64
	rxBytes, coalesced, vouched, split atomic.Uint64
	tx, txBytes, offloaded, segments   atomic.Uint64
	txErrors, readErrors, merged       atomic.Uint64
	queued, spared                     atomic.Uint64
	polls, pollHits                    atomic.Uint64
}

// Stats returns the counters so far.
func (e *Endpoint) Stats() Stats {
	c := &e.stats
	return Stats{
		RxPackets:       c.rx[pass].Load(),
		RxBytes:         c.rxBytes.Load(),
		RxCoalesced:     c.coalesced.Load(),
		RxVouched:       c.vouched.Load(),
		RxSplit:         c.split.Load(),
		RxMerged:        c.merged.Load(),
		RxDetached:      c.rx[detached].Load(),
		RxShort:         c.rx[short].Load(),
		RxOversize:      c.rx[oversize].Load(),
		RxUnknown:       c.rx[unknown].Load(),
		RxOtherHost:     c.rx[otherHost].Load(),
		RxVLAN:          c.rx[vlan].Load(),
		RxBadChecksum:   c.rx[badChecksum].Load(),
		RxBadGSO:        c.rx[badGSO].Load(),
		RxNotNegotiated: c.rx[notNegotiated].Load(),
		TxPackets:       c.tx.Load(),
		TxBytes:         c.txBytes.Load(),
		TxOffloaded:     c.offloaded.Load(),
		TxSegments:      c.segments.Load(),
		TxErrors:        c.txErrors.Load(),
		TxHandedOn:      c.queued.Load(),
		TxSpared:        c.spared.Load(),
		ReadErrors:      c.readErrors.Load(),
		Polls:           c.polls.Load(),
		PollHits:        c.pollHits.Load(),
	}
}
