package sockets

import (
	"context"
	"iter"
	"strings"
)

// AddrInfo is NSPR's list of the addresses of a host, in the order in which they
// should be tried.
type AddrInfo struct {
	hostname, canon string
	addrs           []*NetworkAddress
}

// nsprAI are the flags of NewAddrInfo with those of GetAddrInfo that they mean.
var nsprAI = map[AI]AI{PR_AI_ALL: AI_ALL, PR_AI_V4MAPPED: AI_V4MAPPED, PR_AI_ADDRCONFIG: AI_ADDRCONFIG}

// NewAddrInfo looks up the addresses of a host or reads the one written in host.
// The family is AF_UNSPEC, AF_INET or AF_INET6, and limits the addresses to it.
// Of the flags, PR_AI_ADDRCONFIG asks only for families that this host has an
// address of, and PR_AI_NOCANONNAME not to ask for the canonical name. Errors:
// EINVAL for other flags or another family, *GAIError when there are none.
func (h *Host) NewAddrInfo(host string, f Family, flags AI) (*AddrInfo, error) {
	hints := AddrInfoHints{Family: f, Type: SOCK_STREAM}
	if flags&PR_AI_NOCANONNAME == 0 {
		hints.Flags = AI_CANONNAME
	}
	rest := flags &^ PR_AI_NOCANONNAME
	for nspr, ai := range nsprAI {
		if rest&nspr != 0 && (ai != AI_ADDRCONFIG || !isLocalhost(host)) {
			hints.Flags |= ai
		}
		rest &^= nspr
	}
	if rest != 0 || f != AF_UNSPEC && f != AF_INET && f != AF_INET6 {
		return nil, &Error{Op: "addrinfo", Num: EINVAL, Msg: "no such flag or family"}
	}
	entries, err := h.GetAddrInfoContext(context.Background(), host, "", &hints)
	if err != nil {
		return nil, err
	}
	info := &AddrInfo{hostname: host}
	for _, e := range entries {
		if e.CanonName != "" {
			info.canon = e.CanonName
		}
		ap, err := h.resolve(context.Background(), e.Addr) // no look-up: it is numeric
		if err != nil {
			return nil, err
		}
		info.addrs = append(info.addrs, &NetworkAddress{host: h, addr: ap.Addr(), given: host})
	}
	if !isLiteral(host) { // the name of an address is what Hostname looks up
		for _, a := range info.addrs {
			a.canon = info.canon
		}
	}
	return info, nil
}

// isLocalhost reports whether a name is one of those for which NSPR does not
// pass AI_ADDRCONFIG on: it would hide the loopback addresses of a host that has
// no others.
func isLocalhost(name string) bool {
	switch strings.ToLower(name) {
	case "localhost", "localhost.localdomain", "localhost6", "localhost6.localdomain6":
		return true
	}
	return false
}

// All ranges over the addresses. They are copies: what the caller changes is
// the caller's own.
func (i *AddrInfo) All() iter.Seq2[int, *NetworkAddress] { return allAddresses(i.addrs) }

func allAddresses(addrs []*NetworkAddress) iter.Seq2[int, *NetworkAddress] {
	return func(yield func(int, *NetworkAddress) bool) {
		for n, a := range addrs {
			c := *a
			if !yield(n, &c) {
				return
			}
		}
	}
}

// At returns a copy of the nth address, nil outside 0 to Len()-1.
func (i *AddrInfo) At(n int) *NetworkAddress { return addressAt(i.addrs, n) }

func addressAt(addrs []*NetworkAddress, n int) *NetworkAddress {
	if n < 0 || n >= len(addrs) {
		return nil
	}
	c := *addrs[n]
	return &c
}

// Len returns how many addresses there are: at least one.
func (i *AddrInfo) Len() int { return len(i.addrs) }

// Hostname returns what NewAddrInfo was given.
func (i *AddrInfo) Hostname() string { return i.hostname }

// CanonicalName returns the host's canonical name, "" when it was not asked for
// or is not known.
func (i *AddrInfo) CanonicalName() string { return i.canon }
