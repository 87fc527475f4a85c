package dnsresolver

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// NetResolver has the methods of *net.Resolver, for code that is written against
// them, on a Resolver: names end with a dot where package net's do, lists are in
// its order, and errors are *net.DNSError.
type NetResolver struct{ r *Resolver }

// Net returns r in the shape of *net.Resolver.
func (r *Resolver) Net() *NetResolver { return &NetResolver{r} }

// netError returns an error as package net has it.
func netError(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	return e.dnsError()
}

// LookupNetIP returns the addresses of host; network is "ip", "ip4" or "ip6".
func (n *NetResolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	list, err := n.r.LookupNetIP(ctx, network, host)
	if err != nil {
		return nil, netError(err)
	}
	return list, nil
}

// LookupHost returns the addresses of host as text.
func (n *NetResolver) LookupHost(ctx context.Context, host string) ([]string, error) {
	list, err := n.LookupNetIP(ctx, "ip", host)
	texts := make([]string, len(list))
	for i, addr := range list {
		texts[i] = addr.String()
	}
	return texts, err
}

// LookupIP returns the addresses of host; network is "ip", "ip4" or "ip6".
func (n *NetResolver) LookupIP(ctx context.Context, network, host string) ([]net.IP, error) {
	list, err := n.LookupNetIP(ctx, network, host)
	ips := make([]net.IP, len(list))
	for i, addr := range list {
		ips[i] = addr.AsSlice()
	}
	return ips, err
}

// LookupIPAddr returns the addresses of host with their zones.
func (n *NetResolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	list, err := n.LookupNetIP(ctx, "ip", host)
	addrs := make([]net.IPAddr, len(list))
	for i, addr := range list {
		addrs[i] = net.IPAddr{IP: addr.AsSlice(), Zone: addr.Zone()}
	}
	return addrs, err
}

// LookupAddr returns the names of an address, each with a final dot.
func (n *NetResolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, &net.DNSError{Err: "unrecognized address", Name: addr}
	}
	names, err := n.r.LookupAddr(ctx, ip)
	if err != nil {
		return nil, netError(err)
	}
	for i := range names {
		names[i] += "."
	}
	return names, nil
}

// LookupCNAME returns the canonical name of host, with a final dot. Host must have
// an address.
func (n *NetResolver) LookupCNAME(ctx context.Context, host string) (string, error) {
	ans, err := n.r.Lookup(ctx, host, LookupOptions{})
	if err != nil {
		return "", netError(err)
	}
	return strings.TrimSuffix(ans.Name, ".") + ".", nil
}

// records is LookupRecords with package net's errors and final dots.
func (n *NetResolver) records(ctx context.Context, name string, t RecordType) (Records, error) {
	recs, err := n.r.LookupRecords(ctx, name, t)
	if err != nil {
		return recs, netError(err)
	}
	recs.Name = strings.TrimSuffix(recs.Name, ".") + "."
	for i := range recs.List {
		if target := &recs.List[i].Target; *target != "." {
			*target += "."
		}
	}
	return recs, nil
}

// LookupMX returns the mail servers of a domain, the most preferred first.
func (n *NetResolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	recs, err := n.records(ctx, name, TypeMX)
	shuffle(recs.List)
	var list []*net.MX
	for _, rec := range recs.List {
		list = append(list, &net.MX{Host: rec.Target, Pref: rec.Priority})
	}
	return list, err
}

// LookupNS returns the name servers of a domain.
func (n *NetResolver) LookupNS(ctx context.Context, name string) ([]*net.NS, error) {
	recs, err := n.records(ctx, name, TypeNS)
	var list []*net.NS
	for _, rec := range recs.List {
		list = append(list, &net.NS{Host: rec.Target})
	}
	return list, err
}

// LookupTXT returns the TXT records of a name, each with its strings joined.
func (n *NetResolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	recs, err := n.records(ctx, name, TypeTXT)
	var list []string
	for _, rec := range recs.List {
		list = append(list, strings.Join(rec.Strings, ""))
	}
	return list, err
}

// LookupSRV returns the servers of a service, sorted by priority and shuffled by
// weight (RFC 2782), and the name that the records stand at. With service and proto
// empty it looks name up as it is.
func (n *NetResolver) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if service != "" || proto != "" {
		name = "_" + service + "._" + proto + "." + name
	}
	recs, err := n.records(ctx, name, TypeSRV)
	if err != nil {
		return "", nil, err
	}
	var list []*net.SRV
	for _, rec := range weighted(recs.List) {
		list = append(list, &net.SRV{Target: rec.Target, Port: rec.Port, Priority: rec.Priority, Weight: rec.Weight})
	}
	return recs.Name, list, nil
}

// LookupPort returns the port of a service; network is "tcp", "udp" or one of
// package net's others for them, or empty.
func (n *NetResolver) LookupPort(_ context.Context, network, service string) (int, error) {
	if port, err := strconv.Atoi(service); err == nil {
		if port < 0 || port > maxPort {
			return 0, &net.DNSError{Err: "invalid port", Name: service}
		}
		return port, nil
	}
	proto := strings.TrimRight(network, "46")
	if proto == "ip" {
		proto = ""
	}
	entry, ok := n.r.database().Services.ByName(service, proto)
	if !ok {
		return 0, &net.DNSError{Err: "unknown port", Name: network + "/" + service, IsNotFound: true}
	}
	return entry.Port, nil
}

const maxPort = 65535

// shuffle puts records in the order of their priority, and those of the same in a
// random one.
func shuffle(list []Record) {
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	slices.SortStableFunc(list, func(a, b Record) int { return int(a.Priority) - int(b.Priority) })
}

// weighted is shuffle with the chances that the weights give (RFC 2782): within a
// priority, each place goes to one of those that are left.
func weighted(list []Record) []Record {
	shuffle(list)
	for i := range list {
		sum, same := 0, i
		for same < len(list) && list[same].Priority == list[i].Priority {
			sum += int(list[same].Weight) + 1 // so that a weight of 0 has a small chance
			same++
		}
		pick := i
		for at := rand.IntN(sum); at > int(list[pick].Weight); pick++ {
			at -= int(list[pick].Weight) + 1
		}
		list[i], list[pick] = list[pick], list[i]
	}
	return list
}
