package dnsresolver

import (
	"errors"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
	"github.com/userstack/userstack/dnsresolver/netdb"
)

// CacheConfig bounds what a resolver remembers. The zero value works.
type CacheConfig struct {
	// Off makes every lookup ask the servers.
	Off bool
	// Entries is the number of answers that are kept, one for each name and
	// record type. Zero: 8192.
	Entries int
	// Bytes bounds their memory, roughly. Zero: 4 MiB.
	Bytes int
	// MinTTL is how long an answer with a shorter life is kept, unless its life
	// is 0. Zero: no longer than its life.
	MinTTL time.Duration
	// NoRotate keeps the order of an answer's addresses; otherwise each use
	// begins with the next one.
	NoRotate bool
	// MaxStale is for how long after its life an answer may still be used, when the
	// servers fail or take longer than 1.8 s (RFC 8767). Zero: not at all.
	MaxStale time.Duration
	// Prefetch asks again, in the background, for an answer that is used near the
	// end of its life.
	Prefetch bool
	// NXDomainCut answers for all names below one that does not exist (RFC
	// 8020). Some servers say NXDOMAIN for empty names with others below.
	NXDomainCut bool
}

const (
	defaultCacheEntries = 8192
	defaultCacheBytes   = 4 << 20
	cacheShards         = 64
	maxCachedAnswer     = 64 << 10 // bytes; a larger one is not kept

	// maxNegativeTTL bounds how long it is remembered that there is nothing (RFC
	// 2308 section 5).
	maxNegativeTTL = time.Hour
	// How long a failure is remembered: a second, doubled each time until the
	// question is answered (RFC 9520 section 3.2).
	minFailureTTL = time.Second
	maxFailureTTL = 30 * time.Second

	// How long a lookup waits for the servers before it takes an answer that is past
	// its life, what life such an answer is given, and for how long the servers are
	// then left alone (RFC 8767 sections 4 and 5).
	staleWait = 1800 * time.Millisecond
	staleTTL  = 30 * time.Second

	// An answer of at least this life is asked for again when it is used, for the
	// second time or later, in the last tenth of it.
	minPrefetchTTL = 10 * time.Second
	prefetchPart   = 10
	maxPrefetches  = 16 // at the same time
)

// What the parts of an entry take, in bytes, on a 64-bit machine: the entry with
// its places in the map and the ring, an address, the head of a string, the
// data of a record of another type.
const (
	entrySize = 400
	addrSize  = 24
	textSize  = 16
	dataSize  = 120
)

// anyType is the record type under which it is kept that a name does not exist.
const anyType wire.Type = 255

// cacheKey is a question. The name is absolute and in lower case.
type cacheKey struct {
	name  string
	typ   wire.Type
	group *group
}

// A cached reply is not changed after it was stored; what it holds is copied for
// each caller.
type cached struct {
	rep     reply
	expires time.Time
	ttl     time.Duration // from the start to expires
	over    time.Time     // of a stale answer: when it may not be used any more
	failed  time.Duration // of a failure: how long it is remembered this time
	size    int
	used    atomic.Bool   // since the hand passed (CLOCK)
	uses    atomic.Uint32 // for rotation
}

// A cache remembers replies. Its shards have a lock each, which a hit takes for
// reading.
type cache struct {
	cfg    CacheConfig
	seed   maphash.Seed
	shards [cacheShards]cacheShard
}

type cacheShard struct {
	mu      sync.RWMutex
	entries map[cacheKey]*cached
	ring    []cacheKey // the keys in the order of the clock's hand
	hand    int
	bytes   int
}

func newCache(cfg CacheConfig) *cache {
	if cfg.Off {
		return nil
	}
	cfg.Entries = firstNonZero(cfg.Entries, defaultCacheEntries)
	cfg.Bytes = firstNonZero(cfg.Bytes, defaultCacheBytes)
	return &cache{cfg: cfg, seed: maphash.MakeSeed()}
}

func (c *cache) shard(name string) *cacheShard {
	return &c.shards[maphash.String(c.seed, name)%cacheShards]
}

// get returns what is known of a question, or nil. A nil cache knows nothing.
func (c *cache) get(key cacheKey, now time.Time) *cached {
	if c == nil {
		return nil
	}
	shard := c.shard(key.name)
	none := cacheKey{key.name, anyType, key.group}
	exact := shard.get(key, now)
	if exact != nil && exact.failed == 0 {
		return exact
	}
	if e := shard.get(none, now); e != nil {
		return e
	}
	if exact != nil {
		return exact
	}
	if !c.cfg.NXDomainCut {
		return nil
	}
	for {
		_, parent, found := strings.Cut(none.name, ".")
		if !found || parent == "" {
			return nil
		}
		none.name = parent
		if e := c.shard(parent).get(none, now); e != nil {
			return e
		}
	}
}

func (s *cacheShard) entry(key cacheKey) *cached {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.entries[key]
}

func (s *cacheShard) get(key cacheKey, now time.Time) *cached {
	e := s.entry(key)
	if e == nil || !now.Before(e.expires) {
		return nil
	}
	if !e.used.Load() {
		e.used.Store(true)
	}
	return e
}

// put remembers a reply to a question: an answer for its life, that there is
// nothing for as long as the SOA record says, and a failure for a while.
func (c *cache) put(key cacheKey, rep reply, now time.Time) {
	if c == nil {
		return
	}
	e := &cached{rep: rep}
	ttl := rep.ttl
	switch {
	case rep.status == statusData && ttl > 0:
		ttl = max(ttl, c.cfg.MinTTL)
	case rep.status == statusNXDomain:
		ttl = min(rep.absent, maxNegativeTTL)
	case rep.status == statusNoData:
		ttl = min(rep.absent, maxNegativeTTL)
	case rep.status.failed() && rep.status != statusStopped:
		e.failed = c.shard(key.name).nextFailure(key)
		ttl = e.failed
	}
	if ttl <= 0 || rep.filtered || rep.notTried() {
		return
	}
	e.expires, e.ttl = now.Add(ttl), ttl
	e.size = rep.size() + len(key.name)
	if e.size > maxCachedAnswer {
		return
	}
	c.store(key, e, now)
	if rep.status == statusNXDomain { // of no type; under its own it is found sooner
		key.typ = anyType
		c.store(key, &cached{rep: e.rep, expires: e.expires, ttl: ttl, size: e.size}, now)
	}
}

func (c *cache) store(key cacheKey, e *cached, now time.Time) {
	c.shard(key.name).put(key, e, now, c.cfg.Entries/cacheShards, c.cfg.Bytes/cacheShards)
}

// nextFailure is how long to remember that a question failed, after the last
// time that it did.
func (s *cacheShard) nextFailure(key cacheKey) time.Duration {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if e := s.entries[key]; e != nil && e.failed > 0 {
		return min(2*e.failed, maxFailureTTL)
	}
	return minFailureTTL
}

func (s *cacheShard) put(key cacheKey, e *cached, now time.Time, entries, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries == nil {
		s.entries = make(map[cacheKey]*cached)
	}
	if old := s.entries[key]; old != nil {
		s.bytes -= old.size
	} else {
		s.ring = append(s.ring, key)
	}
	s.entries[key] = e
	s.bytes += e.size
	for len(s.entries) > max(entries, 1) || s.bytes > bytes && len(s.entries) > 1 {
		s.evict(key, now)
	}
}

// evict removes an entry that has expired or that was not used since the hand
// passed it last, but not the one that was put just now.
func (s *cacheShard) evict(fresh cacheKey, now time.Time) {
	for {
		s.hand %= len(s.ring)
		key := s.ring[s.hand]
		e := s.entries[key]
		if key == fresh || now.Before(e.expires) && e.used.Swap(false) {
			s.hand++
			continue
		}
		s.drop(s.hand, key)
		return
	}
}

func (s *cacheShard) drop(at int, key cacheKey) {
	last := len(s.ring) - 1
	s.ring[at] = s.ring[last]
	s.ring = s.ring[:last]
	s.bytes -= s.entries[key].size
	delete(s.entries, key)
}

// flush forgets what fits.
func (c *cache) flush(fits func(cacheKey) bool) {
	if c == nil {
		return
	}
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for at := 0; at < len(s.ring); {
			if fits(s.ring[at]) {
				s.drop(at, s.ring[at])
			} else {
				at++
			}
		}
		s.mu.Unlock()
	}
}

// len returns the number of entries.
func (c *cache) len() int {
	if c == nil {
		return 0
	}
	n := 0
	for i := range c.shards {
		c.shards[i].mu.RLock()
		n += len(c.shards[i].entries)
		c.shards[i].mu.RUnlock()
	}
	return n
}

// notTried reports whether a question failed before any server heard of it.
func (rep *reply) notTried() bool {
	return errors.Is(rep.failure.err, ErrNoServers) || errors.Is(rep.failure.err, ErrBusy)
}

// size is about how many bytes a reply takes.
func (rep *reply) size() int {
	n := entrySize + len(rep.addrs)*addrSize
	for _, d := range rep.data {
		n += dataSize + 2*len(d.Text) // the text, and the fields that say the same
	}
	for _, list := range [][]string{rep.names, rep.ptrs} {
		for _, s := range list {
			n += len(s) + textSize
		}
	}
	return n
}

// remembered returns what the cache has of a question.
func (r *Resolver) remembered(set *settings, key cacheKey, now time.Time) (reply, bool) {
	e := r.cache.get(key, now)
	if e == nil {
		return reply{}, false
	}
	rep := e.rep
	uses := e.uses.Add(1)
	if n := len(rep.addrs); n > 1 && !r.cfg.Cache.NoRotate {
		rep.rotate = int(uses % uint32(n))
	}
	if r.cfg.Cache.Prefetch && e.wantsRefresh(now) {
		r.refresh(set, key)
	}
	if rep.status == statusData {
		rep.ttl = max(e.expires.Sub(now).Truncate(time.Second), time.Second)
	}
	return rep, true
}

// withoutAsking answers a lookup of a name that is asked for as it is, from the
// cache, and at the cost of little else.
func (r *Resolver) withoutAsking(l *lookup, name string, o LookupOptions) (ans Answer, f failure, done bool) {
	if r.cache == nil || l.traced() {
		return Answer{}, failure{}, false // a traced lookup says what it does, on the long way
	}
	now := time.Now()
	set := r.settings(now)
	family, ok := unskipped(o)
	if !ok || !set.asIsFirst(name) {
		return Answer{}, failure{}, false
	}
	found := families{v4: notAsked, v6: notAsked}
	if set.options.NoAAAA {
		if family == AF_INET6 {
			return Answer{}, failure{}, false
		}
		family = AF_INET
	}
	if family != AF_INET6 {
		if found.v4, ok = r.remembered(set, set.key(name, wire.TypeA), now); !ok {
			return Answer{}, failure{}, false
		}
	}
	switch {
	case family == AF_INET:
	case found.v4.status == statusNXDomain:
		found.v6 = found.v4 // of no type
	default:
		if found.v6, ok = r.remembered(set, set.key(name, wire.TypeAAAA), now); !ok {
			return Answer{}, failure{}, false
		}
	}
	name = strings.TrimSuffix(name, ".")
	found.status = set.options.combine(found.v4.status, found.v6.status)
	switch st := searchStatus(name, found.status); {
	case st == statusData:
		return set.answer(name, &found), failure{}, true
	case len(set.search) == 0:
		return Answer{}, found.failure().of(st), true
	}
	return Answer{}, failure{}, false
}

// FlushCache forgets all answers, or with names those about them and the names
// below them.
func (r *Resolver) FlushCache(names ...string) {
	r.cache.flush(func(key cacheKey) bool {
		return len(names) == 0 || slices.ContainsFunc(names, func(name string) bool {
			name = netdb.FoldName(name)
			return key.name == name || strings.HasSuffix(key.name, "."+name)
		})
	})
}
