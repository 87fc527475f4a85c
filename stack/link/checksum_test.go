package link

import (
	"encoding/binary"
	"testing"
)

// TestCompletePartialZero completes a checksum that comes out as zero, which
// in UDP would say that there is none.
func TestCompletePartialZero(t *testing.T) {
	b, l := testPacket{udp: true, payload: 20}.build()
	field := l.transport() + l.checksumOffset()
	// Adding the checksum to the data makes the new one zero.
	sum := binary.BigEndian.Uint16(b[field:])
	data := b[l.payload():]
	old := binary.BigEndian.Uint16(data)
	added := uint32(old) + uint32(sum)
	binary.BigEndian.PutUint16(data, uint16(added)+uint16(added>>16))
	partial(b, l)
	completePartial(b, l.transport(), field, nil)
	if got := binary.BigEndian.Uint16(b[field:]); got != 0xffff {
		t.Errorf("checksum %#x, want 0xffff", got)
	}
}

// TestParseLayout has headers that end too early or never.
func TestParseLayout(t *testing.T) {
	for _, p := range []testPacket{{payload: 5}, {options: 40}, {udp: true}, {v6: true}, {v6: true, udp: true, hopOpts: 264}} {
		b, want := p.build()
		got, ok := parseLayout(b, 0)
		if !ok || got != want {
			t.Errorf("%+v: layout %+v, %v, want %+v", p, got, ok, want)
		}
		for n := range want.payload() {
			if l, ok := parseLayout(b[:n], 0); ok {
				t.Errorf("%+v cut to %d bytes: layout %+v", p, n, l)
			}
		}
	}
	chain := make([]byte, 40+8*300)
	chain[0] = 0x60 // next header 0: options, each of which says options follow
	if l, ok := parseLayout(chain, 0); ok {
		t.Errorf("options without end: layout %+v", l)
	}
}
