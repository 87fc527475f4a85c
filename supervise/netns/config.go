package netns

import (
	"context"
	"net/netip"
	"os/exec"

	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/tun"
)

// User says who the program is in its namespace.
type User int

const (
	// Caller keeps user and group as they are.
	Caller User = iota
	// Root makes an ordinary user root, in there: such a program may change
	// interfaces, routes and filters, and sees its files as root's.
	Root
)

// DefaultAddrs are the program's addresses where Cmd.Addrs is nil. They are what
// package hostnet expects at the other end of its link.
func DefaultAddrs() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("10.0.2.15/24"), netip.MustParsePrefix("fd00::15/64")}
}

// DefaultRoutes are the routes where Cmd.Addrs and Cmd.Routes are nil: by way of
// 10.0.2.2 and fd00::2.
func DefaultRoutes() []tun.Route {
	return []tun.Route{
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.0.2.2")},
		{Dst: netip.MustParsePrefix("::/0"), Gateway: netip.MustParseAddr("fd00::2")},
	}
}

// DefaultDevice is the name of the program's interface where Cmd.Device is
// empty.
const DefaultDevice = "tun0"

// A Cmd is an exec.Cmd whose program runs in a network namespace of its own. Its
// fields, those of exec.Cmd included, are for setting before Start. SysProcAttr
// may not ask for namespaces of its own. Pdeathsig is SIGKILL unless it is set.
type Cmd struct {
	*exec.Cmd

	// Addrs are the interface's addresses. Nil means DefaultAddrs, of which the
	// IPv6 address is left out where the machine has no IPv6.
	Addrs []netip.Prefix

	// Routes lead through the interface. Nil means DefaultRoutes where Addrs is
	// nil too, and else a default route for each IP version of Addrs.
	Routes []tun.Route

	// MTU of the interface in bytes. Zero means the uplink's.
	MTU int

	// Device is the interface's name, at most 15 bytes. Empty means
	// DefaultDevice.
	Device string

	// User is who the program is. It makes no difference when root starts it.
	User User

	// Files are contents that the program and its children find in place of the
	// machine's, by absolute path: {"/etc/resolv.conf": []byte("nameserver
	// 10.0.2.3\n")}. A file that does not exist cannot be replaced: Start then
	// fails with an error over ENOENT.
	Files map[string][]byte

	// Drain, if not nil, is called with CommandContext's context, when the
	// program and all that it started have ended and the uplink has what they
	// sent: it returns when that is where it should be, and the uplink is closed
	// then. Wait returns its error if the program ended without one.
	Drain func(ctx context.Context) error

	uplink stack.LinkEndpoint
	ctx    context.Context
	state
}

// Command returns a Cmd that runs the program with uplink as its network. The
// Cmd owns the uplink from Start on, and closes it when the program has ended
// and also when Start fails. It needs to be a link of IP packets.
func Command(uplink stack.LinkEndpoint, name string, arg ...string) *Cmd {
	return &Cmd{Cmd: exec.Command(name, arg...), uplink: uplink, ctx: context.Background()}
}

// CommandContext is Command with a context whose end kills the program and all
// that it started.
func CommandContext(ctx context.Context, uplink stack.LinkEndpoint, name string, arg ...string) *Cmd {
	return &Cmd{Cmd: exec.CommandContext(ctx, name, arg...), uplink: uplink, ctx: ctx}
}

// device is the configuration of the program's device, with the defaults.
func (c *Cmd) device() tun.Config {
	cfg := tun.Config{Name: c.Device, MTU: c.MTU, Addrs: c.Addrs, Routes: c.Routes}
	if cfg.Name == "" {
		cfg.Name = DefaultDevice
	}
	if cfg.MTU == 0 {
		cfg.MTU = int(c.uplink.MTU())
	}
	switch {
	case c.Addrs == nil:
		cfg.Addrs = DefaultAddrs()
		if c.Routes == nil {
			cfg.Routes = DefaultRoutes()
		}
		if !haveIPv6() {
			cfg.Addrs, cfg.Routes = cfg.Addrs[:1], onlyIPv4(cfg.Routes)
		}
	case c.Routes == nil:
		cfg.Routes = defaultRoutes(c.Addrs)
	}
	return cfg
}

func onlyIPv4(routes []tun.Route) (kept []tun.Route) {
	for _, r := range routes {
		if r.Dst.Addr().Is4() {
			kept = append(kept, r)
		}
	}
	return kept
}

// defaultRoutes are default routes on the link, for each IP version that there
// is an address of.
func defaultRoutes(addrs []netip.Prefix) (routes []tun.Route) {
	for _, all := range []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")} {
		for _, a := range addrs {
			if a.Addr().Is4() == all.Addr().Is4() {
				routes = append(routes, tun.Route{Dst: all})
				break
			}
		}
	}
	return routes
}
