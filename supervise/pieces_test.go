//go:build linux && (amd64 || arm64)

package supervise

import (
	"encoding/binary"
	"math"
	"testing"
)

// TestPieces checks that an array that was read ahead is taken from what was read
// and from nowhere else, wherever a program says that it is.
func TestPieces(t *testing.T) {
	const base = 0x1000
	p := &pieces{addr: base}
	for i := range 4 { // of 10, 11, 12 and 13 bytes
		p.bytes = binary.NativeEndian.AppendUint64(p.bytes, uint64(0x9000+i))
		p.bytes = binary.NativeEndian.AppendUint64(p.bytes, uint64(10+i))
	}
	bad := &pieces{addr: base, bytes: make([]byte, 2*pieceSize)}
	binary.NativeEndian.PutUint64(bad.bytes[8:], math.MaxUint64) // a negative length
	for _, tc := range []struct {
		what        string
		of          *pieces
		addr, count uint64
		want        int // bytes of all; -1 when it has to be read again
	}{
		{"all", p, base, 4, 46},
		{"the second", p, base + pieceSize, 1, 11},
		{"the last", p, base + 3*pieceSize, 1, 13},
		{"none", p, base, 0, -1},
		{"too many", p, base, 5, -1},
		{"past the end", p, base + 4*pieceSize, 1, -1},
		{"far past the end", p, base + 100*pieceSize, 1, -1},
		{"before", p, base - pieceSize, 1, -1},
		{"around the end of memory", p, math.MaxUint64 - pieceSize + 1, 1, -1},
		{"across it", p, math.MaxUint64 - 3, 2, -1},
		{"any number", p, base, math.MaxUint64, -1},
		{"negative", bad, base, 2, -1},
		{"nothing read", nil, base, 1, -1},
	} {
		v := tc.of.at(tc.addr, tc.count)
		if got := v.Len(); v == nil && tc.want != -1 || v != nil && got != tc.want {
			t.Errorf("%s: %v with %d bytes, want %d", tc.what, v, got, tc.want)
		}
	}
}
