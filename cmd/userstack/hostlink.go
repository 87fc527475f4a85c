package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/stack/link/hostnet"
)

// hostLink is the name of the link to the machine's own network, which run takes unless told otherwise.
const hostLink = "host"

// openHost makes a link whose other end is the machine's own network, by ordinary sockets.
func openHost(_ context.Context, _ string, s *settings) (*wire, error) {
	cfg := hostnet.Config{MTU: s.mtu, HostLoopback: s.hostLoopback}
	if s.verbose > 0 { // what no program is told: why it was refused, say
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	up, err := hostnet.New(cfg)
	if err != nil {
		return nil, err
	}
	w := &wire{
		link:   up.Link(), // which closes the uplink
		name:   "host0",
		addrs:  up.Addrs(),
		uplink: up,
		about:  "the machine's own network, by its sockets",
	}
	for _, r := range up.Routes() {
		w.gateways = append(w.gateways, r.Gateway)
	}
	for _, a := range up.Nameservers() {
		w.dns = append(w.dns, dnsresolver.Server{Addr: a})
	}
	return w, nil
}
