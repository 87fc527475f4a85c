package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/namespace"
)

// openNamespace makes a network namespace, a TUN device that ends in it, and the demo's servers on its kernel.
func openNamespace(_ context.Context, _ string, s *settings) (_ *wire, err error) {
	far := &farKernel{}
	defer func() {
		if err != nil {
			err = errors.Join(err, far.Close())
		}
	}()
	if far.ns, err = namespace.New(namespace.Config{}); err != nil {
		return nil, err
	}
	dev, err := far.ns.OpenTUN(tun.Config{Name: "tun0", MTU: int(s.mtu), Addrs: farAddrs})
	if err != nil {
		return nil, err
	}
	w := &wire{
		name:  dev.Name(),
		addrs: ourAddrs,
		dns:   demoDNS(),
		about: "TUN device " + dev.Name() + " into a network namespace, " + offloads(dev.Features()),
	}
	l, err := link.New(link.Config{Device: dev, MTU: s.mtu, BusyPoll: s.busyPoll})
	if err != nil {
		return nil, err
	}
	w.link, w.device, w.far = l, l, far
	if far.servers, err = serve(place{
		name:         "the Linux kernel, in a network namespace",
		listen:       far.ns.Listen,
		listenPacket: far.ns.ListenPacket,
		dial:         far.ns.Dial,
	}); err != nil {
		return nil, errors.Join(err, discard(w.link))
	}
	w.servers = far.servers
	return w, nil
}

// farKernel is the other end of a TUN device that leads into a namespace.
type farKernel struct {
	ns      *namespace.Namespace
	servers *servers
}

// Close ends the servers and the namespace.
func (f *farKernel) Close() error {
	var errs []error
	if f.servers != nil {
		errs = append(errs, f.servers.Close())
	}
	if f.ns != nil {
		errs = append(errs, f.ns.Close())
	}
	return errors.Join(errs...)
}

// offloadNames are the words for what a device does for the stack.
var offloadNames = []struct {
	bits uint64
	name string
}{
	{tun.FeatureCSUM | tun.FeatureGuestCSUM, "checksums"},
	{tun.FeatureHostTSO4 | tun.FeatureGuestTSO4, "TSO4"},
	{tun.FeatureHostTSO6 | tun.FeatureGuestTSO6, "TSO6"},
	{tun.FeatureHostUSO | tun.FeatureGuestUSO4, "USO4"},
	{tun.FeatureHostUSO | tun.FeatureGuestUSO6, "USO6"},
}

func offloads(features uint64) string {
	text := ""
	for _, o := range offloadNames {
		if features&o.bits == o.bits {
			text += " " + o.name
		}
	}
	if text == "" {
		return "no offload"
	}
	return fmt.Sprint("offload:", text)
}
