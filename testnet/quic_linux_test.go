package testnet_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/userstack/userstack/internal/needs"
)

// TestQUIC runs the tests of the module testnet/quic: quic-go over our sockets takes its fast way. Where its modules cannot
// be had, the test skips; with quic in USERSTACK_REQUIRE it fails.
func TestQUIC(t *testing.T) {
	run := func(args ...string) error {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = "quic"
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
		out, err := cmd.CombinedOutput()
		t.Logf("%v\n%s", cmd, out)
		return err
	}
	if err := run("mod", "download"); err != nil {
		needs.Have(t, "quic", fmt.Errorf("the modules of testnet/quic are missing: %w", err))
	}
	if err := run("test", "-count", "1", "-v", "."); err != nil {
		t.Error(err)
	}
}
