package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/supervise/netns"
	"github.com/userstack/userstack/tun"
)

// runNamespace runs the program in a network namespace of its own whose device leads to the network.
func (r *runner) runNamespace(ctx context.Context, p *program) error {
	s := r.settings
	w, err := s.openWire(ctx)
	if err != nil {
		return err
	}
	s.override(w)
	m, file, err := s.layers(w)
	if err != nil {
		return errors.Join(err, w.closeFar())
	}
	watch := watchLink(w.device, w.name, r.log)
	closeAll := func() error {
		watch.Close()
		var closeErr error
		if file != nil {
			closeErr = file.Close()
		}
		return errors.Join(closeErr, w.closeFar())
	}
	cmd := netns.Command(w.link, p.path)
	cmd.Drain = func(context.Context) error { w.drain(); return nil }
	err = r.describe(w, cmd)
	if err == nil {
		err = publish(w.uplink, r.ports, s.verbose, r.log)
	}
	if err != nil {
		return errors.Join(err, discard(w.link), closeAll())
	}
	err = r.wait(p, cmd.Cmd, cmd, func() {
		fmt.Fprintln(r.log, "userstack: run: with --mode netns the program's TCP is the kernel's; this process carries its packets")
	})
	if r.stats && cmd.ProcessState != nil {
		fmt.Fprintf(r.log, "packets: %s\n", m.traffic())
	}
	return r.closed(err, closeAll())
}

// describe gives the program's interface what the stack's would have: addresses, routes, and nameservers.
func (r *runner) describe(w *wire, cmd *netns.Cmd) error {
	s := r.settings
	routes, err := s.routeTable(w)
	if err != nil {
		return err
	}
	cmd.Addrs, cmd.MTU = w.addrs, int(s.mtu)
	for _, route := range routes {
		cmd.Routes = append(cmd.Routes, tun.Route{Dst: route.Dst, Gateway: route.Gateway})
	}
	cmd.Files = map[string][]byte{}
	var text bytes.Buffer
	for _, server := range w.dns {
		if server.Proto != dnsresolver.ProtoUDP || server.Addr.Port() != dnsPort {
			return usagef("--mode netns: the program asks nameservers itself, and by plain DNS on port 53: --dns %v cannot be", server)
		}
		fmt.Fprintf(&text, "nameserver %s\n", server.Addr.Addr())
	}
	if text.Len() > 0 {
		cmd.Files[resolvConfPath] = text.Bytes()
	}
	if s.hosts != "" {
		hosts, err := os.ReadFile(s.hosts)
		if err != nil {
			return fmt.Errorf("--hosts: %w", err)
		}
		cmd.Files["/etc/hosts"] = hosts
	}
	return nil
}
