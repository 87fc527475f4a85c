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
	calls map[*call]*blockedCall
	first chan struct{} // wakes the watch
	once  sync.Once
}

// A blockedCall is one of them.
type blockedCall struct {
	c      *call
	cancel context.CancelCauseFunc
	due    time.Time     // when it is looked at
	pause  time.Duration // since it was
}

func (b *blocked) wake() chan struct{} {
	b.once.Do(func() {
		b.calls = make(map[*call]*blockedCall)
		b.first = make(chan struct{}, 1)
	})
	return b.first
}

func (b *blocked) add(c *call, cancel context.CancelCauseFunc) {
	wake := b.wake()
	b.mu.Lock()
	b.calls[c] = &blockedCall{c: c, cancel: cancel, due: time.Now().Add(soonestLook), pause: soonestLook}
	b.mu.Unlock()
	notify(wake)
}

func (b *blocked) remove(c *call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.calls, c)
}

// How often a waiting call is looked at: soon after it began, and ever less often,
// since it may wait for days.
const (
	soonestLook = 2 * time.Millisecond
	latestLook  = 250 * time.Millisecond
)

// look ends those of the due calls whose thread has a signal to handle or is no
// more. It returns when the next one is due, the zero Time if none waits.
func (b *blocked) look(l *seccomp.Listener) (next time.Time) {
	for _, w := range b.take(time.Now(), &next) {
		switch {
		case !l.Alive(w.c.n.ID):
			w.cancel(errGone)
		case !w.c.deaf && seccomp.Interrupted(int(w.c.n.TID)):
			w.cancel(errRestart)
		}
	}
	return next
}

// take returns the calls that are due, or soon: so they come to be looked at
// together. It sets when they are due again, and next to when the first call is.
func (b *blocked) take(now time.Time, next *time.Time) (due []*blockedCall) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.calls {
		if w.due.Sub(now) <= w.pause/4 {
			due = append(due, w)
			w.pause = min(w.pause*5/4, latestLook)
			w.due = now.Add(w.pause)
		}
		if next.IsZero() || w.due.Before(*next) {
			*next = w.due
		}
	}
	return due
}

// watchBlocked looks at the waiting calls until the supervisor ends. While none
// waits it sleeps.
func (s *supervisor) watchBlocked() {
	wake := s.blocked.wake()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var next time.Time // look; zero when nothing waits
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-wake:
			if soon := time.Now().Add(soonestLook); next.IsZero() || soon.Before(next) {
				next = soon
				timer.Reset(soonestLook)
			}
		case <-timer.C:
			if next = s.blocked.look(s.listener); !next.IsZero() {
				timer.Reset(max(time.Until(next), soonestLook))
			}
		}
	}
}
