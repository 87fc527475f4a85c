package link

import (
	"bytes"
	"slices"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// TestKeeperGivesOutWhatIsFree: a view that somebody still has, whole or as a
// part of a buffer, must not be given out again.
func TestKeeperGivesOutWhatIsFree(t *testing.T) {
	const size = 16384
	k := viewKeeper{size: size}
	defer k.release()
	var out []*buffer.View
	var places []*byte
	take := func() *byte {
		v := k.view()
		if v.Size() != size {
			t.Fatalf("a view of %d bytes, want %d", v.Size(), size)
		}
		out = append(out, v)
		return &v.AsSlice()[0]
	}
	for range 2 * keptViews {
		p := take()
		if slices.Contains(places, p) {
			t.Fatal("a view was given out twice")
		}
		places = append(places, p)
	}
	if len(k.views) != keptViews {
		t.Errorf("%d views are kept, want %d", len(k.views), keptViews)
	}
	rest := out[0].Clone() // as a packet that was cloned
	rest.TrimFront(size - 1)
	for _, v := range out {
		v.Release()
	}
	out = nil
	var again []*byte
	for range keptViews {
		again = append(again, take())
	}
	if slices.Contains(again, places[0]) {
		t.Error("a view of which a part is in use was given out")
	}
	reused := 0
	for _, p := range again {
		if slices.Contains(places[:keptViews], p) {
			reused++
		}
	}
	if reused != keptViews-1 {
		t.Errorf("%d views were given out again, want %d", reused, keptViews-1)
	}
	rest.Release()
	for _, v := range out {
		v.Release()
	}
}

// TestKeptViewsHoldTheirPackets has a stack hold on to large packets while
// others pass: what it holds must stay what arrived.
func TestKeptViewsHoldTheirPackets(t *testing.T) {
	d, e, _ := newSinkEndpoint(t, allOffloads, 1)
	h := &holder{arrived: make(chan buffer.Buffer)}
	e.Attach(h)
	const packets = 3 * keptViews
	var held []buffer.Buffer
	var want [][]byte
	for i := range packets {
		b, l := testPacket{payload: 40000 + i}.build()
		for at := l.payload(); at < len(b); at++ {
			b[at] = byte(i)
		}
		want = append(want, bytes.Clone(b[l.payload():]))
		hdr := coalesced(b, l, 1000)
		d.inject(0, [][]byte{framed(hdr, b)})
		held = append(held, <-h.arrived)
		if i%2 == 1 {
			held[i].Release()
			held[i] = buffer.Buffer{}
		}
	}
	for i := range held {
		if i%2 == 1 {
			continue
		}
		got := held[i].Flatten()
		held[i].Release()
		if !bytes.Equal(got[len(got)-len(want[i]):], want[i]) {
			t.Errorf("packet %d has changed since it arrived", i)
		}
	}
}

// A holder hands on what arrives, to be kept.
type holder struct{ arrived chan buffer.Buffer }

func (h *holder) DeliverNetworkPacket(_ tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	h.arrived <- pkt.ToBuffer()
}

func (*holder) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}
