package main

import (
	"context"
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

// recordTypes are the types of records that can be asked for.
var recordTypes = []struct {
	name   string
	family dnsresolver.Family
}{
	{"A", dnsresolver.AF_INET},
	{"AAAA", dnsresolver.AF_INET6},
}

// resolveFlags are the flags of resolve.
type resolveFlags struct {
	types []string
	short bool
	json  bool
	trace bool
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

With --trace each query, reply and decision is printed on standard error. The exit
status is 1 if a name could not be resolved.`,
		Example: `  userstack resolve www.demo.test
  userstack resolve --trace -t AAAA alias.demo.test
  userstack resolve --json www.demo.test ipv4.demo.test
  userstack resolve --link netns --dns tcp://10.78.0.1 --short www.demo.test`,
		Args: args(1, -1, "a name"),
		RunE: func(cmd *cobra.Command, names []string) error {
			family, err := r.family()
			if err != nil {
				return err
			}
			return s.use(cmd, func(ctx context.Context, n *network) error {
				if r.trace && s.verbose == 0 {
					n.trace = traceTo(cmd.ErrOrStderr())
				}
				return r.resolve(ctx, cmd, n, names, family)
			})
		},
	}
	r.addFlags(cmd.Flags())
	return cmd
}

func (r *resolveFlags) addFlags(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringSliceVarP(&r.types, "type", "t", nil, "the record `TYPES` to ask for: A, AAAA (default both)")
	f.BoolVar(&r.short, "short", false, "print values alone")
	f.BoolVar(&r.json, "json", false, "print JSON")
	f.BoolVar(&r.trace, "trace", false, "say what happens on standard error")
}

// family returns what --type asks for.
func (r *resolveFlags) family() (dnsresolver.Family, error) {
	asked := dnsresolver.AF_UNSPEC
	for i, text := range r.types {
		family := dnsresolver.AF_UNSPEC
		for _, t := range recordTypes {
			if strings.EqualFold(text, t.name) {
				family = t.family
			}
		}
		switch {
		case family == dnsresolver.AF_UNSPEC:
			return 0, usagef("records of type %q cannot be asked for: there are A and AAAA", text)
		case i > 0 && family != asked:
			return dnsresolver.AF_UNSPEC, nil // both
		}
		asked = family
	}
	return asked, nil
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

// resolved is the result for one name, and a member of the JSON.
type resolved struct {
	Host    string       `json:"host"`
	Name    string       `json:"name,omitempty"` // the canonical one
	Aliases []string     `json:"aliases,omitempty"`
	Addrs   []netip.Addr `json:"addresses,omitempty"`
	TTL     int          `json:"ttl"` // seconds
	Source  string       `json:"source,omitempty"`
	Millis  float64      `json:"milliseconds"`
	Error   string       `json:"error,omitempty"`
	err     error
}

func (r *resolveFlags) resolve(ctx context.Context, cmd *cobra.Command, n *network, names []string, family dnsresolver.Family) error {
	var all []resolved
	var failed error
	for _, name := range names {
		one := lookUp(ctx, n, name, family)
		all = append(all, one)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch {
		case one.err != nil && failed != nil: // the last failure is left for the caller to report
			fmt.Fprintln(cmd.ErrOrStderr(), message(cmd, failed))
			failed = one.err
		case one.err != nil:
			failed = one.err
		case !r.json:
			r.print(cmd.OutOrStdout(), one)
		}
	}
	if r.json {
		if err := writeJSON(cmd.OutOrStdout(), all); err != nil {
			return err
		}
	}
	return failed
}

func lookUp(ctx context.Context, n *network, name string, family dnsresolver.Family) resolved {
	start := time.Now()
	answer, err := n.resolver.Lookup(ctx, name, dnsresolver.LookupOptions{Family: family})
	r := resolved{Host: name, Millis: float64(time.Since(start)) / float64(time.Millisecond), err: err}
	if err != nil {
		r.Error = plain(err)
		return r
	}
	r.Name, r.Aliases, r.Addrs = answer.Name, answer.Aliases, answer.Addrs
	r.TTL, r.Source = int(answer.TTL.Seconds()), answer.Source.String()
	return r
}

func (r *resolveFlags) print(w io.Writer, one resolved) {
	line := func(name, typ, value string) {
		if r.short {
			fmt.Fprintln(w, value)
			return
		}
		fmt.Fprintf(w, "%-30s %6d  %-5s  %s\n", name, one.TTL, typ, value)
	}
	chain := append(one.Aliases, one.Name)
	for i, alias := range one.Aliases {
		if !r.short {
			line(alias, "CNAME", chain[i+1])
		}
	}
	for _, a := range one.Addrs {
		typ := "A"
		if a.Is6() {
			typ = "AAAA"
		}
		line(one.Name, typ, a.String())
	}
}
