package sockets

import (
	"math"
	"time"
)

// Interval is NSPR's PRIntervalTime: a number of ticks of a clock of which only
// differences mean anything. It wraps after 49 days, so intervals of more than
// six hours are not what it is for; time.Duration is. Duration makes it an
// argument of Within and SetTimeout.
type Interval uint32

// PR_INTERVAL_MIN and PR_INTERVAL_MAX bound TicksPerSecond.
const (
	PR_INTERVAL_MIN = 1000
	PR_INTERVAL_MAX = 100000
)

const (
	// IntervalNoTimeout is PR_INTERVAL_NO_TIMEOUT: to block for ever.
	IntervalNoTimeout Interval = 0xffffffff
	// IntervalNoWait is PR_INTERVAL_NO_WAIT: not to block at all.
	IntervalNoWait Interval = 0
)

// tick is NSPR's on Unix.
const tick = time.Millisecond

// clockStart is where IntervalNow counts from. It is not zero, so that a program
// that does not expect the clock to wrap fails within its first hour.
var clockStart = time.Now().Add(-(1<<32 - 1<<21) * tick)

// IntervalNow reads the clock.
func IntervalNow() Interval { return Interval(uint32(time.Since(clockStart) / tick)) }

// TicksPerSecond returns how many ticks a second has: 1000.
func TicksPerSecond() uint32 { return uint32(time.Second / tick) }

// Microseconds, Milliseconds and Seconds convert an interval; seconds are cut
// off, the others would be rounded to the nearest if a tick were not a whole
// number of them. As in NSPR an overflow is not reported.
func (i Interval) Microseconds() uint32 { return uint32(i) * uint32(tick/time.Microsecond) }
func (i Interval) Milliseconds() uint32 { return uint32(i) * uint32(tick/time.Millisecond) }
func (i Interval) Seconds() uint32      { return uint32(i) / TicksPerSecond() }

// IntervalFromMicroseconds, IntervalFromMilliseconds and IntervalFromSeconds
// make an interval, rounded to the nearest tick: 499 µs are 0 ticks. As in NSPR
// an overflow is not reported.
func IntervalFromMicroseconds(us uint32) Interval {
	perTick := uint64(tick / time.Microsecond)
	return Interval((uint64(us) + perTick/2) / perTick)
}
func IntervalFromMilliseconds(ms uint32) Interval {
	return Interval(ms * uint32(time.Millisecond/tick))
}
func IntervalFromSeconds(s uint32) Interval { return Interval(s * TicksPerSecond()) }

// Duration returns NoTimeout for IntervalNoTimeout, 0 for IntervalNoWait, and
// otherwise how long the interval is.
func (i Interval) Duration() time.Duration {
	if i == IntervalNoTimeout {
		return NoTimeout
	}
	return time.Duration(i) * tick
}

// IntervalFromDuration is the reverse of Duration. It rounds to the nearest
// tick, but never down to IntervalNoWait nor up to IntervalNoTimeout, which mean
// something else; a negative duration is IntervalNoTimeout.
func IntervalFromDuration(d time.Duration) Interval {
	switch {
	case d < 0:
		return IntervalNoTimeout
	case d == 0:
		return IntervalNoWait
	}
	return Interval(min(max(d.Round(tick)/tick, 1), time.Duration(IntervalNoTimeout-1)))
}

// Seconds returns a timeout that is given in seconds, as Python's settimeout
// takes it, rounded up to a nanosecond. The error is EINVAL when it is negative,
// not a number or too large for a Duration (292 years).
func Seconds(s float64) (time.Duration, error) {
	ns := math.Ceil(s * float64(time.Second))
	if !(s >= 0 && ns < math.MaxInt64) {
		return 0, &Error{Op: "settimeout", Num: EINVAL, Msg: "the timeout is negative, not a number or too large"}
	}
	return time.Duration(ns), nil
}
