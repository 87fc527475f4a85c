package load

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Sizes of a histogram: each power of two is divided into 128 buckets, so that a bucket is at most 0.8 % wide, and the
// last begins at 2^40 ns, 18 minutes.
const (
	subBits    = 7
	subBuckets = 1 << subBits
	maxBits    = 40
	buckets    = (maxBits - subBits + 1) * subBuckets
)

// Histogram counts durations. Adding is safe from any goroutine.
type Histogram struct {
	counts [buckets]atomic.Uint64
}

// Add counts a duration.
func (h *Histogram) Add(d time.Duration) { h.counts[bucket(uint64(max(d, 0)))].Add(1) }

func bucket(v uint64) int {
	shift := max(bits.Len64(v)-subBits-1, 0)
	if shift > maxBits-subBits-1 {
		return buckets - 1
	}
	// In the first two powers of two a bucket is one nanosecond; from there on the top bits are the place in the octave.
	return shift*subBuckets + int(v>>shift)
}

// low returns the least duration of a bucket, in nanoseconds.
func low(i int) uint64 {
	if i < 2*subBuckets {
		return uint64(i)
	}
	shift := i/subBuckets - 1
	return uint64(i-shift*subBuckets) << shift
}

// Snapshot returns what was counted so far, by bucket.
func (h *Histogram) Snapshot() Latencies {
	var l Latencies
	for i := range h.counts {
		if n := h.counts[i].Load(); n > 0 {
			l.Bucket = append(l.Bucket, i)
			l.Count = append(l.Count, n)
		}
	}
	return l
}

// Latencies is a snapshot of a Histogram: the buckets that are not empty, in order, and their counts.
type Latencies struct {
	Bucket []int    `json:"bucket,omitempty"`
	Count  []uint64 `json:"count,omitempty"`
}

// Since returns what was counted after an earlier snapshot of the same Histogram.
func (l Latencies) Since(earlier Latencies) Latencies {
	before := map[int]uint64{}
	for i, b := range earlier.Bucket {
		before[b] = earlier.Count[i]
	}
	var d Latencies
	for i, b := range l.Bucket {
		if n := l.Count[i] - before[b]; n > 0 {
			d.Bucket = append(d.Bucket, b)
			d.Count = append(d.Count, n)
		}
	}
	return d
}

// Quantile returns the duration that a share q of all, 0 to 1, did not exceed, to within a bucket; 0 if there are none.
func (l Latencies) Quantile(q float64) time.Duration {
	total := uint64(0)
	for _, n := range l.Count {
		total += n
	}
	if total == 0 {
		return 0
	}
	rank, seen := uint64(q*float64(total-1)), uint64(0)
	for i, n := range l.Count {
		if seen += n; seen > rank {
			return time.Duration(low(l.Bucket[i])+low(l.Bucket[i]+1)) / 2
		}
	}
	return time.Duration(low(l.Bucket[len(l.Bucket)-1]))
}
