package link_test

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/faketime"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack/link"
)

// impairBench is an Impair between a channel link and a dispatcher that keep
// what they are given, on a clock that the test moves.
type impairBench struct {
	*link.Impair
	t     *testing.T
	lower *channel.Endpoint
	clock *faketime.ManualClock
	up    received
}

// received is the stack's side: it notes the packets it is handed.
type received struct {
	mu      sync.Mutex
	packets [][]byte
	last    *stack.PacketBuffer // for identity only
	scratch bool                // overwrite packets, as a receiver may
}

func (r *received) DeliverNetworkPacket(_ tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	view := pkt.ToView()
	defer view.Release()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.packets = append(r.packets, view.ToSlice())
	r.last = pkt
	if r.scratch {
		clear(pkt.AsSlices()[0])
	}
}

func (*received) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}

func (r *received) take() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.packets
	r.packets = nil
	return taken
}

const benchMTU = 1500

func newImpairBench(t *testing.T, cfg link.ImpairConfig) *impairBench {
	t.Helper()
	b := &impairBench{t: t, lower: channel.New(1<<16, benchMTU, ""), clock: faketime.NewManualClock()}
	cfg.Clock = b.clock
	impair, err := link.NewImpair(b.lower, cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.Impair = impair
	impair.Attach(&b.up)
	t.Cleanup(func() {
		impair.Close()
		impair.Wait()
		b.lower.Drain()
	})
	return b
}

// packet makes a packet whose first four bytes are its number.
func packet(number, size int) *stack.PacketBuffer {
	data := make([]byte, size)
	binary.BigEndian.PutUint32(data, uint32(number))
	return stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(data)})
}

// receive lets packets first to first+n-1 arrive at the link.
func (b *impairBench) receive(first, n, size int) {
	for number := first; number < first+n; number++ {
		pkt := packet(number, size)
		b.lower.InjectInbound(header.IPv4ProtocolNumber, pkt)
		pkt.DecRef()
	}
}

// send has the stack send packets first to first+n-1.
func (b *impairBench) send(first, n, size int) {
	b.t.Helper()
	for number := first; number < first+n; number++ {
		var list stack.PacketBufferList
		list.PushBack(packet(number, size))
		if sent, err := b.WritePackets(list); sent != 1 || err != nil {
			b.t.Errorf("WritePackets = %d, %v", sent, err)
		}
		list.Reset()
	}
}

// arrived takes the numbers of the packets that the stack was handed.
func (b *impairBench) arrived() []int { return numbers(b.up.take()) }

// sent takes the numbers of the packets that the link was handed.
func (b *impairBench) sent() []int {
	var all [][]byte
	for pkt := b.lower.Read(); pkt != nil; pkt = b.lower.Read() {
		view := pkt.ToView()
		all = append(all, view.ToSlice())
		view.Release()
		pkt.DecRef()
	}
	return numbers(all)
}

func numbers(packets [][]byte) (n []int) {
	for _, p := range packets {
		n = append(n, int(binary.BigEndian.Uint32(p)))
	}
	return n
}

func wantNumbers(t *testing.T, what string, got []int, want ...int) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: packets %v, want %v", what, got, want)
	}
}

// balance checks that no packet is unaccounted for.
func balance(t *testing.T, what string, s link.LaneStats) {
	t.Helper()
	in := s.Packets + s.Duplicated
	out := s.Delivered + s.Refused + s.Released + s.Blackholed + s.TooBig + s.BurstLost + s.Lost + s.QueueFull
	if in != out {
		t.Errorf("%s: %d packets came in, %d are accounted for: %+v", what, in, out, s)
	}
}

func TestImpairHidesOffload(t *testing.T) {
	b := newImpairBench(t, link.ImpairConfig{})
	b.lower.LinkEPCapabilities = stack.CapabilityTXChecksumOffload | stack.CapabilityRXChecksumOffload | stack.CapabilitySaveRestore
	b.lower.SupportedGSOKind = stack.HostGSOSupported
	if got := b.Capabilities(); got != stack.CapabilitySaveRestore {
		t.Errorf("Capabilities = %b, want all but checksum offload", got)
	}
	if b.SupportedGSO() != stack.GSONotSupported || b.GSOMaxSize() != 0 {
		t.Errorf("SupportedGSO = %v, GSOMaxSize = %d, want neither", b.SupportedGSO(), b.GSOMaxSize())
	}
}

func TestImpairZeroIsDirect(t *testing.T) {
	b := newImpairBench(t, link.ImpairConfig{Seed: 7})
	pkt := packet(1, 100)
	defer pkt.DecRef()
	b.lower.InjectInbound(header.IPv4ProtocolNumber, pkt)
	if b.up.last != pkt {
		t.Error("an inbound packet was copied on its way up")
	}
	b.send(2, 3, 100)
	wantNumbers(t, "sent", b.sent(), 2, 3, 4)
	if n := testing.AllocsPerRun(100, func() { b.DeliverNetworkPacket(0, pkt); b.up.packets = nil }); n > 3 {
		t.Errorf("%v allocations per packet, want the 3 of the test's own dispatcher", n)
	}
	b.lower.Close()
	var list stack.PacketBufferList
	list.PushBack(pkt)
	if n, err := b.WritePackets(list); n != 0 || err == nil {
		t.Errorf("WritePackets on a closed link = %d, %v, want the link's error", n, err)
	}
	balance(t, "out", b.Stats().Out)
	if got := b.Stats().Out.Refused; got != 1 {
		t.Errorf("Refused = %d, want 1", got)
	}
}

// TestImpairProbabilities checks each probability, in each direction, within
// five standard deviations.
func TestImpairProbabilities(t *testing.T) {
	const n, p = 20000, 0.2
	tests := map[string]struct {
		cfg   link.Impairment
		count func(link.LaneStats) uint64
		extra int // packets that arrive more, per counted one
	}{
		"Loss":      {link.Impairment{Loss: p}, func(s link.LaneStats) uint64 { return s.Lost }, -1},
		"Duplicate": {link.Impairment{Duplicate: p}, func(s link.LaneStats) uint64 { return s.Duplicated }, 1},
		"Corrupt":   {link.Impairment{Corrupt: p}, func(s link.LaneStats) uint64 { return s.Corrupted }, 0},
		"Reorder":   {link.Impairment{Reorder: p}, func(s link.LaneStats) uint64 { return s.Reordered }, 0},
		"Burst": {link.Impairment{Burst: link.GilbertElliott{GoodLoss: p}},
			func(s link.LaneStats) uint64 { return s.BurstLost }, -1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newImpairBench(t, link.ImpairConfig{In: test.cfg, Out: test.cfg, Seed: 1})
			b.receive(0, n, 40)
			b.send(0, n, 40)
			b.clock.Advance(time.Second)
			s := b.Stats()
			if test.count(s.In) == test.count(s.Out) {
				t.Errorf("both directions counted %d: do they share a stream?", test.count(s.In))
			}
			for side, got := range map[string]struct {
				stats   link.LaneStats
				numbers []int
			}{"in": {s.In, b.arrived()}, "out": {s.Out, b.sent()}} {
				count := float64(test.count(got.stats))
				if d := math.Abs(count - n*p); d > 5*math.Sqrt(n*p*(1-p)) {
					t.Errorf("%s: %v of %d packets, want about %v", side, count, n, n*p)
				}
				if want := n + int(count)*test.extra; len(got.numbers) != want {
					t.Errorf("%s: %d packets arrived, want %d", side, len(got.numbers), want)
				}
				balance(t, side, got.stats)
			}
		})
	}
}

func TestImpairSeed(t *testing.T) {
	run := func(cfg link.Impairment, seed uint64) []int {
		b := newImpairBench(t, link.ImpairConfig{In: cfg, Seed: seed})
		b.receive(0, 1000, 40)
		b.clock.Advance(time.Second)
		return b.arrived()
	}
	rough := link.Impairment{Loss: .05, Duplicate: .05, Reorder: .1, Corrupt: .02}
	// Flipped bits may hit the number, so compare what arrives bit for bit.
	first := run(rough, 42)
	if !slices.Equal(first, run(rough, 42)) {
		t.Error("the same seed gave two different runs")
	}
	if slices.Equal(first, run(rough, 43)) {
		t.Error("two seeds gave the same run")
	}

	// A setting must not shift what the others draw.
	lost := func(arrived []int) (lost []int) {
		for n := range 1000 {
			if !slices.Contains(arrived, n) {
				lost = append(lost, n)
			}
		}
		return lost
	}
	alone := lost(run(link.Impairment{Loss: .05}, 42))
	together := lost(run(link.Impairment{Loss: .05, Duplicate: .3, Reorder: .2, Jitter: time.Millisecond}, 42))
	if len(alone) == 0 || !slices.Equal(alone, together) {
		t.Errorf("lost %v with Loss alone, %v with other settings beside it", alone, together)
	}
}

func TestImpairReorder(t *testing.T) {
	b := newImpairBench(t, link.ImpairConfig{In: link.Impairment{Reorder: 1}})
	hold := func() { b.set(link.Impairment{Reorder: 1, ReorderDepth: 2, ReorderDelay: 20 * time.Millisecond}) }
	pass := func() { b.set(link.Impairment{ReorderDepth: 2, ReorderDelay: 20 * time.Millisecond}) }

	hold()
	b.receive(0, 2, 40)
	wantNumbers(t, "held", b.arrived())
	pass()
	b.receive(2, 3, 40)
	wantNumbers(t, "overtaken twice", b.arrived(), 2, 3, 0, 1, 4)

	hold()
	b.receive(5, 1, 40)
	pass()
	b.receive(6, 1, 40)
	b.clock.Advance(19 * time.Millisecond)
	wantNumbers(t, "overtaken once", b.arrived(), 6)
	b.clock.Advance(time.Millisecond)
	wantNumbers(t, "after ReorderDelay", b.arrived(), 5)
	balance(t, "in", b.Stats().In)
}

// set changes the settings of inbound packets.
func (b *impairBench) set(in link.Impairment) {
	b.t.Helper()
	if err := b.SetConfig(link.ImpairConfig{In: in}); err != nil {
		b.t.Fatal(err)
	}
}

func TestImpairCorrupt(t *testing.T) {
	b := newImpairBench(t, link.ImpairConfig{In: link.Impairment{Corrupt: 1}})
	const size, linkHeader = 60, 14
	for range 2000 {
		original := make([]byte, size)
		pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(original)})
		pkt.LinkHeader().Consume(linkHeader)
		b.lower.InjectInbound(header.IPv4ProtocolNumber, pkt)
		view := pkt.ToView()
		if !slices.Equal(view.AsSlice(), original) {
			t.Fatal("the sender's copy was changed")
		}
		view.Release()
		pkt.DecRef()
		got := b.up.take()[0]
		flipped := 0
		for i, v := range got {
			flipped += bits.OnesCount8(v)
			if v != 0 && i < linkHeader {
				t.Fatalf("byte %d of the link header was changed", i)
			}
		}
		if flipped != 1 || len(got) != size {
			t.Fatalf("%d bits of %d bytes flipped, want 1 of %d", flipped, len(got), size)
		}
	}
}

func TestImpairDuplicate(t *testing.T) {
	b := newImpairBench(t, link.ImpairConfig{In: link.Impairment{Duplicate: 1}})
	b.up.scratch = true // one copy must not show in the other
	b.receive(1, 3, 40)
	wantNumbers(t, "arrived", b.arrived(), 1, 1, 2, 2, 3, 3)
}

func TestImpairDelayAndJitter(t *testing.T) {
	const delay, jitter = 33 * time.Millisecond, 5 * time.Millisecond
	b := newImpairBench(t, link.ImpairConfig{Out: link.Impairment{Delay: delay}})
	b.send(0, 3, 40)
	b.clock.Advance(delay - 1)
	wantNumbers(t, "too early", b.sent())
	b.clock.Advance(1)
	wantNumbers(t, "in time", b.sent(), 0, 1, 2)

	if err := b.SetConfig(link.ImpairConfig{Out: link.Impairment{Delay: delay, Jitter: jitter}}); err != nil {
		t.Fatal(err)
	}
	start, late := b.clock.NowMonotonic(), 0
	const n = 200
	b.send(0, n, 40)
	b.clock.Advance(delay - 1)
	wantNumbers(t, "too early", b.sent())
	var all []int
	for len(all) < n {
		b.clock.Advance(100 * time.Microsecond)
		got := b.sent()
		if b.clock.NowMonotonic().Sub(start) > delay+jitter/2 {
			late += len(got)
		}
		if b.clock.NowMonotonic().Sub(start) > delay+jitter+time.Millisecond {
			t.Fatalf("%d packets are later than Delay+Jitter", n-len(all))
		}
		all = append(all, got...)
	}
	if !slices.IsSorted(all) {
		t.Error("Jitter changed the order")
	}
	if late == 0 {
		t.Error("no packet was late by more than half of Jitter")
	}
}

func TestImpairRateAndQueue(t *testing.T) {
	// 1,250 bytes take 10 ms at 1 Mbit/s. The first is on the wire, but
	// counts as queued until it has left.
	b := newImpairBench(t, link.ImpairConfig{In: link.Impairment{Rate: 1e6, Queue: 4 * 1250}})
	b.receive(0, 10, 1250)
	if got := b.Stats().In.QueueFull; got != 6 {
		t.Errorf("QueueFull = %d, want 6", got)
	}
	for number := range 4 {
		b.clock.Advance(10*time.Millisecond - 1)
		wantNumbers(t, "too early", b.arrived())
		b.clock.Advance(1)
		wantNumbers(t, "in turn", b.arrived(), number)
	}
	b.receive(10, 1, 1250)
	b.clock.Advance(10 * time.Millisecond)
	wantNumbers(t, "after the queue has drained", b.arrived(), 10)
	balance(t, "in", b.Stats().In)
}

func TestImpairDelayLineIsBounded(t *testing.T) {
	b := newImpairBench(t, link.ImpairConfig{In: link.Impairment{Delay: time.Hour}})
	const size = 1 << 20
	b.receive(0, 65, size)
	if got := b.Stats().In.QueueFull; got != 1 {
		t.Errorf("QueueFull = %d after 65 MiB, want 1", got)
	}
}

func TestImpairBurst(t *testing.T) {
	const n = 200000
	b := newImpairBench(t, link.ImpairConfig{Seed: 3, In: link.Impairment{
		Burst: link.GilbertElliott{ToBad: .01, ToGood: .2, BadLoss: 1},
	}})
	b.receive(0, n, 40)
	arrived := b.arrived()
	lost, bursts := n-len(arrived), 0
	for i := range len(arrived) - 1 {
		if arrived[i+1] != arrived[i]+1 {
			bursts++
		}
	}
	share, length := float64(lost)/n, float64(lost)/float64(bursts)
	if math.Abs(share-.01/.21) > .005 {
		t.Errorf("lost a share of %.4f, want about %.4f", share, .01/.21)
	}
	if math.Abs(length-5) > .3 {
		t.Errorf("mean burst of %.2f packets, want about 5", length)
	}
}

func TestImpairBlackholeAndMTU(t *testing.T) {
	b := newImpairBench(t, link.ImpairConfig{In: link.Impairment{MTU: 1400}})
	b.receive(0, 1, 1401)
	b.receive(1, 1, 1400)
	wantNumbers(t, "MTU", b.arrived(), 1)
	b.set(link.Impairment{Blackhole: true})
	b.receive(2, 5, 40)
	b.set(link.Impairment{})
	b.receive(7, 1, 40)
	wantNumbers(t, "Blackhole", b.arrived(), 7)
	if s := b.Stats().In; s.TooBig != 1 || s.Blackholed != 5 {
		t.Errorf("TooBig = %d, Blackholed = %d, want 1 and 5", s.TooBig, s.Blackholed)
	}
	if got := b.MTU(); got != benchMTU {
		t.Errorf("MTU = %d, want the link's own %d", got, benchMTU)
	}
}

func TestImpairConfigIsChecked(t *testing.T) {
	nan := math.NaN()
	for _, test := range []struct {
		want string
		cfg  link.ImpairConfig
	}{
		{"In: Loss is -0.1", link.ImpairConfig{In: link.Impairment{Loss: -.1}}},
		{"Out: Duplicate is 1.1", link.ImpairConfig{Out: link.Impairment{Duplicate: 1.1}}},
		{"In: Reorder is NaN", link.ImpairConfig{In: link.Impairment{Reorder: nan}}},
		{"In: Corrupt is 2", link.ImpairConfig{In: link.Impairment{Corrupt: 2}}},
		{"In: Burst.ToBad is 2", link.ImpairConfig{In: link.Impairment{Burst: link.GilbertElliott{ToBad: 2}}}},
		{"In: Burst.ToGood is 2", link.ImpairConfig{In: link.Impairment{Burst: link.GilbertElliott{ToGood: 2}}}},
		{"In: Burst.GoodLoss is 2", link.ImpairConfig{In: link.Impairment{Burst: link.GilbertElliott{GoodLoss: 2}}}},
		{"In: Burst.BadLoss is 2", link.ImpairConfig{In: link.Impairment{Burst: link.GilbertElliott{BadLoss: 2}}}},
		{"In: Delay is negative", link.ImpairConfig{In: link.Impairment{Delay: -1}}},
		{"In: Jitter is negative", link.ImpairConfig{In: link.Impairment{Jitter: -1}}},
		{"In: ReorderDelay is negative", link.ImpairConfig{In: link.Impairment{ReorderDelay: -1}}},
		{"In: ReorderDepth is negative", link.ImpairConfig{In: link.Impairment{ReorderDepth: -1}}},
		{"In: Queue is negative", link.ImpairConfig{In: link.Impairment{Queue: -1}}},
	} {
		lower := channel.New(1, benchMTU, "")
		impair, err := link.NewImpair(lower, test.cfg)
		if impair != nil || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("NewImpair: error %v, want one with %q", err, test.want)
		}
		var list stack.PacketBufferList
		list.PushBack(packet(0, 40))
		if _, err := lower.WritePackets(list); err == nil {
			t.Errorf("%s: the link is still open", test.want)
		}
		list.Reset()
		lower.Drain()

		b := newImpairBench(t, link.ImpairConfig{In: link.Impairment{Delay: time.Second}})
		if err := b.SetConfig(test.cfg); err == nil {
			t.Errorf("SetConfig accepted what NewImpair refuses: %s", test.want)
		}
		b.receive(0, 1, 40)
		if got := b.arrived(); got != nil {
			t.Errorf("%s: a refused SetConfig changed the settings", test.want)
		}
	}
}

// TestImpairCloseReleases leaves it to the leak check of TestMain to find a
// packet that was not released.
func TestImpairCloseReleases(t *testing.T) {
	cfg := link.Impairment{Delay: time.Second, Duplicate: 1}
	b := newImpairBench(t, link.ImpairConfig{In: cfg, Out: cfg})
	b.receive(0, 5, 40)
	b.send(0, 5, 40)
	b.set(link.Impairment{Reorder: 1, ReorderDelay: time.Hour})
	b.receive(5, 1, 40)
	b.clock.Advance(time.Second) // packet 5 is held now
	b.set(link.Impairment{Delay: time.Second})
	b.receive(6, 1, 40)
	b.Close()
	b.Close()
	b.Wait()
	b.receive(7, 1, 40)
	b.arrived()
	b.clock.Advance(2 * time.Hour)
	wantNumbers(t, "after Close", b.arrived())
	s := b.Stats()
	if s.In.Released != 3 {
		t.Errorf("In.Released = %d, want one queued, one held, one late", s.In.Released)
	}
	balance(t, "in", s.In)
	balance(t, "out", s.Out)
}

func TestImpairDetached(t *testing.T) {
	b := newImpairBench(t, link.ImpairConfig{In: link.Impairment{Delay: time.Second}})
	b.receive(0, 5, 40)
	b.Attach(nil)
	b.clock.Advance(time.Second)
	wantNumbers(t, "detached", b.arrived())
	if b.IsAttached() || b.lower.IsAttached() {
		t.Error("still attached")
	}
	b.Attach(&b.up)
	b.receive(5, 1, 40)
	b.clock.Advance(time.Second)
	wantNumbers(t, "attached again", b.arrived(), 5)
}

// TestImpairConcurrent is for the race detector: writers, readers, changes of
// settings and Close at once.
func TestImpairConcurrent(t *testing.T) {
	lower := channel.New(1<<16, benchMTU, "")
	rough := link.Impairment{Loss: .1, Duplicate: .1, Reorder: .1, Delay: time.Microsecond, Jitter: time.Millisecond, Rate: 1e9}
	impair, err := link.NewImpair(lower, link.ImpairConfig{In: rough, Out: rough})
	if err != nil {
		t.Fatal(err)
	}
	b := &impairBench{Impair: impair, t: t, lower: lower}
	impair.Attach(&b.up)
	var work sync.WaitGroup
	for range 3 {
		work.Go(func() { b.receive(0, 2000, 40) })
		work.Go(func() { b.send(0, 2000, 40) })
	}
	work.Go(func() {
		for range 200 {
			_ = impair.SetConfig(link.ImpairConfig{})
			_ = impair.SetConfig(link.ImpairConfig{In: rough, Out: rough})
			impair.Stats()
		}
	})
	work.Wait()
	work.Go(func() { b.receive(0, 2000, 40) })
	work.Go(impair.Close)
	work.Wait()
	impair.Wait()
	lower.Drain()
	balance(t, "in", impair.Stats().In)
	balance(t, "out", impair.Stats().Out)
}
