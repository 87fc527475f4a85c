package dnsresolver

import (
	"fmt"
	"strings"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
	"github.com/userstack/userstack/dnsresolver/netdb"
)

// Group is a set of servers that some names are asked of, and no others are
// (split DNS). A name belongs to the group with the longest domain that it is in,
// and otherwise to Config.Servers. So do the target of an alias, a candidate of
// the search list, and the reverse name of an address, each by its own name: the
// domain of a private network's addresses is one such as "10.in-addr.arpa".
//
// It fails closed: when the servers of a group do not answer, or it has none, the
// lookup fails, and no other server learns of the name.
type Group struct {
	// Domains are domains without a wildcard; each stands for itself and all
	// names below. "." stands for all names that no other group has.
	Domains []string
	// Servers are the group's servers, best first, at most 8.
	Servers []Server
	// NoPrivate takes private addresses out of what Servers say; see Config.
	NoPrivate bool
}

const maxGroups = 256

// group is a Group, or what the names have that are in none, as a lookup uses it.
type group struct {
	servers []*server
	public  bool // may not point to private addresses
}

// groups is what settings know of split DNS: the group of each domain, in lower
// case and without dots at the ends.
type groups map[string]*group

// groupOf returns the group of a name.
func (s *settings) groupOf(name string) *group {
	if len(s.groups) > 0 {
		name = netdb.FoldName(name)
		for domain := name; ; {
			if g := s.groups[domain]; g != nil {
				return g
			}
			_, parent, found := strings.Cut(domain, ".")
			if !found {
				break
			}
			domain = parent
		}
		if g := s.groups[""]; g != nil {
			return g
		}
	}
	return &s.group
}

// groups makes the groups of a configuration. Servers that were in old keep their
// health.
func (c *Config) groups(old *settings) groups {
	all := make(groups)
	for _, cfg := range c.Groups {
		g := &group{public: cfg.NoPrivate}
		for _, server := range cfg.Servers {
			g.servers = append(g.servers, keepServer(server, old))
		}
		for _, domain := range cfg.Domains {
			domain, _ = searchDomain(domain) // validate has seen to the rest
			all[netdb.FoldName(domain)] = g
		}
	}
	return all
}

func (c *Config) validateGroups() error {
	if len(c.Groups) > maxGroups {
		return fmt.Errorf("%d groups, more than %d", len(c.Groups), maxGroups)
	}
	seen := map[string]bool{}
	for i, g := range c.Groups {
		if len(g.Domains) == 0 {
			return fmt.Errorf("group %d: no domains", i)
		}
		for _, domain := range g.Domains {
			name, ok := searchDomain(domain)
			switch key := netdb.FoldName(name); {
			case !ok:
				return fmt.Errorf("group %d: domain %q: not a domain name", i, domain)
			case seen[key]:
				return fmt.Errorf("group %d: domain %q has a group already", i, domain)
			default:
				seen[key] = true
			}
		}
		if err := validateServers(g.Servers); err != nil {
			return fmt.Errorf("group %d: %w", i, err)
		}
	}
	return nil
}

// stray returns the place in a chain of aliases where it leaves the group of the
// name it began with, or -1. What a server says of another group's names is not
// believed.
func (s *settings) stray(from string, names []string) int {
	if len(s.groups) == 0 {
		return -1
	}
	home := s.groupOf(from)
	for i, name := range names {
		if s.groupOf(name) != home {
			return i
		}
	}
	return -1
}

// cutOff forgets what w says from the target at i on, which somebody else has to
// be asked for.
func (w *walked) cutOff(i int) {
	w.names = w.names[:i+1]
	w.addrs, w.ptrs, w.data = nil, nil, nil
	w.status, w.soa = statusNoData, false
}

// all returns the servers of every group.
func (s *settings) all() []*server {
	list := append([]*server(nil), s.servers...)
	for _, g := range s.groups {
		list = append(list, g.servers...)
	}
	return list
}

// key is the cache's for a question.
func (s *settings) key(name string, t wire.Type) cacheKey {
	name = netdb.FoldName(name)
	return cacheKey{name: name, typ: t, group: s.groupOf(name)}
}
