package bench

import (
	"math"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestLimit: each cause is named when it is there, and no other.
func TestLimit(t *testing.T) {
	n := runtime.NumCPU()
	if n < 2 {
		t.Skip("needs two processors: with one, one busy processor is all of them")
	}
	near := func(busy float64) []share { // of all processors together, in a second
		return []share{{Name: "our stack", User: time.Duration(busy * float64(time.Second)), Switches: 2000}}
	}
	all := float64(n)
	for _, c := range []struct {
		load string
		seen Seen
		want []string
	}{
		{"out-1", Seen{Shares: near(all), Busy: 1}, []string{"processors: all busy", "our stack", "(outside the kernel)"}},
		{"out-1", Seen{Shares: near(0.97), Busy: 0.97 / all, Idle: 1 - 0.97/all}, []string{"one processor: our stack 0.97"}},
		{"out-1", Seen{Shares: near(1.3), Busy: 1.3 / all, Idle: 1 - 1.3/all}, []string{"processor time: our stack 1.30"}},
		{"out-1", Seen{Shares: near(0.5), Busy: 1}, []string{"busy with other programs"}},
		{"out-1", Seen{Shares: near(0.5), Busy: 0.5 / all, Idle: 1 - 0.5/all, Closed: 0.6}, []string{"waiting: 0.50 of", "window was full 60 %"}},
		{"out-1", Seen{Shares: near(0.5), Busy: 0.5 / all, Idle: 1 - 0.5/all, Sentsegs: 1000, Resent: 20}, []string{"waiting", "2.0 % of the segments sent again"}},
		{"out-1", Seen{Shares: near(0.5), Busy: 0.5 / all, Idle: 0.5, Stolen: 0.2}, []string{"waiting", "the hypervisor took 20 %"}},
		{"out-1", Seen{Shares: near(0.5), Busy: 0.5 / all, Idle: 1 - 0.5/all, Sent: 100, Received: 50}, []string{"waiting"}},
		{"udp64-out", Seen{Shares: near(0.5), Busy: 0.5 / all, Idle: 1 - 0.5/all, Sent: 100, Received: 50}, []string{"waiting", "50 % of the datagrams lost"}},
		{"rtt-idle", Seen{Shares: near(0.5), Busy: 0.5 / all, Idle: 1 - 0.5/all, Done: 1000}, []string{"2.0 waits a round trip"}},
		{"rtt-awake", Seen{Shares: near(0.5), Busy: 1, Done: 1000}, []string{"2.0 waits a round trip"}},
		{"out-1", Seen{Shares: near(0)}, []string{"not known"}},
	} {
		c.seen.Seconds = 1
		chosen, err := pick(loads, []string{c.load}, func(l Load) []string { return []string{l.Name} }, "load")
		if err != nil {
			t.Fatal(err)
		}
		got := limit(chosen[0], &c.seen)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s, %+v: %q, want %q", c.load, c.seen, got, want)
			}
		}
		if parts := strings.Count(got, ";"); parts >= len(c.want) {
			t.Errorf("%s, %+v: %q says more than %q", c.load, c.seen, got, c.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.00", 0.1234: "0.12", 9.87: "9.87", 12.34: "12.3", 123.4: "123", 1234.5: "1234", 12345.6: "12,346", 1234567: "1,234,567",
	} {
		if got := number(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
	if got := number(math.NaN()); got != "-" {
		t.Errorf("no number is %q", got)
	}
}

// TestNames: names and groups are unlike each other, and every load has a metric.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range Loads() {
		if seen[l.Name] || len(l.Metrics) == 0 || l.About == "" {
			t.Errorf("%+v", l)
		}
		seen[l.Name] = true
	}
	for _, w := range Wires() {
		if seen[w.Name] || w.About == "" || (w.open == nil && w.Missing() == nil) {
			t.Errorf("%+v", w)
		}
		seen[w.Name] = true
		if w.Reference != "" && w.Reference != overVeth && w.Reference != overLoopback {
			t.Errorf("%s is held against %s", w.Name, w.Reference)
		}
	}
}
