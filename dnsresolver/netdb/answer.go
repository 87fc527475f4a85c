package netdb

import (
	"context"
	"net/netip"
	"time"
)

// LookupOptions say what to look up. The zero value asks for the addresses of
// both families, sorted.
type LookupOptions struct {
	Family Family
	Order  Order
	// Skip is a family that the name service does not ask servers for, because
	// the host has no address of it (AI_ADDRCONFIG). What is known without
	// asking is returned all the same. AF_UNSPEC: none.
	Skip Family
	// HostsAliases lists the other names in a hosts file in Answer.Aliases.
	HostsAliases bool
}

// Order is the order of the addresses of an Answer.
type Order int

// The orders.
const (
	OrderRFC6724 Order = iota // best first, as getaddrinfo(3) has it
	OrderWire                 // as the answers came: IPv6 first, then IPv4
)

// Source says where an Answer came from.
type Source int

// The sources, in the order in which they are asked.
const (
	SourceLiteral Source = iota // the name was an address
	SourceHosts                 // a hosts file or table
	SourceLocal                 // a name that is never looked up (RFC 6761)
	SourceDNS
)

// String returns "literal", "hosts", "local" or "DNS".
func (s Source) String() string {
	return [...]string{"literal", "hosts", "local", "DNS"}[min(max(s, 0), SourceDNS)]
}

// Answer is the result of a lookup.
type Answer struct {
	// Name is the canonical name, without a final dot: the end of the chain of
	// aliases, the first name on the line of the hosts file, or the name asked
	// for. For a literal it is the text as given.
	Name string
	// Aliases are the names that led to Name, from the one asked for (with its
	// search domain) on. Empty when Name is that one. With
	// LookupOptions.HostsAliases, also the other names of the lines of a hosts
	// file.
	Aliases []string
	// Addrs has at least one address and no duplicates.
	Addrs []netip.Addr
	// TTL is how long the answer holds, at most a day. Zero when it does not
	// come from DNS, and also for records that must not be kept.
	TTL    time.Duration
	Source Source
	// Authenticated is the AD bit of every reply that was used, with the option
	// trust-ad; without it, false.
	Authenticated bool
}

// NameService looks up what is not in the tables of a DB. Its errors say their
// code with a method GAICode() int; one without counts as EAI_FAIL.
// *dnsresolver.Resolver is a NameService.
type NameService interface {
	// Lookup returns the addresses of a name, at least one.
	Lookup(ctx context.Context, name string, o LookupOptions) (Answer, error)
	// LookupAddr returns the names of an address, at least one, the official
	// one first. It is never asked for an IPv4-mapped address.
	LookupAddr(ctx context.Context, addr netip.Addr) ([]string, error)
}

// Interfaces tells of the network interfaces of the host whose names are looked
// up. It is called while a look-up waits, and should answer within microseconds.
type Interfaces interface {
	// ZoneIndex returns the index of the interface of a name, from 1.
	ZoneIndex(name string) (index uint32, ok bool)
	// ZoneName returns the name of the interface of an index.
	ZoneName(index uint32) (name string, ok bool)
	// Configured reports of which families there are addresses, not counting
	// loopback and link-local ones (AI_ADDRCONFIG).
	Configured() (v4, v6 bool)
}
