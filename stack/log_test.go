package stack_test

import (
	"os"
	"os/exec"
	"testing"

	"gvisor.dev/gvisor/pkg/log"
)

// TestNetstackIsSilent has a copy of this program log what netstack would, and
// wants to see nothing of it.
func TestNetstackIsSilent(t *testing.T) {
	if os.Getenv("USERSTACK_TEST_LOG") != "" {
		log.Warningf("martian packet")
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestNetstackIsSilent$")
	cmd.Env = append(os.Environ(), "USERSTACK_TEST_LOG=1")
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "PASS\n" {
		t.Errorf("the program printed %q (%v), want only PASS", out, err)
	}
}
