package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/internal/bench/agent"
	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/namespace"
)

// equip gives a wire that leads into a namespace what it is made with.
func equip(w *Wire) {
	parts := map[string]Wire{
		"tun":         {open: overTUN(agent.Offload, tun.Config{}), missing: noDevice},
		"tun-latency": {open: overTUN(agent.Latency, tun.Config{}), missing: noDevice},
		"tun-gro":     {open: overTUN(agent.GRO, tun.Config{}), missing: noDevice},
		"tun-naive":   {open: overTUN(agent.Naive, tun.Config{Backend: tun.Water}), missing: noDevice},
		overVeth:      {open: kernelToKernel, missing: noVeth},
		"pasta": {open: overPasta, missing: all(noVeth, noDevice, installed("pasta", "passt")),
			version: packageVersion("pasta", "passt"), most: (maxFiles() - spareFiles) / pastaFiles},
		"slirp4netns": {open: overSlirp, missing: all(noVeth, noDevice, installed("slirp4netns", "slirp4netns")),
			version: packageVersion("slirp4netns", "slirp4netns"), most: fewConns},
		"gvisor-tap-vsock": {open: overTapvsock, missing: all(noDevice, noSource, noGo), prepare: building(peerTapvsock, inGo(peerTapvsock)),
			version: builtVersion(peerTapvsock, "github.com/containers/gvisor-tap-vsock"), most: fewConns},
		"wireguard-go": {open: overWireguard, missing: all(noDevice, noSource, noGo), prepare: building(peerWireguard, inGo(peerWireguard)),
			version: builtVersion(peerWireguard, "golang.zx2c4.com/wireguard")},
		"lwip":     {open: overLwip("blocking"), missing: all(noDevice, noSource, noLwip), prepare: building(peerLwip, buildLwip), version: lwipVersion},
		"lwip-raw": {open: overLwip("raw"), missing: all(noDevice, noSource, noLwip), prepare: building(peerLwip, buildLwip), version: lwipVersion},
	}
	part := parts[w.Name]
	w.open, w.missing, w.prepare, w.version, w.most = part.open, part.missing, part.prepare, part.version, part.most
}

// How many idle connections peers can have.
const (
	pastaFiles = 2    // descriptors that pasta has for each: a socket and a timer
	fewConns   = 2000 // of a peer that takes longer for each the more there are: 10,000 take it more than load.Serve waits
)

// all returns what says the first thing that is missing.
func all(checks ...func() error) func() error {
	return func() error {
		for _, missing := range checks {
			if err := missing(); err != nil {
				return err
			}
		}
		return nil
	}
}

// kernelSettings are those of every kernel here. Without them its congestion control is the machine's: one that paces, as
// BBR does, measures its timers. Reno is in every kernel and permitted in every namespace, and on a wire that loses nothing
// it does what CUBIC does.
var kernelSettings = map[string]string{"net.ipv4.tcp_congestion_control": "reno"}

// What wires want of the machine is found out by trying, and so once. All want programs in namespaces, some a TUN device or a
// veth pair besides.
var (
	noNamespaces = sync.OnceValue(func() error {
		ns, err := namespace.New(namespace.Config{Sysctl: kernelSettings})
		if err != nil {
			return err
		}
		if err = ns.Command("true").Run(); err != nil {
			err = fmt.Errorf("no program runs in a namespace: %w", err)
		}
		return errors.Join(err, ns.Close())
	})
	noDevice = sync.OnceValue(all(noNamespaces, namespace.Available))
	noVeth   = sync.OnceValue(all(noNamespaces, func() error {
		var s session
		_, _, err := namespacePair(&s)
		return errors.Join(err, s.close())
	}))
)

// overTUN joins a stack of ours to the kernel in a namespace.
func overTUN(how agent.Link, device tun.Config) func(context.Context, *session) error {
	return func(ctx context.Context, s *session) error {
		return ontoTUN(ctx, s, device, func(file *os.File) (*process, error) {
			cmd, err := agent.Command(agent.Config{Role: agent.Stack, Link: how}, execCommand)
			if err != nil {
				return nil, err
			}
			cmd.ExtraFiles = []*os.File{file} // agent.Descriptor
			return s.launch(ctx, "our stack", cmd)
		})
	}
}

// ontoTUN makes a namespace with a device and a far end in it. start makes the near end, of the device's other side.
func ontoTUN(ctx context.Context, s *session, device tun.Config, start func(*os.File) (*process, error)) error {
	device.MTU, device.Addrs = agent.MTU, agent.FarAddrs
	ns, err := namespace.New(namespace.Config{Sysctl: kernelSettings})
	if err != nil {
		return err
	}
	s.onClose(ns.Close)
	file, err := openDevice(ns, device)
	if err != nil {
		return err
	}
	defer file.Close()
	if s.far, err = s.start(ctx, "far end", agent.Config{Role: agent.Far}, ns.Command); err != nil {
		return err
	}
	if s.near, err = start(file); err != nil {
		return err
	}
	s.to = agent.FarAddr.Addr()
	return nil
}

// openDevice opens a device in a namespace and returns a descriptor to hand on.
func openDevice(ns *namespace.Namespace, cfg tun.Config) (*os.File, error) {
	dev, err := ns.OpenTUN(cfg)
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	conn, err := dev.(interface {
		SyscallConn(int) (syscall.RawConn, error)
	}).SyscallConn(0)
	if err != nil {
		return nil, err
	}
	dup, dupErr := -1, error(nil)
	if err := conn.Control(func(fd uintptr) { dup, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, os.NewSyscallError("fcntl", dupErr)
	}
	return os.NewFile(uintptr(dup), dev.Name()), nil
}

// kernelToKernel joins two namespaces.
func kernelToKernel(ctx context.Context, s *session) error {
	near, far, err := namespacePair(s)
	if err != nil {
		return err
	}
	if s.far, err = s.start(ctx, "far end", agent.Config{Role: agent.Far}, far.Command); err != nil {
		return err
	}
	if s.near, err = s.start(ctx, "near end", agent.Config{Role: agent.Kernel}, near.Command); err != nil {
		return err
	}
	s.to = agent.FarAddr.Addr()
	return nil
}

// namespacePair makes two namespaces joined by a veth pair, which end with the session.
func namespacePair(s *session) (near, far *namespace.Namespace, err error) {
	near, far, err = namespace.NewPair(namespace.PairConfig{
		A: []netip.Prefix{agent.NearAddr}, B: agent.FarAddrs, MTU: agent.MTU, Sysctl: kernelSettings,
	})
	if err == nil {
		s.onClose(near.Close) // the helper of the first has started that of the second
		s.onClose(far.Close)
	}
	return near, far, err
}

// apart is a namespace of its own where there can be one, so that the kernel's settings are the same everywhere.
func apart(s *session) (commander, error) {
	if noNamespaces() != nil {
		return execCommand, nil
	}
	ns, err := namespace.New(namespace.Config{Sysctl: kernelSettings})
	if err != nil {
		return nil, err
	}
	s.onClose(ns.Close)
	return ns.Command, nil
}
