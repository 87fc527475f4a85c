package supervise

import (
	"testing"
	"time"
)

// TestHistogram: a time is found again with an error of an eighth at most.
func TestHistogram(t *testing.T) {
	last := -1
	for d := time.Duration(1); d < time.Hour; d += d/5 + 1 {
		b := bucket(d)
		if b < last {
			t.Fatalf("%v is in bucket %d, and something shorter in %d", d, b, last)
		}
		last = b
		if m := middle(b); (m - d).Abs() > d/8 {
			t.Errorf("%v is in bucket %d, whose middle is %v", d, b, m)
		}
	}
	for _, d := range []time.Duration{-1, 0, 1 << 62} {
		var h histogram
		h.add(d) // no panic
		if n, _ := h.percentiles(); n != 1 {
			t.Errorf("%v is counted %d times", d, n)
		}
	}
}

func TestPercentiles(t *testing.T) {
	var h histogram
	for i := range 100 {
		h.add(time.Duration(i+1) * time.Millisecond)
	}
	total, p := h.percentiles(50, 99, 100)
	if total != 100 {
		t.Errorf("%d times, want 100", total)
	}
	for i, want := range []time.Duration{50, 99, 100} {
		if want *= time.Millisecond; (p[i] - want).Abs() > want/8 {
			t.Errorf("percentile %d is %v, want about %v", i, p[i], want)
		}
	}
}

func TestPeak(t *testing.T) {
	var k counters
	k.opens()
	k.opens()
	k.closes()
	k.opens()
	s := k.stats(nil)
	if s.Opened != 3 || s.Open != 2 || s.Peak != 2 {
		t.Errorf("opened %d, open %d, peak %d; want 3, 2, 2", s.Opened, s.Open, s.Peak)
	}
}
