package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"

	"github.com/userstack/userstack/internal/bench/agent"
	"github.com/userstack/userstack/tun/namespace"
)

// The peers stand between the kernel of a namespace, where the near end is, and the sockets of another, where the far end
// is. So two kernels and the peer are at work, and the far end is on the loopback of the peer's namespace: that is shorter
// than any way that they have in practice.
//
// pasta has its own MTU of 65,520, and does not splice loopback connections, by which it would not translate at all.
// slirp4netns has the MTU that its manual recommends, 65,520 as well, and gvisor-tap-vsock that of gvproxy, 1,500.

// installed returns what says that a program is not.
func installed(program, pkg string) func() error {
	return func() error {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is not installed: apt-get install %s", program, pkg)
		}
		return nil
	}
}

// packageVersion asks a program, and Debian's packages when it does not know.
func packageVersion(program, pkg string) func() string {
	return func() string {
		out, _ := exec.Command(program, "--version").Output()
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		if first != "" && !strings.Contains(first, "unknown") {
			return strings.TrimPrefix(first, program+" version ")
		}
		out, _ = exec.Command("dpkg-query", "-W", "-f", "${Version}", pkg).Output()
		return strings.TrimSpace(string(out))
	}
}

// pastaGateway is the address by which pasta's guest reaches the loopback of its host.
var pastaGateway = netip.AddrFrom4([4]byte{10, 99, 0, 2})

func overPasta(ctx context.Context, s *session) error {
	host, _, err := namespacePair(s) // pasta wants an interface to take after
	if err != nil {
		return err
	}
	if s.far, err = s.start(ctx, "far end", agent.Config{Role: agent.Far}, host.Command); err != nil {
		return err
	}
	wrapped := func(name string, args ...string) *exec.Cmd {
		options := []string{"--config-net", "-f", "-q", "-4", "-i", "veth0", "-I", "tap0",
			"-a", "10.99.0.15", "-n", "24", "-g", pastaGateway.String(), "-t", "none", "-u", "none", "-T", "none", "-U", "none", "--", name}
		return host.Command("unshare", append(append([]string{"--user", "--map-root-user", "pasta"}, options...), args...)...)
	}
	if s.near, err = s.start(ctx, "near end", agent.Config{Role: agent.Kernel}, wrapped); err != nil {
		return err
	}
	s.between = []helper{{"pasta", s.near.cmd.Process.Pid}}
	s.to = pastaGateway
	return nil
}

// slirpGateway is the address by which slirp4netns's guest reaches the loopback of its host.
var slirpGateway = netip.AddrFrom4([4]byte{10, 0, 2, 2})

func overSlirp(ctx context.Context, s *session) error {
	host, guest, err := namespacePair(s) // one user namespace, so that the host's programs may enter the guest
	if err != nil {
		return err
	}
	if s.far, err = s.start(ctx, "far end", agent.Config{Role: agent.Far}, host.Command); err != nil {
		return err
	}
	if s.near, err = s.start(ctx, "near end", agent.Config{Role: agent.Kernel}, guest.Command); err != nil {
		return err
	}
	if err := s.slirp(ctx, host, s.near.pid); err != nil {
		return err
	}
	s.to = slirpGateway
	return nil
}

// slirp runs slirp4netns for the namespace of a process and waits until it has set up the device.
func (s *session) slirp(ctx context.Context, host *namespace.Namespace, guest int) error {
	ready, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	const readyFD = 3 // the first of ExtraFiles
	cmd := host.Command("slirp4netns", "--configure", "--mtu=65520", fmt.Sprintf("--ready-fd=%d", readyFD),
		"--netns-type=path", fmt.Sprintf("/proc/%d/ns/net", guest), "tap0")
	cmd.ExtraFiles = []*os.File{theirs}
	var said tailBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err = s.pins.near.start(cmd)
	theirs.Close()
	if err != nil {
		return err
	}
	s.onClose(func() error {
		cmd.Process.Kill()
		cmd.Wait() // it was killed
		return nil
	})
	s.between = []helper{{"slirp4netns", cmd.Process.Pid}}
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	defer stop()
	if _, err := ready.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
		return errors.Join(context.Cause(ctx), fmt.Errorf("slirp4netns has ended: %s", said.String()))
	} else if err != nil {
		return err
	}
	return nil
}
