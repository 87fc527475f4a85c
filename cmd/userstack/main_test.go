package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"gvisor.dev/gvisor/pkg/refs"

	"github.com/userstack/userstack/tun/namespace"
)

// asCommand in the environment makes the test binary the command: the tests run themselves as userstack.
const asCommand = "USERSTACK_TEST_AS_COMMAND"

// exitLeak is the exit status of a command that left a goroutine or a packet behind.
const exitLeak = 99

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(checkedMain())
	}
	os.Exit(m.Run())
}

// checkedMain is main with a look at what the command left behind.
func checkedMain() int {
	refs.SetLeakMode(refs.LeaksPanic)
	ctx, stop := withSignals(context.Background())
	code := run(ctx, newRoot(), os.Args[1:])
	stop()
	if err := goleak.Find(goleak.IgnoreTopFunction("os/signal.signal_recv")); err != nil {
		fmt.Fprintln(os.Stderr, "left behind:", err)
		return exitLeak
	}
	refs.DoLeakCheck()
	return code
}

// commandPatience bounds one command of a test.
const commandPatience = 30 * time.Second

// result is what a command did.
type result struct {
	code           int
	stdout, stderr string
}

// userstack prepares the command.
func userstack(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandPatience)
	t.Cleanup(cancel)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // says where it hangs
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

// output runs a prepared command with input.
func output(t *testing.T, cmd *exec.Cmd, stdin string) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	if _, ok := err.(*exec.ExitError); err != nil && !ok {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// try runs a command without input.
func try(t *testing.T, args ...string) result {
	t.Helper()
	return output(t, userstack(t, args...), "")
}

// expect checks the result of a command. Each pattern must be found, over several lines.
func (r result) expect(t *testing.T, code int, stdout, stderr string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit status %d, want %d\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	for _, c := range []struct{ name, text, pattern string }{
		{"stdout", r.stdout, stdout}, {"stderr", r.stderr, stderr},
	} {
		if c.pattern == "" && c.text != "" {
			t.Errorf("%s has %q, want nothing", c.name, c.text)
		}
		if !regexp.MustCompile(`(?s)` + c.pattern).MatchString(c.text) {
			t.Errorf("%s does not match %q:\n%s", c.name, c.pattern, c.text)
		}
	}
}

// needNamespace skips the test where there can be no namespace with a TUN device.
func needNamespace(t *testing.T) {
	t.Helper()
	err := namespace.Available()
	if err == nil {
		return
	}
	if strings.Contains(os.Getenv("USERSTACK_REQUIRE"), "netns") {
		t.Fatal(err)
	}
	t.Skip(err)
}
