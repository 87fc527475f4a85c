package dnsresolver

import (
	"context"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
)

// stale returns an answer to key that is past its life and may be used all the
// same, should the servers fail.
func (c *cache) stale(key cacheKey, now time.Time) (reply, bool) {
	if c == nil || c.cfg.MaxStale <= 0 {
		return reply{}, false
	}
	e := c.shard(key.name).entry(key)
	if e == nil || e.rep.status != statusData || !now.Before(c.end(e)) {
		return reply{}, false
	}
	rep := e.rep
	rep.ttl = staleTTL
	return rep, true
}

// keepStale makes a stale answer good for a while longer, in which the servers are
// left alone. How long past its life it may be used does not change.
func (c *cache) keepStale(key cacheKey, now time.Time) {
	s := c.shard(key.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.entries[key]
	if old == nil || old.rep.status != statusData {
		return
	}
	e := &cached{rep: old.rep, ttl: old.ttl, size: old.size, expires: now.Add(staleTTL), over: c.end(old)}
	if e.expires.After(e.over) {
		e.expires = e.over
	}
	s.entries[key] = e
}

// end is when an answer may not be used any more, however stale answers may be.
func (c *cache) end(e *cached) time.Time {
	if !e.over.IsZero() {
		return e.over
	}
	return e.expires.Add(c.cfg.MaxStale)
}

// wantsRefresh reports whether an answer should be asked for again before it is
// forgotten.
func (e *cached) wantsRefresh(now time.Time) bool {
	return e.rep.status == statusData && e.ttl >= minPrefetchTTL && e.uses.Load() >= 2 && e.expires.Sub(now) <= e.ttl/prefetchPart
}

// refresh asks again for an answer in the background, unless somebody is.
func (r *Resolver) refresh(set *settings, key cacheKey) {
	if r.prefetches.Add(1) > maxPrefetches || !r.begin() {
		r.prefetches.Add(-1)
		return
	}
	defer r.running.Done()
	r.flights.mu.Lock()
	defer r.flights.mu.Unlock()
	if r.flights.open[key] != nil {
		r.prefetches.Add(-1)
		return
	}
	l := &lookup{r: r, host: key.name, set: set}
	f := l.takeOff(key, key.name+".", key.typ)
	f.waiters = 1 // nobody, but it is to go on
	r.running.Go(func() {
		<-f.done
		r.prefetches.Add(-1)
	})
}

// fly asks, and lands with the answer: that of the servers, or one that is past its
// life when they fail or are slow.
func (f *flight) fly(ctx context.Context, name string, t wire.Type) {
	l, r := f.leader, f.leader.r
	old, haveOld := r.cache.stale(f.key, time.Now())
	if haveOld {
		timer := time.AfterFunc(staleWait, func() { f.land(old) })
		defer timer.Stop()
	}
	rep := l.resolve(ctx, name, t)
	if haveOld && rep.status.failed() {
		if rep.status != statusStopped {
			r.cache.keepStale(f.key, time.Now())
		}
		rep = old
	} else {
		r.cache.put(f.key, rep, time.Now())
	}
	f.end() // first, so that who asks after this answer does not get it again
	f.land(rep)
}
