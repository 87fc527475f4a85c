package oracle

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	oneSeed    = flag.Uint64("oracle.seed", 0, "run only the sequence of this `seed`")
	oneProgram = flag.String("oracle.program", "", "run only this `program`, \"family: step; step; ...\"")
)

const (
	sequences    = 3000             // in a test run that is not a soak
	soakVariable = "USERSTACK_SOAK" // how long TestSequences runs instead: a duration such as 10m
	leastSteps   = 20
	mostSteps    = 60
	shrinkTime   = 30 * time.Second // for making a program that failed smaller
)

// TestSequences makes random calls on both sides. `make soak` runs it for long, from a seed of its own.
func TestSequences(t *testing.T) {
	labs := &labs{t: t}
	labs.renew() // skips here, in the test's own goroutine, if it must
	switch {
	case *oneProgram != "":
		family, text, _ := strings.Cut(*oneProgram, ": ")
		once(t, sequence{family: family, program: parse(text)}, labs)
		return
	case *oneSeed != 0:
		once(t, generate(*oneSeed), labs)
		return
	}
	first, many := uint64(1), uint64(sequences)
	if raceEnabled {
		many /= raceShare
	}
	more := func(n uint64) bool { return n <= many }
	if s := os.Getenv(soakVariable); s != "" {
		length, err := time.ParseDuration(s)
		if err != nil {
			t.Fatalf("%s: %v", soakVariable, err)
		}
		end := time.Now().Add(length)
		first, more = uint64(time.Now().Unix())*1e6, func(uint64) bool { return time.Now().Before(end) }
	}
	var taken, steps, allowed atomic.Uint64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for n := taken.Add(1); more(n) && !t.Failed(); n = taken.Add(1) {
				s := generate(first + n - 1)
				diffs := labs.confirm(t, fmt.Sprint("seed ", s.seed), func(l *lab, patience time.Duration) []difference {
					ran, diffs := s.run(l, patience, &allowed)
					steps.Add(uint64(ran))
					return diffs
				})
				if len(diffs) > 0 {
					tell(t, s, labs, diffs[0])
				}
			}
		})
	}
	wg.Wait()
	if first == 1 && !raceEnabled && !t.Failed() {
		sequencePermits.unused(t)
	}
	t.Logf("%d sequences from seed %d, %d steps; %d ended early at a permitted difference", taken.Load()-workers, first, steps.Load(), allowed.Load())
}

// A sequence is a random program.
type sequence struct {
	seed    uint64
	family  string
	program program
}

// run returns how many steps it ran and how the sides differed. A permitted difference ends it: what follows may differ
// as well.
func (s sequence) run(l *lab, patience time.Duration, allowed *atomic.Uint64) (int, []difference) {
	o, k := l.drivers(s.family)
	defer o.close()
	defer k.close()
	r := &run{family: s.family, state: "sequence", o: o, k: k, permits: sequencePermits, patience: patience}
	ran := r.program(s.program)
	if r.permitted {
		allowed.Add(1)
	}
	return ran, r.diffs
}

// once runs one sequence and reports how it fails.
func once(t *testing.T, s sequence, labs *labs) {
	t.Helper()
	var allowed atomic.Uint64
	var n int
	var diffs []difference
	labs.do(func(l *lab) { n, diffs = s.run(l, *patience, &allowed) })
	t.Logf("%d of %d steps, %d permitted differences: %s: %v", n, len(s.program), allowed.Load(), s.family, s.program)
	if len(diffs) > 0 {
		tell(t, s, labs, diffs[0])
	}
}

// tell reports a difference, with the shortest program that it found to show it.
func tell(t *testing.T, s sequence, labs *labs, d difference) {
	t.Helper()
	s.program = s.shrink(labs, d)
	t.Errorf("%v\nseed %d; replay: go test ./stack/sockets/internal/oracle -run TestSequences -oracle.seed %d\nshort: -oracle.program '%s: %v'",
		d, s.seed, s.seed, s.family, s.program)
}

// shrink leaves out steps as long as the same kind of difference shows.
func (s sequence) shrink(labs *labs, want difference) program {
	fails := func(p program) bool {
		var ignored atomic.Uint64
		var diffs []difference
		labs.do(func(l *lab) { _, diffs = sequence{family: s.family, program: p}.run(l, *patience, &ignored) })
		return len(diffs) > 0 && diffs[0].what == want.what && diffs[0].step.op() == want.step.op() &&
			diffs[0].ours == want.ours && diffs[0].kernel == want.kernel
	}
	p, end := s.program, time.Now().Add(shrinkTime)
	for size := len(p) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(p) && time.Now().Before(end); {
			less := append(append(program{}, p[:at]...), p[at+size:]...)
			if fails(less) {
				p = less
			} else {
				at += size
			}
		}
	}
	return p
}

// A generator writes one random program.
type generator struct {
	*rand.Rand
	program program
	open    []string // names of sockets, in the order in which they came up
	kind    string
	count   int
}

// generate returns the sequence of a seed.
func generate(seed uint64) sequence {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0))}
	family := g.pick("v4", "v6", "dual")
	g.kind = g.pick("tcp", "tcp", "udp", "stream", "seqpacket", "dgram")
	if g.unix() {
		family = "unix"
	}
	g.start()
	for n := leastSteps + g.IntN(mostSteps-leastSteps+1); n > 0; n-- {
		g.step()
	}
	return sequence{seed, family, g.program}
}

func (g *generator) pick(words ...string) string { return words[g.IntN(len(words))] }

func (g *generator) add(format string, args ...any) {
	g.program = append(g.program, strings.Fields(fmt.Sprintf(format, args...)))
}

// start makes the sockets that most programs begin with.
func (g *generator) start() {
	text, names := "socket a udp; bind a lo:1; socket b udp; bind b lo:2", []string{"a", "b"}
	switch {
	case g.unix():
		text, names = g.startUnix()
	case g.kind == "tcp" && g.IntN(4) > 0:
		text = "socket l tcp; set l NODELAY 1; bind l lo:1; listen l 5; socket a tcp; set a NODELAY 1; connect a lo:1; accept l b"
		names = []string{"l", "a", "b"}
	case g.kind == "tcp":
		text, names = "socket l tcp; set l NODELAY 1; bind l lo:1; listen l 2; socket a tcp; set a NODELAY 1; bind a lo:2", []string{"l", "a"}
	case g.IntN(2) == 0:
		text += "; connect a lo:2"
	}
	g.program, g.open = parse(text), names
}

// A weighted step is written by f and comes up so many times in a sum of all weights.
type weighted struct {
	weight int
	f      func(g *generator)
}

var commonSteps = []weighted{
	{8, func(g *generator) {
		g.add("send %s %s %s", g.sock(), g.data(), g.pick("", "", "DONTWAIT"))
	}},
	{8, func(g *generator) {
		g.add("recv %s %d %s", g.sock(), 1+g.IntN(40), g.pick("", "", "PEEK", "WAITALL", "TRUNC", "PEEK|TRUNC"))
	}},
	{3, func(g *generator) { g.add("recvfrom %s %d", g.sock(), 1+g.IntN(40)) }},
	{3, func(g *generator) { g.add("shutdown %s %d", g.sock(), g.IntN(3)) }},
	{2, func(g *generator) { g.add("error %s", g.sock()) }},
	{2, func(g *generator) { g.add("poll %s %s", g.sock(), g.pick("IN", "OUT", "RDHUP", "IN|RDHUP", "PRI")) }},
	{1, (*generator).closeOne},
	{2, (*generator).newSocket},
	{2, func(g *generator) { g.add("bind %s %s:%d", g.sock(), g.pick("lo", "lo", "any", "other"), g.IntN(5)) }},
	{3, func(g *generator) { g.add("connect %s lo:%d", g.sock(), 1+g.IntN(4)) }},
	{1, func(g *generator) { g.add("connect %s unspec", g.sock()) }},
	{1, func(g *generator) { g.add("listen %s %d", g.sock(), 3+g.IntN(3)) }},
}

var tcpSteps = append([]weighted{
	{5, func(g *generator) {
		listener, name := g.sock(), g.fresh()
		if g.IntN(3) > 0 {
			listener = g.open[0]
		}
		g.add("accept %s %s", listener, name)
		g.open = append(g.open, name)
	}},
	{1, func(g *generator) { g.add("linger %s %d 0", g.sock(), g.IntN(2)) }},
}, commonSteps...)

var udpSteps = append([]weighted{
	{2, func(g *generator) { // what is gathered must leave: on Linux a later connect would lead it elsewhere
		name := g.sock()
		g.add("send %s %s MORE", name, g.data())
		g.add("send %s %s", name, g.data())
	}},
	{10, func(g *generator) { g.add("sendto %s %s lo:%d", g.sock(), g.data(), 1+g.IntN(5)) }},
	{2, func(g *generator) { g.add("set %s %s %d", g.sock(), g.pick("RECVERR", "BROADCAST"), g.IntN(2)) }},
}, commonSteps...)

func (g *generator) step() {
	steps := udpSteps
	switch {
	case g.unix():
		steps = unixSteps
	case g.kind == "tcp":
		steps = tcpSteps
	}
	sum := 0
	for _, s := range steps {
		sum += s.weight
	}
	n := g.IntN(sum)
	for _, s := range steps {
		if n -= s.weight; n < 0 {
			s.f(g)
			return
		}
	}
}

// mostSockets bounds how many sockets a program has open.
const mostSockets = 6

func (g *generator) sock() string {
	if len(g.open) == 0 {
		g.newSocket()
	}
	return g.open[g.IntN(len(g.open))]
}

func (g *generator) fresh() string {
	g.count++
	return fmt.Sprintf("s%02d", g.count)
}

// data is some text that no other step sends.
func (g *generator) data() string {
	g.count++
	if g.IntN(12) == 0 {
		return "-" // none
	}
	return fmt.Sprintf("<%d%s>", g.count, strings.Repeat(".", g.IntN(20)))
}

func (g *generator) closeOne() {
	if len(g.open) > 0 {
		i := g.IntN(len(g.open))
		g.add("close %s", g.open[i])
		g.open = append(g.open[:i:i], g.open[i+1:]...)
	}
}

func (g *generator) newSocket() {
	if len(g.open) > mostSockets {
		g.closeOne()
		return
	}
	name := g.fresh()
	g.add("socket %s %s", name, g.kind)
	if g.kind == "tcp" {
		g.add("set %s NODELAY 1", name) // what Nagle holds back is gone after a reset, sooner or later
	}
	g.open = append(g.open, name)
}
