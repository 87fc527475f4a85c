//go:build !race

package sockets_test

import (
	"testing"

	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// Where a processor's time goes is not to be asked of a program that the race
// detector slows down; TestExplain is for that.

// busySituations have the processors busy, and so run alone.
var busySituations = []situation{
	{name: "processors", pipe: offloading, start: outward(64 << 20), interval: more(128 << 20), want: sockets.CauseProcessor},
	{name: "processors, for what comes", pipe: offloading, start: inward(64 << 20), interval: more(128 << 20), receiving: true,
		want: sockets.CauseProcessor, orPeer: true},
	{name: "no offload", start: outward(16 << 20), interval: more(64 << 20), want: sockets.CauseOffload},
	{name: "small packets", pipe: link.PipeConfig{MTU: 576}, start: outward(8 << 20), interval: more(32 << 20), want: sockets.CauseMTU},
	{name: "small packets that the peer asks for", farMSS: 536, start: outward(8 << 20), interval: more(32 << 20), want: sockets.CauseMTU,
		check: func(e sockets.Explanation) bool { return e.Path.MTU == 1500 }},
}

// TestExplainProcessors does so for what only processors that have no time left
// can cause. The time that they have is what it is, so that windows may be full
// for most of it: no share is asked for.
func TestExplainProcessors(t *testing.T) {
	for _, s := range busySituations {
		t.Run(s.name, func(t *testing.T) {
			s.alone = true
			w := s.watched(t)
			spin(t)
			s.start(w)
			s.judge(w)
		})
	}
}
