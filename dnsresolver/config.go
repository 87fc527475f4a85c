package dnsresolver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// Transport opens the connections to DNS servers. It is the resolver's only way
// to a network. A *net.Dialer fits, and so does a host of a userspace stack.
type Transport interface {
	// DialContext opens a connection on "udp" or "tcp" to an address and port
	// in the form of netip.AddrPort. Each call must use a fresh ephemeral
	// port, and a UDP connection must deliver nothing but datagrams of its peer
	// (a connected socket). Closing the connection must end a Read in another
	// goroutine.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// RouteSource tells how destinations are reached: the stack behind the
// Transport. The resolver sorts addresses by it (RFC 6724). It is called while a
// lookup waits, and should answer within microseconds.
type RouteSource interface {
	// SourceFor returns the address that packets to dst would be sent from, or
	// false when there is no route.
	SourceFor(dst netip.Addr) (src netip.Addr, ok bool)
}

// NIC is a network interface as the resolver needs to know it: for the zones of
// literals and for the prefix lengths of source addresses.
type NIC struct {
	Name  string
	Index uint32         // from 1, for zones that are numbers; 0: unknown
	Addrs []netip.Prefix // addresses with the length of their subnet
}

// Config says how to resolve. Transport is required; of the rest the zero value
// works. What Config gives wins over the resolv.conf file, and that over the
// defaults.
type Config struct {
	Transport Transport

	// Routes sorts the addresses of an answer. Nil: they keep the order of the
	// answers, IPv6 first.
	Routes RouteSource
	// NICs lists the interfaces of the stack behind Transport. Nil: names of
	// zones in literals are not checked, and AI_ADDRCONFIG does nothing.
	NICs func() []NIC

	// Servers are the DNS servers, best first, at most 8. Nil: those of the
	// resolv.conf file.
	Servers []Server
	// Groups are the domains that other servers are asked for.
	Groups []Group
	// TLS is what certificates of ProtoTLS and ProtoHTTPS servers are checked
	// with; ServerName is set for each server. Nil: the system's roots.
	TLS *tls.Config
	// Search lists the domains to try a name in, at most 32. Nil: those of the
	// resolv.conf file, or else the domain of Hostname. Empty but not nil: none.
	Search []string
	// Ndots is the number of dots from which a name is first tried as it is,
	// at most 15. Zero: that of the file, or else 1.
	Ndots int
	// Timeout and Attempts bound a lookup, however many servers there are:
	// Timeout × Attempts is its deadline. Zero: those of the file, or else 5 s
	// (at most 30 s) and 2 (at most 5).
	Timeout  time.Duration
	Attempts int
	Options  Options

	// Cache bounds what is remembered.
	Cache CacheConfig

	// FamilyGrace is how long an answer of one address family waits for the
	// other. Zero: 1 s. Negative: until the lookup's deadline.
	FamilyGrace time.Duration
	// Policy is the table that sorts addresses. Nil: that of RFC 6724.
	Policy []PolicyEntry
	// GaiConf is the path of a gai.conf(5) file, read like HostsFile, of at most
	// 1 MiB; GaiConfText is contents to be used instead. Each of the tables
	// precedence, label and scopev4 that has a line there replaces ours, or
	// Policy's. Empty: none.
	GaiConf, GaiConfText string
	// KnownLocalULA are unique local prefixes of this site, within fc00::/7.
	// Addresses in them go before IPv4, as those of other sites do not
	// (draft-ietf-6man-rfc6724-update). Nil: none is known.
	KnownLocalULA []netip.Prefix

	// NoPrivate takes addresses of private networks out of what Servers say, against
	// DNS rebinding: a name that has no others has none. Group has the same field.
	// PrivateDomains are domains that may have them all the same.
	NoPrivate      bool
	PrivateDomains []string

	// Hosts maps names to addresses. A name in it is not looked for elsewhere.
	Hosts map[string][]netip.Addr
	// HostsFile and ResolvConf are paths, read in New and again when the files
	// change. The Text fields are contents to be used instead. Empty: none; the
	// resolver reads no file that is not named here.
	HostsFile, ResolvConf     string
	HostsText, ResolvConfText string
	// ServicesFile is the path of a services(5) file for GetAddrInfo and
	// GetNameInfo, read like HostsFile, of at most 1 MiB. Empty: the built-in
	// list.
	ServicesFile string
	// Hostname returns the name of this host; its domain is the default search
	// list. Nil: there is none.
	Hostname func() string

	// Trace is told what happens, packet by packet. Nil: nobody is.
	Trace Tracer
}

// Defaults and limits that are not those of resolv.conf(5).
const (
	defaultFamilyGrace = time.Second
	maxAddrs           = 1024     // addresses of one answer
	maxHostsFile       = 64 << 20 // bytes of a hosts file
)

// validate checks what can be checked without reading a file.
func (c *Config) validate() error {
	switch {
	case c.Transport == nil:
		return errors.New("no transport")
	case len(c.Search) > maxSearch:
		return fmt.Errorf("%d search domains, more than %d", len(c.Search), maxSearch)
	case c.Ndots < 0 || c.Ndots > maxNdots:
		return fmt.Errorf("ndots %d not in 0 to %d", c.Ndots, maxNdots)
	case c.Timeout < 0 || c.Timeout > maxTimeout:
		return fmt.Errorf("timeout %v not in 0 to %v", c.Timeout, maxTimeout)
	case c.Attempts < 0 || c.Attempts > maxAttempts:
		return fmt.Errorf("attempts %d not in 0 to %d", c.Attempts, maxAttempts)
	case c.HostsFile != "" && c.HostsText != "":
		return errors.New("HostsFile and HostsText given; want one")
	case c.ResolvConf != "" && c.ResolvConfText != "":
		return errors.New("ResolvConf and ResolvConfText given; want one")
	case c.GaiConf != "" && c.GaiConfText != "":
		return errors.New("GaiConf and GaiConfText given; want one")
	}
	for _, p := range c.KnownLocalULA {
		if !p.IsValid() || p.Bits() < uniqueLocal.Bits() || !uniqueLocal.Contains(p.Addr()) {
			return fmt.Errorf("known local prefix %v: not within %v", p, uniqueLocal)
		}
	}
	if err := validateServers(c.Servers); err != nil {
		return err
	}
	for name, list := range c.Hosts {
		if slices.Contains(list, netip.Addr{}) {
			return fmt.Errorf("hosts: %s has an invalid address", name)
		}
	}
	if err := c.validateGroups(); err != nil {
		return err
	}
	if _, ok := c.Transport.(PacketTransport); c.Options.MDNS && !ok {
		return errors.New("the option MDNS needs a Transport with ListenPacket")
	}
	for _, domain := range c.PrivateDomains {
		if _, ok := searchDomain(domain); !ok || domain == "" {
			return fmt.Errorf("private domain %q: not a domain name", domain)
		}
	}
	for _, domain := range c.Search {
		if _, ok := searchDomain(domain); !ok {
			return fmt.Errorf("search domain %q: not a domain name", domain)
		}
	}
	return nil
}
