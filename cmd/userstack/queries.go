package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"

	"github.com/userstack/userstack/dnsresolver"
)

func lookUpAddresses(family dnsresolver.Family) query {
	return func(ctx context.Context, r *dnsresolver.Resolver, name string) (resolved, error) {
		answer, err := r.Lookup(ctx, name, dnsresolver.LookupOptions{Family: family})
		if err != nil {
			return resolved{}, err
		}
		return resolved{
			Name: answer.Name, Aliases: answer.Aliases, Addrs: answer.Addrs,
			TTL: int(answer.TTL.Seconds()), Source: answer.Source.String(),
		}, nil
	}
}

func lookUpRecords(t dnsresolver.RecordType) query {
	return func(ctx context.Context, r *dnsresolver.Resolver, name string) (resolved, error) {
		recs, err := r.LookupRecords(ctx, name, t)
		if err != nil {
			return resolved{}, fmt.Errorf("%v records: %w", t, err)
		}
		one := resolved{Name: recs.Name, Aliases: recs.Aliases, TTL: int(recs.TTL.Seconds()), Source: "DNS"}
		for _, rec := range recs.List {
			one.Records = append(one.Records, record{rec.Type.String(), rec.Text, int(rec.TTL.Seconds())})
		}
		return one, nil
	}
}

func lookUpNames(ctx context.Context, r *dnsresolver.Resolver, text string) (resolved, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return resolved{}, usagef("--reverse wants addresses: %v", err)
	}
	names, err := r.LookupAddr(ctx, addr)
	return resolved{Names: names}, err
}

// compared is q with the answer of the machine's C library beside it.
func compared(q query, family dnsresolver.Family) query {
	return func(ctx context.Context, r *dnsresolver.Resolver, name string) (resolved, error) {
		one, err := q(ctx, r, name)
		libc, libcErr := libcAddresses(ctx, name, family)
		if errors.Is(libcErr, exec.ErrNotFound) {
			return one, fmt.Errorf("--compare: %w: getent comes with the C library (package libc-bin)", libcErr)
		}
		one.Libc = libc
		switch {
		case slices.Equal(one.Addrs, libc):
			return one, err
		case len(libc) == 0:
			one.Differs = "the C library has no address for " + name
		case len(one.Addrs) == 0:
			one.Differs = fmt.Sprintf("the C library has %v", libc)
		case sameSet(one.Addrs, libc):
			one.Differs = fmt.Sprintf("the C library has the same in another order: %v", libc)
		default:
			one.Differs = fmt.Sprintf("the C library has %v", libc)
		}
		if err == nil {
			err = fmt.Errorf("%s: %w", name, errDiffers)
		}
		return one, err
	}
}

// libcDatabases are getent(1)'s names for getaddrinfo(3) with a family.
var libcDatabases = map[dnsresolver.Family]string{
	dnsresolver.AF_UNSPEC: "ahosts", dnsresolver.AF_INET: "ahostsv4", dnsresolver.AF_INET6: "ahostsv6",
}

// libcAddresses returns what the C library's getaddrinfo(3) says of a name, none if it has no answer.
func libcAddresses(ctx context.Context, name string, family dnsresolver.Family) ([]netip.Addr, error) {
	out, err := exec.CommandContext(ctx, "getent", libcDatabases[family], name).Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	var list []netip.Addr
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), " ")
		if addr, err := netip.ParseAddr(text); err == nil && !slices.Contains(list, addr) {
			list = append(list, addr)
		}
	}
	return list, nil
}

func sameSet(a, b []netip.Addr) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, netip.Addr.Compare)
	slices.SortFunc(b, netip.Addr.Compare)
	return slices.Equal(a, b)
}
