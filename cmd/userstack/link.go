package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/link/hostnet"
)

// A wire is a link, and what is known of the network that it leads to. Whoever gets one gives the link to a stack, which
// owns it from then on, and closes the far end after the stack.
type wire struct {
	link     gstack.LinkEndpoint
	device   failingLink    // the link itself, below what is put on top of it, if it has a device; or nil
	name     string         // of the interface
	addrs    []netip.Prefix // ours
	gateways []netip.Addr
	dns      []dnsresolver.Server
	uplink   *hostnet.Uplink // to the machine's own network; or nil
	servers  *servers        // the demo's, at the other end; or nil
	far      io.Closer       // what is at the other end, if it is ours too; or nil
	about    string          // for people: "TUN device tun0, …"
}

func (w *wire) closeFar() error {
	if w.far == nil {
		return nil
	}
	return w.far.Close()
}

// linkKind is a row of the table of links.
type linkKind struct {
	name string // the word before the colon
	arg  string // what follows the colon, or "" for nothing
	help string

	servers bool // the demo's servers are at the other end

	open func(ctx context.Context, arg string, s *settings) (*wire, error)
}

// linkKinds are what --link may say. The first is the default.
var linkKinds []linkKind

// The table refers to functions that refer to it.
func init() {
	linkKinds = []linkKind{
		{name: "demo", servers: true, open: openMemory, help: `
a network inside this process, with DNS, web and echo servers
for the names below demo.test; needs nothing`},
		{name: hostLink, open: openHost, help: `
the machine's own network, through ordinary sockets of this
process; needs no privileges`},
		{name: "netns", servers: true, open: openNamespace, help: `
a TUN device into a fresh network namespace, with the same
servers on the sockets of its kernel; Linux, without root`},
		{name: "tun", arg: "NAME", open: openTUN, help: `
the TUN device NAME of this machine; created if it does not
exist, which takes CAP_NET_ADMIN; one made for a user by "ip
tuntap add NAME mode tun user USER" takes no privileges`},
		{name: "tap", arg: "NAME", open: openTAP, help: `
the same for a TAP device, which carries Ethernet`},
		{name: "fd", arg: "N[,tap]", open: openFD, help: `
a TUN (or TAP) device inherited as file descriptor N`},
	}
}

// linkSpec is the flag --link.
type linkSpec struct {
	kind linkKind
	arg  string
}

func (l *linkSpec) Type() string { return "LINK" }

func (l *linkSpec) String() string {
	if l.kind.arg == "" {
		return l.kind.name
	}
	return l.kind.name + ":" + l.arg
}

func (l *linkSpec) Set(text string) error {
	name, arg, _ := strings.Cut(text, ":")
	for _, k := range linkKinds {
		if k.name != name {
			continue
		}
		if (k.arg == "") != (arg == "") {
			return fmt.Errorf("%q should be %s", text, k.form())
		}
		l.kind, l.arg = k, arg
		return nil
	}
	return fmt.Errorf("there is no link %q; there are %s", text, linkNames())
}

func (k linkKind) form() string {
	if k.arg == "" {
		return k.name
	}
	return k.name + ":" + k.arg
}

func linkNames() string {
	var names []string
	for _, k := range linkKinds {
		names = append(names, k.form())
	}
	return strings.Join(names, ", ")
}

func linkHelp() string {
	var b strings.Builder
	for _, k := range linkKinds {
		help := strings.ReplaceAll(strings.TrimSpace(k.help), "\n", "\n"+strings.Repeat(" ", 17))
		fmt.Fprintf(&b, "    %-12s %s\n", k.form(), help)
	}
	return strings.TrimRight(b.String(), "\n")
}

// layers puts what the settings ask for on top of a link: from the stack downwards a meter, a capture and an impairment.
// It owns the link, also when it fails. The file, if any, is to be closed after the link.
func (s *settings) layers(w *wire) (m *meter, file *link.CaptureFile, err error) {
	if s.impair != nil || s.pcap != "" {
		// Without a configuration an impairment does one thing: it turns offload off, so that the capture has packets as
		// they would be on a cable.
		cfg := link.ImpairConfig{}
		if s.impair != nil {
			cfg = *s.impair
		}
		if w.link, err = link.NewImpair(w.link, cfg); err != nil {
			return nil, nil, err
		}
	}
	if s.pcap != "" {
		if file, err = link.CreateCaptureFile(s.pcap, link.CaptureConfig{Comment: "userstack --link " + s.link.String()}); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("--pcap: %w", err), discard(w.link))
		}
		w.link = link.NewCapture(w.link, file, w.name)
	}
	m = newMeter(w.link)
	w.link = m
	return m, file, nil
}

// discard closes a link that no stack has taken.
func discard(l gstack.LinkEndpoint) error {
	l.Close()
	l.Wait()
	return nil
}
