package dnsresolver

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestServerRTO(t *testing.T) {
	s := keepServer(Server{Addr: netip.MustParseAddrPort("192.0.2.1:53")}, nil)
	if got := s.rto(defaultTimeout); got != initialRTO {
		t.Errorf("no history: %v", got)
	}
	if got := s.rto(time.Millisecond); got != time.Millisecond {
		t.Errorf("over the limit: %v", got)
	}
	s.sample(400 * time.Millisecond)
	if got := s.rto(defaultTimeout); got != 1200*time.Millisecond { // srtt + 4·rtt/2
		t.Errorf("one sample: %v", got)
	}
	for range 100 {
		s.sample(10 * time.Millisecond)
	}
	if got := s.rto(defaultTimeout); got != minRTO {
		t.Errorf("fast server: %v", got)
	}
	for range 100 {
		s.sample(20 * time.Second)
	}
	if got := s.rto(defaultTimeout); got != defaultTimeout {
		t.Errorf("slow server: %v", got)
	}
}

func TestServerPenalty(t *testing.T) {
	s := keepServer(Server{Addr: netip.MustParseAddrPort("192.0.2.1:53")}, nil)
	now := time.Now()
	for _, want := range []time.Duration{5, 10, 20, 40, 60, 60} {
		want *= time.Second
		s.failed(now)
		s.failed(now.Add(want / 2)) // during the penalty: counts once
		if !s.penalised(now.Add(want-1)) || s.penalised(now.Add(want)) {
			t.Errorf("penalty of %v, want %v", s.penalty, want)
		}
		now = now.Add(want)
	}
	s.healthy()
	s.failed(now)
	if s.penalised(now.Add(minPenalty)) {
		t.Error("an answer did not end the row of failures")
	}
}

// Servers in penalty are asked last, in the configured order among themselves.
func TestServerOrder(t *testing.T) {
	r := newNetwork(t).resolver(Config{ResolvConfText: "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4"})
	now := time.Now()
	set := r.current.Load()
	set.servers[0].failed(now)
	set.servers[2].failed(now)
	var got []byte
	for _, s := range r.serverOrder(set, &set.group, now) {
		got = append(got, s.Addr.Addr().As4()[3])
	}
	if !slices.Equal(got, []byte{2, 4, 1, 3}) {
		t.Errorf("order %v", got)
	}
}

func TestJitter(t *testing.T) {
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		d := jitter(time.Second)
		low, high = min(low, d), max(high, d)
	}
	if low < 750*time.Millisecond || low > 800*time.Millisecond || high > 1250*time.Millisecond || high < 1200*time.Millisecond {
		t.Errorf("from %v to %v, want 0.75 s to 1.25 s", low, high)
	}
}

// IDs are spread evenly: chi-square over 64 buckets, 10,000 of them. A fair
// source exceeds 130 once in a million runs (63 degrees of freedom).
func TestRandomIDs(t *testing.T) {
	const samples, buckets = 10_000, 64
	var high, low [buckets]int
	for range samples {
		id := randomID()
		high[id>>10]++
		low[id%buckets]++
	}
	for _, counts := range [][buckets]int{high, low} {
		chi, want := 0.0, float64(samples)/buckets
		for _, n := range counts {
			chi += (float64(n) - want) * (float64(n) - want) / want
		}
		if chi > 130 {
			t.Errorf("chi-square %.1f", chi)
		}
	}
}
