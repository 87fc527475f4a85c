package acks

import (
	"fmt"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
)

// TestStream plays segments and acknowledgements, and compares what would be
// reported. Numbers are offsets from a start; the test runs from several, so
// that some of them wrap around.
func TestStream(t *testing.T) {
	type step struct {
		from, to int // a segment
		damaged  bool
		ack      int // or an acknowledgement, and then
		want     string
	}
	for name, steps := range map[string][]step{
		"in order":                {{from: 0, to: 10}, {from: 10, to: 20}, {ack: 20, want: "[]"}},
		"one gap":                 {{from: 10, to: 20}, {ack: 0, want: "[10-20]"}},
		"behind what is in order": {{from: 0, to: 10}, {from: 20, to: 30}, {ack: 10, want: "[20-30]"}},
		"latest first":            {{from: 10, to: 20}, {from: 30, to: 40}, {ack: 0, want: "[30-40 10-20]"}},
		"joined":                  {{from: 10, to: 20}, {from: 30, to: 40}, {from: 20, to: 30}, {ack: 0, want: "[10-40]"}},
		"overlapping":             {{from: 10, to: 25}, {from: 20, to: 40}, {from: 5, to: 12}, {ack: 0, want: "[5-40]"}},
		"again":                   {{from: 10, to: 20}, {from: 30, to: 40}, {from: 10, to: 20}, {ack: 0, want: "[10-20 30-40]"}},
		"gap filled":              {{from: 10, to: 20}, {from: 30, to: 40}, {from: 0, to: 10}, {ack: 20, want: "[30-40]"}},
		"gap overfilled":          {{from: 10, to: 20}, {from: 30, to: 40}, {from: 0, to: 35}, {ack: 40, want: "[]"}},
		"acknowledged":            {{from: 10, to: 20}, {from: 30, to: 40}, {ack: 20, want: "[30-40]"}, {ack: 40, want: "[]"}},
		"acknowledged in part":    {{from: 10, to: 20}, {ack: 15, want: "[]"}},
		"old":                     {{from: 0, to: 10}, {from: 0, to: 10}, {from: 20, to: 30}, {from: 5, to: 9}, {ack: 10, want: "[20-30]"}},
		"late acknowledgement":    {{from: 0, to: 10}, {from: 10, to: 20}, {from: 30, to: 40}, {ack: 10, want: "[30-40]"}},
		"damaged":                 {{from: 10, to: 20, damaged: true}, {ack: 0, want: "[]"}},
		"gap filled, damaged":     {{from: 10, to: 20}, {from: 0, to: 10, damaged: true}, {ack: 0, want: "[10-20]"}},
		"far away":                {{from: maxGap, to: maxGap + 10}, {ack: 0, want: "[]"}},
		"more than fit":           {{from: 1, to: 2}, {from: 3, to: 4}, {from: 5, to: 6}, {from: 7, to: 8}, {from: 9, to: 10}, {ack: 0, want: "[9-10 7-8 5-6 3-4]"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, base := range []seqnum.Value{0, 1 << 31, 1<<32 - 15} {
				s := &stream{agreed: true, next: base}
				for i, step := range steps {
					if step.to != 0 {
						start, end := base+seqnum.Value(step.from), base+seqnum.Value(step.to)
						if !s.follow(start, end) && !step.damaged {
							s.receive(start, end)
						}
						continue
					}
					blocks, n := s.acknowledge(base + seqnum.Value(step.ack))
					got := []string{}
					for _, b := range blocks[:n] {
						got = append(got, fmt.Sprintf("%d-%d", b.Start-base, b.End-base))
					}
					if fmt.Sprint(got) != step.want {
						t.Errorf("from %d, step %d: %v, want %s", base, i, got, step.want)
					}
				}
			}
		})
	}
}

func TestStreamIsBounded(t *testing.T) {
	s := &stream{}
	for i := range seqnum.Value(1000) {
		s.receive(10*i+5, 10*i+6)
	}
	if len(s.blocks) != maxBlocks || s.blocks[0].Start != 9995 {
		t.Errorf("%d blocks, the first %v", len(s.blocks), s.blocks[0])
	}
}
