package dnsresolver

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

// privateRanges are what a name of the public Internet has no business pointing to:
// a page whose name does can be made to talk to the reader's own network (DNS
// rebinding).
var privateRanges = func() []netip.Prefix {
	var list []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16",
		"::/128", "::1/128", "fc00::/7", "fe80::/10",
	} {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}()

// nat64 is the prefix behind which IPv4 addresses stand (RFC 6052 section 2.1).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// isPrivate reports whether an address, or the IPv4 address in it, is private.
func isPrivate(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if nat64.Contains(addr) {
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	return slices.ContainsFunc(privateRanges, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// mayBePrivate reports whether a name's addresses may be private ones.
func (s *settings) mayBePrivate(name string) bool {
	if !s.groupOf(name).public {
		return true
	}
	name = netdb.FoldName(name)
	return slices.ContainsFunc(s.privateDomains, func(domain string) bool {
		return name == domain || strings.HasSuffix(name, "."+domain)
	})
}

// dropPrivate takes the private addresses out of a reply, of which nothing may be
// left then.
func (l *lookup) dropPrivate(name string, w *walked) {
	if len(w.addrs) == 0 || l.set.mayBePrivate(name) {
		return
	}
	kept := slices.DeleteFunc(w.addrs, isPrivate)
	if dropped := len(w.addrs) - len(kept); dropped > 0 && l.traced() {
		l.trace(Event{Kind: EventReject, Name: name, Note: fmt.Sprintf("%d private addresses", dropped)})
	}
	w.filtered = len(kept) < len(w.addrs)
	if w.addrs = kept; len(kept) == 0 {
		w.status, w.soa = statusNoData, true
	}
}
