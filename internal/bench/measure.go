package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/userstack/userstack/internal/bench/agent"
	"github.com/userstack/userstack/internal/bench/load"
)

// warmUp is what passes before the clock starts: slow start, and windows that grow.
const warmUp = 300 * time.Millisecond

// connectFailures is the share of short connections that may fail before the sample is an error.
const connectFailures = 0.01

// hang is how long a sample may take besides its own time and its connections'. What takes longer hangs.
const hang = 40 * time.Second

var errHang = errors.New("gave up: it takes too long")

// measure makes a wire, measures a load over it once and takes it down.
func measure(ctx context.Context, w Wire, l Load, length time.Duration) (s Sample) {
	s = Sample{Load: l.Name, Wire: w.Name}
	if s.Skipped = w.skips(l); s.Skipped != "" {
		return s
	}
	ctx, cancel := context.WithTimeoutCause(ctx, length+hang+l.job.Patience(), errHang)
	defer cancel()
	if err := measureInto(ctx, &s, w, l, length); err != nil {
		s.Error = err.Error()
	}
	return s
}

func measureInto(ctx context.Context, into *Sample, w Wire, l Load, length time.Duration) (err error) {
	wire := new(session)
	defer func() { err = errors.Join(err, wire.close()) }()
	if l.state == pinned {
		wire.pins = processorEach()
	}
	if err := w.open(ctx, wire); err != nil {
		return err
	}
	if l.job.Kind == load.Idle {
		return measureMemory(ctx, into, wire, l, w.room())
	}
	if l.state != asIs {
		if _, err := wire.start(ctx, "spinners", agent.Config{Role: agent.Awake}, execCommand); err != nil {
			return err
		}
	}
	job := wire.job(l.job)
	if _, err := wire.near.ask(ctx, load.Ask{Start: &job}); err != nil {
		return err
	}
	if err := wait(ctx, min(warmUp, length)); err != nil {
		return err
	}
	seen, err := wire.watch(ctx, length)
	if err != nil {
		return err
	}
	if into.Values, err = values(l, seen); err != nil {
		return err
	}
	into.Limit = limit(l, seen)
	for name, v := range into.Values {
		into.Values[name] = rounded(v)
	}
	into.Seen = seen.rounded()
	return nil
}

// still is how long nothing may happen, on a machine that is very busy, before that is the result.
const still = 10 * time.Second

// watch sees what happens in an interval, which is made longer until something does.
func (s *session) watch(ctx context.Context, length time.Duration) (*Seen, error) {
	before, err := s.look(ctx, unswept)
	if err != nil {
		return nil, err
	}
	for {
		if err := wait(ctx, length); err != nil {
			return nil, err
		}
		after, err := s.look(ctx, unswept)
		if err != nil {
			return nil, err
		}
		seen := observe(s, before, after)
		if seen.Received > 0 || seen.Done > 0 || seen.Failed > 0 || seen.Seconds > still.Seconds() {
			return seen, nil
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// Seen is what happened during a sample.
type Seen struct {
	Seconds   float64 `json:"seconds"`
	Sent      float64 `json:"sent,omitempty"`     // by the sending end: bytes, or datagrams
	Received  float64 `json:"received,omitempty"` // by the receiving end
	Done      uint64  `json:"done,omitempty"`
	Failed    uint64  `json:"failed,omitempty"`
	Failure   string  `json:"failure,omitempty"`
	Shares    []share `json:"shares"`           // processor time, the near end first
	Busy      float64 `json:"busy"`             // share of the time of all processors, 0 to 1, of everybody
	Stolen    float64 `json:"stolen,omitempty"` // by the hypervisor
	Idle      float64 `json:"idle"`
	Sentsegs  uint64  `json:"segments,omitempty"` // of TCP, sent by both ends
	Resent    uint64  `json:"resent,omitempty"`   // of them, again
	Closed    float64 `json:"closed,omitempty"`   // share of the time that the receiver's window held a connection's sender back
	latencies load.Latencies
}

// observe takes the difference of two moments.
func observe(w *session, before, after moment) *Seen {
	near, far := between(before.near, after.near), between(before.far, after.far)
	near.Near.Latency = after.near.Near.Latency.Since(before.near.Near.Latency)
	seconds := near.At.Seconds()
	s := &Seen{
		Seconds:   seconds,
		Done:      near.Near.Done,
		Failed:    near.Near.Failed,
		Failure:   after.near.Near.Error,
		Shares:    w.shares(before, after),
		latencies: near.Near.Latency,
		Sentsegs:  near.Connection.Sent,
		Resent:    near.Connection.Retransmitted,
	}
	if w.near != w.far {
		s.Sentsegs += far.Connection.Sent
		s.Resent += far.Connection.Retransmitted
		near.Connection.WindowLimited += far.Connection.WindowLimited
	}
	s.Closed = float64(near.Connection.WindowLimited) / 1e6 / seconds / float64(max(after.near.Connection.Count, after.far.Connection.Count, 1))
	s.count(near, far)
	all := (after.machine.busy + after.machine.idle + after.machine.stolen) - (before.machine.busy + before.machine.idle + before.machine.stolen)
	if all > 0 {
		s.Busy = float64(after.machine.busy-before.machine.busy) / float64(all)
		s.Idle = float64(after.machine.idle-before.machine.idle) / float64(all)
		s.Stolen = float64(after.machine.stolen-before.machine.stolen) / float64(all)
	}
	return s
}

// count fills in what was sent and received: in the direction in which more went, packets rather than bytes.
func (s *Seen) count(near, far load.Reply) {
	outward := [2]uint64{near.Near.PacketsOut, far.Far.PacketsIn}
	inward := [2]uint64{far.Far.PacketsOut, near.Near.PacketsIn}
	if outward[0]+inward[1] == 0 {
		outward = [2]uint64{near.Near.BytesOut, far.Far.BytesIn}
		inward = [2]uint64{far.Far.BytesOut, near.Near.BytesIn}
	}
	// Each end has looked at a clock of its own.
	if outward[1] >= inward[1] {
		s.Sent, s.Received = float64(outward[0])/near.At.Seconds(), float64(outward[1])/far.At.Seconds()
	} else {
		s.Sent, s.Received = float64(inward[0])/far.At.Seconds(), float64(inward[1])/near.At.Seconds()
	}
	s.Sent *= s.Seconds
	s.Received *= s.Seconds
}

// between subtracts what a process had counted before.
func between(before, after load.Reply) load.Reply {
	d := load.Reply{At: after.At - before.At, Near: minus(after.Near, before.Near), Far: minus(after.Far, before.Far)}
	d.Connection.Sent = after.Connection.Sent - before.Connection.Sent
	d.Connection.Retransmitted = after.Connection.Retransmitted - before.Connection.Retransmitted
	d.Connection.WindowLimited = after.Connection.WindowLimited - before.Connection.WindowLimited
	return d
}

func minus(a, b load.Counts) load.Counts {
	return load.Counts{
		BytesIn: a.BytesIn - b.BytesIn, BytesOut: a.BytesOut - b.BytesOut,
		PacketsIn: a.PacketsIn - b.PacketsIn, PacketsOut: a.PacketsOut - b.PacketsOut,
		Done: a.Done - b.Done, Failed: a.Failed - b.Failed,
	}
}

// values reads the figures of a load off what was seen.
func values(l Load, s *Seen) (map[string]float64, error) {
	total := time.Duration(0)
	for _, one := range s.Shares {
		total += one.total()
	}
	cpu := total.Seconds()
	failed := fmt.Errorf("%d failures, the first: %s", s.Failed, s.Failure)
	switch l.job.Kind {
	case load.Out, load.In:
		if s.Failed > 0 {
			return nil, failed
		}
		if s.Received == 0 {
			return nil, errors.New("nothing arrived")
		}
		return map[string]float64{"rate": s.Received * 8 / 1e9 / s.Seconds, "cpu": cpu / (s.Received / 1e9)}, nil
	case load.RoundTrip, load.Connect:
		if s.Done == 0 || float64(s.Failed) > connectFailures*float64(s.Done) {
			return nil, fmt.Errorf("%d done, %w", s.Done, failed)
		}
		micro := func(q float64) float64 { return float64(s.latencies.Quantile(q)) / 1e3 }
		return map[string]float64{
			"rate": float64(s.Done) / s.Seconds, "p50": micro(0.5), "p99": micro(0.99), "cpu": cpu * 1e6 / float64(s.Done),
		}, nil
	}
	if s.Failed > 0 {
		return nil, failed
	}
	if s.Received == 0 {
		return nil, errors.New("nothing arrived")
	}
	gone := max(s.Sent-s.Received, 0)
	return map[string]float64{
		"rate": s.Received / s.Seconds, "lost": 100 * gone / max(s.Sent, 1), "cpu": cpu * 1e6 / s.Received,
	}, nil
}

// rounded keeps six digits: more would be noise, and files would be long.
func rounded(v float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 6, 64), 64)
	return r
}

func (s *Seen) rounded() *Seen {
	for _, v := range []*float64{&s.Seconds, &s.Sent, &s.Received, &s.Busy, &s.Idle, &s.Stolen, &s.Closed} {
		*v = rounded(*v)
	}
	for i := range s.Shares {
		s.Shares[i].User = s.Shares[i].User.Round(time.Microsecond)
		s.Shares[i].System = s.Shares[i].System.Round(time.Microsecond)
	}
	return s
}
