package main

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/tun"
)

func openTUN(_ context.Context, name string, s *settings) (*wire, error) {
	return openDevice(tun.Config{Name: name, Mode: tun.TUN, MTU: int(s.mtu)}, s)
}

func openTAP(_ context.Context, name string, s *settings) (*wire, error) {
	return openDevice(tun.Config{Name: name, Mode: tun.TAP, MTU: int(s.mtu)}, s)
}

// openDevice opens a device of this machine, and chooses the addresses of its two sides where they are open.
func openDevice(cfg tun.Config, s *settings) (*wire, error) {
	kernel := interfaceAddrs(cfg.Name)
	ours := s.addrs
	switch {
	case kernel == nil && ours == nil:
		ours, kernel = ourAddrs, farAddrs
		cfg.Addrs = kernel
	case kernel == nil:
		kernel = opposite(ours, s.gateways)
		cfg.Addrs = kernel
	case ours == nil:
		ours = opposite(kernel, nil)
	}
	dev, err := tun.Open(cfg)
	if err != nil {
		return nil, err
	}
	w, err := deviceWire(dev, cfg.Mode, s)
	if err != nil {
		return nil, err
	}
	w.addrs = ours
	for _, k := range kernel {
		onLink := func(p netip.Prefix) bool { return p.Contains(k.Addr()) }
		known := func(g netip.Addr) bool { return g.Is4() == k.Addr().Is4() }
		if slices.ContainsFunc(ours, onLink) && !slices.ContainsFunc(w.gateways, known) {
			w.gateways = append(w.gateways, k.Addr())
		}
	}
	return w, nil
}

// openFD adopts a device that this process inherited. Nothing is known of its other side.
func openFD(_ context.Context, arg string, s *settings) (*wire, error) {
	number, word, _ := strings.Cut(arg, ",")
	fd, err := strconv.ParseUint(number, 10, 31)
	if err != nil || word != "" && word != "tap" {
		return nil, usagef("%q should be a file descriptor's number, with \",tap\" after it if the device is one", arg)
	}
	cfg := tun.Config{}
	if word == "tap" {
		cfg.Mode = tun.TAP
	}
	dev, err := tun.FromFD(int(fd), cfg)
	if err != nil {
		return nil, err
	}
	return deviceWire(dev, cfg.Mode, s)
}

// deviceWire makes a link over a device, which it owns.
func deviceWire(dev tun.Device, mode tun.Mode, s *settings) (_ *wire, err error) {
	w := &wire{name: dev.Name(), about: mode.String() + " device " + dev.Name() + ", " + offloads(dev.Features())}
	cfg := link.Config{Device: dev, MTU: s.mtu, BusyPoll: s.busyPoll}
	if mtu, err := dev.MTU(); err == nil && cfg.MTU == 0 { // unknown where the interface is in another namespace
		cfg.MTU = uint32(mtu)
	}
	var l interface {
		gstack.LinkEndpoint
		failingLink
	}
	if mode == tun.TAP {
		l, err = link.NewEthernet(link.EthernetConfig{Config: cfg})
	} else {
		l, err = link.New(cfg)
	}
	w.link, w.device = l, l
	return w, err
}

// interfaceAddrs returns the addresses of an interface of this machine, apart from link-local ones, or nil.
func interfaceAddrs(name string) (prefixes []netip.Prefix) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil // it is to be created
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLinkLocalUnicast() {
			prefixes = append(prefixes, p)
		}
	}
	return prefixes
}

// opposite returns, for each address of one side of a link, one for the other side: the first of gateways in the same
// network, or else the network's first other host.
func opposite(side []netip.Prefix, gateways []netip.Addr) (other []netip.Prefix) {
	for _, p := range side {
		i := slices.IndexFunc(gateways, p.Contains)
		if i >= 0 {
			other = append(other, netip.PrefixFrom(gateways[i], p.Bits()))
		} else if a, ok := neighbour(p); ok {
			other = append(other, netip.PrefixFrom(a, p.Bits()))
		}
	}
	return other
}

// neighbour returns the first host of a network besides the one given: .1, or .2 for .1. A network of two has no more
// than those (RFC 3021, RFC 6164), and one of a single address none.
func neighbour(p netip.Prefix) (netip.Addr, bool) {
	base := p.Masked().Addr()
	for _, a := range []netip.Addr{base.Next(), base.Next().Next(), base} {
		if p.Contains(a) && a != p.Addr() {
			return a, true
		}
	}
	return netip.Addr{}, false
}
