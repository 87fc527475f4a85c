package dnsresolver

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

// Limits and defaults of resolv.conf(5). Where they differ from glibc's the
// reason is given.
const (
	maxResolvConf = 1 << 20 // bytes
	maxServers    = 8       // glibc: 3; people list more, and dead ones cost little here
	maxSearch     = 32      // entries; glibc: no limit
	maxSortlist   = 10      // glibc MAXRESOLVSORT
	maxWarnings   = 32      // of one file

	defaultNdots    = 1
	maxNdots        = 15 // glibc RES_MAXNDOTS
	defaultTimeout  = 5 * time.Second
	maxTimeout      = 30 * time.Second // glibc RES_MAXRETRANS
	defaultAttempts = 2
	maxAttempts     = 5 // glibc RES_MAXRETRY
)

// dnsPort is the port of DNS over UDP and TCP (RFC 1035 section 4.2).
const dnsPort = 53

// resolvConf is the contents of a resolv.conf file. Zero values mean that the
// file does not say.
type resolvConf struct {
	servers  []Server
	search   []string // nil: not given; empty: given and empty
	sortlist []netip.Prefix
	ndots    int // -1: not given
	timeout  time.Duration
	attempts int
	options  Options
	noReload bool
	warnings []string // what was not understood, each once
}

// utf8BOM is what some editors put in front of a text.
var utf8BOM = []byte("\xEF\xBB\xBF")

// parseResolvConf reads a resolv.conf file as resolv.conf(5) describes it: the
// last of domain and search wins, options add up, and what is not understood is
// skipped with a warning.
func parseResolvConf(text []byte) *resolvConf {
	c := &resolvConf{ndots: -1}
	for line := range bytes.Lines(bytes.TrimPrefix(text, utf8BOM)) {
		line := string(line)
		if i := strings.IndexAny(line, "#;"); i >= 0 {
			line = line[:i]
		}
		fields := strings.Fields(line)
		if len(fields) > 0 {
			c.directive(fields[0], fields[1:])
		}
	}
	return c
}

// directive applies one line.
func (c *resolvConf) directive(keyword string, args []string) {
	if len(args) == 0 && keyword != "search" {
		c.warn("%s: without a value", keyword)
		return
	}
	switch keyword {
	case "nameserver":
		c.addServer(args[0])
	case "domain":
		c.setSearch(args[:1])
	case "search":
		c.setSearch(args)
	case "sortlist":
		c.setSortlist(args)
	case "options":
		c.setOptions(args)
	default:
		c.warn("%s: unknown keyword", keyword)
	}
}

// addServer adds a server. The rest of its line is ignored, as in glibc.
func (c *resolvConf) addServer(text string) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		c.warn("nameserver %s: not an address", text)
		return
	}
	if len(c.servers) == maxServers {
		c.warn("nameserver %s: more than %d", text, maxServers)
		return
	}
	s := Server{Addr: netip.AddrPortFrom(addr, dnsPort)}
	if !slices.Contains(c.servers, s) {
		c.servers = append(c.servers, s)
	}
}

func (c *resolvConf) setSearch(list []string) {
	c.search = []string{}
	for _, domain := range list {
		domain, ok := searchDomain(domain)
		if !ok {
			c.warn("search %s: not a domain name", domain)
			continue
		}
		if len(c.search) == maxSearch {
			c.warn("search %s: more than %d", domain, maxSearch)
			return
		}
		c.search = append(c.search, domain)
	}
}

// searchDomain returns the form of a search entry that the candidate list uses:
// no final dot, and "" for the root.
func searchDomain(s string) (string, bool) {
	if s == "" || s == "." {
		return "", true
	}
	domain := strings.TrimSuffix(s, ".")
	if !netdb.IsHostname(domain) {
		return s, false
	}
	return domain, true
}

// setSortlist reads entries of the form ADDRESS, ADDRESS/BITS or
// ADDRESS/NETMASK. An address alone has the mask of its old class, as in glibc,
// or 128 bits.
func (c *resolvConf) setSortlist(list []string) {
	for _, text := range list {
		p, ok := parseSortlistEntry(text)
		switch {
		case !ok:
			c.warn("sortlist %s: not a network", text)
		case len(c.sortlist) == maxSortlist:
			c.warn("sortlist %s: more than %d", text, maxSortlist)
		default:
			c.sortlist = append(c.sortlist, p)
		}
	}
}

func parseSortlistEntry(text string) (netip.Prefix, bool) {
	host, mask, hasMask := strings.Cut(text, "/")
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, false
	}
	bits := classBits(addr)
	if hasMask {
		var ok bool
		if bits, ok = maskBits(mask, addr); !ok {
			return netip.Prefix{}, false
		}
	}
	p, err := addr.Prefix(bits)
	return p, err == nil
}

// classBits returns the prefix length of an address's class (RFC 791 section
// 3.2).
func classBits(addr netip.Addr) int {
	if !addr.Is4() {
		return addr.BitLen()
	}
	switch first := addr.As4()[0]; {
	case first < 128:
		return 8
	case first < 192:
		return 16
	}
	return 24
}

// maskBits reads a prefix length or, for IPv4, a contiguous netmask.
func maskBits(mask string, addr netip.Addr) (int, bool) {
	if n, err := strconv.ParseUint(mask, 10, 8); err == nil {
		return int(n), int(n) <= addr.BitLen()
	}
	m, err := netip.ParseAddr(mask)
	if err != nil || !m.Is4() || !addr.Is4() {
		return 0, false
	}
	bits := 0
	for b := m.As4(); bits < 32 && b[bits/8]&(0x80>>(bits%8)) != 0; {
		bits++
	}
	full, _ := netip.AddrFrom4([4]byte{255, 255, 255, 255}).Prefix(bits)
	return bits, full.Addr() == m
}

// warn records a warning, once.
func (c *resolvConf) warn(format string, args ...any) {
	w := fmt.Sprintf(format, args...)
	if len(c.warnings) < maxWarnings && !slices.Contains(c.warnings, w) {
		c.warnings = append(c.warnings, w)
	}
}
