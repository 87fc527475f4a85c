package dnsresolver

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
	"github.com/userstack/userstack/dnsresolver/netdb"
)

// LookupAddr returns the names of an address, the official one first. In this
// order it tries Config.Hosts, the hosts file, what has a fixed meaning
// (loopback addresses are "localhost", link-local ones have no name that a
// server could know), and the PTR records in DNS, without those that are no
// host names. The error is an *Error: EAI_NONAME or EAI_NODATA when there is no
// name.
func (r *Resolver) LookupAddr(ctx context.Context, addr netip.Addr) ([]string, error) {
	l := &lookup{r: r, host: addr.String(), id: r.lookups.Add(1), start: time.Now()}
	names, f := r.namesOf(ctx, l, addr)
	if f.code != 0 {
		err := &Error{Code: f.code, Host: l.host, Server: f.server, Err: f.err}
		l.trace(Event{Kind: EventDone, Err: err})
		return nil, err
	}
	if l.traced() {
		l.trace(Event{Kind: EventDone, Name: names[0]})
	}
	return names, nil
}

func (r *Resolver) namesOf(ctx context.Context, l *lookup, addr netip.Addr) (names []string, f failure) {
	switch {
	case !addr.IsValid():
		return nil, failure{code: EAI_FAMILY}
	case ctx.Err() != nil:
		return nil, contextFailure(ctx)
	case r.closed.Load():
		return nil, closedFailure
	}
	if names := r.hostsNames(addr); names != nil {
		return names, failure{}
	}
	if names, code, ok := netdb.NamesSpecial(addr); ok {
		return names, failure{code: code}
	}
	if !l.within(ctx, func(ctx context.Context) { names, f = l.ptr(ctx, addr) }) {
		return nil, closedFailure
	}
	return names, f
}

// hostsNames returns what the caller's map or the hosts file says of an address.
func (r *Resolver) hostsNames(addr netip.Addr) []string {
	if names := r.pinned.LookupAddr(addr); names != nil {
		return names
	}
	return r.hostsTable().LookupAddr(addr)
}

// ptr asks DNS for the names of an address.
func (l *lookup) ptr(ctx context.Context, addr netip.Addr) ([]string, failure) {
	rep := l.query(ctx, reverseName(addr), wire.TypePTR)
	switch rep.status {
	case statusData:
	case statusNXDomain:
		return nil, failure{code: EAI_NONAME}
	case statusNoData:
		return nil, failure{code: EAI_NODATA}
	default:
		return nil, rep.failure
	}
	var names []string
	for _, name := range rep.ptrs {
		name = strings.TrimSuffix(name, ".")
		if netdb.IsHostname(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, failure{code: EAI_NODATA}
	}
	return names, failure{}
}

// reverseName returns the name that the PTR records of an address stand at (RFC
// 1035 section 3.5, RFC 3596 section 2.5), with a final dot.
func reverseName(addr netip.Addr) string {
	addr = addr.Unmap()
	var b []byte
	bytes := addr.AsSlice()
	slices.Reverse(bytes)
	for _, c := range bytes {
		if addr.Is4() {
			b = append(strconv.AppendUint(b, uint64(c), 10), '.')
			continue
		}
		const digits = "0123456789abcdef"
		b = append(b, digits[c&0xF], '.', digits[c>>4], '.')
	}
	if addr.Is4() {
		return string(append(b, "in-addr.arpa."...))
	}
	return string(append(b, "ip6.arpa."...))
}
