package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"gvisor.dev/gvisor/pkg/refs"

	"github.com/userstack/userstack/internal/needs"
	"github.com/userstack/userstack/tun/namespace"
)

// asCommand in the environment makes the test binary the command: the tests run themselves as userstack.
const asCommand = "USERSTACK_TEST_AS_COMMAND"

// inheriting in the environment makes the test binary open a device and become the command, with the device as
// descriptor 3; its value is "tun" or "tap".
const inheriting = "USERSTACK_TEST_INHERIT"

// inherit does that, where it can be done.
var inherit = func() error { return errors.ErrUnsupported }

// resolving in the environment makes the test binary a program that looks its value up with Go's own resolver.
const resolving = "USERSTACK_TEST_RESOLVE"

func resolve(name string) {
	addrs, err := (&net.Resolver{PreferGo: true}).LookupHost(context.Background(), name)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(addrs)
	os.Exit(0)
}

// exitLeak is the exit status of a command that left a goroutine or a packet behind.
const exitLeak = 99

func TestMain(m *testing.M) {
	if os.Getenv(inheriting) != "" {
		log.Fatal(inherit()) // which does not return otherwise
	}
	if name := os.Getenv(resolving); name != "" {
		resolve(name) // which does not return
	}
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
	if err := goleak.Find(
		goleak.IgnoreTopFunction("os/signal.signal_recv"),
		goleak.IgnoreAnyFunction("github.com/userstack/userstack/cmd/userstack.(*netcat).readAll"), // see input
	); err != nil {
		fmt.Fprintln(os.Stderr, "left behind:", err)
		return exitLeak
	}
	refs.DoLeakCheck()
	return code
}

// commandPatience bounds one command of a test: only a hang lasts longer, under the race detector on a busy machine too.
const commandPatience = 3 * time.Minute

// result is what a command did.
type result struct {
	code           int
	stdout, stderr string
}

// userstack prepares the command.
func userstack(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	// A process under -race sleeps for a second before it exits, for goroutines that are still at work; we have none.
	cmd.Env = append(os.Environ(), asCommand+"=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// begin starts a command, which is ended after a while so that it says where it hangs.
func begin(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(commandPatience, func() { cmd.Process.Signal(syscall.SIGQUIT) })
	t.Cleanup(func() {
		limit.Stop()
		cmd.Process.Kill()
	})
}

// output runs a prepared command with input.
func output(t *testing.T, cmd *exec.Cmd, stdin string) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	begin(t, cmd)
	err := cmd.Wait()
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
	needs.Have(t, "netns", namespace.Available())
}
