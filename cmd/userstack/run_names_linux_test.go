package main

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/internal/needs"
	"github.com/userstack/userstack/internal/userns"
	"github.com/userstack/userstack/stack/link/hostnet"
)

// namesInPython is what a libc says of names.
const namesInPython = `
import socket
print(sorted({a[4][0] for a in socket.getaddrinfo("www.demo.test", 80)}))
print(socket.gethostbyname("ipv4.demo.test"))
print(sorted({a[4][0] for a in socket.getaddrinfo("localhost", 80)})[0])
try: socket.gethostbyname("nosuch.demo.test")
except socket.gaierror as e: print(e.errno == socket.EAI_NONAME)
print(socket.getfqdn("127.0.0.1"))
`

// TestRunNames: whatever a program asks for names with, finds the network's.
func TestRunNames(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dig := "dig +short +tries=1 +time=20 " // patience of ours
	for _, c := range []struct {
		needs, command string
		stdout         string
	}{
		{"python3", "python3 -c '" + strings.ReplaceAll(namesInPython, `'`, `"`) + "'",
			`^\['10\.78\.0\.1', 'fd78::1'\]\n10\.78\.0\.1\n(127\.0\.0\.1|::1)\nTrue\nlocalhost`},
		{"getent", "getent hosts ipv4.demo.test", `^10\.78\.0\.1 +ipv4\.demo\.test\n$`},
		{"curl", "curl -sS http://www.demo.test/", `^Hello from`},
		{"wget", "wget -qO- http://www.demo.test/", `^Hello from`},
		{"dig", dig + "alias.demo.test AAAA", `^www\.demo\.test\.\nfd78::1\n$`},
		{"dig", dig + "+tcp ipv4.demo.test", `^10\.78\.0\.1\n$`},
		{"busybox", "busybox wget -qO- http://ipv4.demo.test/", `^Hello from`},
		{"sh", resolving + "=www.demo.test " + self, `^\[(10\.78\.0\.1 fd78::1|fd78::1 10\.78\.0\.1)\]\n$`},
	} {
		t.Run(c.command, func(t *testing.T) {
			t.Parallel()
			needProgram(t, c.needs)
			try(t, "run", "--net", "demo", "--", "sh", "-c", c.command).expect(t, exitOK, c.stdout, "")
		})
	}
}

// TestRunHosts: --hosts and --dns choose what names mean.
func TestRunHosts(t *testing.T) {
	t.Parallel()
	needProgram(t, "getent")
	file := t.TempDir() + "/hosts"
	if err := os.WriteFile(file, []byte("192.0.2.7 chosen.example\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, net := range []string{"demo", "host"} {
		try(t, "run", "--net", net, "--hosts", file, "getent", "hosts", "chosen.example").
			expect(t, exitOK, `^192\.0\.2\.7 +chosen\.example\n$`, "")
	}
	try(t, "run", "--net", "demo", "--dns", "tcp://[fd78::1]", "getent", "hosts", "ipv4.demo.test").
		expect(t, exitOK, `^10\.78\.0\.1 +ipv4\.demo\.test\n$`, "")
}

func TestNameservers(t *testing.T) {
	t.Parallel()
	addrs := func(list ...string) (a []netip.Addr) {
		for _, s := range list {
			a = append(a, netip.MustParseAddr(s))
		}
		return a
	}
	for _, c := range []struct {
		text string
		want []netip.Addr
	}{
		{"", addrs("127.0.0.1", "::1")},
		{"search example\n# nameserver 192.0.2.1\nnameserver\nnameserver x\n", addrs("127.0.0.1", "::1")},
		{"nameserver 192.0.2.1\n  nameserver\tfd00::1 # more\nnameserver 192.0.2.1", addrs("192.0.2.1", "fd00::1")},
		{"nameserver ::ffff:192.0.2.1\nnameserver fe80::1%eth0\nnameserver 127.0.0.53\nnameserver 192.0.2.4\n",
			addrs("192.0.2.1", "fe80::1%eth0", "127.0.0.53")},
	} {
		if got := nameservers(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q: nameservers %v, want %v", c.text, got, c.want)
		}
	}
	const before, after = "search a b\nnameserver fe80::1%eth0\noptions ndots:2", "search a b\noptions ndots:2\nnameserver 127.0.0.1\n"
	if got := string(withNameserver(before, defaultNameservers[0])); got != after {
		t.Errorf("%q becomes %q, want %q", before, got, after)
	}
}

// TestNameserverFate: who answers at the addresses of a resolv.conf file.
func TestNameserverFate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		link, dns, hosts string
		addr             string
		want             nameserverFate
	}{
		{link: "host", addr: "192.0.2.1", want: nameserverAsIs},
		{link: "host", addr: "127.0.0.53", want: nameserverOurs},
		{link: "host", addr: "::1", want: nameserverOurs},
		{link: "host", addr: "fe80::1%eth0", want: nameserverHidden},
		{link: "host", hosts: "file", addr: "192.0.2.1", want: nameserverOurs},
		{link: "host", dns: "192.0.2.9", addr: "192.0.2.1", want: nameserverOurs},
		{link: "host", dns: "192.0.2.1", addr: "192.0.2.1", want: nameserverAsIs},
		{link: "host", dns: "tls://192.0.2.1#dns.example", addr: "192.0.2.1", want: nameserverHidden},
		{link: "host", dns: "192.0.2.1:5353", addr: "192.0.2.1", want: nameserverHidden},
		{link: "host", dns: "192.0.2.1", hosts: "file", addr: "192.0.2.1", want: nameserverHidden},
		{link: "demo", addr: "192.0.2.1", want: nameserverOurs},
		{link: "demo", addr: "10.78.0.1", want: nameserverAsIs},
	} {
		s := &settings{hosts: c.hosts}
		n := &network{wire: &wire{dns: demoDNS()}}
		if c.link == hostLink {
			n.uplink, n.dns = &hostnet.Uplink{}, nil
		}
		if c.dns != "" {
			server, err := dnsresolver.ParseServer(c.dns)
			if err != nil {
				t.Fatal(err)
			}
			s.dns = []dnsresolver.Server{server}
			n.dns = s.dns
		}
		if got := s.fateOf(n, netip.MustParseAddr(c.addr)); got != c.want {
			t.Errorf("on %s with --dns %q and --hosts %q, %s: %d, want %d", c.link, c.dns, c.hosts, c.addr, got, c.want)
		}
	}
}

// TestNameSockets: the services that a libc asks before nameservers.
func TestNameSockets(t *testing.T) {
	t.Parallel()
	const always = 1
	for _, c := range []struct {
		text  string
		count int
	}{
		{"", always},
		{"# hosts: resolve\npasswd: files resolve\n\thosts:\tfiles dns # resolve", always},
		{"hosts: files dns\n", always},
		{"hosts:          files mymachines resolve [!UNAVAIL=return] dns\n", always + 1},
	} {
		if got := nameSockets(hostSources(c.text)); len(got) != c.count {
			t.Errorf("%q: %q, want %d", c.text, got, c.count)
		}
	}
}

// TestRunIsolated: with --isolate the program has nothing of the machine's network, and what it has is the same.
func TestRunIsolated(t *testing.T) {
	t.Parallel()
	needProgram(t, "curl")
	const script = `readlink /proc/self/ns/net; curl -sS http://www.demo.test/`
	outside, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	needIsolation(t)
	for _, how := range isolations {
		r := try(t, "run", "--net", "demo", "--isolate", how, "sh", "-c", script)
		r.expect(t, exitOK, `^net:\[\d+\]\nHello from`, "")
		if same := strings.HasPrefix(r.stdout, outside); same != (how == "off") {
			t.Errorf("--isolate %s: in the machine's network namespace: %v", how, same)
		}
	}
	try(t, "run", "--isolate", "sometimes", "true").expect(t, exitUsage, "", "not one of auto, require, off")
}

// needIsolation skips the test where this user may not make the namespaces.
func needIsolation(t *testing.T) {
	t.Helper()
	_, err := userns.First(userns.Ways(unix.CLONE_NEWNET, userns.Self))
	if err != nil {
		err = userns.Diagnose(err)
	}
	needs.Have(t, "netns", err)
}
