package bench

import (
	"context"
	"time"

	"github.com/userstack/userstack/internal/bench/load"
)

// moment is how everything stands at one time.
type moment struct {
	near, far load.Reply
	between   []load.Account // of the session's helpers
	softirq   load.Account   // of the threads that serve soft interrupts when a processor has too many
	machine   ticks
}

// look takes a moment. sweep collects the near end's garbage first.
func (s *session) look(ctx context.Context, sweep sweeping) (m moment, err error) {
	if m.near, err = s.near.ask(ctx, load.Ask{Sweep: sweep == swept}); err != nil {
		return m, err
	}
	m.far = m.near
	if s.far != s.near {
		if m.far, err = s.far.ask(ctx, load.Ask{}); err != nil {
			return m, err
		}
	}
	for _, h := range s.between {
		m.between = append(m.between, accountOf(h.pid))
	}
	m.softirq, m.machine = softirqAccount(), machineTicks()
	return m, nil
}

// sweeping says whether garbage is collected first.
type sweeping int

const (
	unswept sweeping = iota
	swept
)

// share is the processor time that a process took of an interval.
type share struct {
	Name     string        `json:"name"`
	User     time.Duration `json:"user"` // nanoseconds, as System
	System   time.Duration `json:"system"`
	Switches uint64        `json:"switches,omitempty"`
}

func (s share) total() time.Duration { return s.User + s.System }

func shareOf(name string, before, after load.Account) share {
	return share{name, after.User - before.User, after.System - before.System, after.Switches - before.Switches}
}

// shares returns who took processor time between two moments.
func (s *session) shares(before, after moment) []share {
	list := []share{shareOf(s.near.name, before.near.Account, after.near.Account)}
	if s.far != s.near {
		list = append(list, shareOf(s.far.name, before.far.Account, after.far.Account))
	}
	for i, h := range s.between {
		list = append(list, shareOf(h.name, before.between[i], after.between[i]))
	}
	if softirq := shareOf("ksoftirqd", before.softirq, after.softirq); softirq.total() > 0 {
		list = append(list, softirq)
	}
	return list
}

// ticks is what the processors did since the machine began.
type ticks struct {
	busy, idle, stolen time.Duration // of all processors together
}
