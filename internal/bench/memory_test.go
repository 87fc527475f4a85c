package bench

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/userstack/userstack/internal/bench/agent"
	"github.com/userstack/userstack/internal/bench/load"
)

// TestMemory: idle connections over the pipe in memory cost something, and the row says how many there were.
func TestMemory(t *testing.T) {
	l := Load{Name: "few", job: load.Job{Kind: load.Idle, Conns: 300}, Metrics: []Metric{perConn}}
	for _, w := range wires {
		if w.Name != overMemory {
			continue
		}
		for most, want := range map[int]string{0: "300 connections: ", 200: "200 connections: "} {
			w.most, l.job.Spread = most, 0
			if most == 0 {
				l.job.Spread = l.job.Conns / len(agent.FarAddrs) // to all the addresses that far has
			}
			s := measure(t.Context(), w, l, time.Second)
			_, memory, ok := strings.Cut(s.Limit, want)
			if s.Error != "" || !ok || len(s.Values) != 1 {
				t.Errorf("%+v, want %s", s, want)
			}
			// The kernel's part is that of the machine, whoever else uses it.
			const least, much = 1000, 100_000 // bytes: an endpoint of each end has kilobytes
			var each float64
			if _, err := fmt.Sscanf(memory, "near end's program %f B", &each); err != nil || each < least || each > much {
				t.Errorf("%v: %.0f bytes each in %q, want %d to %d", err, each, s.Limit, least, much)
			}
		}
	}
}

// TestCrowd: the load with the most connections has an address for all of them, is measured only when it is asked for, and
// then over our own wires, as far as there are descriptors.
func TestCrowd(t *testing.T) {
	if crowdConns > crowdSpread*len(agent.FarAddrs) {
		t.Errorf("%d connections do not go to %d addresses, %d to each", crowdConns, len(agent.FarAddrs), crowdSpread)
	}
	plan := func(words ...string) *Plan {
		p, err := Config{Rounds: 1, Time: time.Second, Loads: words}.Plan()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := plan(); len(p.loads) != len(loads)-1 {
		t.Errorf("%d loads of %d by default, want all but one", len(p.loads), len(loads))
	}
	asked := plan("idle-100k").loads
	if len(asked) != 1 {
		t.Fatalf("%d loads, want one", len(asked))
	}
	for wire, want := range map[string]bool{overMemory: true, overLoopback: false, "wireguard-go": false, "tun": maxFiles() >= crowdConns+spareFiles} {
		for _, w := range wires {
			if reason := w.skips(asked[0]); w.Name == wire && (reason == "") != want {
				t.Errorf("over %s: %q; measured is %v", wire, reason, want)
			}
		}
	}
}

// TestRoom: descriptors bound what takes some, and a peer has its own bound besides.
func TestRoom(t *testing.T) {
	files := maxFiles() - spareFiles
	for _, c := range []struct {
		wire Wire
		want int
	}{
		{Wire{Name: "some"}, files},
		{Wire{Name: overLoopback}, files / 2},
		{Wire{Name: overMemory}, math.MaxInt},
		{Wire{Name: overMemory, most: 7}, 7},
		{Wire{Name: "peer", most: 7}, 7},
		{Wire{Name: "peer", most: files + 1}, files},
	} {
		if got := c.wire.room(); got != c.want {
			t.Errorf("%s has room for %d, want %d", c.wire.Name, got, c.want)
		}
	}
}
