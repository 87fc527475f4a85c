package netdb

import (
	"net/netip"
	"strings"
)

// policy is what is known of a name without asking anybody.
type policy int

const (
	policyNone       policy = iota
	policyLocalhost         // always the loopback addresses
	policyNoSuchName        // never exists: not sent to anybody
)

// namePolicy returns the policy for a folded name: localhost and all below it
// are local (RFC 6761 section 6.3), .invalid does not exist (section 6.4), and
// .onion must not be sent (RFC 7686 section 2).
func namePolicy(name string) policy {
	switch name[strings.LastIndexByte(name, '.')+1:] {
	case "localhost":
		return policyLocalhost
	case "invalid", "onion":
		return policyNoSuchName
	}
	if endsInNumber(name) {
		return policyNoSuchName
	}
	return policyNone
}

// IsLocalhost reports whether a folded name is localhost or below it.
func IsLocalhost(name string) bool { return namePolicy(name) == policyLocalhost }

// loopbackAddrs are the addresses of localhost, IPv6 first as RFC 6724 sorts
// them.
var loopbackAddrs = []netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})}

// AnswerSpecial answers for a folded name that is never sent to anybody:
// localhost and all below it are the loopback addresses; .invalid, .onion and
// what ends in a number, being a mistyped address, do not exist. ok is false for
// other names.
func AnswerSpecial(name string, family Family) (ans Answer, code EAI, ok bool) {
	switch namePolicy(name) {
	case policyLocalhost:
		return Answer{Name: name, Addrs: SelectFamily(loopbackAddrs, family), Source: SourceLocal}, 0, true
	case policyNoSuchName:
		return Answer{}, EAI_NONAME, true
	}
	return Answer{}, 0, false
}

// NamesSpecial is AnswerSpecial for the names of an address: loopback addresses
// are "localhost", link-local ones have no name outside their link.
func NamesSpecial(addr netip.Addr) (names []string, code EAI, ok bool) {
	switch addr = addr.Unmap(); {
	case addr.IsLoopback():
		return []string{"localhost"}, 0, true
	case addr.IsLinkLocalUnicast():
		return nil, EAI_NONAME, true
	}
	return nil, 0, false
}

// Configures reports whether an address of an interface counts for
// AI_ADDRCONFIG, and in which family: not loopback, link-local and unspecified
// ones.
func Configures(addr netip.Addr) (v4, v6 bool) {
	if !addr.IsValid() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsUnspecified() {
		return false, false
	}
	return addr.Is4(), addr.Is6()
}
