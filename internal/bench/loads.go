package bench

import (
	"fmt"
	"slices"
	"strings"

	"github.com/userstack/userstack/internal/bench/load"
)

// Load is a kind of traffic and what is read off it.
type Load struct {
	Name    string
	Group   string // selects several loads by one word
	About   string
	Metrics []Metric // the first is what a chart shows

	job   load.Job
	state state // of the processors
}

// state is how the processors are while a load is measured.
type state int

const (
	asIs   state = iota
	awake        // spinners keep the processors from sleeping
	pinned       // the same, and each end has one to itself
)

// Metric is a figure of a load.
type Metric struct {
	Name   string
	Unit   string
	Better Better
}

// compared reports whether a ratio of the figure means anything: a share that may be zero has none.
func (m Metric) compared() bool { return m.Name != lost.Name }

// Better says which of two figures is the better one.
type Better string

// More is for rates, Less for times and costs.
const (
	More Better = "more"
	Less Better = "less"
)

// The figures.
var (
	rate     = Metric{"rate", "Gbit/s", More}
	cost     = Metric{"cpu", "CPU s/GB", Less}
	median   = Metric{"p50", "µs", Less}
	tail     = Metric{"p99", "µs", Less}
	perEach  = Metric{"cpu", "CPU µs each", Less} // round trip, connection, datagram that arrived
	perSec   = Metric{"rate", "/s", More}
	packets  = Metric{"rate", "packets/s", More}
	lost     = Metric{"lost", "% lost", Less}
	perConn  = Metric{"bytes", "B each", Less}
	bulk     = []Metric{rate, cost}
	trips    = []Metric{median, tail, perEach}
	datagram = []Metric{packets, lost, perEach}
)

// How many connections are idle at once.
const (
	idleConns  = 10_000
	crowdConns = 100_000
	// crowdSpread is how many of them go to one address: Linux, and our stack as Linux, have 28,232 ports to connect from.
	crowdSpread = 20_000
)

// onRequest is the group of the loads that are measured only when they are asked for.
const onRequest = "more"

// loads are all there are, in the order of the table.
var loads = []Load{
	{"out-1", "bulk", "bulk, 1 connection, out", bulk, load.Job{Kind: load.Out, Conns: 1}, asIs},
	{"in-1", "bulk", "bulk, 1 connection, in", bulk, load.Job{Kind: load.In, Conns: 1}, asIs},
	{"out-8", "bulk", "bulk, 8 connections, out", bulk, load.Job{Kind: load.Out, Conns: 8}, asIs},
	{"in-8", "bulk", "bulk, 8 connections, in", bulk, load.Job{Kind: load.In, Conns: 8}, asIs},
	{"rtt-awake", "rtt", "one-byte round trip, processors awake", trips, load.Job{Kind: load.RoundTrip}, awake},
	{"rtt-pinned", "rtt", "one-byte round trip, processors awake, each end pinned to one", trips, load.Job{Kind: load.RoundTrip}, pinned},
	{"rtt-idle", "rtt", "one-byte round trip, idle machine", trips, load.Job{Kind: load.RoundTrip}, asIs},
	{"connect", "connect", "connect, request, close; 16 at once", []Metric{perSec, tail, perEach}, load.Job{Kind: load.Connect, Conns: 16}, asIs},
	{"udp64-out", "udp", "UDP, 64 B, out", datagram, load.Job{Kind: load.PacketsOut, Size: 64}, asIs},
	{"udp64-in", "udp", "UDP, 64 B, in", datagram, load.Job{Kind: load.PacketsIn, Size: 64}, asIs},
	{"udp1400-out", "udp", "UDP, 1,400 B, out", datagram, load.Job{Kind: load.PacketsOut, Size: 1400}, asIs},
	{"udp1400-in", "udp", "UDP, 1,400 B, in", datagram, load.Job{Kind: load.PacketsIn, Size: 1400}, asIs},
	{"idle", "memory", "memory of an idle connection, 10,000 of them", []Metric{perConn}, load.Job{Kind: load.Idle, Conns: idleConns}, asIs},
	{"idle-100k", onRequest, "memory of an idle connection, 100,000 of them", []Metric{perConn}, load.Job{Kind: load.Idle, Conns: crowdConns, Spread: crowdSpread}, asIs},
}

// Loads returns all loads, in the order of the table.
func Loads() []Load { return slices.Clone(loads) }

// pick returns what words select of a list, in the order of the list, or all of it without words.
func pick[T any](all []T, words []string, names func(T) []string, what string) ([]T, error) {
	if len(words) == 0 {
		return all, nil
	}
	var chosen []T
	known := map[string]bool{}
	for _, one := range all {
		take := false
		for _, name := range names(one) {
			known[name] = true
			take = take || slices.Contains(words, name)
		}
		if take {
			chosen = append(chosen, one)
		}
	}
	for _, word := range words {
		if !known[word] {
			var list []string
			for _, one := range all {
				list = append(list, names(one)[0])
			}
			return nil, fmt.Errorf("there is no %s %q; there are %s", what, word, strings.Join(list, ", "))
		}
	}
	return chosen, nil
}
