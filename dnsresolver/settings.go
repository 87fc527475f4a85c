package dnsresolver

import (
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

// settings is what a lookup goes by: Config, the environment and resolv.conf
// put together. It is not changed after it was made.
type settings struct {
	group                 // of the names that no other has
	groups         groups // of the others
	search         []string
	sortlist       []netip.Prefix
	privateDomains []string // in lower case
	ndots          int
	timeout        time.Duration
	attempts       int
	options        Options
}

// budget is the time that a lookup may take.
func (s *settings) budget() time.Duration { return s.timeout * time.Duration(s.attempts) }

// settings puts Config over the environment, that over a resolv.conf file, and
// that over the defaults, of which search is one. Servers that were in old keep
// their health.
func (c *Config) settings(conf, env *resolvConf, search []string, old *settings) *settings {
	s := &settings{
		search:   firstNonNil(c.searchList(), env.search, conf.search, search),
		sortlist: conf.sortlist,
		ndots:    defaultNdots,
		timeout:  firstNonZero(c.Timeout, env.timeout, conf.timeout, defaultTimeout),
		attempts: firstNonZero(c.Attempts, env.attempts, conf.attempts, defaultAttempts),
		options:  c.Options.union(conf.options).union(env.options),
	}
	switch {
	case c.Ndots > 0:
		s.ndots = c.Ndots
	case env.ndots >= 0:
		s.ndots = env.ndots
	case conf.ndots >= 0:
		s.ndots = conf.ndots
	}
	s.groups, s.public = c.groups(old), c.NoPrivate
	for _, domain := range c.PrivateDomains {
		s.privateDomains = append(s.privateDomains, netdb.FoldName(domain))
	}
	for _, server := range firstNonNil(c.Servers, conf.servers) {
		s.servers = append(s.servers, keepServer(server, old))
	}
	return s
}

// searchList is Config.Search in the form of the candidate list.
func (c *Config) searchList() []string {
	if c.Search == nil {
		return nil
	}
	list := make([]string, len(c.Search))
	for i, domain := range c.Search {
		list[i], _ = searchDomain(domain) // validate has seen to the rest
	}
	return list
}

// defaultSearch is the domain part of the host's name.
func (c *Config) defaultSearch() []string {
	if c.Hostname == nil {
		return nil
	}
	_, domain, _ := strings.Cut(c.Hostname(), ".")
	if domain, ok := searchDomain(domain); ok && domain != "" {
		return []string{domain}
	}
	return nil
}

// environment reads RES_OPTIONS and LOCALDOMAIN (resolv.conf(5)).
func environment(o Options) *resolvConf {
	env := &resolvConf{ndots: -1}
	if !o.UseEnv {
		return env
	}
	env.setOptions(strings.Fields(os.Getenv("RES_OPTIONS")))
	if domains, ok := os.LookupEnv("LOCALDOMAIN"); ok {
		env.setSearch(strings.Fields(domains))
	}
	return env
}

// firstNonNil returns the first list that is not nil.
func firstNonNil[T any](lists ...[]T) []T {
	for _, list := range lists {
		if list != nil {
			return list
		}
	}
	return nil
}

// firstNonZero returns the first value that is not zero.
func firstNonZero[T comparable](values ...T) T {
	var zero T
	for _, v := range values {
		if v != zero {
			return v
		}
	}
	return zero
}
