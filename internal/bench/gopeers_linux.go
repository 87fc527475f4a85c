package bench

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/userstack/userstack/internal/bench/agent"
	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/namespace"
)

// peersModule is the directory of the module that has the peers in Go, from the top of the source.
const peersModule = "internal/bench/peers"

// programs are the peers that were built.
var programs struct {
	mu    sync.Mutex
	dir   string            // "" before the first
	paths map[string]string // by name
}

// noSource and noGo say what building them lacks.
func noSource() error {
	if checkout() == "" {
		return errors.New("built from the source only: run bench in a checkout of it")
	}
	return nil
}

func noGo() error {
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("built from the source only, which takes the go command: %w", err)
	}
	return nil
}

// The peers that are built, by their directories.
const (
	peerTapvsock  = "tapvsock"
	peerWireguard = "wireguard"
	peerLwip      = "lwip"
)

// building returns what has a peer built, unless that is done.
func building(name string, build func(ctx context.Context, path string) error) func(context.Context) error {
	return func(ctx context.Context) error {
		programs.mu.Lock()
		defer programs.mu.Unlock()
		if programs.paths[name] != "" {
			return nil
		}
		if programs.dir == "" {
			dir, err := os.MkdirTemp("", "userstack-bench-")
			if err != nil {
				return err
			}
			programs.dir, programs.paths = dir, map[string]string{}
		}
		path := filepath.Join(programs.dir, name)
		if err := build(ctx, path); err != nil {
			return err
		}
		programs.paths[name] = path
		return nil
	}
}

// inGo builds a peer of the module.
func inGo(name string) func(ctx context.Context, path string) error {
	return func(ctx context.Context, path string) error {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "./"+name)
		cmd.Dir = filepath.Join(checkout(), peersModule)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-buildvcs=false")
		var said tailBuffer
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("could not be built, which takes the module cache or a network: %w: %s", err, said.String())
		}
		return nil
	}
}

// program returns where a peer is that was built.
func program(name string) (string, error) {
	programs.mu.Lock()
	defer programs.mu.Unlock()
	if path := programs.paths[name]; path != "" {
		return path, nil
	}
	return "", errors.New("it was not built")
}

// removePrograms removes what was built.
func removePrograms() error {
	programs.mu.Lock()
	defer programs.mu.Unlock()
	dir := programs.dir
	programs.dir, programs.paths = "", nil
	if dir == "" {
		return nil
	}
	return os.RemoveAll(dir)
}

// builtVersion says which version of a module a peer is made of.
func builtVersion(name, module string) func() string {
	return func() string {
		path, err := program(name)
		if err != nil {
			return ""
		}
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return ""
		}
		for _, m := range info.Deps {
			if m.Path == module {
				return m.Version
			}
		}
		return ""
	}
}

// The addresses of gvisor-tap-vsock's network: gvproxy's.
var (
	tapvsockGuest = netip.MustParsePrefix("192.168.127.2/24")
	tapvsockHost  = netip.MustParseAddr("192.168.127.254") // the loopback of the host
)

func overTapvsock(ctx context.Context, s *session) error {
	path, err := program(peerTapvsock)
	if err != nil {
		return err
	}
	var places [2]*namespace.Namespace
	for i := range places {
		if places[i], err = namespace.New(namespace.Config{Sysctl: kernelSettings}); err != nil {
			return err
		}
		s.onClose(places[i].Close)
	}
	host, guest := places[0], places[1]
	file, err := openDevice(guest, tun.Config{Mode: tun.TAP, Backend: tun.Water, MTU: agent.MTU, Addrs: []netip.Prefix{tapvsockGuest}})
	if err != nil {
		return err
	}
	defer file.Close()
	cmd := host.Command(path)
	cmd.ExtraFiles = []*os.File{file}
	translator, err := s.launch(ctx, "gvisor-tap-vsock", cmd)
	if err != nil {
		return err
	}
	if s.far, err = s.start(ctx, "far end", agent.Config{Role: agent.Far}, host.Command); err != nil {
		return err
	}
	if s.near, err = s.start(ctx, "near end", agent.Config{Role: agent.Kernel}, guest.Command); err != nil {
		return err
	}
	s.between = []helper{{translator.name, translator.pid}}
	s.to = tapvsockHost
	return nil
}

func overWireguard(ctx context.Context, s *session) error {
	path, err := program(peerWireguard)
	if err != nil {
		return err
	}
	return ontoTUN(ctx, s, tun.Config{}, func(file *os.File) (*process, error) {
		cmd := exec.Command(path, agent.NearAddr.Addr().String())
		cmd.ExtraFiles = []*os.File{file}
		return s.launch(ctx, "wireguard-go", cmd)
	})
}
