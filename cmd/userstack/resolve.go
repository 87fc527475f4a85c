package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/userstack/userstack/dnsresolver"
)

// resolveFlags are the flags of resolve.
type resolveFlags struct {
	types   []string
	reverse bool
	short   bool
	json    bool
	trace   bool
	compare bool
}

func newResolve(s *settings) *cobra.Command {
	r := &resolveFlags{}
	cmd := &cobra.Command{
		Use:     "resolve [flags] NAME...",
		GroupID: groupTools,
		Short:   "look names up",
		Long: `resolve looks names up as a program on this stack would: literals, --hosts, then
the DNS servers, which it asks over the stack. It prints a line for each alias and
each address, in the order in which a program should try the addresses (RFC 6724):
the name, how many seconds the answer holds, the type, and the value.

With --type it prints the DNS records of other types: MX, SRV, TXT, NS, CNAME, SOA,
CAA, HTTPS, SVCB, PTR, or any by its number, as TYPE65280. With --reverse it looks
up the names of addresses.

With --trace each query, reply, candidate and decision of the cache is printed on
standard error. With --compare the machine's own C library is asked for the same
addresses, through the machine's own network, and what differs is printed. The
words +short, +json and +trace are taken as well. The exit status is 1 if a name
could not be resolved, or if the C library's answer differs.`,
		Example: `  userstack resolve www.demo.test
  userstack resolve --trace -t AAAA alias.demo.test
  userstack resolve --json www.demo.test ipv4.demo.test
  userstack resolve -t TXT demo.test +short
  userstack resolve --link netns --dns tcp://10.78.0.1 --short www.demo.test`,
		Args: args(1, -1, "a name"),
		RunE: func(cmd *cobra.Command, words []string) error {
			names, err := r.words(words)
			if err != nil {
				return err
			}
			queries, err := r.queries()
			if err != nil {
				return err
			}
			return s.use(cmd, func(ctx context.Context, n *network) error {
				if r.trace && s.verbose == 0 {
					n.trace = traceTo(cmd.ErrOrStderr())
				}
				return r.resolve(ctx, cmd, n, names, queries)
			})
		},
	}
	r.addFlags(cmd.Flags())
	return cmd
}

func (r *resolveFlags) addFlags(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringSliceVarP(&r.types, "type", "t", nil, "the record `TYPES` to ask for (default A,AAAA)")
	f.BoolVarP(&r.reverse, "reverse", "x", false, "look up the names of addresses")
	f.BoolVar(&r.short, "short", false, "print values alone")
	f.BoolVar(&r.json, "json", false, "print JSON")
	f.BoolVar(&r.trace, "trace", false, "say what happens on standard error")
	f.BoolVar(&r.compare, "compare", false, "ask the machine's C library too")
}

// words takes dig's +words out of the names.
func (r *resolveFlags) words(words []string) (names []string, err error) {
	switches := map[string]*bool{"+short": &r.short, "+json": &r.json, "+trace": &r.trace}
	for _, w := range words {
		switch on := switches[w]; {
		case on != nil:
			*on = true
		case strings.HasPrefix(w, "+"):
			return nil, usagef("%q is unknown: there are +short, +json and +trace", w)
		default:
			names = append(names, w)
		}
	}
	if len(names) == 0 {
		return nil, usagef("no name")
	}
	return names, nil
}

// A query looks one name up in one way.
type query func(context.Context, *dnsresolver.Resolver, string) (resolved, error)

// queries returns what the flags ask for each name: its addresses of one or both families, then records.
func (r *resolveFlags) queries() ([]query, error) {
	if r.reverse {
		if len(r.types) > 0 || r.compare {
			return nil, usagef("--reverse goes with neither --type nor --compare")
		}
		return []query{lookUpNames}, nil
	}
	family, addresses := dnsresolver.AF_UNSPEC, len(r.types) == 0
	var list []query
	for _, text := range r.types {
		t, err := dnsresolver.ParseRecordType(text)
		switch {
		case err != nil:
			return nil, usagef("%v: there are A, AAAA, MX, SRV, TXT and others, and TYPE65280 for any by its number", err)
		case t == dnsresolver.TypeA || t == dnsresolver.TypeAAAA:
			f := dnsresolver.AF_INET
			if t == dnsresolver.TypeAAAA {
				f = dnsresolver.AF_INET6
			}
			if addresses && f != family {
				f = dnsresolver.AF_UNSPEC // both
			}
			family, addresses = f, true
		default:
			list = append(list, lookUpRecords(t))
		}
	}
	if addresses {
		list = append([]query{lookUpAddresses(family)}, list...)
	}
	if r.compare {
		if !addresses || len(list) > 1 {
			return nil, usagef("--compare compares addresses: -t A, -t AAAA or both")
		}
		list[0] = compared(list[0], family)
	}
	return list, nil
}

// traceTo returns a tracer that writes lines.
func traceTo(w io.Writer) dnsresolver.Tracer {
	var mu sync.Mutex
	return func(e dnsresolver.Event) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(w, "resolve:", e)
	}
}

// resolved is the result of one query, and a member of the JSON.
type resolved struct {
	Host    string       `json:"host"`
	Name    string       `json:"name,omitempty"` // the canonical one
	Aliases []string     `json:"aliases,omitempty"`
	Addrs   []netip.Addr `json:"addresses,omitempty"`
	Records []record     `json:"records,omitempty"`
	Names   []string     `json:"names,omitempty"` // of an address
	TTL     int          `json:"ttl"`             // seconds
	Source  string       `json:"source,omitempty"`
	Millis  float64      `json:"milliseconds"`
	Libc    []netip.Addr `json:"libc,omitempty"` // what the machine's C library says
	Differs string       `json:"differs,omitempty"`
	Error   string       `json:"error,omitempty"`
	err     error
}

// record is a resource record that is not an address.
type record struct {
	Type string `json:"type"`
	Text string `json:"data"`
	TTL  int    `json:"ttl"`
}

// errDiffers fails a comparison.
var errDiffers = errors.New("the C library's answer differs")

func (r *resolveFlags) resolve(ctx context.Context, cmd *cobra.Command, n *network, names []string, queries []query) error {
	var all []resolved
	var failed error
	for _, name := range names {
		for _, q := range queries {
			one := timeQuery(ctx, n, name, q)
			all = append(all, one)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if one.err != nil && failed != nil { // the last failure is left for the caller to report
				fmt.Fprintln(cmd.ErrOrStderr(), message(cmd, failed))
			}
			if one.err != nil {
				failed = one.err
			}
			if !r.json {
				r.print(cmd.OutOrStdout(), one)
			}
		}
	}
	if r.json {
		if err := writeJSON(cmd.OutOrStdout(), all); err != nil {
			return err
		}
	}
	return failed
}

func timeQuery(ctx context.Context, n *network, name string, q query) resolved {
	start := time.Now()
	one, err := q(ctx, n.resolver, name)
	one.Host, one.err = name, err
	one.Millis = float64(time.Since(start)) / float64(time.Millisecond)
	if err != nil {
		one.Error = plain(err)
	}
	return one
}

func (r *resolveFlags) print(w io.Writer, one resolved) {
	line := func(name string, ttl int, typ, value string) {
		if r.short {
			fmt.Fprintln(w, value)
			return
		}
		fmt.Fprintf(w, "%-30s %6d  %-5s  %s\n", name, ttl, typ, value)
	}
	chain := append(one.Aliases, one.Name)
	for i, alias := range one.Aliases {
		if !r.short {
			line(alias, one.TTL, "CNAME", chain[i+1])
		}
	}
	for _, a := range one.Addrs {
		typ := "A"
		if a.Is6() {
			typ = "AAAA"
		}
		line(one.Name, one.TTL, typ, a.String())
	}
	for _, rec := range one.Records {
		line(one.Name, rec.TTL, rec.Type, rec.Text)
	}
	for _, name := range one.Names {
		line(one.Host, one.TTL, "PTR", name)
	}
	if one.Differs != "" {
		fmt.Fprintln(w, one.Differs)
	}
}
