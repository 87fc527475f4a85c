package load

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestHistogram compares quantiles with those of the sorted list: they are within a bucket.
func TestHistogram(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	h.Add(time.Second) // before the first snapshot
	before := h.Snapshot()
	var all []time.Duration
	for range 10000 {
		d := time.Duration(random.ExpFloat64() * float64(20*time.Microsecond))
		h.Add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	l := h.Snapshot().Since(before)
	for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 1} {
		want := all[int(q*float64(len(all)-1))]
		if got := l.Quantile(q); got < want-want/100-1 || got > want+want/100+1 {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
	if (Latencies{}).Quantile(0.5) != 0 {
		t.Error("the median of nothing is something")
	}
}

// TestBuckets: buckets are in order, without a gap, and each duration is in its own.
func TestBuckets(t *testing.T) {
	for i := range buckets - 1 {
		if low(i+1) <= low(i) {
			t.Fatalf("bucket %d begins at %d, the next at %d", i, low(i), low(i+1))
		}
		for _, v := range []uint64{low(i), low(i+1) - 1} {
			if got := bucket(v); got != i {
				t.Fatalf("%d is in bucket %d, want %d", v, got, i)
			}
		}
	}
	if got := bucket(1 << 62); got != buckets-1 {
		t.Errorf("a very long time is in bucket %d of %d", got, buckets)
	}
}
