package testnet_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/dnsresolver/netdb"
	"github.com/userstack/userstack/testnet"
)

// tracedEnv has the process that strace watches resolve names: with "stack" over a stack of ours, with "kernel" by the C
// library's rules over the kernel's sockets, which shows that strace would see it.
const tracedEnv = "USERSTACK_TEST_TRACED"

// TestTraced is what TestNoKernelSockets runs under strace; by itself it does nothing.
func TestTraced(t *testing.T) {
	switch os.Getenv(tracedEnv) {
	case "":
		t.Skip("needs TestNoKernelSockets to run it")
	case "kernel":
		if err := exec.CommandContext(t.Context(), "getent", "hosts", "www.lab.test").Run(); err == nil {
			t.Error("the kernel's resolver is no black hole")
		}
	case "stack":
		near, far := testnet.Pair(t)
		_, addr := startDNS(t, ours(far))
		for _, proto := range []dnsresolver.Proto{dnsresolver.ProtoUDP, dnsresolver.ProtoTCP} {
			resolveAll(t, near, dnsresolver.Server{Addr: addr, Proto: proto})
		}
	}
}

// resolveAll calls every method of a resolver that could open a socket.
func resolveAll(t *testing.T, n *testnet.Node, s dnsresolver.Server) {
	t.Helper()
	r, err := dnsresolver.New(dnsresolver.Config{
		Transport: n.Host, Routes: n.Stack, Servers: []dnsresolver.Server{s}, Search: []string{"lab.test"},
		Options: dnsresolver.Options{MDNS: true}, HostsFile: "/etc/hosts", Hostname: func() string { return "here.lab.test" },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx := t.Context()
	for range 50 {
		for _, name := range []string{"www", "www.lab.test", "alias.lab.test", "big.lab.test"} {
			r.FlushCache()
			if _, err := r.LookupNetIP(ctx, "ip", name); err != nil {
				t.Error(err)
			}
		}
	}
	for _, name := range []string{"none.lab.test", "localhost", "192.0.2.1", "fe80::1%lo", "printer.local"} {
		r.LookupNetIP(ctx, "ip", name)
	}
	if _, err := r.Net().LookupHost(ctx, "www.lab.test"); err != nil {
		t.Error(err)
	}
	r.LookupAddr(ctx, n.Addr4)
	r.LookupRecords(ctx, "lab.test", dnsresolver.TypeMX)
	r.GetAddrInfo(ctx, "www.lab.test", "http", netdb.Hints{Flags: netdb.AI_ADDRCONFIG})
	r.GetNameInfo(ctx, netip.AddrPortFrom(n.Addr4, 80), 0)
	r.GetFQDN(ctx, "www")
	r.GetHostByName(ctx, "www.lab.test")
	r.GetHostByAddr(ctx, n.Addr4.String())
}

// internetSocket is a line of strace about a socket that could reach a network.
var internetSocket = regexp.MustCompile(`socket\(AF_(INET6?|PACKET)[ ,]`)

// TestNoKernelSockets resolves in a namespace whose own resolver is a black hole, and counts the kernel's Internet sockets:
// none (S1).
func TestNoKernelSockets(t *testing.T) {
	t.Parallel()
	for program, pkg := range map[string]string{"strace": "strace", "getent": "libc-bin"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s of the package %s: %v", program, pkg, err)
		}
	}
	l := testnet.Namespaces(t) // nobody there answers, and there are no servers
	for _, c := range []struct {
		how  string
		none bool
	}{{"stack", true}, {"kernel", false}} {
		log := filepath.Join(t.TempDir(), "strace")
		cmd := l.Kernel.Command("strace", "-f", "-qq", "-e", "trace=socket", "-o", log, os.Args[0], "-test.run", "^TestTraced$", "-test.v")
		cmd.Env = append(os.Environ(), tracedEnv+"="+c.how)
		out, err := cmd.CombinedOutput()
		if err != nil {
			if strings.Contains(string(out), "ptrace") {
				t.Skipf("needs strace to be allowed to trace: %s", out)
			}
			t.Fatalf("%s: %v\n%s", c.how, err, out)
		}
		trace, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		found := internetSocket.FindAllString(string(trace), -1)
		if len(found) == 0 != c.none || !strings.Contains(string(out), "--- PASS: TestTraced") {
			t.Errorf("%s: %d sockets %q in\n%s\n%s", c.how, len(found), found, trace, out)
		}
		t.Logf("%s: %s", c.how, fmt.Sprint(len(found), " Internet sockets of the kernel"))
	}
}
