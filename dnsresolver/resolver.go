package dnsresolver

import (
	"context"
	cryptorand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

// Resolver resolves names. Its methods may be called from several goroutines.
type Resolver struct {
	cfg         Config
	env         *resolvConf // from the environment
	familyGrace time.Duration
	front       *netdb.DB // see database

	pinned   *netdb.Hosts           // Config.Hosts
	text     *netdb.Hosts           // Config.HostsText
	hosts    *file[*netdb.Hosts]    // Config.HostsFile
	conf     *file[*resolvConf]     // Config.ResolvConf
	services *file[*netdb.Services] // Config.ServicesFile
	gai      *file[*policy]         // Config.GaiConf
	fixed    *policy                // without a file

	cookieSecret [16]byte

	current atomic.Pointer[settings]
	reload  sync.Mutex // held while current is replaced

	cache      *cache // nil: off
	flights    flights
	prefetches atomic.Int32
	lookups    atomic.Uint64 // number of the last one
	rotation   atomic.Uint32
	slots      chan struct{} // one per exchange; full at maxQueries

	closed  atomic.Bool
	closing context.Context // done when Close was called
	close   context.CancelCauseFunc
	mu      sync.RWMutex   // held to begin a lookup in DNS; exclusively, to set closed
	running sync.WaitGroup // lookups and the goroutines they began
}

// New returns a resolver. It reads the files that c names and fails when one
// cannot be read, or when c contradicts itself. It does not touch the network.
func New(c Config) (*Resolver, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("dnsresolver: %w", err)
	}
	r := &Resolver{
		cfg:         c,
		env:         environment(c.Options),
		familyGrace: firstNonZero(c.FamilyGrace, defaultFamilyGrace),
		pinned:      netdb.HostsFromMap(c.Hosts),
		slots:       make(chan struct{}, maxQueries),
		cache:       newCache(c.Cache),
	}
	r.front = r.newDatabase()
	r.rotation.Store(rand.Uint32())
	cryptorand.Read(r.cookieSecret[:]) // never fails
	if err := r.openFiles(time.Now()); err != nil {
		return nil, fmt.Errorf("dnsresolver: %w", err)
	}
	r.closing, r.close = context.WithCancelCause(context.Background())
	return r, nil
}

func (r *Resolver) openFiles(now time.Time) error {
	conf := &resolvConf{ndots: -1}
	switch {
	case r.cfg.ResolvConfText != "":
		conf = parseResolvConf([]byte(r.cfg.ResolvConfText))
	case r.cfg.ResolvConf != "":
		r.conf = &file[*resolvConf]{
			path: r.cfg.ResolvConf, limit: maxResolvConf, parse: parseResolvConf,
			reload: func(c *resolvConf) bool { return !c.noReload },
		}
		if err := r.conf.open(now); err != nil {
			return err
		}
		conf, _, _ = r.conf.get(now)
	}
	r.warn(conf)
	r.warn(r.env)
	r.current.Store(r.cfg.settings(conf, r.env, r.cfg.defaultSearch(), nil))
	if err := r.openPolicy(now); err != nil {
		return err
	}
	if r.cfg.ServicesFile != "" {
		r.services = &file[*netdb.Services]{path: r.cfg.ServicesFile, limit: netdb.MaxServicesFile, parse: netdb.ParseServices}
		if err := r.services.open(now); err != nil {
			return err
		}
	}
	switch {
	case r.cfg.HostsText != "":
		r.text = netdb.ParseHosts([]byte(r.cfg.HostsText))
	case r.cfg.HostsFile != "":
		r.hosts = &file[*netdb.Hosts]{path: r.cfg.HostsFile, limit: maxHostsFile, parse: netdb.ParseHosts}
		return r.hosts.open(now)
	}
	return nil
}

// Close ends all lookups, which return an error that wraps net.ErrClosed, and
// waits until their goroutines are gone and their sockets closed. A second Close
// does nothing but wait. The error is always nil.
func (r *Resolver) Close() error {
	r.mu.Lock()
	r.closed.Store(true)
	r.mu.Unlock()
	r.close(net.ErrClosed)
	r.running.Wait()
	return nil
}

// begin counts a lookup in DNS as running, unless the resolver is closed.
func (r *Resolver) begin() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed.Load() {
		return false
	}
	r.running.Add(1)
	return true
}

// LookupNetIP returns the addresses of host, as (*net.Resolver).LookupNetIP
// does. The network is "ip", "ip4" or "ip6". The error is an *Error.
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	family, err := familyOf(network)
	if err != nil {
		return nil, &Error{Code: EAI_FAMILY, Host: host, Err: err}
	}
	ans, err := r.Lookup(ctx, host, LookupOptions{Family: family})
	return ans.Addrs, err
}

// Lookup returns the addresses of host and what else is known of them. In this
// order it tries host as an address, Config.Hosts, the hosts file, the names that
// have a fixed meaning (localhost, .invalid, .onion), and DNS with the search
// list. A name that is not ASCII is encoded first (UTS 46, not transitional). It
// ends when ctx does, or after the resolver's Timeout × Attempts.
// The error is an *Error.
func (r *Resolver) Lookup(ctx context.Context, host string, o LookupOptions) (Answer, error) {
	name, ok := netdb.ToASCII(host)
	if !ok {
		name = host // and no host name
	}
	var l *lookup // not needed by a lookup that asks nobody and tells nobody
	if r.cfg.Trace != nil {
		l = &lookup{r: r, host: host, id: r.lookups.Add(1), start: time.Now()}
	}
	ans, f, done := r.withoutDNS(ctx, name, o)
	if !done {
		ans, f, done = r.withoutAsking(l, name, o)
	}
	if !done {
		if l == nil {
			l = &lookup{r: r, host: host}
		}
		l.name = name
		ans, f = l.run(ctx, o)
	}
	if f.code != 0 {
		err := &Error{Code: f.code, Host: host, Server: f.server, Err: f.err}
		l.trace(Event{Kind: EventDone, Err: err})
		return Answer{}, err
	}
	if len(ans.Addrs) > 1 {
		r.sort(ans.Addrs, o.Order)
	}
	if l.traced() {
		l.trace(Event{Kind: EventDone, Name: ans.Name, Addrs: ans.Addrs, TTL: ans.TTL, Note: ans.Source.String()})
	}
	return ans, nil
}

// withoutDNS checks the call and answers it if that takes no DNS.
func (r *Resolver) withoutDNS(ctx context.Context, host string, o LookupOptions) (ans Answer, f failure, done bool) {
	switch {
	case o.Family != AF_UNSPEC && o.Family != AF_INET && o.Family != AF_INET6:
		return Answer{}, failure{code: EAI_FAMILY}, true
	case ctx.Err() != nil:
		return Answer{}, contextFailure(ctx), true
	case r.closed.Load():
		return Answer{}, closedFailure, true
	}
	return r.local(host, o)
}

// run asks DNS, within the time of the caller and of the resolver.
func (l *lookup) run(ctx context.Context, o LookupOptions) (ans Answer, f failure) {
	ended := l.within(ctx, func(ctx context.Context) { ans, f = l.dns(ctx, o) })
	if !ended {
		return Answer{}, closedFailure
	}
	return ans, f
}

// within calls ask with a context that ends with ctx, with the time of the
// resolver and when it is closed. It returns false when that has happened.
func (l *lookup) within(ctx context.Context, ask func(context.Context)) bool {
	if !l.r.begin() {
		return false
	}
	defer l.r.running.Done()
	l.set = l.r.settings(time.Now())
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.r.closing, func() { cancel(net.ErrClosed) })()
	ctx, stop := context.WithTimeoutCause(ctx, l.set.budget(), errTimeout)
	defer stop()
	ask(ctx)
	return true
}

var closedFailure = failure{code: EAI_CANCELED, err: net.ErrClosed}

// Servers returns the DNS servers in use, in the order they are configured.
func (r *Resolver) Servers() []Server {
	var list []Server
	for _, s := range r.settings(time.Now()).servers {
		list = append(list, s.Server)
	}
	return list
}

// hostsEntry returns what the caller's map or the hosts file says of a name.
func (r *Resolver) hostsEntry(key string) *netdb.HostsEntry {
	if e := r.pinned.Lookup(key); e != nil {
		return e
	}
	return r.hostsTable().Lookup(key)
}

// hostsTable returns the contents of the hosts file.
func (r *Resolver) hostsTable() *netdb.Hosts {
	if r.hosts == nil {
		return r.text
	}
	table, _, err := r.hosts.get(time.Now())
	if err != nil {
		r.config(Event{Note: "keeping the last contents", Err: err})
	}
	return table
}

// settings returns the settings in force, after a look at the resolv.conf file
// when one is due.
func (r *Resolver) settings(now time.Time) *settings {
	if r.conf == nil {
		return r.current.Load()
	}
	conf, changed, err := r.conf.get(now)
	if err != nil {
		r.config(Event{Note: "keeping the last contents", Err: err})
	}
	if !changed {
		return r.current.Load()
	}
	search := r.cfg.defaultSearch()
	r.reload.Lock()
	s := r.cfg.settings(conf, r.env, search, r.current.Load())
	r.current.Store(s)
	r.reload.Unlock()
	r.cache.flush(func(cacheKey) bool { return true })
	r.config(Event{Note: r.cfg.ResolvConf + " read again"})
	r.warn(conf)
	return s
}

// warn tells the tracer what was not understood in a resolv.conf.
func (r *Resolver) warn(conf *resolvConf) {
	if len(conf.warnings) > 0 {
		r.config(Event{Note: "not understood: " + strings.Join(conf.warnings, "; ")})
	}
}

func (r *Resolver) config(e Event) {
	if r.cfg.Trace != nil {
		e.Kind, e.Time = EventConfig, time.Now()
		r.cfg.Trace(e)
	}
}

// zoneKnown reports whether an interface has the name; without Config.NICs
// every one has.
func (r *Resolver) zoneKnown(name string) bool {
	return r.cfg.NICs == nil || slices.ContainsFunc(r.cfg.NICs(), func(n NIC) bool { return n.Name == name })
}
