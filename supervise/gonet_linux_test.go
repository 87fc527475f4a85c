//go:build amd64 || arm64

package supervise_test

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	gonetExpected = "testdata/gonet-expected.tsv" // tests that pass on the kernel only, each with its reason
	gonetGuard    = 10 * time.Minute              // for one package: a hang guard
)

// TestGoNet runs the tests of Go's own net and net/http on the kernel and supervised, as go test -short does: what passes on
// the kernel passes supervised, or is in the list of expected failures. It takes a minute or two and has to be asked for
// with USERSTACK_GONET=1.
func TestGoNet(t *testing.T) {
	if os.Getenv("USERSTACK_GONET") == "" {
		t.Skip("has to be asked for with USERSTACK_GONET=1: it takes minutes")
	}
	needAll(t, []string{"go:golang"})
	needLoopback(t)
	goroot, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	expected := readReasons(t, gonetExpected)
	for _, pkg := range []string{"net", "net/http"} {
		t.Run(pkg, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "test")
			if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", program, pkg).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			dir := filepath.Join(strings.TrimSpace(string(goroot)), "src", pkg)
			native, _ := goTests(t, kernel, program, dir)
			ours, said := goTests(t, onHost(t), program, dir)
			compareGoTests(t, pkg, native, ours, expected)
			if t.Failed() {
				t.Logf("supervised it says at last:\n%s", said.Last(20000))
			}
		})
	}
}

// goOutcome is the line that a test binary prints for each test.
var goOutcome = regexp.MustCompile(`(?m)^--- (PASS|FAIL|SKIP): (\S+)`)

// goTests runs a test binary in the directory of its package and returns outcomes by test.
func goTests(t *testing.T, how runner, program, dir string) (outcomes map[string]string, said *syncBuffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), gonetGuard)
	defer cancel()
	cmd, run := how(ctx, program, "-test.short", "-test.v", "-test.timeout", gonetGuard.String())
	said = &syncBuffer{}
	cmd.Stdout, cmd.Stderr, cmd.Dir = said, said, dir
	inGroup(cmd)
	run() // how it ends shows in the outcomes
	outcomes = map[string]string{}
	for _, m := range goOutcome.FindAllStringSubmatch(said.String(), -1) {
		outcomes[m[2]] = m[1]
	}
	return outcomes, said
}

func compareGoTests(t *testing.T, pkg string, native, ours, expected map[string]string) {
	t.Helper()
	passed, same := 0, 0
	for _, test := range slices.Sorted(maps.Keys(native)) {
		if native[test] != "PASS" {
			continue
		}
		passed++
		reason, listed := expected[path.Join(pkg, test)]
		switch {
		case ours[test] == "PASS" && listed:
			t.Errorf("%s passes, and is expected not to: %s", test, reason)
		case ours[test] == "PASS":
			same++
		case !listed:
			t.Errorf("%s: %q, on the kernel it passes", test, ours[test])
		}
	}
	if passed == 0 {
		t.Error("no test passes on the kernel")
	}
	t.Logf("of %d tests that pass on the kernel, %d pass supervised", passed, same)
}
