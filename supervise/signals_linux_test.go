//go:build amd64 || arm64

package supervise_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// compile builds a C program, or skips the test for want of a compiler.
func compile(t *testing.T, source string, flags ...string) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("there is no C compiler: install gcc or clang as cc")
	}
	program := filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(source), ".c"))
	args := append([]string{"-O1", "-o", program, source}, flags...)
	if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	return program
}

// TestSignals runs a program that gets signals during its calls, on the kernel
// and under supervision. EINTR, SA_RESTART and SO_RCVTIMEO must be as the kernel
// has them, and no call may fail or happen twice under a timer of 1 kHz.
func TestSignals(t *testing.T) {
	program := compile(t, "testdata/signals.c")
	cycles := "200"
	native, err := exec.Command(program, cycles).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := output(t, newHost(t), program, cycles); got != string(native) {
		t.Errorf("supervised it prints\n%son the kernel\n%s", got, native)
	}
}

// TestPipelines runs many short-lived processes, whose calls are no sockets'.
func TestPipelines(t *testing.T) {
	got := output(t, newHost(t), "sh", "-c",
		`i=0; while [ $i -lt 100 ]; do printf '%s\n' $i | cat | { read n; echo $n; } ; i=$((i+1)); done | wc -l`)
	if strings.TrimSpace(got) != "100" {
		t.Errorf("100 pipelines printed %q lines", got)
	}
}
