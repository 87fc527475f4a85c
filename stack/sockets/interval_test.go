package sockets_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

func ExampleInterval() {
	oneSecond := sockets.IntervalFromSeconds(1)
	fmt.Println(oneSecond, oneSecond.Seconds(), oneSecond.Milliseconds(), oneSecond.Microseconds())
	fmt.Println(oneSecond.Duration(), sockets.IntervalNoTimeout.Duration() == sockets.NoTimeout)
	fmt.Println(sockets.TicksPerSecond())
	// Output:
	// 1000 1 1000 1000000
	// 1s true
	// 1000
}

func TestIntervals(t *testing.T) {
	const most = math.MaxUint32
	for _, tc := range []struct {
		name      string
		got, want sockets.Interval
	}{
		{"499 µs", sockets.IntervalFromMicroseconds(499), 0},
		{"500 µs", sockets.IntervalFromMicroseconds(500), 1},
		{"1499 µs", sockets.IntervalFromMicroseconds(1499), 1},
		{"all µs", sockets.IntervalFromMicroseconds(most), 4294967},
		{"7 ms", sockets.IntervalFromMilliseconds(7), 7},
		{"all ms", sockets.IntervalFromMilliseconds(most), most},
		{"2 s", sockets.IntervalFromSeconds(2), 2000},
		{"seconds wrap", sockets.IntervalFromSeconds(4294968), 704},
		{"1 ns", sockets.IntervalFromDuration(1), 1},
		{"1499999 ns", sockets.IntervalFromDuration(1499999), 1},
		{"1.5 ms", sockets.IntervalFromDuration(1500 * time.Microsecond), 2},
		{"0", sockets.IntervalFromDuration(0), sockets.IntervalNoWait},
		{"NoTimeout", sockets.IntervalFromDuration(sockets.NoTimeout), sockets.IntervalNoTimeout},
		{"50 days", sockets.IntervalFromDuration(50 * 24 * time.Hour), sockets.IntervalNoTimeout - 1},
		{"longest", sockets.IntervalFromDuration(math.MaxInt64), sockets.IntervalNoTimeout - 1},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %d ticks, want %d", tc.name, tc.got, tc.want)
		}
	}
	if us := sockets.Interval(most).Microseconds(); us != 4294966296 {
		t.Errorf("microseconds wrap to %d", us)
	}
	if s := sockets.Interval(1999).Seconds(); s != 1 {
		t.Errorf("1999 ticks are %d s", s)
	}
	if n := sockets.TicksPerSecond(); n < sockets.PR_INTERVAL_MIN || n > sockets.PR_INTERVAL_MAX {
		t.Errorf("%d ticks per second", n)
	}
	if sockets.Interval(5).Duration() != 5*time.Millisecond || sockets.IntervalNoWait.Duration() != 0 {
		t.Error("wrong durations")
	}
}

// The difference of two readings is the time between them, also across a wrap.
func TestIntervalNow(t *testing.T) {
	began := time.Now() // the first reading and the last, so that a pause between two is in both differences
	start := sockets.IntervalNow()
	for sockets.IntervalNow() == start {
		if time.Since(began) > patience {
			t.Fatal("the clock stands")
		}
	}
	passed := (sockets.IntervalNow() - start).Duration()
	if real := time.Since(began) + time.Millisecond; passed <= 0 || passed > real.Round(time.Millisecond)+time.Millisecond {
		t.Errorf("%v of %v passed", passed, real)
	}
}

func TestSeconds(t *testing.T) {
	for in, want := range map[float64]time.Duration{
		0: 0, 0.25: 250 * time.Millisecond, 1e-12: 1, 3: 3 * time.Second, 9e9: 9e18,
	} {
		if got, err := sockets.Seconds(in); err != nil || got != want {
			t.Errorf("Seconds(%v) = %v, %v", in, got, err)
		}
	}
	for _, in := range []float64{-1, -1e-12, math.NaN(), math.Inf(1), math.Inf(-1), 1e10} {
		_, err := sockets.Seconds(in)
		wantErrno(t, err, sockets.EINVAL)
	}
}
