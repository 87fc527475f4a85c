package dnsresolver

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// PolicyEntry is a row of the policy table of RFC 6724 section 2.1: addresses in
// Prefix (the longest that matches) have this precedence and label. IPv4
// addresses are looked up as ::ffff:a.b.c.d.
type PolicyEntry struct {
	Prefix            netip.Prefix
	Precedence, Label int
}

// rfc6724Policy is the default table. The last three rows are prefixes that were
// withdrawn.
var rfc6724Policy = []PolicyEntry{
	{netip.MustParsePrefix("::1/128"), 50, 0},
	{netip.MustParsePrefix("::/0"), 40, 1},
	{netip.MustParsePrefix("::ffff:0:0/96"), 35, 4},
	{netip.MustParsePrefix("2002::/16"), 30, 2},
	{netip.MustParsePrefix("2001::/32"), 5, 5},
	{netip.MustParsePrefix("fc00::/7"), 3, 13},
	{netip.MustParsePrefix("::/96"), 1, 3},
	{netip.MustParsePrefix("fec0::/10"), 1, 11},
	{netip.MustParsePrefix("3ffe::/16"), 1, 12},
}

// What an address has that no row matches, as in glibc, and what the addresses
// of Config.KnownLocalULA have (draft-ietf-6man-rfc6724-update section 3).
const (
	otherPrecedence, otherLabel           = 40, 1
	knownLocalPrecedence, knownLocalLabel = 45, 14
)

// Scopes of RFC 4291 section 2.7, as RFC 6724 section 3.1 compares them.
const (
	scopeLinkLocal = 0x2
	scopeSiteLocal = 0x5
	scopeGlobal    = 0xE
)

var (
	siteLocal   = netip.MustParsePrefix("fec0::/10") // RFC 3879: deprecated
	uniqueLocal = netip.MustParsePrefix("fc00::/7")  // RFC 4193
)

// maxGaiConf is the largest gai.conf file that is read, in bytes; maxPolicyRows
// bounds each of its tables.
const (
	maxGaiConf    = 1 << 20
	maxPolicyRows = 1024
)

// policy is what addresses are sorted by. It is not changed after it was made.
type policy struct {
	precedence, label policyTable
	scope4            policyTable // of IPv4 addresses
}

// policyTable has a value for each prefix; the longest that matches counts, so
// they stand longest first. IPv4 prefixes stand as ::ffff:a.b.c.d.
type policyTable []policyRow

type policyRow struct {
	prefix netip.Prefix
	value  int
}

func (t policyTable) of(addr netip.Addr, other int) int {
	addr = netip.AddrFrom16(addr.As16())
	for _, row := range t {
		if row.prefix.Contains(addr) {
			return row.value
		}
	}
	return other
}

// sorted returns t longest first. Of equal prefixes the first counts.
func (t policyTable) sorted() policyTable {
	slices.SortStableFunc(t, func(a, b policyRow) int { return b.prefix.Bits() - a.prefix.Bits() })
	return slices.Clip(t)
}

func (p *policy) precedenceOf(addr netip.Addr) int { return p.precedence.of(addr, otherPrecedence) }
func (p *policy) labelOf(addr netip.Addr) int      { return p.label.of(addr, otherLabel) }

// scopeOf returns the scope of an address (RFC 6724 section 3.1 and 3.2).
func (p *policy) scopeOf(addr netip.Addr) int {
	addr = addr.Unmap()
	switch {
	case addr.Is4() && p.scope4 != nil:
		return p.scope4.of(addr, scopeGlobal)
	case addr.IsMulticast() && addr.Is6():
		return int(addr.As16()[1] & 0xF)
	case addr.IsLoopback(), addr.IsLinkLocalUnicast():
		return scopeLinkLocal
	case addr.Is6() && siteLocal.Contains(addr):
		return scopeSiteLocal
	}
	return scopeGlobal
}

// basePolicy is the policy without a gai.conf file.
func (c *Config) basePolicy() *policy {
	rows := c.Policy
	if rows == nil {
		rows = rfc6724Policy
	}
	p := new(policy)
	for _, row := range rows {
		p.precedence = append(p.precedence, policyRow{row.Prefix, row.Precedence})
		p.label = append(p.label, policyRow{row.Prefix, row.Label})
	}
	for _, prefix := range c.KnownLocalULA {
		p.precedence = append(p.precedence, policyRow{prefix, knownLocalPrecedence})
		p.label = append(p.label, policyRow{prefix, knownLocalLabel})
	}
	p.precedence, p.label = p.precedence.sorted(), p.label.sorted()
	return p
}

// openPolicy reads the gai.conf file for the first time.
func (r *Resolver) openPolicy(now time.Time) error {
	r.fixed = r.cfg.basePolicy()
	switch {
	case r.cfg.GaiConfText != "":
		r.fixed = r.fixed.withGaiConf([]byte(r.cfg.GaiConfText))
	case r.cfg.GaiConf != "":
		r.gai = &file[*policy]{path: r.cfg.GaiConf, limit: maxGaiConf, parse: r.fixed.withGaiConf}
		return r.gai.open(now)
	}
	return nil
}

// policy returns the policy in force, after a look at the file when one is due.
func (r *Resolver) policy() *policy {
	if r.gai == nil {
		return r.fixed
	}
	p, _, err := r.gai.get(time.Now())
	if err != nil {
		r.config(Event{Note: "keeping the last contents", Err: err})
	}
	return p
}

// withGaiConf returns p with the tables of a gai.conf(5) file in the place of
// those that the file has a line of. Lines that make no sense are skipped, as in
// glibc; "reload" has no meaning here, where files are always watched.
func (p *policy) withGaiConf(text []byte) *policy {
	var read policy
	tables := map[string]*policyTable{"precedence": &read.precedence, "label": &read.label, "scopev4": &read.scope4}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 3 || tables[fields[0]] == nil {
			continue
		}
		prefix, ok := parsePolicyPrefix(fields[1])
		value, err := strconv.ParseUint(fields[2], 0, 31)
		isV4 := prefix.Addr().Is4In6() && prefix.Bits() >= mappedBits
		if t := tables[fields[0]]; ok && err == nil && len(*t) < maxPolicyRows && (isV4 || fields[0] != "scopev4") {
			*t = append(*t, policyRow{prefix, int(value)})
		}
	}
	fresh := *p
	for _, t := range [...]struct{ to, from *policyTable }{
		{&fresh.precedence, &read.precedence}, {&fresh.label, &read.label}, {&fresh.scope4, &read.scope4},
	} {
		if *t.from != nil {
			*t.to = t.from.sorted()
		}
	}
	return &fresh
}

// mappedBits is the length of ::ffff:0:0/96, the prefix of IPv4-mapped addresses.
const mappedBits = 96

// parsePolicyPrefix reads ADDRESS or ADDRESS/BITS. IPv4 becomes IPv4-mapped.
func parsePolicyPrefix(s string) (netip.Prefix, bool) {
	text, length, hasLength := strings.Cut(s, "/")
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, false
	}
	bits := addr.BitLen()
	if hasLength {
		n, err := strconv.ParseUint(length, 10, 8)
		if err != nil || int(n) > bits {
			return netip.Prefix{}, false
		}
		bits = int(n)
	}
	if addr.Is4() {
		addr, bits = netip.AddrFrom16(addr.As16()), bits+mappedBits
	}
	return netip.PrefixFrom(addr, bits).Masked(), true
}
