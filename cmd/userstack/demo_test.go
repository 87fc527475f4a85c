package main

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/userstack/userstack/tun/namespace"
)

// demoSays is what the demo prints on any network. A page is fetched by name, over whichever family answers first.
const demoSays = `resolve www\.demo\.test.*send.*reply.*is 10\.78\.0\.1 fd78::1` +
	`.*connect to 10\.78\.0\.1:80.*handshake.*HTTP/1\.1 200 OK.*You are 10\.78\.0\.2` +
	`.*GET a page of .*sha256 [0-9a-f]{16}… as sent.*connect to \[fd78::1\]:80.*You are \[fd78::2\]` +
	`.*HTTP/2\.0 200 OK.*TLS 1\.3.*said "hello, stack\\n".*ping 10\.78\.0\.1.*round trips.*ping fd78::1.*round trips` +
	`.*saw [12] connections from 10\.78\.0\.2.*saw [12] connections from fd78::2.*answered 2 questions`

func TestDemoInMemory(t *testing.T) {
	t.Parallel()
	r := try(t, "demo", "--link", "demo")
	r.expect(t, exitOK, demoSays, "")
	if strings.Contains(r.stdout, "kernel") {
		t.Errorf("a kernel has no part in this:\n%s", r.stdout)
	}
}

func TestDemoOnKernel(t *testing.T) {
	t.Parallel()
	needNamespace(t)
	r := try(t, "demo")
	r.expect(t, exitOK, demoSays, "")
	for _, want := range []string{"TUN device tun0 into a network namespace", "Hello from the Linux kernel",
		"the kernel says of this connection: ", "GET a page of 32.0 MiB", "sha256 f1d89774dc259a91… as sent", "32.0 MiB acknowledged"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("%q is missing:\n%s", want, r.stdout)
		}
	}
}

// Without a namespace the demo says so and does without.
func TestDemoFallback(t *testing.T) {
	t.Parallel()
	r := output(t, withoutNamespaces(t, "demo"), "")
	r.expect(t, exitOK, "No kernel at the other end today: .*namespace.*second userspace stack instead.*"+demoSays, "")
}

// withoutNamespaces prepares the command where it cannot make a namespace: as it is, where that is so for everybody, or
// else in a user namespace whose limits are 0.
func withoutNamespaces(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ns, err := namespace.New(namespace.Config{})
	if err != nil {
		return userstack(t, args...)
	}
	t.Cleanup(func() { ns.Close() })
	plain := userstack(t, args...)
	cmd := ns.Command("sh", append([]string{"-c", `cd /proc/sys/user && echo 0 >max_user_namespaces && echo 0 >max_net_namespaces && exec "$@"`,
		"sh"}, plain.Args...)...)
	cmd.Env = plain.Env
	return cmd
}

func TestDemoCapture(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "demo.pcapng")
	try(t, "demo", "--link", "demo", "--pcap", file).expect(t, exitOK, demoSays+".*demo.pcapng", "")
	const plenty = 32 << 20 // the large pages are in it
	if info, err := os.Stat(file); err != nil || info.Size() < plenty {
		t.Errorf("capture: %v, %v", info, err)
	}
}

func TestDemoImpaired(t *testing.T) {
	t.Parallel()
	try(t, "demo", "--link", "demo", "--impair", "loss=2%,delay=1ms,seed=1").expect(t, exitOK, demoSays, "")
}

func TestNeighbour(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"10.0.0.1/24", "10.0.0.2"}, {"10.0.0.2/24", "10.0.0.1"}, {"10.0.0.77/24", "10.0.0.1"},
		{"10.0.0.4/31", "10.0.0.5"}, {"10.0.0.5/31", "10.0.0.4"}, {"10.0.0.5/30", "10.0.0.6"},
		{"fd00::1/64", "fd00::2"}, {"fd00::/127", "fd00::1"}, {"fd00::1/127", "fd00::"},
		{"10.0.0.1/32", "invalid IP"}, {"::1/128", "invalid IP"},
	} {
		if got, _ := neighbour(netip.MustParsePrefix(c.in)); got.String() != c.want {
			t.Errorf("neighbour of %s is %v, want %s", c.in, got, c.want)
		}
	}
}
