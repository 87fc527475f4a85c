package main

import (
	"context"
	"errors"
	"net/netip"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// openMemory makes a wire in memory to a second stack, with the demo's servers on it.
func openMemory(_ context.Context, _ string, s *settings) (*wire, error) {
	ours, theirs := link.NewPipe(link.PipeConfig{MTU: s.mtu, GSOMaxSize: link.MaxGSOSize})
	far := &farStack{}
	if err := far.open(theirs); err != nil {
		return nil, errors.Join(err, far.Close(), discard(ours))
	}
	return &wire{
		link:    ours,
		name:    "demo0",
		addrs:   ourAddrs,
		dns:     demoDNS(),
		servers: far.servers,
		far:     far,
		about:   "a wire in memory to a second userspace stack",
	}, nil
}

// demoDNS is the demo's DNS server as a resolver is told of it.
func demoDNS() (servers []dnsresolver.Server) {
	for _, p := range farAddrs {
		servers = append(servers, dnsresolver.Server{Addr: netip.AddrPortFrom(p.Addr(), dnsPort)})
	}
	return servers
}

// farStack is the other end of the wire in memory.
type farStack struct {
	stack   *stack.Stack
	host    *sockets.Host
	servers *servers
}

// open builds the stack on a link, which it owns; when it fails, Close is still to be called.
func (f *farStack) open(end *link.PipeEnd) (err error) {
	f.stack, err = stack.New(stack.Config{NICs: []stack.NIC{{Name: "far0", Link: end, Addrs: farAddrs}}})
	if err != nil {
		return err
	}
	if f.host, err = sockets.New(sockets.Config{Stack: f.stack}); err != nil {
		return err
	}
	f.servers, err = serve(place{
		name:         "a second userspace stack in the same process",
		listen:       f.host.Listen,
		listenPacket: f.host.ListenPacket,
		dial:         f.host.DialContext,
	})
	return err
}

// Close ends the servers and the stack.
func (f *farStack) Close() error {
	var errs []error
	if f.servers != nil {
		errs = append(errs, f.servers.Close())
	}
	if f.host != nil {
		errs = append(errs, f.host.Close())
	}
	if f.stack != nil {
		errs = append(errs, f.stack.Close())
	}
	return errors.Join(errs...)
}
