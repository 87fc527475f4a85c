package link

import (
	"fmt"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

const (
	// defaultReorderDepth packets overtake a held one: the duplicate-ACK
	// threshold of RFC 5681 §3.2, the least that a sender which knows no
	// reordering takes for a loss.
	defaultReorderDepth = 3

	// defaultReorderDelay bounds the time a packet is held where too few
	// others follow it.
	defaultReorderDelay = 10 * time.Millisecond

	// defaultQueue is the queue in front of a limited Rate, in bytes:
	// Linux's txqueuelen of 1,000 packets, of 1,500 bytes each.
	defaultQueue = 1000 * 1500

	// maxWaiting bounds the bytes that one direction keeps in flight, so that
	// a long Delay without a Rate cannot eat the machine's memory.
	maxWaiting = 64 << 20
)

// ImpairConfig says what an Impair does to packets. The zero value does
// nothing.
type ImpairConfig struct {
	// In impairs packets from the link to the stack, Out those from the stack
	// to the link.
	In, Out Impairment

	// Seed starts the random streams, one per direction. The n-th packet of a
	// direction meets the same decisions whenever Seed and the settings are
	// the same. Zero is a seed like any other.
	Seed uint64

	// Clock drives delays; nil is real time.
	Clock tcpip.Clock
}

// Impairment is what happens to packets in one direction. The zero value is a
// perfect wire. Probabilities run from 0 (never) to 1 (always) and are per
// packet. A packet passes the settings in the order of the fields.
type Impairment struct {
	// Blackhole drops everything, as a cut cable does.
	Blackhole bool

	// MTU silently drops packets whose network-layer size in bytes is larger:
	// a path MTU black hole (RFC 2923 §2.1). Zero is no limit. What the stack
	// believes to be the MTU does not change.
	MTU uint32

	// Burst loses packets in bursts, Loss loses them independently.
	Burst GilbertElliott
	Loss  float64

	// Corrupt flips one random bit at or after the network header. One bit,
	// as Linux's netem does, since the Internet checksum misses some pairs of
	// flips (RFC 1071), and a wire is meant to be noisy, not to lie.
	Corrupt float64

	// Duplicate sends a second copy right behind the first.
	Duplicate float64

	// Rate is the speed in bits per second of network-layer packets, zero is
	// unlimited. Packets wait for their turn in a queue of Queue bytes (zero:
	// 1,500,000); those that do not fit are dropped.
	Rate  uint64
	Queue int

	// Delay is added to every packet, plus a random part between zero and
	// Jitter. Neither changes the order of packets; Reorder does.
	Delay, Jitter time.Duration

	// Reorder holds a packet back until ReorderDepth later ones (zero: 3)
	// have overtaken it, but no longer than ReorderDelay (zero: 10 ms).
	Reorder      float64
	ReorderDepth int
	ReorderDelay time.Duration
}

// GilbertElliott is a two-state model of loss in bursts: a packet first moves
// the state, then is lost with the probability of the state (E. O. Elliott,
// "Estimates of error rates for codes on burst-noise channels", 1963; netem's
// gemodel with GoodLoss = 1-k and BadLoss = 1-h). The mean burst lasts
// 1/ToGood packets; the share of time in the bad state is
// ToBad/(ToBad+ToGood). It starts in the good state.
type GilbertElliott struct {
	// ToBad and ToGood are the probabilities of a change of state.
	ToBad, ToGood float64
	// GoodLoss and BadLoss are the probabilities of loss in each state.
	GoodLoss, BadLoss float64
}

// zero reports whether nothing at all happens to packets.
func (i Impairment) zero() bool {
	// The settings of a disabled impairment do not matter.
	i.Queue, i.ReorderDepth, i.ReorderDelay = 0, 0, 0
	return i == Impairment{}
}

// withDefaults fills in what zero stands for.
func (i Impairment) withDefaults() Impairment {
	if i.Queue == 0 {
		i.Queue = defaultQueue
	}
	if i.ReorderDepth == 0 {
		i.ReorderDepth = defaultReorderDepth
	}
	if i.ReorderDelay == 0 {
		i.ReorderDelay = defaultReorderDelay
	}
	return i
}

// validate names the first value that makes no sense.
func (c ImpairConfig) validate() error {
	if err := c.In.validate(); err != nil {
		return fmt.Errorf("link: impairment In: %w", err)
	}
	if err := c.Out.validate(); err != nil {
		return fmt.Errorf("link: impairment Out: %w", err)
	}
	return nil
}

func (i Impairment) validate() error {
	for _, p := range []struct {
		name  string
		value float64
	}{
		{"Burst.ToBad", i.Burst.ToBad},
		{"Burst.ToGood", i.Burst.ToGood},
		{"Burst.GoodLoss", i.Burst.GoodLoss},
		{"Burst.BadLoss", i.Burst.BadLoss},
		{"Loss", i.Loss},
		{"Corrupt", i.Corrupt},
		{"Duplicate", i.Duplicate},
		{"Reorder", i.Reorder},
	} {
		// Written so that NaN fails too.
		if !(p.value >= 0 && p.value <= 1) {
			return fmt.Errorf("%s is %v, want a probability from 0 to 1", p.name, p.value)
		}
	}
	for _, d := range []struct {
		name  string
		value int64
	}{
		{"Delay", int64(i.Delay)},
		{"Jitter", int64(i.Jitter)},
		{"ReorderDelay", int64(i.ReorderDelay)},
		{"ReorderDepth", int64(i.ReorderDepth)},
		{"Queue", int64(i.Queue)},
	} {
		if d.value < 0 {
			return fmt.Errorf("%s is negative", d.name)
		}
	}
	return nil
}
