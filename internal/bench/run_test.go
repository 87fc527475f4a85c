package bench_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/userstack/userstack/internal/bench"
	"github.com/userstack/userstack/internal/needs"
)

// short is a sample that is long enough to see something: it is made longer until there is something.
const short = 50 * time.Millisecond

// measure runs a small plan and checks what every report has.
// What is missing for a wire is what USERSTACK_REQUIRE calls by that name.
func measure(t *testing.T, name string, cfg bench.Config) *bench.Report {
	t.Helper()
	cfg.Rounds, cfg.Time = 1, short
	plan, err := cfg.Plan()
	if err != nil {
		t.Fatal(err)
	}
	report, err := plan.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range report.Absent {
		needs.Have(t, name, fmt.Errorf("%s is missing: %s", a.Wire, a.Reason))
	}
	if want := len(cfg.Loads) * len(cfg.Wires); len(report.Samples) != want {
		t.Errorf("%d samples, want %d", len(report.Samples), want)
	}
	for _, s := range report.Samples {
		if s.Error != "" {
			t.Errorf("%s over %s: %s", s.Load, s.Wire, s.Error)
			continue
		}
		if s.Skipped != "" {
			t.Logf("%s over %s: %s", s.Load, s.Wire, s.Skipped)
			continue
		}
		for name, v := range s.Values {
			if v < 0 || (v == 0 && name == "rate") {
				t.Errorf("%s over %s: %s is %v", s.Load, s.Wire, name, v)
			}
		}
		if s.Limit == "" {
			t.Errorf("%s over %s: nothing limits it", s.Load, s.Wire)
		}
	}
	return report
}

// TestRunInMemory measures every load over the pipe, which every machine has.
func TestRunInMemory(t *testing.T) {
	report := measure(t, "netns", bench.Config{Wires: []string{"pair"}, Loads: []string{
		"out-1", "in-1", "out-8", "in-8", "rtt-idle", "connect", "udp64-out", "udp64-in", "udp1400-out", "udp1400-in",
	}})
	for _, s := range report.Samples {
		if s.Seen == nil || s.Seen.Seconds < short.Seconds() || s.Seen.Failed > 0 || len(s.Seen.Shares) == 0 {
			t.Errorf("%s: %+v", s.Load, s.Seen)
		}
	}
}

// TestRunCancelled: a run ends with its context, and returns what it has.
func TestRunCancelled(t *testing.T) {
	plan, err := bench.Config{Rounds: 1, Time: time.Hour, Wires: []string{"pair"}, Loads: []string{"out-1"}}.Plan()
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	plan.Progress = writer(func([]byte) { cancel(enough) })
	report, err := plan.Run(ctx)
	if !errors.Is(err, enough) || report == nil || len(report.Samples) != 0 {
		t.Errorf("%v, %+v", err, report)
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(bytes.Clone(p)); return len(p), nil }

func TestPlanErrors(t *testing.T) {
	for _, cfg := range []bench.Config{
		{}, {Rounds: 1}, {Rounds: 1, Time: time.Millisecond}, {Rounds: 1001, Time: time.Second}, {Rounds: -1, Time: time.Second},
		{Rounds: 1, Time: 2 * time.Hour}, {Rounds: 1, Time: time.Second, Loads: []string{"out"}}, {Rounds: 1, Time: time.Second, Wires: []string{""}},
	} {
		if _, err := cfg.Plan(); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
}
