package main

import (
	"os"
	"strings"
	"testing"
)

// TestLinkFails takes the interface down under a command, and up again. Each is said once.
func TestLinkFails(t *testing.T) {
	t.Parallel()
	needProgram(t, "ip")
	k := newKernel(t)
	r := start(t, k.userstack(t, "ping", "-v", "-i", "0.02", "--link", "tun:us0", "10.78.0.1"), nil)
	r.await(t, `^link: `)
	k.sh(t, "ip link set us0 down")
	r.await(t, `^userstack: link us0 fails: .*us0: input/output error\n`)
	k.sh(t, "ip link set us0 up")
	r.await(t, `^userstack: link us0 works again\n`)
	r.cmd.Process.Signal(os.Interrupt)
	got := r.end(t)
	for _, line := range []string{"link us0 fails", "link us0 works again"} {
		if n := strings.Count(got.stderr, line); n != 1 {
			t.Errorf("%q is said %d times:\n%s", line, n, got.stderr)
		}
	}
}
