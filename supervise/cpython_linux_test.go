//go:build amd64 || arm64

package supervise_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/userstack/userstack/supervise"
)

const (
	cpythonDriver   = "testdata/cpython/run.py"
	cpythonExpected = "testdata/cpython-expected.tsv" // tests that pass on the kernel only, each with its reason
	cpythonTest     = 60 * time.Second                // for one test: a hang guard
	cpythonClass    = 10 * time.Minute                // for one class: a hang guard
)

// cpythonModules are the parts of CPython's own test suite that use sockets.
var cpythonModules = []string{
	"test_socket", "test_asyncio", "test_socketserver", "test_httplib", "test_ftplib", "test_smtplib", "test_poplib",
	"test_urllib", "test_urllib2", "test_urllib2_localnet", "test_xmlrpc", "test_ssl", "test_select", "test_poll",
	"test_epoll", "test_selectors",
}

// cpythonQuick are the classes that every go test runs.
var cpythonQuick = []string{
	"test_socket.BasicTCPTest", "test_socket.BasicTCPTest2", "test_socket.BasicUDPTest", "test_socket.NonBlockingTCPTests",
	"test_socket.FileObjectClassTestCase", "test_socket.RecvmsgIntoTCPTest", "test_socket.SendmsgTCPTest",
	"test_socket.RecvmsgUDP6Test", "test_socket.CreateServerFunctionalTest",
	"test_asyncio.test_streams.StreamTests",
	"test_ftplib.TestFTPClass",
	"test_epoll.TestEPoll",
}

// cpythonLeftOut are classes that say nothing about a supervised program.
var cpythonLeftOut = regexp.MustCompile(`VSOCK` + // hangs on the kernel in some virtual machines
	`|UDPLITE|SCTP|RDS|CAN|J1939|ISOTP|TIPC|QIPCRTR|Bluetooth`) // protocols that no Host has

// TestCPython runs classes of CPython's test suite on the kernel and supervised, each in a process of its own: what
// passes on the kernel passes supervised, or is in the list of expected failures. By default it is a few classes;
// USERSTACK_CPYTHON=all are all of cpythonModules, and another value is a list of modules or classes.
func TestCPython(t *testing.T) {
	t.Parallel()
	python := cpython(t)
	needLoopback(t)
	classes := cpythonQuick
	if names := os.Getenv("USERSTACK_CPYTHON"); names == "all" {
		classes = cpythonClasses(t, python, cpythonModules)
	} else if names != "" {
		classes = cpythonClasses(t, python, strings.Split(names, ","))
	}
	classes = slices.DeleteFunc(slices.Clone(classes), cpythonLeftOut.MatchString)

	s := cpythonSuite{python: python, expected: readReasons(t, cpythonExpected), totals: map[string]*cpythonTotal{}}
	t.Run("Classes", func(t *testing.T) {
		for _, class := range classes {
			t.Run(class, func(t *testing.T) {
				t.Parallel()
				s.compare(t, class)
			})
		}
	})
	s.report(t)
}

// cpython returns an interpreter that has its test suite beside it.
func cpython(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), name, "-c", "import test.test_socket").Run() == nil {
			return name
		}
	}
	t.Skip("needs python3 with its test suite (package libpython3-testsuite)")
	return ""
}

func cpythonClasses(t *testing.T, python string, modules []string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), python, append([]string{cpythonDriver, "list"}, modules...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// cpythonSuite compares classes and counts.
type cpythonSuite struct {
	python   string
	expected map[string]string // reasons by test

	mu     sync.Mutex
	totals map[string]*cpythonTotal // by module
}

type cpythonTotal struct{ native, ours, expected, again int }

// compare runs a class twice and compares outcomes test by test.
func (s *cpythonSuite) compare(t *testing.T, class string) {
	native, said := s.run(t, kernel, class)
	if !slices.Contains(slices.Collect(maps.Values(native)), "ok") {
		if t.Context().Err() == nil && len(native) == 0 {
			t.Errorf("%s: no test ran on the kernel\n%s", class, said)
		}
		return
	}
	ours, said := s.run(t, onHost(t), class)
	for _, test := range slices.Sorted(maps.Keys(native)) {
		if native[test] != "ok" {
			continue
		}
		s.count(test, func(n *cpythonTotal) { n.native++ })
		reason, expected := s.expected[test]
		if ours[test] == "ok" {
			s.count(test, func(n *cpythonTotal) { n.ours++ })
			if expected && !strings.HasPrefix(reason, "sometimes: ") {
				t.Errorf("%s passes, and is expected to fail: %s", test, reason)
			}
			continue
		}
		if expected {
			s.count(test, func(n *cpythonTotal) { n.expected++ })
			continue
		}
		outcome, saidNow := s.run(t, onHost(t), test)
		if outcome[test] == "ok" { // a test that waits for time, on a busy machine
			s.count(test, func(n *cpythonTotal) { n.ours++; n.again++ })
			t.Logf("%s passed at the second attempt; first:\n%s", test, said)
			continue
		}
		t.Errorf("%s: %q, on the kernel ok\n%s", test, outcome[test], saidNow)
	}
}

// count changes the total of a test's module.
func (s *cpythonSuite) count(test string, change func(*cpythonTotal)) {
	module, _, _ := strings.Cut(test, ".")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.totals[module] == nil {
		s.totals[module] = &cpythonTotal{}
	}
	change(s.totals[module])
}

func (s *cpythonSuite) report(t *testing.T) {
	var all cpythonTotal
	for _, module := range slices.Sorted(maps.Keys(s.totals)) {
		n := s.totals[module]
		t.Logf("%-24s %4d pass on the kernel, %4d of them supervised, %d fail as expected", module, n.native, n.ours, n.expected)
		all.native += n.native
		all.ours += n.ours
		all.again += n.again
	}
	t.Logf("of %d tests that pass on the kernel, %d pass supervised (%.1f %%), %d of them at the second attempt",
		all.native, all.ours, 100*float64(all.ours)/float64(max(all.native, 1)), all.again)
}

// runner is how a program runs: on the kernel's network, or supervised.
type runner func(ctx context.Context, name string, arg ...string) (cmd *exec.Cmd, run func() error)

func kernel(ctx context.Context, name string, arg ...string) (*exec.Cmd, func() error) {
	cmd := exec.CommandContext(ctx, name, arg...)
	return cmd, cmd.Run
}

// onHost runs a program on a Host of its own.
func onHost(t *testing.T) runner {
	h := newHost(t)
	return func(ctx context.Context, name string, arg ...string) (*exec.Cmd, func() error) {
		cmd := supervise.CommandContext(ctx, h, name, arg...)
		return cmd.Cmd, cmd.Run
	}
}

// run runs a class or a test in a process group that ends with it, and returns outcomes by test.
func (s *cpythonSuite) run(t *testing.T, how runner, what string) (outcomes map[string]string, said string) {
	ctx, cancel := context.WithTimeout(t.Context(), cpythonClass)
	defer cancel()
	dir, err := os.MkdirTemp("", "cpython-")
	if err != nil {
		t.Error(err)
		return nil, ""
	}
	defer os.RemoveAll(dir)
	cmd, run := how(ctx, s.python, cpythonDriver, "run", what)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, fmt.Sprintf("CPYTHON_TEST_S=%.0f", cpythonTest.Seconds()))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	killGroup := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = killGroup
	if err := run(); err != nil {
		fmt.Fprintln(&stderr, err)
	}
	outcomes = map[string]string{}
	for line := range strings.Lines(stdout.String()) {
		outcome, test, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if ok && (outcomes[test] == "" || outcomes[test] == "ok") { // a test may have failed and then have ended
			outcomes[test] = outcome
		}
	}
	return outcomes, stderr.String()
}

// readReasons reads a file of lines "NAME<tab>REASON".
func readReasons(t *testing.T, file string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, reason, ok := strings.Cut(line, "\t")
		if !ok {
			t.Fatalf("%s: %q has no reason", file, line)
		}
		reasons[name] = reason
	}
	return reasons
}
