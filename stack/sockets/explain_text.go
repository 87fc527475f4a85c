package sockets

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// String returns the explanation in words: for each direction that carries
// anything its verdict, its shares and its counters, a line each.
func (e Explanation) String() string {
	var b strings.Builder
	if e.Sending.wants() || !e.Receiving.wants() {
		e.writeSending(&b)
	}
	if e.Receiving.wants() {
		e.writeReceiving(&b)
	}
	p := e.Path
	fmt.Fprintf(&b, "path: round trip %s, shortest %s, timeout %s, MTU %d, MSS %d, offload %s\n",
		roundTrip(p.RTT), roundTrip(p.BaseRTT), roundTrip(p.RTO), p.MTU, p.MSS, offloadWords(p.Offload))
	fmt.Fprintf(&b, "processors: %s; a goroutine waited up to %s to run\n",
		e.Processors.words(), roundTrip(e.Processors.RunnableWait))
	return b.String()
}

func (e Explanation) writeSending(b *strings.Builder) {
	s := e.Sending
	fmt.Fprintf(b, "sending: %s in %s, %s\n", bytesText(s.Bytes), roundTrip(e.Interval), bitrate(s.Rate))
	s.Verdict.write(b)
	s.Shares.write(b, e.Interval)
	fmt.Fprintf(b, "  %s segments in %s packets to the link; %s sent again, %s of them needlessly, after %s timeouts\n",
		count(s.Segments), count(s.Packets), count(s.Retransmitted), count(s.Spurious), count(s.Timeouts))
	fmt.Fprintf(b, "  congestion window %s packets, peer's window %s bytes, in flight %s, at most %s, waiting %s\n",
		count(s.CongestionWindow), count(s.PeerWindow), count(s.InFlight), count(s.MaxInFlight), count(s.Unsent))
}

func (e Explanation) writeReceiving(b *strings.Builder) {
	r := e.Receiving
	fmt.Fprintf(b, "receiving: %s in %s, %s\n", bytesText(r.Bytes), roundTrip(e.Interval), bitrate(r.Rate))
	r.Verdict.write(b)
	r.Shares.write(b, e.Interval)
	fmt.Fprintf(b, "  %s packets from the link, %s of them twice, %s out of order\n",
		count(r.Packets), count(r.Duplicates), count(r.Reordered))
	fmt.Fprintf(b, "  our window %s bytes, at least %s; unread %s\n", count(r.Window), count(r.LeastWindow), count(r.Unread))
}

func (v Verdict) write(b *strings.Builder) {
	fmt.Fprintf(b, "  held back by: %s: %s\n", v.Cause, v.Reason)
	if v.Remedy != "" {
		fmt.Fprintf(b, "  what helps: %s\n", v.Remedy)
	}
}

// leastShown is the smallest share that is printed.
const leastShown = 0.005

func (s Shares) write(b *strings.Builder, whole time.Duration) {
	var words []string
	for _, share := range s {
		if part := float64(share.Time) / float64(max(whole, 1)); part >= leastShown {
			words = append(words, fmt.Sprintf("%s %.0f %%", share.Cause, 100*part))
		}
	}
	fmt.Fprintf(b, "  time: %s\n", strings.Join(words, ", "))
}

func offloadWords(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprintf("up to %s bytes", count(n))
}

// count is a number with a comma before every three digits.
func count[T int | uint64](n T) string {
	digits := strconv.FormatUint(uint64(max(n, 0)), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// bitrate is a number of bits per second with its unit.
func bitrate(r float64) string {
	for _, u := range []struct {
		unit string
		size float64
	}{{"Gbit/s", 1e9}, {"Mbit/s", 1e6}, {"kbit/s", 1e3}} {
		if r >= u.size {
			return fmt.Sprintf("%.3g %s", r/u.size, u.unit)
		}
	}
	return fmt.Sprintf("%.3g bit/s", r)
}

// bytesText is a number of bytes with its unit.
func bytesText(n uint64) string {
	for _, u := range []struct {
		unit string
		size uint64
	}{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if n >= u.size {
			return fmt.Sprintf("%.3g %s", float64(n)/float64(u.size), u.unit)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// roundTrip is a time with three digits at most.
func roundTrip(d time.Duration) string {
	switch {
	case d <= 0:
		return "unknown"
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
