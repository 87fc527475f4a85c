package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Config chooses what to measure. Rounds and Time have to be given.
type Config struct {
	Rounds int           // 1 to 1000
	Time   time.Duration // of a sample, after the warm-up; 20 ms to an hour
	Loads  []string      // names or groups of loads; nil means all but those of the group "more"
	Wires  []string      // names of wires; nil means all that this machine has

	// Progress is told what is going on, a line at a time. Nil is nobody.
	Progress io.Writer
}

// The bounds.
const (
	maxRounds = 1000
	minTime   = 20 * time.Millisecond // two ticks of the kernel's account
	maxTime   = time.Hour
)

// aside is about what a sample takes besides its time: making a wire and taking it down.
const aside = 200 * time.Millisecond

// A Plan is a Config whose names have been found.
type Plan struct {
	Config
	loads []Load
	wires []Wire
}

// Plan checks a Config.
func (c Config) Plan() (*Plan, error) {
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	switch {
	case c.Rounds < 1 || c.Rounds > maxRounds:
		return nil, fmt.Errorf("%d rounds are not from 1 to %d", c.Rounds, maxRounds)
	case c.Time < minTime || c.Time > maxTime:
		return nil, fmt.Errorf("a time of %v is not from %v to %v", c.Time, minTime, maxTime)
	}
	p := &Plan{Config: c}
	var err error
	if p.loads, err = pick(loads, c.Loads, func(l Load) []string { return []string{l.Name, l.Group} }, "load"); err != nil {
		return nil, err
	}
	if len(c.Loads) == 0 {
		p.loads = slices.DeleteFunc(slices.Clone(p.loads), func(l Load) bool { return l.Group == onRequest })
	}
	p.wires, err = pick(Wires(), c.Wires, func(w Wire) []string { return []string{w.Name} }, "wire")
	return p, err
}

// Run measures. Wires that this machine lacks are named in Absent. A sample that fails has its error in it, and the others
// go on. The error is that of ctx, and the report then has what was measured before.
func (p *Plan) Run(ctx context.Context) (_ *Report, err error) {
	defer func() { err = errors.Join(err, removePrograms()) }()
	r := &Report{Format: Format, Date: time.Now().UTC().Truncate(time.Second), Command: p.command(), Time: Seconds(p.Time)}
	var present []Wire
	for _, w := range p.wires {
		if err := w.ready(ctx); err != nil {
			r.Absent = append(r.Absent, Absent{w.Name, err.Error()})
			fmt.Fprintf(p.Progress, "%s: not measured: %v\n", w.Name, err)
			continue
		}
		present = append(present, w)
	}
	if len(present) == 0 {
		return r, errors.New("none of the wires can be measured here")
	}
	r.Machine = describe(present)
	about := time.Duration(len(p.loads)*p.Rounds*len(present)) * (p.Time + min(warmUp, p.Time) + aside)
	fmt.Fprintf(p.Progress, "loads: %d, wires: %d, rounds: %d; this takes about %v\n", len(p.loads), len(present), p.Rounds, about.Round(time.Second))
	for i, l := range p.loads {
		for round := range p.Rounds {
			for _, w := range present {
				s := measure(ctx, w, l, p.Time)
				if ctx.Err() != nil {
					return r, context.Cause(ctx)
				}
				s.Round = round + 1
				r.Samples = append(r.Samples, s)
				fmt.Fprintf(p.Progress, "%d/%d %s, round %d/%d, %s: %s\n", i+1, len(p.loads), l.Name, round+1, p.Rounds, w.Name, s.brief(l))
			}
		}
	}
	return r, nil
}

// command is the command line that measures the same.
func (p *Plan) command() string {
	words := []string{"userstack", "bench", "--rounds", fmt.Sprint(p.Rounds), "--time", p.Time.String()}
	if len(p.Loads) > 0 {
		words = append(words, "--load", strings.Join(p.Loads, ","))
	}
	if len(p.Wires) > 0 {
		words = append(words, "--wire", strings.Join(p.Wires, ","))
	}
	return strings.Join(words, " ")
}

// brief is a sample in a line.
func (s Sample) brief(l Load) string {
	switch {
	case s.Error != "":
		return "FAILED: " + s.Error
	case s.Skipped != "":
		return "not measured: " + s.Skipped
	}
	var parts []string
	for _, m := range l.Metrics {
		parts = append(parts, number(s.Values[m.Name])+" "+m.Unit)
	}
	return strings.Join(parts, ", ")
}
