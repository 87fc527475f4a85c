package dnsresolver

import (
	"context"
	"sync"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
)

// Lookups that ask the same question at the same time share one exchange, a
// flight. It belongs to none of them: it has the resolver's time, and ends early
// only when nobody waits for it any more.
type flights struct {
	mu   sync.Mutex
	open map[cacheKey]*flight
}

type flight struct {
	key    cacheKey
	leader *lookup       // the one that asks
	done   chan struct{} // closed when rep holds
	rep    reply
	cancel context.CancelFunc

	waiters int // guarded by flights.mu
	landed  sync.Once
}

// asked is a question of a lookup: answered from memory, or in flight.
type asked struct {
	rep    reply
	flight *flight // nil: rep is the answer
}

// ask returns what is remembered of a question, or its flight, which it starts
// unless somebody has. The caller waits for done, or leaves.
func (l *lookup) ask(name string, t wire.Type) asked {
	key := l.set.key(name, t)
	if rep, ok := l.r.remembered(l.set, key, time.Now()); ok {
		l.traceCache(key, rep)
		return asked{rep: rep}
	}
	fs := &l.r.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.open[key]
	if f == nil {
		f = l.takeOff(key, name, t)
	}
	f.waiters++
	return asked{flight: f}
}

// known is the done of questions that need not be waited for.
var known = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (a asked) done() <-chan struct{} {
	if a.flight == nil {
		return known
	}
	return a.flight.done
}

// reply returns the answer, after done. It is shared, and is not changed.
func (a asked) reply() reply {
	if a.flight == nil {
		return a.rep
	}
	return a.flight.rep
}

// leave stops waiting, because ctx ended or nobody wants the answer any more, and
// returns what that means.
func (a asked) leave(ctx context.Context) reply {
	f := a.flight
	if f == nil {
		return a.rep
	}
	fs := &f.leader.r.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	var busy error
	if f.leader.queued.Load() > 0 { // before the cancel, which ends the queueing
		busy = ErrBusy
	}
	if f.waiters--; f.waiters == 0 {
		f.cancel()
		f.forget(fs)
	}
	_, fail, st := stopped(ctx, busy)
	return reply{status: st, failure: fail}
}

// takeOff begins an exchange. The caller holds the lock.
func (l *lookup) takeOff(key cacheKey, name string, t wire.Type) *flight {
	r := l.r
	ctx, cancel := context.WithTimeoutCause(r.closing, l.set.budget(), errTimeout)
	f := &flight{key: key, leader: l, done: make(chan struct{}), cancel: cancel}
	if r.flights.open == nil {
		r.flights.open = make(map[cacheKey]*flight)
	}
	r.flights.open[key] = f
	r.running.Go(func() {
		defer cancel()
		f.fly(ctx, name, t)
	})
	return f
}

// land gives an answer to everybody who waits or will. Only the first counts.
func (f *flight) land(rep reply) {
	f.landed.Do(func() {
		f.rep = rep
		close(f.done)
	})
}

// end is forget for who does not hold the lock.
func (f *flight) end() {
	fs := &f.leader.r.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.forget(fs)
}

// forget makes the next one who asks start a flight of their own. The caller
// holds the lock.
func (f *flight) forget(fs *flights) {
	if fs.open[f.key] == f {
		delete(fs.open, f.key)
	}
}
