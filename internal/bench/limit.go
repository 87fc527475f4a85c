package bench

import (
	"fmt"
	"runtime"
	"time"

	"github.com/userstack/userstack/internal/bench/load"
)

// What counts as a limit.
const (
	allBusy    = 0.95  // share of the time of all processors
	oneBusy    = 0.90  // processors, that a process takes
	moreBusy   = 1.10  // the same, when it has more than one to itself
	muchStolen = 0.05  // share that the hypervisor kept
	muchLost   = 0.01  // share of the datagrams
	muchResent = 0.001 // share of the segments
	longClosed = 0.2   // share of the time that the receiver's window held a sender back
	mostlyIn   = 0.70  // share of a processor time that is the kernel's, or is not
)

// limit says in a few words what held a load back, by what was seen of it.
func limit(l Load, s *Seen) string {
	text := s.processors(l)
	for _, also := range []struct {
		share, much float64
		format      string
	}{
		{(s.Sent - s.Received) / max(s.Sent, 1), muchLost, "%.0f %% of the datagrams lost"},
		{float64(s.Resent) / float64(max(s.Sentsegs, 1)), muchResent, "%.1f %% of the segments sent again"},
		{s.Closed, longClosed, "the receiver's window was full %.0f %% of the time"},
		{s.Stolen, muchStolen, "the hypervisor took %.0f %%"},
	} {
		isDatagram := l.job.Kind == load.PacketsOut || l.job.Kind == load.PacketsIn
		if also.much == muchLost && !isDatagram {
			continue
		}
		if also.share > also.much {
			text += "; " + fmt.Sprintf(also.format, 100*also.share)
		}
	}
	return text
}

// processors says which of them were busy, and with whom.
func (s *Seen) processors(l Load) string {
	if s.Busy+s.Idle == 0 {
		return "not known on " + runtime.GOOS
	}
	busiest, ours := share{}, time.Duration(0)
	for _, one := range s.Shares {
		ours += one.total()
		if one.total() > busiest.total() {
			busiest = one
		}
	}
	n := float64(runtime.NumCPU())
	used := ours.Seconds() / s.Seconds // processors
	take := busiest.total().Seconds() / s.Seconds
	who := fmt.Sprintf("%s %.2f%s", busiest.Name, take, busiest.where())
	switch {
	case l.state == asIs && s.Busy > allBusy && used < 0.8*n*s.Busy:
		return fmt.Sprintf("processors busy with other programs: %.2f of %.2f", s.Busy*n-used, s.Busy*n)
	case used > allBusy*n:
		return "processors: all busy, " + who
	case take > moreBusy:
		return fmt.Sprintf("processor time: %s, all together %.2f of %.0f", who, used, n)
	case take > oneBusy:
		return fmt.Sprintf("one processor: %s, all together %.2f of %.0f", who, used, n)
	case l.job.Kind == load.RoundTrip:
		return fmt.Sprintf("waiting: %.1f waits a round trip, %.2f of %.0f processors busy", float64(s.switches())/float64(max(s.Done, 1)), used, n)
	}
	return fmt.Sprintf("waiting: %.2f of %.0f processors busy, most of it %s", used, n, who)
}

// switches is how often threads of the ends waited.
func (s *Seen) switches() (n uint64) {
	for _, one := range s.Shares {
		n += one.Switches
	}
	return n
}

// where says on which side of a system call the time was spent.
func (s share) where() string {
	kernel := float64(s.System) / float64(max(s.total(), 1))
	switch {
	case kernel > mostlyIn:
		return " (in the kernel)"
	case kernel < 1-mostlyIn:
		return " (outside the kernel)"
	}
	return fmt.Sprintf(" (%.0f %% in the kernel)", 100*kernel)
}
