//go:build linux && (amd64 || arm64)

package supervise

import (
	"context"
	"sync"
	"time"

	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// blocked are the calls that wait. The kernel tells us neither of a signal for
// their thread nor of its death, so that we have to look.
type blocked struct {
	mu    sync.Mutex
	calls map[*call]context.CancelCauseFunc
	first chan struct{} // wakes the watch
	once  sync.Once
}

func (b *blocked) wake() chan struct{} {
	b.once.Do(func() {
		b.calls = make(map[*call]context.CancelCauseFunc)
		b.first = make(chan struct{}, 1)
	})
	return b.first
}

func (b *blocked) add(c *call, cancel context.CancelCauseFunc) {
	wake := b.wake()
	b.mu.Lock()
	b.calls[c] = cancel
	b.mu.Unlock()
	select {
	case wake <- struct{}{}:
	default:
	}
}

func (b *blocked) remove(c *call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.calls, c)
}

// look ends the calls whose thread has a signal to handle or is no more, and
// returns how many still wait.
func (b *blocked) look(l *seccomp.Listener) int {
	type waiting struct {
		c      *call
		cancel context.CancelCauseFunc
	}
	b.mu.Lock()
	all := make([]waiting, 0, len(b.calls))
	for c, cancel := range b.calls {
		all = append(all, waiting{c, cancel})
	}
	b.mu.Unlock()
	for _, w := range all {
		switch {
		case !l.Alive(w.c.n.ID):
			w.cancel(errGone)
		case !w.c.deaf && seccomp.Interrupted(int(w.c.n.TID)):
			w.cancel(errRestart)
		}
	}
	return len(all)
}

// How often waiting calls are looked at: soon after the last one began, and ever
// less often, since a program may wait for days.
const (
	soonestLook = 2 * time.Millisecond
	latestLook  = 250 * time.Millisecond
)

// watchBlocked looks at the waiting calls until the supervisor ends. While none
// waits it sleeps.
func (s *supervisor) watchBlocked() {
	wake := s.blocked.wake()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var due time.Time // of the next look; zero when nothing waits
	pause := soonestLook
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-wake:
			pause = soonestLook
			if soon := time.Now().Add(pause); due.IsZero() || soon.Before(due) {
				due = soon
				timer.Reset(pause)
			}
		case <-timer.C:
			due = time.Time{}
			if s.blocked.look(s.listener) > 0 {
				due = time.Now().Add(pause)
				timer.Reset(pause)
			}
			pause = min(pause*5/4, latestLook)
		}
	}
}
