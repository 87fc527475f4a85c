package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"

	"github.com/spf13/cobra"
	"gvisor.dev/gvisor/pkg/tcpip"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// A network is what a command works on: a stack on a link, sockets on the stack, and a resolver that uses the sockets.
type network struct {
	*wire
	stack    *stack.Stack
	host     *sockets.Host
	resolver *dnsresolver.Resolver
	meter    *meter
	capture  *link.CaptureFile // or nil
	watch    *linkWatch        // or nil

	trace dnsresolver.Tracer // told what the resolver does; nil, or set before the first lookup
}

// open makes the network that the settings describe. What is said on verbose goes to log.
func (s *settings) open(ctx context.Context, log io.Writer) (*network, error) {
	w, err := s.openWire(ctx)
	if err != nil {
		return nil, err
	}
	return s.build(w, log)
}

// openWire makes the link that the settings choose.
func (s *settings) openWire(ctx context.Context) (*wire, error) {
	w, err := s.link.kind.open(ctx, s.link.arg, s)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", cmp.Or(s.linkFlag, "--link"), &s.link, err)
	}
	return w, nil
}

// build makes a network on a wire, which it owns.
func (s *settings) build(w *wire, log io.Writer) (_ *network, err error) {
	n := &network{wire: w}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	s.override(w)
	if n.meter, n.capture, err = s.layers(w); err != nil {
		return nil, err
	}
	if s.verbose > 1 {
		n.meter.watch = func(d direction, proto tcpip.NetworkProtocolNumber, pkt *gstack.PacketBuffer) {
			fmt.Fprintln(log, packetLine(d, proto, pkt))
		}
	}
	routes, err := s.routeTable(w)
	if err != nil {
		return nil, errors.Join(err, discard(w.link))
	}
	n.stack, err = stack.New(stack.Config{
		NICs:   []stack.NIC{{Name: w.name, Link: w.link, Addrs: w.addrs}},
		Routes: routes,
	})
	if err != nil {
		return nil, err
	}
	if n.host, err = sockets.New(sockets.Config{Stack: n.stack}); err != nil {
		return nil, err
	}
	if s.verbose > 0 {
		n.trace = func(e dnsresolver.Event) { fmt.Fprintln(log, "resolve:", e) }
	}
	if err = n.openResolver(s); err != nil {
		return nil, err
	}
	if s.verbose > 0 {
		fmt.Fprintf(log, "link: %s, addresses %s\n", w.about, joined(w.addrs))
	}
	n.watch = watchLink(w.device, w.name, log)
	return n, nil
}

func (n *network) openResolver(s *settings) (err error) {
	n.resolver, err = dnsresolver.New(dnsresolver.Config{
		Transport: n.host,
		Routes:    n.stack,
		NICs:      n.nics,
		Servers:   n.dns,
		HostsFile: s.hosts,
		Trace: func(e dnsresolver.Event) {
			if n.trace != nil {
				n.trace(e)
			}
		},
	})
	if err == nil {
		n.host.SetResolver(n.resolver)
	}
	return err
}

// nics tells the resolver of the stack's interfaces.
func (n *network) nics() (nics []dnsresolver.NIC) {
	for _, i := range n.stack.Interfaces() {
		nics = append(nics, dnsresolver.NIC{Name: i.Name, Index: uint32(i.Index), Addrs: i.Addrs})
	}
	return nics
}

// override puts what the user said in the place of what the link suggests.
func (s *settings) override(w *wire) {
	if s.addrs != nil {
		w.addrs = s.addrs
	}
	if s.dns != nil {
		w.dns = s.dns
	}
	if s.gateways != nil {
		w.gateways = s.gateways
	}
}

// routeTable is --route and the default routes. Without any of them it is nil, and everything goes out by the link.
func (s *settings) routeTable(w *wire) ([]stack.Route, error) {
	if len(w.addrs) == 0 {
		return nil, usagef("this stack has no address: give it one with --addr, such as --addr 10.0.0.2/24")
	}
	if s.routes == nil && w.gateways == nil {
		return nil, nil
	}
	routes := slices.Clone(s.routes)
	for _, g := range w.gateways {
		all := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		if g.Is4() {
			all = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		}
		routes = append(routes, stack.Route{Dst: all, Gateway: g})
	}
	return routes, nil
}

// Close ends every connection and closes everything down to the far end.
func (n *network) Close() error {
	var errs []error
	if n.watch != nil {
		n.watch.Close()
	}
	if n.resolver != nil {
		errs = append(errs, n.resolver.Close())
	}
	if n.host != nil {
		errs = append(errs, n.host.Close())
	}
	if n.stack != nil {
		errs = append(errs, n.stack.Close())
	}
	if n.capture != nil {
		errs = append(errs, n.capture.Close())
	}
	return errors.Join(append(errs, n.closeFar())...)
}

// use makes the network, works on it and closes it.
func (s *settings) use(cmd *cobra.Command, work func(ctx context.Context, n *network) error) error {
	n, err := s.open(cmd.Context(), cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	return errors.Join(work(cmd.Context(), n), n.Close())
}

// lookup returns the addresses of a host, or of one IP version if either "4" or "6" is asked for.
func (n *network) lookup(ctx context.Context, host string, version ipVersion) ([]netip.Addr, error) {
	return n.resolver.LookupNetIP(ctx, "ip"+string(version), host)
}
