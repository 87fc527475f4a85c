//go:build amd64 || arm64

package supervise_test

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/userstack/userstack/supervise"
)

const (
	conformSources = "testdata/conform/*.c"
	conformKernel  = "testdata/conform-linux.txt"     // what Linux 6.18 says
	conformPermits = "testdata/conform-permitted.txt" // where a supervised program may see something else
	conformAtLeast = 1000                             // observations; fewer mean that the program broke
)

// TestConformanceProgram runs a C program that walks sockets through their states on the kernel's loopback and on a
// Host's, and compares what it sees line by line. A line may differ if it is in the list of permitted differences, and
// what is in there must differ, so that the list stays true.
func TestConformanceProgram(t *testing.T) {
	t.Parallel()
	program := compileC(t, conformSources)
	needLoopback(t)
	lines, err := os.ReadFile(conformKernel)
	if err != nil {
		t.Fatal(err)
	}
	linux := observations(t, string(lines))
	out, err := exec.CommandContext(t.Context(), program, conformKernel).Output()
	if err != nil {
		t.Fatalf("on the kernel: %v\n%s", err, out)
	}
	native := observations(t, string(out))
	permits := readPermits(t)
	cmd := supervise.CommandContext(t.Context(), newHost(t), program, expect(t, native, permits))
	out, err = cmd.Output()
	if err != nil {
		t.Errorf("supervised: %v", err)
	}
	ours := observations(t, string(out))

	differ := 0
	for _, key := range slices.Sorted(maps.Keys(native)) {
		got, want := ours[key], native[key]
		if got == want {
			continue
		}
		p := permits.find(key)
		switch {
		case p != nil && got == p.value:
			p.occurred = true
			differ++
		case p == nil && got == linux[key]: // as another kernel has it
		default:
			t.Errorf("%s: %q, the kernel says %q", key, got, want)
		}
	}
	for key, value := range ours {
		if _, ok := native[key]; !ok {
			t.Errorf("%s: %q, the kernel does not get there", key, value)
		}
	}
	for _, p := range permits {
		if !p.occurred && !p.skipped(native) {
			t.Errorf("%s: %s: is permitted and does not occur", p.pattern, p.value)
		}
	}
	t.Logf("of %d observations, %d differ in a permitted way", len(native), differ)
}

// compileC builds the C files that match a pattern.
func compileC(t *testing.T, pattern string) (program string) {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("needs a C compiler (package gcc and libc6-dev): ", err)
	}
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(files), err)
	}
	program = filepath.Join(t.TempDir(), "program")
	args := append([]string{"-std=gnu11", "-Wall", "-o", program}, files...)
	if out, err := exec.CommandContext(t.Context(), cc, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// needLoopback skips the test where the machine's own loopback, the oracle, does not work.
func needLoopback(t *testing.T) {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Skip("needs the machine's loopback: ", err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp4", ln.Addr().String())
	if err != nil {
		t.Skip("needs the machine's loopback: ", err)
	}
	c.Close()
}

// observations reads the program's lines, "WALK STEP: VALUE". A walk that the machine cannot do is "WALK skipped: REASON".
func observations(t *testing.T, lines string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for line := range strings.Lines(lines) {
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if !ok {
			t.Errorf("the program says %q", line)
			continue
		}
		all[key] = value
	}
	if len(all) < conformAtLeast {
		t.Errorf("the program says %d things, want at least %d", len(all), conformAtLeast)
	}
	return all
}

// permit is a difference from the kernel that is known and has a reason.
type permit struct {
	pattern, value string // of the key, as in path.Match; what is seen instead
	occurred       bool
}

// skipped reports whether the machine cannot do the walk: without IPv6, say.
func (p *permit) skipped(native map[string]string) bool {
	walk, _, _ := strings.Cut(p.pattern, " ")
	for key := range native {
		if ok, _ := path.Match(walk+" skipped", key); ok {
			return true
		}
	}
	return false
}

type permits []*permit

// readPermits reads the list: reasons as comments, followed by the lines that they permit.
func readPermits(t *testing.T) (list permits) {
	t.Helper()
	b, err := os.ReadFile(conformPermits)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		pattern, value, ok := strings.Cut(line, ": ")
		if !ok {
			t.Fatalf("%s: %q has no value", conformPermits, line)
		}
		list = append(list, &permit{pattern: pattern, value: value})
	}
	return list
}

// find returns the permit for an observation, or nil.
func (list permits) find(key string) *permit {
	for _, p := range list {
		if ok, _ := path.Match(p.pattern, key); ok {
			return p
		}
	}
	return nil
}

// expect writes a file with what the supervised program is expected to see: it repeats an observation until it is that.
func expect(t *testing.T, native map[string]string, list permits) (file string) {
	t.Helper()
	var b strings.Builder
	for key, value := range native {
		if p := list.find(key); p != nil {
			value = p.value
		}
		fmt.Fprintf(&b, "%s: %s\n", key, value)
	}
	file = filepath.Join(t.TempDir(), "expected")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
