package main

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/userstack/userstack/internal/needs"
	"github.com/userstack/userstack/testnet"
)

// TestBenchWithoutTUN: without /dev/net/tun the kernel is measured over veth nevertheless, and what is missing for the
// others is said.
func TestBenchWithoutTUN(t *testing.T) {
	t.Parallel()
	testnet.RequireNamespaces(t)
	const hide = `mount -t tmpfs none /dev/net && exec "$@"`
	within := func(program string, args ...string) *exec.Cmd {
		return exec.Command("unshare", append([]string{"-Urm", "sh", "-c", hide, "sh", program}, args...)...)
	}
	if err := within("true").Run(); err != nil {
		needs.Have(t, "netns", fmt.Errorf("unshare(1) with a user and a mount namespace, of the package util-linux: %w", err))
	}
	bare := userstack(t, "bench", "--rounds", "1", "--time", "50ms", "--load", "out-1", "--wire", "tun,veth,gvisor-tap-vsock")
	cmd := within(bare.Path, bare.Args[1:]...)
	cmd.Env = bare.Env
	output(t, cmd, "").expect(t, exitOK, `(?s)^bulk.*\n  veth +[\d.,]+ .*Not measured: tun, gvisor-tap-vsock\. .*modprobe tun`, "tun: not measured: ")
}
