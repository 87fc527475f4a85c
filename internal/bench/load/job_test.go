package load

import (
	"net/netip"
	"testing"
	"time"
)

// TestTarget: so many connections go to each address, and all to one unless that is said.
func TestTarget(t *testing.T) {
	t.Parallel()
	job := Job{TCP: netip.MustParseAddrPort("10.0.0.2:80"), Spread: 3}
	for k, want := range map[int]string{0: "10.0.0.2:80", 2: "10.0.0.2:80", 3: "10.0.0.3:80", 5: "10.0.0.3:80", 6: "10.0.0.4:80"} {
		if got := job.target(k).String(); got != want {
			t.Errorf("connection %d goes to %s, want %s", k, got, want)
		}
	}
	job.Spread = 0
	if got := job.target(1000); got != job.TCP {
		t.Errorf("it goes to %s, want %s", got, job.TCP)
	}
}

// TestPatience: more connections may take longer.
func TestPatience(t *testing.T) {
	t.Parallel()
	if few, many := (Job{}).Patience(), (Job{Conns: 100_000}).Patience(); few < time.Second || many < 5*few {
		t.Errorf("%v and %v", few, many)
	}
}
